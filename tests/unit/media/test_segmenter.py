"""Segments are a pure function of the source: cut at keyframes, nothing lost, nothing doubled."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.media.access_unit import AccessUnit, Medium, SourceEvent, TrackFormat
from everreel.media.segment import Cause, Place, Segment
from tests.unit.media.streams import (
    AUDIO,
    VIDEO,
    Arrival,
    Recorder,
    later,
    payloads,
    record,
    stream,
)

V, A = Medium.VIDEO, Medium.AUDIO


def check(segments: list[Segment]) -> None:
    """What must hold for the segments of any stream."""
    for one in segments:
        assert one.duration_us > 0
        for units in one.samples.values():
            times = [unit.dts_us for unit in units]
            assert times == sorted(set(times))
            assert all(unit.pts_us >= 0 for unit in units)
        if V in one.samples and one.independent:
            assert one.samples[V][0].keyframe
    numbers = [one.k for one in segments]
    assert numbers == sorted(set(numbers))
    for before, after in pairwise(segments):
        assert after.start_us >= before.end_us - 1_000
        if not after.discontinuity and after.gap is None:
            assert after.start_us == before.end_us


@given(
    seconds=st.floats(1, 40),
    gop=st.integers(1, 300),
    fps=st.sampled_from([10, 25, 30, 60]),
    reorder=st.integers(0, 3),
    target_s=st.sampled_from([2, 6, 10]),
)
def test_stream_when_cut_then_every_unit_is_in_exactly_one_segment(
    seconds: float, gop: int, fps: int, reorder: int, target_s: int
) -> None:
    arrivals = stream(seconds, gop=gop, fps=fps, reorder=reorder)
    segments = record(arrivals, target_s=target_s)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)
    sent = payloads(arrivals, A)
    assert payloads(segments, A) == sent[len(sent) - len(payloads(segments, A)) :]
    assert len(sent) - len(payloads(segments, A)) <= 2


def test_segments_when_target_passes_then_they_are_numbered_by_their_bucket() -> None:
    segments = record(stream(30, gop=100))
    assert [(s.k, s.start_us) for s in segments] == [
        (0, 0), (1, 8_000_000), (2, 12_000_000), (3, 20_000_000), (4, 24_000_000)
    ]  # fmt: skip


def test_two_recorders_when_one_joins_later_then_their_common_segments_are_equal() -> None:
    arrivals = stream(40)
    first = Recorder().take(arrivals)
    late = Recorder()
    origin_us = first.segmenter.origin_us or 0
    late.segmenter.join(Place(origin_us, origin_us, after_k=2))
    late.take([a for a in arrivals if a.at_us >= 13_000_000 or a.event in (VIDEO, AUDIO)])
    ours = {one.k: one for one in first.end()}
    theirs = late.end()
    assert [one.k for one in theirs] == [3, 4, 5, 6]
    for one in theirs:
        assert one == ours[one.k]


def test_join_when_numbers_run_ahead_only_behind_what_is_stored_then_nothing_is_cut_twice() -> None:
    arrivals = stream(20, gop=25)
    first = Recorder().take(arrivals)
    origin_us = first.segmenter.origin_us or 0
    late = Recorder()
    # The newest segment is 6..8 s, ended by a break; what follows in its bucket is number 2.
    late.segmenter.join(Place(origin_us, origin_us, after_k=1, after_us=8_000_000, shift_k=1))
    segments = late.take(arrivals).end()
    assert [(one.k, one.start_us) for one in segments[:3]] == [
        (2, 8_000_000), (3, 12_000_000), (4, 18_000_000)
    ]  # fmt: skip


@pytest.mark.parametrize("keyframe_missed", [True, False])
def test_join_when_sound_from_before_comes_first_then_only_pictures_tell_whether_a_bucket_is_whole(
    keyframe_missed: bool,
) -> None:
    """Pictures are sent before the sound of their time, so one may have missed the keyframe."""
    arrivals = stream(20, gop=25)
    origin_us = Recorder().take(arrivals).segmenter.origin_us or 0
    late = Recorder()
    late.segmenter.join(Place(origin_us, origin_us, after_k=0, after_us=6_000_000))
    sound = [a for a in arrivals if a.event is AUDIO or (_of(a, A) and a.at_us >= 5_900_000)]
    begin_us = 6_040_000 if keyframe_missed else 5_000_000
    pictures = [a for a in arrivals if a.event is VIDEO or (_of(a, V) and a.at_us >= begin_us)]
    late.take([a for a in sound if a.at_us < 6_000_000])
    late.take(sorted([*pictures, *(a for a in sound if a.at_us >= 6_000_000)], key=_arrival))
    first = late.end()[0]
    assert (first.k, first.stand_in) == (1, keyframe_missed)
    assert first.start_us == (7_000_000 if keyframe_missed else 6_000_000)
    assert late.segmenter.entered_k == (2 if keyframe_missed else 1)


def _of(arrival: Arrival, medium: Medium) -> bool:
    return isinstance(arrival.event, AccessUnit) and arrival.event.medium is medium


def _arrival(arrival: Arrival) -> int:
    return arrival.at_us


@given(chunk=st.integers(1, 400))
def test_segments_when_units_arrive_in_other_pieces_then_they_are_the_same(chunk: int) -> None:
    arrivals = stream(14)
    recorder = Recorder()
    segments: list[Segment] = []
    for start in range(0, len(arrivals), chunk):
        piece = arrivals[start : start + chunk]
        timed = recorder.timeline.feed([a.event for a in piece], 1_000_000_000 + piece[-1].at_us)
        segments += recorder.segmenter.feed(timed)
    segments += recorder.segmenter.flush()
    assert segments == record(arrivals)


def test_join_in_the_middle_of_a_group_when_recording_starts_then_it_waits_for_a_keyframe() -> None:
    segments = record([a for a in stream(12) if a.at_us >= 1_000_000 or a.event in (VIDEO, AUDIO)])
    check(segments)
    assert segments[0].samples[V][0].keyframe
    assert segments[0].start_us == 0
    assert 0 <= segments[0].samples[A][0].pts_us < 22_000


def test_audio_alone_when_no_video_comes_then_it_is_recorded_from_its_first_frame() -> None:
    arrivals = stream(20, video=False)
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, A) == payloads(arrivals, A)
    assert [s.k for s in segments] == [0, 1, 2, 3]


def test_video_alone_when_recorded_then_nothing_waits_for_audio() -> None:
    arrivals = stream(20, audio=False)
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)


def test_video_that_appears_late_when_audio_runs_then_both_are_kept() -> None:
    sound = stream(20, video=False)
    picture = later(stream(10, audio=False, start_ms=10_000), 10_000_000)
    arrivals = sorted([*sound, *picture], key=lambda a: a.at_us)
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, A) == payloads(arrivals, A)
    assert payloads(segments, V) == payloads(arrivals, V)
    assert any(s.discontinuity and len(s.formats) == 2 for s in segments)


def test_audio_that_appears_late_when_video_runs_then_both_are_kept() -> None:
    picture = stream(20, audio=False)
    sound = later(stream(11, video=False, start_ms=9_000), 9_000_000)
    arrivals = sorted([*picture, *sound], key=lambda a: a.at_us)
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)
    assert payloads(segments, A) == payloads(arrivals, A)


def test_audio_header_after_the_first_keyframe_when_recorded_then_first_segment_has_both() -> None:
    arrivals = [a for a in stream(12) if a.event is not AUDIO]
    arrivals.insert(3, Arrival(30_000, AUDIO))
    segments = record(arrivals)
    assert len(segments[0].formats) == 2
    assert not any(s.discontinuity for s in segments)


def test_picture_size_when_it_changes_then_a_new_segment_with_its_format_begins() -> None:
    small = replace(VIDEO, width=320, height=180, config=VIDEO.config + b"2")
    second = [
        replace(a, event=small) if a.event is VIDEO else a
        for a in stream(10, start_ms=8_000, mark=b"2")
    ]
    arrivals = [*stream(8), *later(second, 8_000_000)]
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)
    (changed,) = [s for s in segments if s.discontinuity]
    assert changed.formats[0].width == 320
    assert changed.start_us == 8_000_000
    assert changed.gap is None


def test_group_of_pictures_without_end_when_recorded_then_it_is_cut_by_force() -> None:
    arrivals = stream(150, fps=10, gop=10_000)
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)
    assert [s.independent for s in segments] == [True, False, False]


def test_video_that_pauses_when_audio_goes_on_then_segments_still_close() -> None:
    arrivals = [
        a
        for a in stream(60)
        if not (isinstance(a.event, AccessUnit) and a.event.medium is V)
        or not 10_000_000 <= a.at_us < 50_000_000
    ]
    segments = record(arrivals)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)
    assert payloads(segments, A) == payloads(arrivals, A)
    assert max(s.duration_us for s in segments) <= 20_000_000


def test_publisher_that_reconnects_when_away_for_3_s_then_the_gap_is_written_down() -> None:
    recorder = Recorder().take(stream(10))
    recorder.reopen().take(later(stream(10, mark=b"2"), 13_000_000))
    segments = recorder.end()
    check(segments)
    (after,) = [s for s in segments if s.gap is not None]
    assert after.discontinuity
    assert after.gap is not None
    assert after.gap.cause is Cause.RECONNECT
    assert after.gap.duration_us == pytest.approx(3_000_000, abs=100_000)
    assert len(payloads(segments, V)) == 500


@pytest.mark.parametrize("away_us", [100_000, 3_000_000])
def test_publisher_that_reconnects_inside_a_group_when_recorded_then_the_gap_ends_at_its_keyframe(
    away_us: int,
) -> None:
    rest = [a for a in later(stream(10, mark=b"2"), 10_000_000 + away_us) if a.at_us > away_us]
    rest = [a for a in rest if isinstance(a.event, TrackFormat) or a.at_us >= 10_400_000 + away_us]
    segments = Recorder().take(stream(10)).reopen().take(rest).end()
    check(segments)
    (after,) = [s for s in segments if s.gap is not None]
    before = segments[segments.index(after) - 1]
    assert after.gap is not None
    assert after.gap.start_us == before.end_us
    assert after.gap.duration_us == after.start_us - before.end_us
    assert after.gap.duration_us == pytest.approx(2_000_000 + away_us, abs=500_000)


def test_break_inside_a_bucket_when_recording_goes_on_then_bucket_numbers_never_repeat() -> None:
    recorder = Recorder().take(stream(2))
    for turn in range(1, 6):
        recorder.reopen().take(later(stream(2, mark=b"%d" % turn), turn * 2_600_000))
    segments = recorder.end()
    check(segments)
    assert len(payloads(segments, V)) == 300


def test_clock_that_jumps_when_sound_comes_after_its_keyframe_then_none_of_it_is_lost() -> None:
    arrivals = stream(10, reorder=2, audio=False) + stream(10, video=False)
    arrivals.sort(key=lambda arrival: arrival.at_us)
    moved = [
        replace(a, event=replace(a.event, pts=a.event.pts + 10**7, dts=a.event.dts + 10**7))
        if isinstance(a.event, AccessUnit) and a.event.dts is not None and a.at_us >= 4_000_000
        else a
        for a in arrivals
    ]
    segments = record(moved, target_s=2)
    check(segments)
    assert payloads(segments, V) == payloads(moved, V)
    assert payloads(segments, A) == payloads(moved, A)[4:]  # the first keyframe is shown at 80 ms
    assert [s.k for s in segments if s.discontinuity] == [2]


@pytest.mark.parametrize("pause_us", [1_000_000, 2_600_000, 5_000_000])
def test_encoder_that_pauses_inside_a_group_when_sound_is_back_first_then_the_group_stays_whole(
    pause_us: int,
) -> None:
    arrivals = [
        replace(a, at_us=a.at_us + pause_us, event=_later(a.event, pause_us))
        if a.at_us >= 4_500_000
        else a
        for a in stream(8, reorder=2)
    ]
    segments = record(arrivals, target_s=2)
    check(segments)
    assert payloads(segments, V) == payloads(arrivals, V)
    assert all(s.independent for s in segments)
    (paused,) = [s for s in segments if s.gap is not None]
    assert paused.start_us == 4_000_000
    assert paused.gap is not None
    assert paused.gap.duration_us == pytest.approx(pause_us, abs=100_000)


def _later(event: SourceEvent, by_us: int) -> SourceEvent:
    if not isinstance(event, AccessUnit) or event.dts is None:
        return event
    return replace(event, pts=event.pts + by_us // 1000, dts=event.dts + by_us // 1000)


def test_pictures_without_decode_times_when_reordered_then_they_get_rising_ones() -> None:
    shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    arrivals = [Arrival(0, replace(VIDEO, timescale=90_000))] + [
        Arrival(i * 40_000, AccessUnit(V, at * 3600, None, i == 0, b"v%d" % i))
        for i, at in enumerate(shown)
    ]
    (segment,) = record(arrivals)
    assert [s.pts_us for s in segment.samples[V]] == [at * 40_000 for at in shown]
    assert [s.dts_us for s in segment.samples[V]] == [i * 40_000 for i in range(10)]


@given(st.data())
def test_any_disorder_when_recorded_then_invariants_hold(data: st.DataObject) -> None:
    """Streams glued together with jumps, pauses and reopenings in any order."""
    recorder = Recorder(target_s=2)
    at_us = 0
    sent = 0
    for turn in range(data.draw(st.integers(1, 6))):
        seconds = data.draw(st.floats(0.5, 5))
        piece = stream(
            seconds,
            gop=data.draw(st.sampled_from([10, 25, 50])),
            start_ms=data.draw(st.integers(0, 2**32 - 1)),
            mark=b"%d" % turn,
        )
        recorder.take(later(piece, at_us))
        sent += len(payloads(piece, V))
        at_us += round(seconds * 1e6) + data.draw(st.integers(0, 8_000_000))
        if data.draw(st.booleans()):
            recorder.reopen()
    segments = recorder.end()
    check(segments)
    assert len(payloads(segments, V)) + recorder.segmenter.dropped[V] == sent


@pytest.mark.parametrize("restarts", [1, 5, 12])
def test_breaks_inside_a_bucket_when_recording_goes_on_then_no_segment_outgrows_its_bucket(
    restarts: int,
) -> None:
    recorder = Recorder()
    for turn in range(restarts):
        recorder.take(later(stream(1, gop=25, mark=b"%d" % turn), turn * 1_600_000)).reopen()
    recorder.take(later(stream(40, gop=25, mark=b"last"), restarts * 1_600_000))
    segments = recorder.end()
    check(segments)
    assert max(s.duration_us for s in segments) <= 6_040_000  # audio may end a frame later


def test_keyframes_alone_when_they_are_huge_then_a_segment_stays_within_its_bytes() -> None:
    huge = b"\0\0\0\x0ev" + bytes(1024 * 1024)
    arrivals = [
        replace(a, event=replace(a.event, data=huge)) if isinstance(a.event, AccessUnit) else a
        for a in stream(5, gop=1, audio=False)
    ]
    segments = record(arrivals)
    assert max(sum(len(u.data) for u in s.samples[V]) for s in segments) <= 64 * 1024 * 1024
    assert sum(len(s.samples[V]) for s in segments) == 125


def huge(arrivals: list[Arrival], medium: Medium, size: int) -> list[Arrival]:
    """The same stream with payloads of `size` bytes on one medium."""
    return [
        replace(a, event=replace(a.event, data=a.event.data + bytes(size)))
        if isinstance(a.event, AccessUnit) and a.event.medium is medium
        else a
        for a in arrivals
    ]


def test_sound_that_is_huge_when_no_keyframe_comes_then_it_is_not_waited_for() -> None:
    arrivals = huge(stream(4, gop=1000), A, 2**20)
    segmenter = Recorder()
    held = []
    for arrival in arrivals:
        if isinstance(arrival.event, AccessUnit) and arrival.event.medium is V:
            continue
        segmenter.take([arrival])
        held.append(segmenter.segmenter._held.bytes)
    assert max(held) <= 17 * 2**20
    segments = segmenter.end()
    assert max(sum(len(u.data) for u in s.samples[A]) for s in segments) <= 64 * 2**20
    assert payloads(segments, A) == payloads(arrivals, A)


def test_sound_that_is_huge_when_pictures_come_too_then_segments_stay_within_their_bytes() -> None:
    arrivals = huge(stream(4, gop=1000), A, 2**20)
    segments = record(arrivals)
    assert max(sum(len(u.data) for u in s.samples.get(A, ())) for s in segments) <= 64 * 2**20
    assert len(payloads(segments, A)) == len(payloads(arrivals, A))
    assert len(payloads(segments, V)) == 100


def test_sound_from_before_the_recording_when_it_comes_late_then_it_is_left_out() -> None:
    late = [replace(a, at_us=a.at_us + 1_800_000) for a in stream(6, video=False)]
    pictures = stream(6, audio=False, start_ms=400, gop=25)
    segments = record(sorted([*pictures, *late], key=lambda a: a.at_us), target_s=1)
    check(segments)
    assert len(payloads(segments, V)) == 150
    assert payloads(segments, A)


def test_flush_when_sound_still_has_to_come_then_the_segment_is_not_whole() -> None:
    arrivals = stream(7.5)
    late = [each for each in arrivals if each.event.medium is V or each.at_us < 5_900_000]
    one, two = Recorder().take(late).end()
    assert one.k == 0
    assert not one.whole
    assert not two.whole
    one, two = record(stream(7.5))
    assert one.whole
    assert not two.whole
    one, two = record(stream(7.5, audio=False))
    assert one.whole
    assert not two.whole


def test_end_when_a_picture_of_the_last_group_is_missing_then_it_is_where_the_last_one_ends() -> (
    None
):
    arrivals = stream(4.0, audio=False)
    del arrivals[-2]
    (only,) = record(arrivals)
    assert only.end_us == 4_000_000
