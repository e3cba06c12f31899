"""The reader: what we write comes back, what FFmpeg writes is read right, garbage is refused."""

import hashlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceError, SourceMalformed, SourceUnsupported
from everreel.media.access_unit import AccessUnit, Codec, Medium, TrackFormat
from everreel.media.bitstream import h264
from everreel.media.isobmff.boxes import box, full_box, require, walk
from everreel.media.isobmff.fragment import media_segment
from everreel.media.isobmff.init import init_segment
from everreel.media.isobmff.reader import read_fragment, read_init
from everreel.media.isobmff.tracks import MOVIE_TIMESCALE
from tests.unit.media.isobmff.media_samples import (
    AAC,
    OPUS,
    OTHER_SPS,
    PICTURE,
    PPS,
    SPS,
    VIDEO,
    picture,
    segment,
    sound,
)

STREAMS = Path(__file__).parents[3] / "data" / "streams"
SAMPLES = [
    picture(1_000_000, 920_000, key=True),
    picture(1_120_000, 960_000),
    picture(1_040_000, 1_000_000),
    *(sound(1_000_000 + i * 20_000) for i in range(6)),
]


def init(formats=(VIDEO, OPUS)):
    return init_segment(formats)


def body(samples=SAMPLES, formats=(VIDEO, OPUS)):
    return media_segment(segment(samples, formats)).body


@pytest.mark.parametrize("formats", [(VIDEO, AAC), (VIDEO, OPUS), (AAC,), (VIDEO,)])
def test_init_of_ours_then_reads_back_as_the_formats(formats):
    assert [t.format for t in read_init(init(formats))] == list(formats)
    assert [t.track_id for t in read_init(init(formats))] == [
        1 if f.medium is Medium.VIDEO else 2 for f in formats
    ]


def test_fragment_of_ours_then_reads_back_as_the_units_in_order_of_time():
    units = read_fragment(body(), read_init(init()))
    video = [u for u in units if u.medium is Medium.VIDEO]
    assert [(u.pts, u.dts, u.keyframe) for u in video] == [
        (90_000, 90_000, True),
        (100_800, 91_800, False),
        (93_600, 93_600, False),
    ]
    assert [u.data for u in video] == [s.data for s in SAMPLES[:3]]
    audio = [u for u in units if u.medium is Medium.AUDIO]
    assert [u.pts for u in audio] == [48_000 + 960 * i for i in range(6)]
    scales = {Medium.VIDEO: 90_000, Medium.AUDIO: 48_000}
    times = [(u.dts or 0) / scales[u.medium] for u in units]
    assert times == sorted(times)


@pytest.mark.parametrize("name", ["hls-ffmpeg-h264-aac.mp4", "hls-ffmpeg-h264-opus.mp4"])
def test_segments_of_ffmpeg_then_give_the_units_that_were_published(name):
    data = (STREAMS / name).read_bytes()
    facts = json.loads((STREAMS / f"{name}.json").read_text())
    tracks, units, at = [], [], 0
    for i, size in enumerate(facts["part_bytes"]):
        part = data[at : at + size]
        at += size
        if i == 0:
            tracks = read_init(part)
        else:
            units += read_fragment(part, tracks)
    scales = {t.codec.medium: t.timescale for t in tracks}
    for medium in Medium:
        got = [
            (
                u.pts * 1_000_000 // scales[medium],
                u.keyframe,
                hashlib.sha256(u.data).hexdigest()[:16],
            )
            for u in units
            if u.medium is medium
        ]
        wanted = [
            (u["pts_us"], u["keyframe"], u["sha"]) for u in facts["units"] if u["medium"] == medium
        ]
        assert [g[1:] for g in got] == [w[1:] for w in wanted]
        shift = got[0][0] - wanted[0][0]
        assert all(abs(g[0] - w[0] - shift) <= 1 for g, w in zip(got, wanted, strict=True))


def with_parameter_sets(sps):
    """Make a picture that carries parameter sets in-band, behind a delimiter."""
    nals = [b"\x09\xf0", sps, PPS, b"\x65\x88"]
    return b"".join(struct.pack(">I", len(n)) + n for n in nals)


def test_picture_with_the_parameter_sets_known_then_they_are_taken_out():
    data = body([picture(0, 0, key=True, data=with_parameter_sets(SPS))])
    (unit,) = read_fragment(data, read_init(init()))
    assert unit.data == bytes.fromhex("000000026588")


def test_picture_with_another_parameter_set_then_a_new_format_comes_before_it():
    data = body([picture(0, 0, key=True, data=with_parameter_sets(OTHER_SPS))])
    tracks = read_init(init())
    changed, unit = read_fragment(data, tracks)
    assert isinstance(changed, TrackFormat)
    assert changed.config == h264.avcc([OTHER_SPS], [PPS])
    assert isinstance(unit, AccessUnit)
    (again,) = read_fragment(data, tracks)
    assert isinstance(again, AccessUnit)


