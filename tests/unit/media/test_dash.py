"""DASH manifests: periods, byte ranges and times say what the rows say."""

import dataclasses
import xml.etree.ElementTree as ET

import pytest

from everreel.media.dash import manifest
from everreel.media.index import InitRow, SegmentRow, TrackDescription
from everreel.media.segment import TrackRange

NS = {"d": "urn:mpeg:dash:schema:mpd:2011"}
ORIGIN = 1_760_000_000_000_000
VIDEO = TrackDescription("video", "avc1.64001f", 1000, 1280, 720, 0, 0, b"")
AUDIO = TrackDescription("audio", "mp4a.40.2", 1000, 0, 0, 44_100, 2, b"")
KEYS = {"all": "init-1.mp4", "video": "init-1-video.mp4", "audio": "init-1-audio.mp4"}
INITS = {
    1: InitRow(1, (VIDEO, AUDIO), KEYS),
    2: InitRow(2, (AUDIO,), {"all": "init-2.mp4", "audio": "init-2-audio.mp4"}),
}
BOTH = (TrackRange("video", 24, 3000, 150), TrackRange("audio", 3024, 500, 258))


def row(k, start_us, duration_us=6_000_000, *, init=1, tracks=BOTH, broken=False):
    return SegmentRow(
        k, f"segments/{k:08d}-1.m4s", init, start_us, duration_us, ORIGIN + start_us, 4000, "00",
        tracks, broken, None, True, "a", 1,
    )  # fmt: skip


ROWS = [
    row(0, 0),
    row(1, 6_000_000, 5_966_667),
    row(4, 25_000_000, broken=True),
    row(5, 31_000_000, init=2, tracks=(TrackRange("audio", 24, 600, 280),)),
]


def read(rows, *, live=False, duration_us=37_000_000):
    text = manifest(rows, INITS, origin_utc_us=ORIGIN, live=live, duration_us=duration_us)
    return ET.fromstring(text)


def test_periods_when_the_timeline_breaks_then_each_lasts_until_the_next_starts():
    mpd = read(ROWS)
    assert [(p.get("start"), p.get("duration")) for p in mpd.findall("d:Period", NS)] == [
        ("PT0.000000S", "PT25.000000S"),
        ("PT25.000000S", "PT6.000000S"),
        ("PT31.000000S", "PT6.000000S"),
    ]
    assert mpd.get("type") == "static"
    assert mpd.get("mediaPresentationDuration") == "PT37.000000S"


def test_ranges_of_a_track_then_name_exactly_the_bytes_of_the_rows():
    sets = read(ROWS).findall("d:Period[1]/d:AdaptationSet", NS)
    found = {
        s.get("contentType"): [
            (u.get("media"), u.get("mediaRange")) for u in s.findall(".//d:SegmentURL", NS)
        ]
        for s in sets
    }
    names = ["segments/00000000-1.m4s", "segments/00000001-1.m4s"]
    assert found == {
        "video": [(name, "24-3023") for name in names],
        "audio": [(name, "3024-3523") for name in names],
    }
    inits = [s.find(".//d:Initialization", NS).get("sourceURL") for s in sets]
    assert inits == ["init-1-video.mp4", "init-1-audio.mp4"]


def test_times_of_a_track_then_are_ticks_of_its_own_scale_from_its_period():
    lists = read(ROWS).findall(".//d:SegmentList", NS)
    facts = [
        (
            one.get("timescale"),
            one.get("presentationTimeOffset"),
            [(s.get("t"), s.get("d")) for s in one.findall(".//d:S", NS)],
        )
        for one in lists
    ]
    assert facts == [
        ("90000", "0", [("0", "540000"), (None, "537000")]),
        ("44100", "0", [("0", "264600"), (None, "263130")]),
        ("90000", "2250000", [("2250000", "540000")]),
        ("44100", "1102500", [("1102500", "264600")]),
        ("44100", "1367100", [("1367100", "264600")]),
    ]


def test_track_when_a_segment_has_none_of_it_then_its_timeline_has_a_hole():
    rows = [row(0, 0), row(1, 6_000_000, tracks=BOTH[:1]), row(2, 12_000_000)]
    audio = read(rows).findall("d:Period/d:AdaptationSet[2]//d:S", NS)
    assert [(s.get("t"), s.get("d")) for s in audio] == [("0", "264600"), ("529200", "264600")]


def test_representation_then_tells_codec_size_rate_and_peak_bandwidth():
    video, audio = read(ROWS).findall("d:Period[1]//d:Representation", NS)
    assert (video.get("codecs"), video.get("width"), video.get("height")) == (
        "avc1.64001f", "1280", "720",
    )  # fmt: skip
    assert video.get("bandwidth") == str(3000 * 8_000_000 // 5_966_667)
    assert audio.get("audioSamplingRate") == "44100"
    assert audio.find("d:AudioChannelConfiguration", NS).get("value") == "2"


def test_manifest_while_live_then_dynamic_and_the_last_period_is_open():
    mpd = read(ROWS[:2], live=True)
    assert mpd.get("type") == "dynamic"
    assert mpd.get("availabilityStartTime") == "2025-10-09T08:53:20.000000Z"
    assert mpd.get("publishTime") == "2025-10-09T08:53:31.966667Z"
    (period,) = mpd.findall("d:Period", NS)
    assert period.get("duration") is None


def test_manifest_of_nothing_then_is_still_well_formed():
    assert read([], duration_us=0).findall("d:Period", NS) == []


@pytest.mark.parametrize("hostile", ['a"b', "a<b>&c"])
def test_words_from_outside_then_are_escaped(hostile):
    tracks = (dataclasses.replace(VIDEO, codec=hostile), AUDIO)
    inits = {1: InitRow(1, tracks, KEYS)}
    text = manifest(ROWS[:1], inits, origin_utc_us=0, live=False, duration_us=1)
    assert ET.fromstring(text).find(".//d:Representation", NS).get("codecs") == hostile
