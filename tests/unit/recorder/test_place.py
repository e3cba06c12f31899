"""Where a lap's media belongs by the wall clock, told from another lap's newest beat."""

from dataclasses import replace

import pytest

from everreel.clock import MICROSECONDS, ManualClock
from everreel.media.access_unit import ClockReference, Medium
from everreel.media.landmarks import Landmarks
from everreel.media.segment import Sample
from everreel.media.timeline import Timeline
from everreel.recorder.place import Finder, goes_first
from everreel.state.memory import MemoryRecordings
from everreel.state.recording import Lap, LapOrder, LapState, Progress
from everreel.state.status import Status
from tests.unit.media.streams import Arrival
from tests.unit.media.test_timeline import rtp

SECOND = MICROSECONDS
YOUNG = Lap("s", "a", 1, LapState.RUNNING, "r", 0, 0, Progress(Status.READY))
"""A lap that records and has no place yet; its times count from now."""


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


class Client:
    """A client of an RTSP server that was told `late_us` too much of its audio clock."""

    def __init__(self, late_us: int, ticks: int) -> None:
        self.timeline = Timeline()
        self.landmarks = Landmarks()
        self.at_us: dict[bytes, int] = {}
        arrivals = rtp(12, video_zero=ticks, audio_zero=2 * ticks)
        for medium, scale in ((Medium.VIDEO, 90_000), (Medium.AUDIO, 48_000)):
            zero = ticks if medium is Medium.VIDEO else 2 * ticks
            for second in (0, 5):
                common_us = (7 + second) * SECOND + (late_us if medium is Medium.AUDIO else 0)
                claim = ClockReference(medium, zero + scale // 2 + second * scale, common_us)
                arrivals.append(Arrival(500_000 + second * SECOND, claim))
        for each in sorted(arrivals, key=lambda each: each.at_us):
            events = self.timeline.feed([each.event], 100 * SECOND + each.at_us)
            self.landmarks.note(events)
            for event in events:
                if isinstance(event, Sample):
                    self.at_us[event.data] = event.pts_us
        self.zero_us = self.at_us[b"v0"]

    def progress(self) -> Progress:
        zero_us = self.zero_us
        video_us, audio_us = (
            zero_us - self.timeline.source(medium).moved_us
            for medium in (Medium.VIDEO, Medium.AUDIO)
        )
        return Progress(
            Status.IN_PROGRESS,
            marks=self.landmarks.told(zero_us, zero_us),
            zero_us=video_us,
            audio_zero_us=audio_us,
        )


@pytest.mark.parametrize("late_us", [-520_000, 20_000, 520_000])
@pytest.mark.parametrize("ticks", [9_000, 5_000_000], ids=["common-ticks", "own-ticks"])
def test_place_when_clients_align_the_tracks_differently_then_sound_is_where_it_was(
    late_us: int, ticks: int
) -> None:
    first, joining = Client(0, 9_000), Client(late_us, ticks)
    finder = Finder(joining.landmarks, joining.timeline, ManualClock(), shared_clock=False)
    zeros = finder.by_landmarks(first.progress(), joining.zero_us, 200 * SECOND)
    assert zeros is not None
    for data in (b"v50", b"v100", b"a90", b"a200"):
        zero_us = zeros[data.startswith(b"a")]
        assert abs(joining.at_us[data] - zero_us - (first.at_us[data] - first.zero_us)) <= 25


@pytest.mark.parametrize(
    ("other", "first"),
    [
        (replace(YOUNG, invoked_utc_us=5), True),
        (replace(YOUNG, invoked_utc_us=15), False),
        (replace(YOUNG, invoked_utc_us=5, state=LapState.DEAD), False),
        (replace(YOUNG, invoked_utc_us=5, beat_utc_us=-20 * SECOND), False),
        (replace(YOUNG, invoked_utc_us=5, progress=Progress(Status.READY, zero_us=1)), False),
        (replace(YOUNG, invoked_utc_us=5, state=LapState.INVOKED), True),
        (replace(YOUNG, invoked_utc_us=-30 * SECOND, state=LapState.INVOKED), False),
    ],
    ids=["older", "younger", "dead", "lost", "placed", "starting", "never-started"],
)
def test_place_when_nobody_has_one_then_the_oldest_lap_that_lives_takes_it(
    other: Lap, first: bool
) -> None:
    clock = ManualClock()
    now_us = clock.utc_us()

    class Laps(MemoryRecordings):
        def recent_laps(self, sid: str) -> list[Lap]:
            mine = replace(YOUNG, lane="b", invoked_utc_us=10)
            laps = sorted([mine, other], key=lambda lap: lap.invoked_utc_us)
            return [
                replace(
                    lap,
                    invoked_utc_us=now_us + lap.invoked_utc_us,
                    beat_utc_us=now_us + lap.beat_utc_us,
                )
                for lap in laps
            ]

    finder = Finder(Landmarks(), Timeline(), clock, shared_clock=True)
    assert goes_first(finder, Laps(), LapOrder("s", "b", 1)) is first
