"""A clock that was set between two segments: the list goes on, the stamps leap."""

import pytest

from everreel.media.access_unit import AccessUnit, ClockReset, Medium, SourceEvent, TrackFormat
from everreel.protocols.hls_clock import SegmentClock
from tests.unit.media.streams import AUDIO, VIDEO

WRAP = 2**33


def fmt(wrap: int = WRAP) -> list[SourceEvent]:
    video = TrackFormat(VIDEO.codec, 90_000, wrap, VIDEO.config, width=640, height=360)
    audio = TrackFormat(AUDIO.codec, 90_000, wrap, AUDIO.config, sample_rate=48_000, channels=2)
    return [video, audio]


def units(begin_s: float, lasts_s: float, wrap: int = WRAP) -> list[SourceEvent]:
    """A segment: a picture and a frame of sound, which lags, every fifth of a second."""
    found: list[SourceEvent] = []
    for i in range(round(lasts_s * 5)):
        ticks = round((begin_s + i / 5) * 90_000)
        for medium, lag in ((Medium.VIDEO, 0), (Medium.AUDIO, -9_000)):
            dts = (ticks + lag) % wrap if wrap else ticks + lag
            found.append(AccessUnit(medium, dts, dts, i == 0, b"x"))
    return found


def watched(clock: SegmentClock, lasts_s: float, events: list[SourceEvent]) -> bool:
    """Let a segment pass in two parts; tell whether a reset comes first, and only there."""
    clock.begin(lasts_s)
    out = [*clock.watch(events[:3]), *clock.watch(events[3:])]
    assert [each for each in out if not isinstance(each, ClockReset)] == events
    resets = [i for i, each in enumerate(out) if isinstance(each, ClockReset)]
    assert resets in ([], [0])
    return resets == [0]


@pytest.mark.parametrize("ahead_s", [2.5, 20.0, 7200.0])
@pytest.mark.parametrize("begin_s", [10.0, WRAP / 90_000 - 3.0], ids=["plain", "wraps"])
def test_stamps_when_they_step_ahead_and_the_list_does_not_then_the_clock_was_set(
    begin_s: float, ahead_s: float
) -> None:
    clock = SegmentClock()
    clock.watch(fmt())
    assert not watched(clock, 6.0, units(begin_s, 6.0))
    assert not watched(clock, 6.0, units(begin_s + 6.0, 6.0))
    assert watched(clock, 6.0, units(begin_s + 12.0 + ahead_s, 6.0))
    assert not watched(clock, 6.0, units(begin_s + 18.0 + ahead_s, 6.0))


@pytest.mark.parametrize(
    ("listed_s", "held_s", "next_s"),
    [(30.0, 6.0, 30.0), (6.0, 6.0, 7.9), (2.0, 6.0, 6.0), (6.0, 6.0, 0.0), (6.0, 6.0, -90.0)],
    ids=["outage-in-the-list", "sloppy-length", "list-that-lies", "repeats", "set-back"],
)
def test_stamps_when_the_list_explains_them_or_they_step_back_then_nothing_is_told(
    listed_s: float, held_s: float, next_s: float
) -> None:
    clock = SegmentClock()
    clock.watch(fmt())
    assert not watched(clock, listed_s, units(100.0, held_s))
    assert not watched(clock, 6.0, units(100.0 + next_s, 6.0))


def test_stamps_when_segments_are_missing_between_then_nothing_is_told() -> None:
    clock = SegmentClock()
    clock.watch(fmt())
    watched(clock, 6.0, units(0.0, 6.0))
    clock.forget()
    assert not watched(clock, 6.0, units(60.0, 6.0))
    assert watched(clock, 6.0, units(120.0, 6.0))


def test_stamps_when_sound_from_before_stands_first_then_the_picture_tells() -> None:
    clock = SegmentClock()
    clock.watch(fmt())
    watched(clock, 6.0, units(0.0, 6.0))
    clock.begin(6.0)
    old = AccessUnit(Medium.AUDIO, 540_000, 540_000, True, b"x")
    out = clock.watch([old, *units(106.0, 6.0)])
    assert [i for i, each in enumerate(out) if isinstance(each, ClockReset)] == [1]


def test_stamps_without_a_wrap_when_they_leap_then_the_clock_was_set() -> None:
    clock = SegmentClock()
    clock.watch(fmt(wrap=0))
    watched(clock, 6.0, units(0.0, 6.0, wrap=0))
    assert watched(clock, 6.0, units(100_000.0, 6.0, wrap=0))
