"""A vendor that answers by a script, watched on a clock that moves."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat

from everreel.clock import MICROSECONDS, ManualClock
from everreel.state.vendor import Call, VendorOrder, VendorWatch
from everreel.supervisor.practices import CLOUD_RECORDING, Practices
from everreel.supervisor.provider import Answer, Health
from everreel.supervisor.tend import tend
from everreel.supervisor.vendor import Ending, Step, uid_of

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
ORDER = VendorOrder("app", "lobby", ("101", "102"))

ACQUIRED = Answer(200, ticket="ticket")
STARTED = Answer(200, task="task", playlist="task_lobby.m3u8")
NAMELESS = Answer(200, task="task")
RUNNING = Answer(200, health=Health.RUNNING)
RECORDING = Answer(200, health=Health.RUNNING, recorded=True)
STARTING = Answer(200, health=Health.STARTING)
EXITED = Answer(200, health=Health.ENDED)
FAILED = Answer(200, health=Health.FAILED)
GONE = Answer(404, code=404)
BROKEN = Answer(500, code=500)
SILENT = Answer(0)
UNFINISHED = Answer(206, code=65)
THROTTLED = Answer(429)
STOPPED = Answer(200)

Script = dict[Call, list[Answer]]
USUAL: Script = {
    Call.ACQUIRE: [ACQUIRED],
    Call.START: [STARTED],
    Call.QUERY: [RUNNING],
    Call.STOP: [STOPPED],
}


@dataclass(frozen=True)
class Made:
    """One call as the vendor saw it, `at_s` seconds after the beginning."""

    call: Call
    at_s: float
    uid: str
    domain: int
    ticket: str


@dataclass
class Vendor:
    """Answers each kind of call from its list; the last entry repeats."""

    script: Script
    order: VendorOrder = ORDER
    practices: Practices = CLOUD_RECORDING
    stop_at_s: float | None = None
    tasks: int = 1
    exited: bool = False
    made: list[Made] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    watch: VendorWatch = field(default_factory=lambda: VendorWatch(SID))

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self._began_us = self.clock.utc_us()
        self._answers: dict[Call, Iterator[Answer]] = {
            call: chain(answers, repeat(answers[-1]))
            for call, answers in (USUAL | self.script).items()
        }

    @property
    def now_s(self) -> float:
        return (self.clock.utc_us() - self._began_us) / MICROSECONDS

    def ask(self, call: Call, order: VendorOrder, watch: VendorWatch) -> Answer:
        uid = uid_of(order, watch)
        self.made.append(Made(call, self.now_s, uid, watch.domain, watch.ticket))
        return next(self._answers[call])

    def supervise(self, until_s: float = 100_000) -> Ending | None:
        """Do as the state machine does: wait, look, until there is an ending or time is up."""
        for _ in range(10_000):
            step, self.watch = tend(
                self.order,
                self.watch,
                provider=self,
                practices=self.practices,
                clock=self.clock,
                stop=self.stop_at_s is not None and self.now_s >= self.stop_at_s,
                tasks=self.tasks,
                exited=self.exited,
            )
            self.steps.append(step)
            if step.ending or self.now_s + step.wait_s > until_s:
                return step.ending
            self.clock.advance(step.wait_s)
        raise AssertionError("supervision never waits")

    def times(self, *calls: Call) -> list[float]:
        return [made.at_s for made in self.made if made.call in calls]

    def uids(self, call: Call = Call.ACQUIRE) -> list[str]:
        return [made.uid for made in self.made if made.call is call]