def test_lengths_of_two_bytes_then_become_four():
    short = VIDEO.config[:4] + b"\xfd" + VIDEO.config[5:]
    narrow = TrackFormat(Codec.H264, 90_000, 0, short, width=640, height=360)
    data = body([picture(0, 0, key=True, data=b"\x00\x02\x65\x88")])
    tracks = read_init(init([narrow]))
    assert tracks[0].format == VIDEO
    assert read_fragment(data, tracks)[0].data == bytes.fromhex("000000026588")


def fragment(tfhd, truns, payload):
    """Make a fragment of another writer."""

    def moof(offset):
        runs = [full_box(b"trun", v, f, d(offset) if callable(d) else d) for v, f, d in truns]
        tfdt = full_box(b"tfdt", 0, 0, struct.pack(">I", 1000))
        return box(b"moof", full_box(b"mfhd", 0, 0, bytes(4)), box(b"traf", tfhd, tfdt, *runs))

    return moof(len(moof(0)) + 8) + box(b"mdat", payload)


def test_fragment_with_defaults_and_several_runs_then_samples_follow_each_other():
    tfhd = full_box(b"tfhd", 0, 0x20038, struct.pack(">IIII", 1, 3000, 6, 0x1010000))
    runs = [
        (0, 0x5, lambda offset: struct.pack(">IiI", 2, offset, 0x2000000)),
        (0, 0x800, struct.pack(">Iii", 2, 3000, -3000)),
    ]
    key = bytes.fromhex("000000026588")
    units = read_fragment(fragment(tfhd, runs, key + PICTURE * 3), read_init(init()))
    assert [(u.pts, u.dts, u.keyframe) for u in units] == [
        (1000, 1000, True),
        (4000, 4000, False),
        (10_000, 7000, False),
        (7000, 10_000, False),
    ]


def test_edit_list_then_moves_the_track_as_players_do():
    (ftyp, moov) = walk(init([AAC]))
    data = init([AAC])
    trak = require(data, moov, b"trak")
    elst = full_box(
        b"elst", 0, 0,
        struct.pack(">I", 2) + struct.pack(">Iihh", 90 * MOVIE_TIMESCALE // 1000, -1, 1, 0),
        struct.pack(">Iihh", 0, 1024, 1, 0),
    )  # fmt: skip
    inner = data[trak.body : trak.end] + box(b"edts", elst)
    rest = data[moov.body : trak.start] + box(b"trak", inner) + data[trak.end : moov.end]
    tracks = read_init(data[ftyp.start : ftyp.end] + box(b"moov", rest))
    (unit,) = read_fragment(body([sound(1_000_000)], (AAC,)), tracks)
    assert unit.pts == 48_000 + 4320 - 1024


def test_init_of_an_encrypted_track_then_unsupported():
    with pytest.raises(SourceUnsupported, match="encrypted"):
        read_init(init([VIDEO]).replace(b"avc1", b"encv"))


def test_init_of_unknown_codecs_then_unsupported_and_named():
    with pytest.raises(SourceUnsupported, match="av01"):
        read_init(init([VIDEO]).replace(b"avc1", b"av01"))


def test_init_with_one_unknown_codec_then_the_other_track_is_read():
    assert len(read_init(init([VIDEO, OPUS]).replace(b"Opus", b"ac-3"))) == 1


def test_samples_that_say_more_than_there_is_then_malformed():
    tfhd = full_box(b"tfhd", 0, 0x20018, struct.pack(">III", 1, 3000, 6))
    huge = (0, 0x1, lambda offset: struct.pack(">Ii", 99_999, offset))
    many = (0, 0x1, lambda offset: struct.pack(">Ii", 2**32 - 1, offset))
    for run, words in ((huge, "more than it can"), (many, "samples")):
        data = fragment(tfhd, [run], PICTURE)
        with pytest.raises(SourceMalformed, match=words):
            read_fragment(data, read_init(init()))


@given(st.data())
def test_reading_of_damaged_bytes_then_source_errors_alone(data):
    whole_init, whole_body = init((VIDEO, AAC)), body(formats=(VIDEO, AAC))
    damaged = bytearray(whole_init + whole_body)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    cut = data.draw(st.integers(0, len(damaged)))
    part = bytes(damaged[:cut])
    try:
        tracks = read_init(part[: len(whole_init)])
    except SourceError:
        tracks = read_init(whole_init)
    try:
        read_fragment(part[len(whole_init) :], tracks)
    except SourceError:
        return
