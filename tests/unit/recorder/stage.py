"""A live stream, its server and any number of laps, all on one clock that moves when all are ready.

Laps run as in a function: `run_lap` with its threads. Only time is staged: it moves on when every
lap waits for media, and each second of it only after every lap has beaten, so that a run is the
same however busy the machine is.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import EverreelError, FenceLost, SourceUnreachable, StateUnavailable
from everreel.events.memory import MemoryBus
from everreel.media.access_unit import AccessUnit, Medium, SourceEvent, TrackFormat
from everreel.media.continuity import settled
from everreel.media.index import SegmentRow
from everreel.media.isobmff.reader import read_fragment, read_init
from everreel.media.names import Folder
from everreel.protocols.ports import Source
from everreel.recorder.lap import run_lap
from everreel.recorder.orders import LapSettings, Outcome
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Orders, Ticket
from everreel.state.recording import (
    Lap,
    LapOrder,
    LapState,
    Mode,
    Options,
    Progress,
    Recording,
    parse_lap,
)
from everreel.state.status import Status
from everreel.store.memory import MemoryStore
from tests.unit.media.streams import Arrival

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
TICK_S = 0.1
PATIENCE_S = 20.0
"""Seconds of real time after which a run that does not move is given up."""


class BeatenRecordings(MemoryRecordings):
    """Counts beats, and forgets a lap that was killed: its beats and commits fail.

    One that is deaf does not hear of a stop yet; one that is `unheard` cannot ask for laps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.beats: dict[tuple[str, int], int] = defaultdict(int)
        self.killed: set[tuple[str, int]] = set()
        self.deaf: set[tuple[str, int]] = set()
        self.unheard: set[str] = set()
        self.beaten = threading.Condition()

    def recent_laps(self, sid: str) -> Sequence[Lap]:
        if threading.current_thread().name in self.unheard:
            raise StateUnavailable("unheard")
        return super().recent_laps(sid)

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        if (lane, lap) in self.killed:
            raise StateUnavailable("killed")
        orders = super().beat(sid, lane, lap, progress, utc_us)
        if (lane, lap) in self.deaf:
            orders = replace(orders, stop=False)
        with self.beaten:
            self.beats[lane, lap] += 1
            self.beaten.notify_all()
        return orders

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        if (row.lane, row.lap) in self.killed:
            raise FenceLost("killed")
        return super().commit(sid, row, fence)


class KeepingStore(MemoryStore):
    """Remembers every segment ever put, also those of losers, per bucket and writer."""

    def __init__(self) -> None:
        super().__init__()
        self.put_ever: dict[int, dict[str, bytes]] = defaultdict(dict)

    def put_new(self, key: str, body: bytes, content_type: str) -> None:
        super().put_new(key, body, content_type)
        name = key.rpartition("/")[2]
        if name[0].isdigit():
            k, _, writer = name.partition("-")
            self.put_ever[int(k)][writer.partition(".")[0]] = body


