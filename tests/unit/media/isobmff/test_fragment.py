"""Fragments: durations add up, nothing is empty, and the same samples give the same bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import ServiceFault
from everreel.media.access_unit import Medium
from everreel.media.isobmff.boxes import require, walk
from everreel.media.isobmff.fragment import media_segment
from tests.unit.media.isobmff.media_samples import AAC, OPUS, VIDEO, picture, segment, sound


def runs(body):
    """Read back per track: sequence number, tfdt, rows of trun, payload of mdat."""
    found = {}
    boxes = list(walk(body))
    assert boxes[0].kind == b"styp"
    for moof, mdat in zip(boxes[1::2], boxes[2::2], strict=True):
        assert (moof.kind, mdat.kind) == (b"moof", b"mdat")
        traf = require(body, moof, b"traf")
        (number,) = struct.unpack_from(">I", body, require(body, moof, b"mfhd").body + 4)
        (track,) = struct.unpack_from(">I", body, require(body, traf, b"tfhd").body + 4)
        tfdt, trun = require(body, traf, b"tfdt"), require(body, traf, b"trun")
        assert body[tfdt.body] == 1
        assert body[trun.body] == 1
        (start,) = struct.unpack_from(">Q", body, tfdt.body + 4)
        count, offset = struct.unpack_from(">Ii", body, trun.body + 4)
        assert moof.start + offset == mdat.body
        row = ">IIIi" if track == 1 else ">II"
        rows = list(struct.iter_unpack(row, body[trun.body + 12 : trun.end]))
        assert len(rows) == count
        found[track] = (number, start, rows, body[mdat.body : mdat.end])
    return found


def test_segment_when_pictures_are_reordered_then_none_is_presented_before_it_is_decoded():
    samples = [
        picture(1_000_000, 920_000, key=True),
        picture(1_120_000, 960_000),
        picture(1_040_000, 1_000_000),
        picture(1_080_000, 1_040_000),
    ]
    body = media_segment(
        segment(samples, (VIDEO,), k=7, next_pts_us={Medium.VIDEO: 1_160_000})
    ).body
    number, start, rows, _ = runs(body)[1]
    assert (number, start) == (7, 90_000)
    assert [row[0] for row in rows] == [1800, 1800, 3600, 7200]
    assert [row[3] for row in rows] == [0, 9000, 0, 0]
    assert [row[2] for row in rows] == [0x2000000, 0x1010000, 0x1010000, 0x1010000]


def test_segment_when_pictures_are_in_order_then_each_is_decoded_when_it_is_presented():
    samples = [picture(i * 40_000, i * 40_000 - 80_000, key=not i) for i in range(4)]
    rows = runs(media_segment(segment(samples, (VIDEO,))).body)[1][2]
    assert [(row[0], row[3]) for row in rows] == [(3600, 0)] * 4


def test_segment_when_its_last_pictures_never_came_then_nothing_reaches_over_its_end():
    shown = [0, 120_000, 40_000]  # of a group of which the picture at 80 ms is missing
    samples = [
        picture(pts, dts, key=not pts) for pts, dts in zip(shown, sorted(shown), strict=True)
    ]
    _, start, rows, _ = runs(media_segment(segment(samples, (VIDEO,), end_us=160_000)).body)[1]
    assert start + sum(row[0] for row in rows) <= 160 * 90


def test_segment_when_stamps_are_whole_milliseconds_then_audio_lies_on_the_frame_grid():
    stamps = [(i * 1024 * 1000 // 48_000) * 1000 for i in range(280)]
    following = (280 * 1024 * 1000 // 48_000) * 1000
    body = media_segment(
        segment([sound(t) for t in stamps], (AAC,), next_pts_us={Medium.AUDIO: following})
    ).body
    rows = runs(body)[2][2]
    assert [row[0] for row in rows[:-1]] == [1024] * 279
    assert sum(row[0] for row in rows) == following * 48 // 1000


def test_segment_when_a_stamp_leaves_the_grid_then_durations_come_from_stamps():
    body = media_segment(segment([sound(0), sound(21_333), sound(75_000)], (AAC,))).body
    assert [row[0] for row in runs(body)[2][2]] == [1024, 2576, 1024]


def test_segment_when_opus_packets_differ_then_each_lasts_what_its_first_byte_says():
    twenty, ten = b"\xfc" + bytes(5), b"\xf4" + bytes(5)
    samples = [sound(0, twenty), sound(20_000, ten), sound(30_000, twenty)]
    body = media_segment(segment(samples, (OPUS,))).body
    assert [row[0] for row in runs(body)[2][2]] == [960, 480, 960]


def test_segment_when_one_picture_is_alone_then_it_lasts_to_the_end():
    body = media_segment(segment([picture(0, 0, key=True)], (VIDEO,), end_us=500_000)).body
    assert [row[0] for row in runs(body)[1][2]] == [45_000]


def test_segment_when_a_track_has_no_samples_then_it_has_no_fragment():
    packaged = media_segment(segment([sound(0)]))
    assert [track.medium for track in packaged.tracks] == ["audio"]


def test_segment_when_payload_is_empty_then_the_sample_is_left_out():
    empty = picture(40_000, 40_000)
    empty.data = b""
    samples = [picture(0, 0, key=True), empty, picture(80_000, 80_000)]
    packaged = media_segment(segment(samples, (VIDEO,)))
    assert [row[0] for row in runs(packaged.body)[1][2]] == [7200, 3600]
    assert packaged.tracks[0].units == 2


def test_segment_when_there_is_nothing_then_service_fault():
    with pytest.raises(ServiceFault):
        media_segment(segment([sound(0, b"")]))


@st.composite
def hard_segments(draw):
    """Segments with collapsing stamps, reordering and impossible ends."""
    start = draw(st.integers(0, 2**45))
    samples = []
    dts = start - draw(st.integers(0, 200_000))
    for i in range(draw(st.integers(1, 12))):
        pts = start if i == 0 else dts + draw(st.integers(-200_000, 400_000))
        samples.append(picture(max(pts, 0), dts, key=i == 0))
        dts += draw(st.sampled_from([1, 5, 30, 33_333, 1_000_000]))
    at = start
    for _ in range(draw(st.integers(0, 12))):
        samples.append(sound(at))
        at += draw(st.sampled_from([1, 21_000, 21_333, 22_000, 90_000]))
    following = {
        m: start + draw(st.integers(0, 3_000_000)) for m in draw(st.sets(st.sampled_from(Medium)))
    }
    return segment(samples, next_pts_us=following)


@given(hard_segments())
def test_segment_when_stamps_are_hard_then_durations_are_positive_and_reach_the_next(made):
    packaged = media_segment(made)
    assert media_segment(made) == packaged
    tracks = runs(packaged.body)
    for place in packaged.tracks:
        medium = Medium(place.medium)
        scale = 90_000 if medium is Medium.VIDEO else 48_000
        _, start, rows, payload = tracks[1 if medium is Medium.VIDEO else 2]
        samples = made.samples[medium]
        assert place.units == len(rows) == len(samples)
        assert payload == b"".join(s.data for s in samples)
        assert [row[1] for row in rows] == [len(s.data) for s in samples]
        durations = [row[0] for row in rows]
        assert min(durations) > 0
        assert start == (samples[0].pts_us * scale + 500_000) // 1_000_000
        if medium in made.next_pts_us:
            end = (made.next_pts_us[medium] * scale + 500_000) // 1_000_000
            assert start + sum(durations) == max(end, start + len(rows))
        if medium is Medium.VIDEO:
            at = start
            for row, sample in zip(rows, samples, strict=True):
                assert at + row[3] == (sample.pts_us * scale + 500_000) // 1_000_000
                at += row[0]


def test_tracks_when_packaged_then_ranges_hold_exactly_moof_and_mdat():
    packaged = media_segment(segment([picture(0, 0, key=True), sound(0), sound(21_333)]))
    for place in packaged.tracks:
        part = packaged.body[place.offset : place.offset + place.length]
        assert [b.kind for b in walk(part)] == [b"moof", b"mdat"]
    assert place.offset + place.length == len(packaged.body)


def test_segment_when_cut_by_force_before_the_first_keyframe_is_shown_then_it_starts_at_zero():
    samples = [picture(-40_000, -40_000), picture(0, 0), picture(40_000, 40_000)]
    _, start, rows, _ = runs(media_segment(segment(samples, (VIDEO,))).body)[1]
    assert start == 0
    assert min(row[0] for row in rows) > 0
