"""Where a lap's media belongs by the wall clock, told from another lap's newest beat."""

from everreel.clock import MICROSECONDS, ManualClock
from everreel.media.landmarks import Landmarks
from everreel.media.timeline import Timeline
from everreel.recorder.place import Finder
from everreel.state.recording import Lap, LapState, Progress
from everreel.state.status import Status

SECOND = MICROSECONDS


def near_s(clock: ManualClock, beat_us: int, idle_s: float) -> float:
    """Place a newest sample of 60 s by a lap that had received 20 s when it beat."""
    told = Progress(
        Status.IN_PROGRESS, received_us=20 * SECOND, idle_us=round(idle_s * SECOND)
    )  # fmt: skip
    lap = Lap("", "a", 1, LapState.ENDED, "r", beat_us - 40 * SECOND, beat_us, told)
    finder = Finder(Landmarks(), Timeline(), clock, shared_clock=True)
    return finder.near_us(60 * SECOND, lap) / SECOND


def test_place_when_a_lap_beat_long_ago_then_its_age_counts() -> None:
    clock = ManualClock()
    beat_us = clock.utc_us()
    clock.advance(5.0)

    assert near_s(clock, beat_us, 0.0) == 35.0


def test_place_when_a_lap_drained_before_it_ended_then_its_idle_time_counts_too() -> None:
    clock = ManualClock()
    beat_us = clock.utc_us()
    clock.advance(5.0)

    assert near_s(clock, beat_us, 4.0) == 31.0
