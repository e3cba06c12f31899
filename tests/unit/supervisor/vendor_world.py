"""A recording at a scripted vendor, its rows, its looks and the machine, all on one clock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import ServiceFault
from everreel.events.memory import MemoryBus
from everreel.events.ports import Event
from everreel.state.memory import MemoryRecordings
from everreel.state.notices import MemoryNotices
from everreel.state.ports import Ticket
from everreel.state.recording import Failure, Mode, Options, ProviderName, Reason, Recording
from everreel.state.status import Status
from everreel.state.vendor import (
    Call,
    MemoryVendorTasks,
    VendorOrder,
    VendorTask,
    VendorTasks,
    VendorWatch,
)
from everreel.supervisor.elsewhere import Elsewhere, Service
from everreel.supervisor.look import look
from everreel.supervisor.practices import CLOUD_RECORDING
from everreel.supervisor.provider import Answer
from everreel.supervisor.verdict import Action, Verdict, Watch
from tests.unit.supervisor.scripted_vendor import ORDER, SID, USUAL, Script

FIRST_LOOK_S = 5


class FrailRecordings(MemoryRecordings):
    """Recordings whose caller dies, once, just before the write that `dies_at` names."""

    dies_at = ""

    def give_up(self, sid: str, reason: Reason, failure: Failure | None, utc_us: int) -> bool:
        self._die_at("give_up")
        return super().give_up(sid, reason, failure, utc_us)

    def mark_sealed(self, sid: str, utc_us: int) -> Recording:
        self._die_at("mark_sealed")
        return super().mark_sealed(sid, utc_us)

    def _die_at(self, step: str) -> None:
        if self.dies_at == step:
            self.dies_at = ""
            raise KeyboardInterrupt


class FrailBus(MemoryBus):
    """A bus that may be down."""

    down = False

    def publish(self, *events: Event) -> None:
        if self.down:
            raise ServiceFault("the bus is down")
        super().publish(*events)


class VendorWorld:
    """What everybody sees.

    Attributes:
        script: what the vendor answers to each kind of call; the last entry repeats.
        asked: (seconds after the start, call, task) of each call that was made.
        looks: (seconds after the start, verdict), oldest first.
        during: what happens while a call is made, once.
        keyless: the deployment has no credentials.
    """

    def __init__(
        self, script: Script | None = None, *, keyless: bool = False, **changes: Any
    ) -> None:
        self.clock = ManualClock()
        self.recordings = FrailRecordings()
        self.tasks: VendorTasks = MemoryVendorTasks()
        self.notices = MemoryNotices()
        self.bus = FrailBus()
        self.script = {call: list(answers) for call, answers in (USUAL | (script or {})).items()}
        self.asked: list[tuple[float, Call, str]] = []
        self.looks: list[tuple[float, Verdict]] = []
        self.during: list[Callable[[], object]] = []
        self.keyless = keyless
        self.began_us = self.clock.utc_us()
        self.machine = Watch(SID)
        self.due_s = float(FIRST_LOOK_S)
        self.elsewhere = Elsewhere(
            self.tasks,
            self.recordings,
            self.notices,
            {ProviderName.AGORA: Service(self, CLOUD_RECORDING)},
            self.bus,
            self.clock,
        )
        self.create(**changes)

    # ------------------------------------------------------------------ what is there

    def create(self, *, ordered: bool = True, **options: Any) -> None:
        self.recordings.put_ticket(
            Ticket("ticket", "app", "lobby", "101", self.began_us + MICROSECONDS)
        )
        self.recordings.create(
            Recording(
                sid=SID,
                app="app",
                channel="lobby",
                uid="0",
                recorder_uid="101",
                resource_id="ticket",
                source="",
                mode=Mode.INDIVIDUAL,
                options=Options(**options),
                status=Status.STARTING,
                created_utc_us=self.began_us,
                provider=ProviderName.AGORA,
            )
        )
        if ordered:
            self.order()

    def order(self, order: VendorOrder = ORDER, **changes: Any) -> None:
        task = VendorTask(SID, ProviderName.AGORA, order, VendorWatch(SID), self.began_us)
        self.tasks.put(replace(task, **changes))

    @property
    def recording(self) -> Recording:
        found = self.recordings.find(SID)
        assert found is not None
        return found

    @property
    def task(self) -> VendorTask:
        found = self.tasks.find(SID)
        assert found is not None
        return found

    @property
    def now_s(self) -> float:
        return (self.clock.utc_us() - self.began_us) / MICROSECONDS

    @property
    def told(self) -> list[str]:
        return [event.kind.value for event in self.bus.published]

    def times(self, call: Call) -> list[float]:
        return [at_s for at_s, made, _ in self.asked if made is call]

    # ------------------------------------------------------------------ what happens

    def ask(self, call: Call, order: VendorOrder, watch: VendorWatch) -> Answer:
        """Answer as a `Provider` does."""
        if self.keyless:
            raise ServiceFault("the secret cannot be read")
        self.asked.append((self.now_s, call, watch.task))
        if self.during:
            self.during.pop(0)()
        answers = self.script[call]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def look(self) -> Verdict:
        """Look as the machine does."""
        verdict, self.machine = look(
            self.machine,
            recordings=self.recordings,
            bus=self.bus,
            clock=self.clock,
            elsewhere=self.elsewhere,
        )
        self.looks.append((self.now_s, verdict))
        return verdict

    def die(self, call: int) -> None:
        """Let a look die while it makes its call number `call` (from 0)."""

        def killed() -> None:
            raise KeyboardInterrupt

        self.during = [*[lambda: None] * call, killed]
        with pytest.raises(KeyboardInterrupt):
            self.wake()

    def wake(self) -> Verdict:
        """Look as a door has it done: nothing is carried on."""
        return look(
            Watch(SID),
            recordings=self.recordings,
            bus=self.bus,
            clock=self.clock,
            elsewhere=self.elsewhere,
        )[0]

    def stop(self) -> Verdict:
        """Stop as the door does."""
        self.recordings.request_stop(SID, self.clock.utc_us())
        return self.wake()

    def run(self, until_s: float = 100_000) -> Verdict | None:
        """Let the machine wait and look; gives its last verdict if it came to an end."""
        while self.due_s <= until_s:
            self.clock.advance(max(0.0, self.due_s - self.now_s))
            verdict = self.look()
            if verdict.action is not Action.WAIT:
                return verdict
            self.due_s = self.now_s + verdict.wait_s
        self.clock.advance(max(0.0, until_s - self.now_s))
        return None
