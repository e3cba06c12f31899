"""A lap without a network: why it ends, and that nothing received is lost in silence."""

import threading
from collections.abc import Iterable, Sequence

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    EverreelError,
    SourceEnded,
    StateUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from everreel.events.memory import MemoryBus
from everreel.events.ports import Happening
from everreel.media.access_unit import AccessUnit, ClockReference, Medium, SourceEvent
from everreel.media.index import SegmentRow
from everreel.protocols.ports import Source
from everreel.recorder.lap import run_lap
from everreel.recorder.orders import LapSettings, Outcome
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import (
    LapOrder,
    LapState,
    Mode,
    Options,
    Reason,
    Recording,
    Reliability,
)
from everreel.state.status import Status
from everreel.store.memory import MemoryStore
from everreel.store.ports import ObjectStore
from tests.unit.media.streams import VIDEO, Arrival, stream

SID = "0" * 31 + "1"
TICK_S = 0.1


class RestlessClock(ManualClock):
    """A clock that moves on a little whenever somebody looks."""

    def monotonic(self) -> float:
        self.advance(0.002)
        return super().monotonic()


class Script:
    """A source that gives each arrival at its time on a manual clock, then whatever `ending` is."""

    in_bursts = False

    def __init__(
        self,
        clock: ManualClock,
        arrivals: Iterable[Arrival],
        ending: Sequence[SourceEvent] | EverreelError = (),
    ) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._arrivals = list(arrivals)
        self._ending = ending

    def reach_back(self, back_s: float) -> None:
        pass

    def resume(self, previous: Source) -> None:
        pass

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        self._clock.advance(TICK_S)
        now_us = (self._clock.monotonic() - self._began) * 1e6
        due = [a.event for a in self._arrivals if a.at_us <= now_us]
        self._arrivals = self._arrivals[len(due) :]
        if due or self._arrivals:
            return due
        if isinstance(self._ending, EverreelError):
            raise self._ending
        return self._ending

    def close(self) -> None:
        """Nothing is open."""


class Broken(MemoryStore):
    """A store whose segments fail with what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def put_new(self, key: str, body: bytes, content_type: str) -> None:
        if "/segments/" in key:
            raise self._error
        super().put_new(key, body, content_type)


class Unanswered(MemoryRecordings):
    """A table that takes every commit, and loses its answer to the first try of each."""

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        first = self.segment(sid, row.k) is None
        taken = super().commit(sid, row, fence)
        if first:
            raise StateUnavailable("no answer")
        return taken


class World:
    """A table, a clock and one invoked lap."""

    def __init__(
        self,
        store: ObjectStore | None = None,
        recordings: MemoryRecordings | None = None,
        reliability: Reliability = Reliability.SINGLE,
    ) -> None:
        self.clock = RestlessClock()
        self.recordings = recordings or MemoryRecordings()
        self.store = store or MemoryStore()
        self.bus = MemoryBus()
        self.recordings.put_ticket(Ticket("r", "app", "room", "1", self.clock.utc_us() + 10**9))
        self.recordings.create(
            Recording(
                sid=SID,
                app="app",
                channel="room",
                uid="1",
                recorder_uid="1",
                resource_id="r",
                source="rtmp://media.example/live/room",
                mode=Mode.INDIVIDUAL,
                options=Options(segment_s=2, max_idle_s=10, reliability=reliability),
                status=Status.STARTING,
                created_utc_us=self.clock.utc_us(),
            )
        )
        self.recordings.invoked(SID, "a", 1, "request", self.clock.utc_us())

    def run(self, *sources: Script | EverreelError, deadline_s: float = 600) -> Outcome:
        """Run the lap; each opening gets the next source, the last one again and again."""
        openings = 0

        def opened(url: str, cancel: threading.Event) -> Source:
            nonlocal openings
            source = sources[min(openings, len(sources) - 1)]
            openings += 1
            if isinstance(source, EverreelError):
                self.clock.advance(1)
                raise source
            return source

        return run_lap(
            LapOrder(SID, "a", 1),
            open_source=opened,
            store=self.store,
            recordings=self.recordings,
            bus=self.bus,
            clock=self.clock,
            settings=LapSettings(beat_s=0.05, drain_s=6.0),
            deadline_s=self.clock.monotonic() + deadline_s,
            request_id="request",
        )


def pictures(world: World) -> int:
    return sum(t.units for r in world.recordings.segments(SID) for t in r.tracks
               if t.medium == "video")  # fmt: skip


def test_lap_when_a_server_only_reports_its_clock_then_it_is_idle() -> None:
    world = World()
    reports = [ClockReference(Medium.VIDEO, 0, 0)]

    outcome = world.run(Script(world.clock, stream(4), ending=reports))

    assert outcome.reason is Reason.IDLE
    assert world.clock.monotonic() == pytest.approx(14, abs=1)
    assert pictures(world) == 100


def test_lap_when_a_server_repeats_its_last_picture_for_ever_then_it_is_idle() -> None:
    world = World()
    arrivals = stream(4)
    last = [a.event for a in arrivals if isinstance(a.event, AccessUnit)][-1]
    ended = Script(world.clock, arrivals, ending=SourceEnded("over"))

    outcome = world.run(ended, Script(world.clock, [Arrival(0, VIDEO)], ending=[last]))

    assert outcome.reason is Reason.IDLE
    assert pictures(world) == 100


def test_lap_when_a_source_sends_bursts_then_no_segment_breaks_between_them() -> None:
    world = World()
    burst_us = 6_000_000
    bursts = [
        Arrival(-(-(a.at_us + 1) // burst_us) * burst_us, a.event) if a.at_us else a
        for a in stream(30, gop=50)
    ]
    source = Script(world.clock, bursts)
    source.in_bursts = True

    outcome = world.run(source)

    rows = list(world.recordings.segments(SID))
    assert outcome.reason is Reason.IDLE
    assert len(rows) == 15
    assert not any(row.discontinuity for row in rows)
    assert pictures(world) == 750


@pytest.mark.parametrize("reliability", [Reliability.ECONOMY, Reliability.REDUNDANT])
def test_lap_when_answers_to_its_commits_are_lost_then_what_is_stored_is_told_as_its_own(
    reliability: Reliability,
) -> None:
    world = World(recordings=Unanswered(), reliability=reliability)

    outcome = world.run(Script(world.clock, stream(8)))

    rows = list(world.recordings.segments(SID))
    told = [event.kind for event in world.bus.published]
    assert pictures(world) == 200
    assert outcome.progress.segments == len(rows) == 4
    assert told.count(Happening.SEGMENT) == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("503"), "store_too_slow"),
        (StoreDenied("no such bucket"), "store_denied"),
        (OSError("a bug of ours"), "service_fault"),
    ],
)
def test_lap_when_the_store_takes_nothing_then_it_says_so_in_the_end(
    error: Exception, code: str
) -> None:
    world = World(store=Broken(error))

    outcome = world.run(Script(world.clock, stream(4)), deadline_s=17)

    assert outcome.failure is not None
    assert outcome.failure.code == code
    assert not list(world.recordings.segments(SID))
    (lap,) = world.recordings.laps(SID)
    assert lap.state is LapState.ENDED
    assert lap.failure == outcome.failure