@dataclass
class Stage:
    """The world of one recording.

    Attributes:
        arrivals: what the publisher sends, in order.
        restamp: the server counts each client's time from its own arrival.
        cached: the server sends a new client everything from the last keyframe.
        plan: what happens when, seconds after the start.
    """

    arrivals: Sequence[Arrival]
    restamp: bool = False
    cached: bool = True
    options: Options = field(default_factory=lambda: Options(segment_s=2, max_idle_s=30))
    source: str = "rtmp://media.example/live/x"
    plan: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.store = KeepingStore()
        self.recordings = BeatenRecordings()
        self.bus = MemoryBus()
        self.outcomes: dict[str, Outcome] = {}
        self.crashed: list[BaseException] = []
        self.moved = threading.Condition()
        self.waiting: set[int] = set()
        self.away: dict[str, float] = {}
        self.closed: set[str] = set()
        self._second = 0
        self._threads: dict[str, threading.Thread] = {}
        now_us = self.began_us = self.clock.utc_us()
        self.recordings.put_ticket(Ticket("r", "app", "room", "1", now_us + MICROSECONDS))
        self.recordings.create(
            Recording(
                sid=SID,
                app="app",
                channel="room",
                uid="1",
                recorder_uid="1",
                resource_id="r",
                source=self.source,
                mode=Mode.INDIVIDUAL,
                options=self.options,
                status=Status.STARTING,
                created_utc_us=now_us,
            )
        )

    # ------------------------------------------------------------------ laps

    def lap(
        self, name: str, follows: str = "", lap_s: float = 10_000.0, *, relieves: bool = False
    ) -> None:
        """Start a lap that may run `lap_s` seconds; one that `relieves` makes `follows` leave."""
        lane, number = parse_lap(name)
        self.recordings.invoked(SID, lane, number, name, self.clock.utc_us())
        order = LapOrder(SID, lane, number, follows, relieves)
        thread = threading.Thread(target=self._run_lap, args=(order, lap_s), name=name)
        self._threads[name] = thread
        thread.start()

    def _run_lap(self, order: LapOrder, lap_s: float) -> None:
        try:
            self.outcomes[order.name] = run_lap(
                order,
                open_source=lambda url, cancel: Subscriber(self, order.name),
                store=self.store,
                recordings=self.recordings,
                bus=self.bus,
                clock=self.clock,
                settings=LapSettings(beat_s=0.002, drain_s=6.0 + PATIENCE_S, give_way_s=0.02),
                deadline_s=self.clock.monotonic() + lap_s + PATIENCE_S,
                request_id=order.name,
            )
        except EverreelError as error:
            self.crashed.append(error)
        with self.moved:
            self.moved.notify_all()

    def kill(self, name: str) -> None:
        """Let a lap vanish: nothing that it does from now on reaches anybody."""
        self.recordings.killed.add(parse_lap(name))

    def cut(self, name: str, seconds: float) -> None:
        """Break the connection of one lap; the server cannot be reached for so long."""
        self.away[name] = self.now_s + seconds

    def stop(self) -> None:
        self.recordings.request_stop(SID, self.clock.utc_us())

    def at(self, second: float, action: Callable[[], object]) -> None:
        self.plan.append((second, action))

    # ------------------------------------------------------------------ time

    @property
    def now_s(self) -> float:
        return self.clock.monotonic()

    def run(self, seconds: float) -> "Stage":
        """Let so many seconds pass."""
        until_s = self.now_s + seconds
        while self.now_s < until_s - 1e-6:
            for due in [each for each in self.plan if each[0] <= self.now_s + 1e-6]:
                self.plan.remove(due)
                due[1]()
            self._let_all_wait()
            if int(self.now_s) > self._second:
                self._second = int(self.now_s)
                self._let_all_beat()
            with self.moved:
                if self.away or self.closed & set(self._running()):
                    # A lap without a connection waits by the real clock: between its tries, or at
                    # its end for the laps beside it.
                    self.moved.wait_for(lambda: not self.away and not self.closed, 0.02)
                self.waiting.clear()
                self.clock.advance(TICK_S)
                self.moved.notify_all()
        return self

    def _running(self) -> list[str]:
        return [name for name, thread in self._threads.items() if thread.is_alive()]

    def _let_all_wait(self) -> None:
        def ready() -> bool:
            return {
                thread.ident
                for name, thread in self._threads.items()
                if thread.is_alive() and name not in self.away and name not in self.closed
            } <= self.waiting

        with self.moved:
            for _ in range(int(PATIENCE_S / 0.02)):
                if self.moved.wait_for(ready, 0.02) or not self._running():
                    return
        raise AssertionError(f"{self._running()} do not read at {self.now_s} s")

    def _let_all_beat(self) -> None:
        with self.recordings.beaten:
            alive = [
                (lap.lane, lap.lap)
                for lap in self.recordings.laps(SID)
                if lap.state is LapState.RUNNING
                and (lap.lane, lap.lap) not in self.recordings.killed
            ]
            before = dict(self.recordings.beats)
            # Two beats: the first may have begun before what it is to tell.
            assert self.recordings.beaten.wait_for(
                lambda: all(
                    self.recordings.beats[lap] >= before.get(lap, 0) + 2
                    or self.recordings.lap(SID, *lap).state is not LapState.RUNNING
                    for lap in alive
                ),
                PATIENCE_S,
            )

    def end(self) -> "Stage":
        """Stop the recording, let every lap end, and look at what left them."""
        self.stop()
        for _ in range(200):
            if not self._running():
                break
            self.run(TICK_S)
        for thread in self._threads.values():
            thread.join(PATIENCE_S)
        assert not self._running()
        assert not self.crashed
        return self

    # ------------------------------------------------------------------ what came of it

    @property
    def rows(self) -> list[SegmentRow]:
        return list(settled(self.recordings.segments(SID)))

    def recorded(self, medium: Medium) -> list[bytes]:
        """Every payload of a medium in the order of the index."""
        return [unit.data for unit in self._units() if unit.medium is medium]

    def recorded_in(self, row: SegmentRow, medium: Medium) -> list[bytes]:
        """Every payload of a medium in one segment."""
        return [unit.data for unit in self._units_of(row) if unit.medium is medium]

    def _units(self) -> Iterator[AccessUnit]:
        for row in self.recordings.segments(SID):
            yield from self._units_of(row)

    def _units_of(self, row: SegmentRow) -> Iterator[AccessUnit]:
        folder = Folder("", "room", SID)
        inits = {each.number: each for each in self.recordings.inits(SID)}
        tracks = read_init(self.store.get(folder.key(inits[row.init].keys["all"])))
        for event in read_fragment(self.store.get(folder.key(row.key)), tracks):
            if isinstance(event, AccessUnit):
                yield event

    def sent(self, medium: Medium) -> list[bytes]:
        return [
            arrival.event.data
            for arrival in self.arrivals
            if isinstance(arrival.event, AccessUnit) and arrival.event.medium is medium
        ]

    def writers(self) -> list[str]:
        """Who wrote, each once, in the order of their first segments."""
        return list(dict.fromkeys(f"{row.lane}{row.lap}" for row in self.rows))


