"""Whole recordings on one clock: machines of lanes, laps that live, die, hang or never show up.

What is simulated is the cloud around the product: functions that start late and crash, a machine
that waits for a token, a schedule that sweeps. What decides is the product's own code.
"""

import heapq
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import count, pairwise

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import FenceLost
from everreel.events.memory import MemoryBus
from everreel.events.own import DeadLap
from everreel.recorder.task import LapTask
from everreel.state.lanes import MemoryLanes
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import (
    BY_THE_DOOR,
    Lap,
    LapOrder,
    LapState,
    Options,
    Progress,
    Reason,
    Recording,
    Reliability,
    parse_lap,
)
from everreel.state.status import LIVE, Status
from everreel.supervisor.lane import LaneKeeper, LaneWatch, lap_died
from everreel.supervisor.look import look
from everreel.supervisor.memory import MemoryTasks
from everreel.supervisor.relay import Pace
from everreel.supervisor.sweep import lane_name, supervision_name, sweep
from everreel.supervisor.verdict import Action, Watch
from tests.unit.supervisor import test_verdict

SID = test_verdict.SID
BEAT_S = 3.0
COLD_START_S = 1.2
JOIN_S = 7.0
"""From a lap's first beat to its first segment, by which it relieves another."""

CRASH_TOLD_S = 1.0
"""From a crash to the record of the failed invocation, and who reads it."""

HEARTBEAT_S = 15.0


@dataclass(frozen=True)
class Fate:
    """What becomes of a lap: seconds after its invocation, None for never.

    `shows_up` False: the function never starts. `told` False: nobody hears of the crash.
    """

    dies_s: float | None = None
    hangs_s: float | None = None
    shows_up: bool = True
    told: bool = True


@dataclass
class Execution:
    """One execution of a lane's machine."""

    name: str
    watch: LaneWatch
    alive: bool = True


