"""A recording, the function that records it and the machine that watches, all on one clock."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import FenceLost
from everreel.events.memory import MemoryBus
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import (
    LapState,
    Mode,
    Options,
    Progress,
    Reason,
    Recording,
)
from everreel.state.status import Status
from everreel.supervisor.look import look
from everreel.supervisor.verdict import Action, Verdict, Watch

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
FIRST_LOOK_S = 5
"""What the state machine waits by itself; tests/stack holds the template to it."""


@dataclass
class World:
    """What everybody sees.

    Attributes:
        plan: what the recorder does and when, in seconds after the start.
        looks: (seconds after the start, verdict), oldest first.
    """

    plan: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    looks: list[tuple[float, Verdict]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.recordings = MemoryRecordings()
        self.bus = MemoryBus()
        self.began_us = self.clock.utc_us()

    # ------------------------------------------------------------------ the recorder

    def create(self, max_idle_s: int = 30) -> None:
        ticket = Ticket("ticket", "app", "lobby", "recorder", self.began_us + MICROSECONDS)
        self.recordings.put_ticket(ticket)
        self.recordings.create(
            Recording(
                sid=SID,
                app="app",
                channel="lobby",
                uid="1",
                recorder_uid="recorder",
                resource_id="ticket",
                source="rtmp://media.example/live/x",
                mode=Mode.INDIVIDUAL,
                options=Options(max_idle_s=max_idle_s),
                status=Status.STARTING,
                created_utc_us=self.began_us,
            )
        )

    def invoke(self) -> None:
        self.recordings.invoked(SID, "a", 1, "r", self.clock.utc_us())

    def claim(self) -> None:
        self.recordings.claim(SID, "a", 1, "r", self.clock.utc_us())

    def beat(self, status: Status) -> None:
        self.recordings.beat(SID, "a", 1, Progress(status), self.clock.utc_us())

    def end(self, reason: Reason) -> None:
        progress = self.recordings.laps(SID)[-1].progress
        self.recordings.end_lap(SID, "a", 1, reason, None, progress, self.clock.utc_us())

    def at(self, second: float, action: Callable[[], object]) -> None:
        self.plan.append((second, action))

    # ------------------------------------------------------------------ the machine

    def watch(self, most_looks: int = 300) -> Action:
        """Run the state machine until it seals or is done; return which."""
        watch, wait_s = Watch(SID), float(FIRST_LOOK_S)
        for _ in range(most_looks):
            self._pass(wait_s)
            verdict, watch = look(
                # The machine carries JSON, nothing else.
                Watch(**asdict(watch)),
                recordings=self.recordings,
                bus=self.bus,
                clock=self.clock,
            )
            self.looks.append((self.now_s, verdict))
            if verdict.action in {Action.SEAL, Action.DONE}:
                return verdict.action
            assert verdict.action is Action.WAIT
            assert verdict.wait_s > 0, "a machine that never waits never ends"
            wait_s = verdict.wait_s
        raise AssertionError(f"no end after {most_looks} looks, {self.now_s} s: {self.looks[-3:]}")

    @property
    def now_s(self) -> float:
        return (self.clock.utc_us() - self.began_us) / MICROSECONDS

    @property
    def recording(self) -> Recording:
        found = self.recordings.find(SID)
        assert found is not None
        return found

    @property
    def buried(self) -> bool:
        return any(lap.state is LapState.DEAD for lap in self.recordings.laps(SID))

    def look_times(self) -> list[int]:
        return [round(second) for second, _ in self.looks]

    def _pass(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        for second, action in self._due(until_s):
            self.clock.advance(max(0.0, second - self.now_s))
            try:
                action()
            except FenceLost:
                self.plan.clear()  # a fenced lap leaves
        self.clock.advance(max(0.0, until_s - self.now_s))

    def _due(self, until_s: float) -> Iterator[tuple[float, Callable[[], object]]]:
        self.plan.sort(key=lambda entry: entry[0])
        while self.plan and self.plan[0][0] <= until_s:
            yield self.plan.pop(0)
