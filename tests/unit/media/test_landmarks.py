"""Landmarks place two recorders of one stream to the microsecond, whatever their clocks."""

from hypothesis import given
from hypothesis import strategies as st

from everreel.media.access_unit import Medium
from everreel.media.landmarks import TELL, Landmarks, find_origin, of
from everreel.media.segment import Break, Cause, Sample


def keyframes(count: int, first: int = 0, shift_us: int = 0) -> list[Sample]:
    return [
        Sample(Medium.VIDEO, i * 1_000_000 + shift_us, 0, True, b"key %d" % i)
        for i in range(first, first + count)
    ]


def noted(samples: list[Sample]) -> Landmarks:
    landmarks = Landmarks()
    landmarks.note(samples)
    return landmarks


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40), st.integers(0, 5))
def test_origin_when_a_keyframe_is_shared_then_is_exact(
    shift_us: int, zero_us: int, behind: int
) -> None:
    known = noted(keyframes(20, shift_us=zero_us)).told(zero_us, zero_us)
    own = noted(keyframes(3 + behind, 19 - behind, shift_us)).all(Medium.VIDEO)
    assert find_origin(of(Medium.VIDEO, known), own, 0) == shift_us


@given(st.integers(0, 2**31), st.sampled_from([90_000, 48_000, 44_100, 1000]), st.data())
def test_origin_when_ticks_are_counted_from_elsewhere_then_their_rounding_is_borne(
    first: int, timescale: int, data: st.DataObject
) -> None:
    def keys(begin: int) -> list[Sample]:
        ticks = [begin + i * 30 * 1001 * timescale // 30_000 for i in range(20)]
        at_us = [(each * 1_000_000 + timescale // 2) // timescale for each in ticks]
        return [Sample(Medium.VIDEO, at, 0, True, b"key %d" % i) for i, at in enumerate(at_us)]

    second = data.draw(st.integers(0, 2**31))
    one, other = keys(first), keys(second)
    known = of(Medium.VIDEO, noted(one).told(one[0].pts_us, 0))
    found = find_origin(known, noted(other).all(Medium.VIDEO), other[0].pts_us)
    assert found is not None
    assert abs(found - other[0].pts_us) <= 1


@given(st.integers(2, 6), st.integers(0, 5))
def test_origin_when_the_first_unit_was_nudged_then_the_others_decide(
    shared: int, more: int
) -> None:
    known = noted(keyframes(10)).told(0, 0)
    own = keyframes(shared + more, 10 - shared, 77)
    own[0].pts_us += 25
    assert find_origin(of(Medium.VIDEO, known), noted(own).all(Medium.VIDEO), 0) == 77


def test_origin_when_nothing_is_shared_then_unknown() -> None:
    known = noted(keyframes(5)).told(0, 0)
    assert find_origin(known, noted(keyframes(5, 10)).all(Medium.VIDEO), 0) is None
    assert find_origin([], noted(keyframes(5, 10)).all(Medium.VIDEO), 0) is None


def test_origin_when_pictures_stand_still_then_the_wall_clock_decides() -> None:
    still = [Sample(Medium.VIDEO, i * 1_000_000, 0, True, b"same") for i in range(9)]
    known = noted(still).told(0, 0)
    later = [Sample(Medium.VIDEO, i * 1_000_000 + 77, 0, True, b"same") for i in range(8, 12)]
    assert find_origin(known, noted(later).all(Medium.VIDEO), 400_000) == 77


def test_landmarks_when_told_then_newest_of_each_medium_on_the_recording_timeline() -> None:
    told = noted(keyframes(20, shift_us=5)).told(5, 0)
    assert [at_us for at_us, _ in told] == [i * 1_000_000 for i in range(20 - TELL, 20)]
    assert of(Medium.AUDIO, told) == []


def test_landmarks_when_the_clock_breaks_then_are_forgotten() -> None:
    landmarks = noted(keyframes(3))
    assert landmarks.note([Break(Cause.JUMP, 0, 0, continuous=True)])
    assert landmarks.told(0, 0) == ()


def test_silence_when_frames_repeat_then_marks_no_place() -> None:
    frames = [Sample(Medium.AUDIO, i, i, True, b"frame %d" % (i // 500)) for i in range(100_000)]
    marks = noted(frames).all(Medium.AUDIO)
    assert 0 < len(marks) <= 200
    assert len({mark for _, mark in marks}) == len(marks)