@dataclass
class RelayWorld:
    """One recording and everything around it.

    Attributes:
        fate: of each lap, by its order and the second of its invocation.
        spans: when each lap recorded, seconds from start to end.
        orders: laps that were invoked, with the second.
        refuse: raises what invoking a lap raises now, if anything.
    """

    reliability: Reliability
    pace: Pace
    fate: Callable[[LapOrder, float], Fate] = lambda order, now_s: Fate()
    backup: str = ""
    door_dies: bool = False
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    orders: list[tuple[float, LapOrder]] = field(default_factory=list)
    refuse: Callable[[float], None] = lambda now_s: None

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.recordings = MemoryRecordings()
        self.lanes = MemoryLanes()
        self.tasks = MemoryTasks()
        self.bus = MemoryBus()
        self.executions: dict[str, Execution] = {}
        self.supervisions: set[str] = set()
        self.looks: list[str] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._requests: dict[str, str] = {}
        self._began_us = self.clock.utc_us()
        self.keeper = LaneKeeper(
            recordings=self.recordings,
            lanes=self.lanes,
            starter=self,
            tasks=self.tasks,
            bus=self.bus,
            clock=self.clock,
            pace=self.pace,
        )
        self._begin()

    # ------------------------------------------------------------------ time

    @property
    def now_s(self) -> float:
        return (self.clock.utc_us() - self._began_us) / MICROSECONDS

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now_s + seconds, next(self._numbers), action))

    def run(self, until_s: float) -> "RelayWorld":
        while self._queue and self._queue[0][0] <= until_s:
            at_s, _, action = heapq.heappop(self._queue)
            self.clock.advance(max(0.0, at_s - self.now_s))
            action()
        self.clock.advance(max(0.0, until_s - self.now_s))
        return self

    # ------------------------------------------------------------------ the door

    def _begin(self) -> None:
        now_us = self.clock.utc_us()
        wish = replace(
            test_verdict.recording(Status.STARTING),
            options=Options(reliability=self.reliability),
            created_utc_us=now_us,
            backup_recorder_uid=self.backup,
        )
        ticket = Ticket(wish.resource_id, wish.app, wish.channel, wish.recorder_uid, now_us + 1)
        self.recordings.put_ticket(ticket)
        self.resume_supervision(SID, SID)
        for lane in self.reliability.lanes:
            self.resume_lane(SID, lane, f"{SID}-{lane}")
        self.recordings.create(wish)
        if not self.door_dies:
            self.recordings.invoked(SID, "a", 1, "", now_us, BY_THE_DOOR)
            self.recordings.invoked(SID, "a", 1, self.invoke_lap(LapOrder(SID, "a", 1)), now_us)

    def stop(self) -> None:
        self.recordings.request_stop(SID, self.clock.utc_us())

    # ------------------------------------------------------------------ the machines

    def resume_lane(self, sid: str, lane: str, name: str) -> None:
        if name not in self.executions:
            execution = self.executions[name] = Execution(name, LaneWatch(sid, lane))
            self.after(0.1, lambda: self._plan(execution, ""))

    def resume_supervision(self, sid: str, name: str) -> None:
        if name not in self.supervisions:
            self.supervisions.add(name)
            self.after(5.0, lambda: self._look(name, Watch(sid)))

    def running(self) -> set[str]:
        return self.supervisions | {each.name for each in self.executions.values() if each.alive}

    def sweep_every_minute(self) -> None:
        sweep(recordings=self.recordings, runner=self, clock=self.clock)
        self.after(60.0, self.sweep_every_minute)

    def lose(self, name: str) -> None:
        """Stop an execution, as somebody in the console may."""
        self.executions[name].alive = False

    def _plan(self, execution: Execution, lost: str) -> None:
        if not execution.alive:
            return
        # The machine carries JSON, nothing else.
        watch = LaneWatch(**json.loads(json.dumps(asdict(execution.watch))))
        verdict, execution.watch = self.keeper.plan(watch, execution.name, lost)
        match verdict.action:
            case "run":
                self._start(execution)
            case "wait":
                assert verdict.wait_s > 0, "a machine that never waits never ends"
                self.after(verdict.wait_s, lambda: self._plan(execution, ""))
            case "renew":
                execution.alive = False
                lane = execution.watch.lane
                self.resume_lane(SID, lane, lane_name(SID, lane, int(self.now_s)))
            case "done":
                execution.alive = False

    def _start(self, execution: Execution) -> None:
        token = f"token-{next(self._numbers)}"
        self.tasks.wait(token)
        try:
            self.keeper.start(execution.watch, execution.name, token)
        except Exception as error:  # noqa: BLE001 - a function's error is its machine's to catch
            self.tasks.fail(token, type(error).__name__, str(error))
        self._attend(execution, token, self.tasks.beats[token], 0.0)

    def _attend(self, execution: Execution, token: str, beats: int, silent_s: float) -> None:
        """Wait for a task's token, half a second at a time."""
        if not execution.alive:
            return
        if not self.tasks.is_waiting(token):
            error, _ = self.tasks.errors.get(token, ("", ""))
            self._plan(execution, error)
            return
        now = self.tasks.beats[token]
        silent_s = 0.0 if now != beats else silent_s + 0.5
        if silent_s >= HEARTBEAT_S:
            self.tasks.fail(token, "States.HeartbeatTimeout", "")
        self.after(0.5, lambda: self._attend(execution, token, now, silent_s))

    def _look(self, name: str, watch: Watch) -> None:
        if name not in self.supervisions:
            return
        verdict, watch = look(watch, recordings=self.recordings, bus=self.bus, clock=self.clock)
        self.looks.append(verdict.why)
        match verdict.action:
            case Action.WAIT:
                self.after(verdict.wait_s, lambda: self._look(name, watch))
            case Action.RENEW:
                self.supervisions.discard(name)
                self.resume_supervision(SID, supervision_name(SID, int(self.now_s)))
            case Action.SEAL:
                self.recordings.mark_sealed(SID, self.clock.utc_us())
                self.supervisions.discard(name)
            case _:
                self.supervisions.discard(name)

    # ------------------------------------------------------------------ the recorder

    def invoke_lap(self, order: LapOrder) -> str:
        self.refuse(self.now_s)
        self.orders.append((self.now_s, order))
        fate = self.fate(order, self.now_s)
        if fate.shows_up:
            invoked_s = self.now_s
            self.after(COLD_START_S, lambda: self._claim(order, fate, invoked_s))
        request_id = self._requests[order.name] = f"request-{len(self.orders)}"
        return request_id

    def _claim(self, order: LapOrder, fate: Fate, invoked_s: float) -> None:
        try:
            request_id = self._requests[order.name]
            self.recordings.claim(SID, order.lane, order.lap, request_id, self.clock.utc_us())
        except FenceLost:
            return
        task = LapTask(order, self.lanes, self.tasks)
        self._live(order, fate, task, invoked_s, self.now_s)

    def _live(
        self, order: LapOrder, fate: Fate, task: LapTask, invoked_s: float, since_s: float
    ) -> None:
        now_s, age_s = self.now_s, self.now_s - invoked_s
        for end_s, crash in ((fate.dies_s, True), (fate.hangs_s, False)):
            if end_s is not None and age_s >= end_s:
                self.spans[order.name] = since_s, invoked_s + end_s
                if crash and fate.told:
                    self.after(CRASH_TOLD_S, lambda: self._tell_crash(order))
                return
        segments = max(0, round((now_s - since_s - JOIN_S) / 6))
        progress = Progress(
            Status.IN_PROGRESS if segments else Status.READY,
            segments,
            received_us=round(now_s * MICROSECONDS),
        )
        orders = self.recordings.beat(SID, order.lane, order.lap, progress, self.clock.utc_us())
        self.spans[order.name] = since_s, now_s
        if orders.fenced:
            return
        task.beat()
        if order.relieves and segments:
            lane, lap = parse_lap(order.follows)
            self.recordings.inherit(SID, lane, lap, 1, relieve=True)
        if orders.stop or orders.relieved or age_s >= self.pace.lap_s:
            reason = Reason.STOPPED if orders.stop else Reason.HANDED_OVER
            reason = reason if orders.stop or orders.relieved else Reason.LAP_LIMIT
            self.recordings.end_lap(
                SID, order.lane, order.lap, reason, None, progress, self.clock.utc_us()
            )
            task.end(reason.value)
            return
        ends = [each - age_s for each in (fate.dies_s, fate.hangs_s) if each is not None]
        step_s = max(0.01, min([BEAT_S, *ends]))
        self.after(step_s, lambda: self._live(order, fate, task, invoked_s, since_s))

    def _tell_crash(self, order: LapOrder) -> None:
        """The record of the failed invocation has come."""
        request_id, now_us = self._requests[order.name], self.clock.utc_us()
        dead = DeadLap(
            SID, order.lane, order.lap, request_id, "RetriesExhausted", "Runtime.ExitError", now_us
        )
        lap_died(dead, recordings=self.recordings, lanes=self.lanes, tasks=self.tasks)

    # ------------------------------------------------------------------ what came of it

    @property
    def recording(self) -> Recording:
        found = self.recordings.find(SID)
        assert found is not None
        return found

    @property
    def laps(self) -> list[Lap]:
        return list(self.recordings.laps(SID))

    @property
    def dead(self) -> list[str]:
        return [lap.name for lap in self.laps if lap.state is LapState.DEAD]

    def is_live(self) -> bool:
        return self.recording.status in LIVE

    def below(self, width: int, since_s: float, until_s: float) -> list[tuple[float, float]]:
        """Give the times in which fewer laps than `width` recorded, as (from, seconds)."""
        edges = sorted(
            {since_s, until_s}
            | {edge for span in self.spans.values() for edge in span if since_s < edge < until_s}
        )
        found: list[tuple[float, float]] = []
        for begin_s, end_s in pairwise(edges):
            middle_s = (begin_s + end_s) / 2
            at_once = sum(a <= middle_s < b for a, b in self.spans.values())
            if at_once < width:
                if found and abs(sum(found[-1]) - begin_s) < 1e-6:
                    first_s, _ = found.pop()
                    found.append((first_s, end_s - first_s))
                else:
                    found.append((begin_s, end_s - begin_s))
        return found