class Subscriber:
    """One client's connection to the server."""

    in_bursts = False

    def __init__(self, stage: Stage, lap: str) -> None:
        if stage.away.get(lap, 0.0) > stage.now_s:
            raise SourceUnreachable("cut by a test")
        stage.away.pop(lap, None)
        stage.closed.discard(lap)
        self._stage = stage
        self._lap = lap
        self._next = 0
        self._ready: list[SourceEvent] = []
        now_us = round(stage.now_s * MICROSECONDS)
        last_key = 0
        for index, arrival in enumerate(stage.arrivals):
            if arrival.at_us > now_us:
                break
            if isinstance(arrival.event, TrackFormat):
                self._ready.append(arrival.event)
            elif arrival.event.keyframe and arrival.event.medium is Medium.VIDEO:
                last_key = index
            self._next = index + 1
        if stage.cached and last_key:
            self._next = last_key
        self._back = 0
        if stage.restamp and self._next < len(stage.arrivals):
            first = stage.arrivals[self._next].event
            self._back = first.dts if isinstance(first, AccessUnit) and first.dts else 0

    def reach_back(self, back_s: float) -> None:
        pass

    def resume(self, previous: Source) -> None:
        pass

    def read(self, wait_s: float) -> list[SourceEvent]:
        stage = self._stage
        if parse_lap(self._lap) in stage.recordings.killed:
            raise FenceLost("killed")
        if self._lap in stage.away:
            raise SourceUnreachable("cut by a test")
        with stage.moved:
            events = self._arrived()
            if not events:
                stage.waiting.add(threading.get_ident())
                stage.moved.notify_all()
                while threading.get_ident() in stage.waiting:
                    if not stage.moved.wait(PATIENCE_S):
                        raise AssertionError("time stands still")
                events = self._arrived()
        return events

    def _arrived(self) -> list[SourceEvent]:
        now_us = round(self._stage.now_s * MICROSECONDS)
        arrivals = self._stage.arrivals
        events, self._ready = self._ready, []
        while self._next < len(arrivals) and arrivals[self._next].at_us <= now_us:
            event = arrivals[self._next].event
            if isinstance(event, AccessUnit):
                event = replace(
                    event, pts=event.pts - self._back, dts=(event.dts or 0) - self._back
                )
            events.append(event)
            self._next += 1
        return events

    def close(self) -> None:
        self._stage.closed.add(self._lap)
