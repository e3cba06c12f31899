"""Looks at recordings that run at a vendor: whose turn it is, what came of it, and the end.

Several looks may come at once: the state machine's, its repeats, and those that a door asks for.
The one that writes the task's row first makes the call that is due; a call is never made before
its time, however often somebody looks.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError, ServiceFault
from everreel.events.facts import facts_of
from everreel.events.notices import AGORA
from everreel.events.ports import Event, EventBus
from everreel.state.notices import Notices
from everreel.state.ports import Recordings
from everreel.state.recording import ProviderName, Recording
from everreel.state.status import LIVE, Status
from everreel.state.vendor import Attempt, Call, VendorTask, VendorTasks, VendorWatch
from everreel.supervisor import endings
from everreel.supervisor.answers import Meaning
from everreel.supervisor.backoff import CONFIRMED_WITHIN_S
from everreel.supervisor.practices import Practices
from everreel.supervisor.provider import Provider
from everreel.supervisor.tend import tend
from everreel.supervisor.vendor import Ending, Step, announced, heed, uid_of
from everreel.supervisor.verdict import Action, Verdict

log = logging.getLogger(__name__)

BUSY_S = 45
"""No look lives longer (infra/registry.py): its call is over then, whatever became of it."""

ROOM_S = 15
"""Of a look's time; a further call, of ten seconds at most, is begun no later."""

AGAIN_S = 5
"""Until a look that found another one at work comes back."""

KEYLESS_AGAIN_S = (15, 60)
"""Until a vendor is asked again for which there are no credentials: before and after a start."""

KEYLESS_S = 600
"""A start that cannot be asked for so long is given up."""

LONGEST_NOTE = 400


@dataclass(frozen=True, slots=True)
class Service:
    """A vendor's service and how it is to be called."""

    provider: Provider
    practices: Practices


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What looks at recordings that run at vendors need."""

    tasks: VendorTasks
    recordings: Recordings
    notices: Notices
    services: Mapping[ProviderName, Service]
    bus: EventBus
    clock: Clock

    def look(self, recording: Recording) -> Verdict:
        """Make the call that is due and judge its answer; wait or done.

        What is due at once, a stop that somebody asked for meanwhile, and the repeat of one that
        failed are seen to in the same look if there is time: the next may come in two minutes.
        Raises: StateUnavailable, ServiceFault of the table; the same look may be made again.
        """
        began_s = self.clock.monotonic()
        while True:
            task = self.tasks.find(recording.sid)
            if task is None:
                return self._judge_absence(recording)
            if task.ending or recording.status not in LIVE:
                return self._finish(recording, task)
            stop = self._must_stop(recording, task)
            turn = self._await_turn(recording, task, stop=stop)
            if turn is not None:
                return turn
            saved = self._tend(task, stop=stop)
            if saved is None:
                return Verdict(Action.WAIT, AGAIN_S, "another look is at it")
            self._tell_start(recording, saved)
            recording = self.recordings.find(recording.sid) or recording
            if saved.ending:
                continue
            turn = self._await_turn(recording, saved, stop=self._must_stop(recording, saved))
            pause_s = turn.wait_s if turn is not None else 0
            urgent = turn is None or saved.watch.call is Call.STOP
            if not urgent or self.clock.monotonic() - began_s + pause_s > ROOM_S:
                return turn or Verdict(Action.WAIT, 1, saved.note)
            self.clock.sleep(pause_s)

    # ------------------------------------------------------------------ whose turn it is

    def _await_turn(self, recording: Recording, task: VendorTask, *, stop: bool) -> Verdict | None:
        """Say how long to wait for the next call, None if it is due now."""
        now_us = self.clock.utc_us()
        if task.busy_utc_us > now_us:
            return Verdict(Action.WAIT, AGAIN_S, "another look is at it")
        turns = heed(task.watch, stop=stop) is not task.watch
        if turns or task.due_utc_us <= now_us:
            return None
        until_us = task.due_utc_us
        if not stop:
            until_us = min(until_us, self._last_us(recording, task) or until_us)
        wait_s = max(1, ceil((until_us - now_us) / MICROSECONDS))
        return Verdict(Action.WAIT, wait_s, task.note)

    def _must_stop(self, recording: Recording, task: VendorTask) -> bool:
        last_us = self._last_us(recording, task)
        over = last_us != 0 and self.clock.utc_us() >= last_us
        return recording.status is Status.STOP_REQUESTED or over

    def _last_us(self, recording: Recording, task: VendorTask) -> int:
        """Return when the recording has lasted as long as it may, 0 if there is no limit."""
        limit_us = recording.options.max_duration_s * MICROSECONDS
        since_us = task.first_running_utc_us or task.created_utc_us
        return since_us + limit_us if limit_us else 0

    # ------------------------------------------------------------------ the call

    def _tend(self, task: VendorTask, *, stop: bool) -> VendorTask | None:
        """Announce the call, make it, write what came of it; None if somebody was faster."""
        exited = self._heard_exit(task.watch)
        busy_us = self.clock.utc_us() + BUSY_S * MICROSECONDS
        taken = self.tasks.save(replace(task, busy_utc_us=busy_us, watch=announced(task.watch)))
        if taken is None:
            return None
        service = self.services[task.provider]
        try:
            step, watch = tend(
                taken.order,
                task.watch,
                provider=service.provider,
                practices=service.practices,
                clock=self.clock,
                stop=stop,
                tasks=self._counted(taken),
                exited=exited,
            )
        except ServiceFault as fault:
            log.error("%s cannot be asked: %s", task.provider.value, fault.message)  # noqa: TRY400
            step, watch = self._keyless(taken, fault), task.watch
        return self.tasks.save(self._after(taken, step, watch))

    def _heard_exit(self, watch: VendorWatch) -> bool:
        """Tell whether a task that a query no longer found is said to have come to a good end."""
        if watch.call is not Call.QUERY or watch.trouble != Meaning.GONE:
            return False
        heard = facts_of(self.notices.of_task(AGORA, watch.task))
        return heard.exited and not heard.abnormal

    def _counted(self, task: VendorTask) -> int:
        """Count the tasks of the application; for one that is yet to start those before it."""
        live = self.tasks.live(task.provider, task.order.app)
        if task.watch != VendorWatch(task.sid):
            return max(1, len(live))
        return live.index(task.sid) + 1 if task.sid in live else len(live) + 1

    def _keyless(self, task: VendorTask, fault: ServiceFault) -> Step:
        """Wait for the operator; a start is not waited for without end."""
        why = f"the vendor cannot be asked: {fault.message}"
        age_us = self.clock.utc_us() - task.created_utc_us
        begun = bool(task.watch.task)
        if not begun and age_us >= KEYLESS_S * MICROSECONDS:
            return Step(0, why, Ending.NOT_ASKED)
        return Step(KEYLESS_AGAIN_S[begun], why)

    def _after(self, task: VendorTask, step: Step, watch: VendorWatch) -> VendorTask:
        now_us = self.clock.utc_us()
        attempts = task.attempts
        if watch.starts != task.watch.starts:
            uid = uid_of(task.order, task.watch)
            attempts += (Attempt(uid, task.watch.task, now_us, step.why[:LONGEST_NOTE]),)
        return replace(
            task,
            watch=watch,
            due_utc_us=now_us + step.wait_s * MICROSECONDS,
            busy_utc_us=0,
            first_running_utc_us=task.first_running_utc_us or watch.running_utc_us,
            note=step.why[:LONGEST_NOTE],
            attempts=attempts,
            ending=step.ending.value if step.ending else "",
            culprit=step.field,
        )

    # ------------------------------------------------------------------ what others are told

    def _tell_start(self, recording: Recording, task: VendorTask) -> None:
        """Move the recording on when its task is first seen to run."""
        if not task.first_running_utc_us or recording.status >= Status.IN_PROGRESS:
            return
        moved = self.recordings.advance(recording.sid, Status.IN_PROGRESS)
        if moved.status is Status.IN_PROGRESS:
            self._publish(endings.started(recording, task))

    def _judge_absence(self, recording: Recording) -> Verdict:
        """A start that broke off half-way: its repeat brings the task."""
        if recording.sealed_utc_us:
            return Verdict(Action.DONE, 0, "sealed")
        age_us = self.clock.utc_us() - recording.created_utc_us
        left_s = CONFIRMED_WITHIN_S - age_us / MICROSECONDS
        if left_s > 0 and recording.status in LIVE:
            wait_s = min(AGAIN_S, max(1, ceil(left_s)))
            return Verdict(Action.WAIT, wait_s, "the vendor's task is not ordered yet")
        return self._finish(recording, None)

    def _finish(self, recording: Recording, task: VendorTask | None) -> Verdict:
        """End and seal a recording whose task is over. Each step may have been made before."""
        sid, now_us = recording.sid, self.clock.utc_us()
        if recording.status in LIVE:
            reason, failure = endings.outcome(recording, task)
            self.recordings.give_up(sid, reason, failure, now_us)
            recording = self.recordings.find(sid) or recording
        if task is not None and not task.ending:
            # The recording was given up before its task was ordered: nobody will tend it.
            gone = replace(task, ending=Ending.NEVER_STARTED.value)
            if self.tasks.save(gone) is None:
                return Verdict(Action.WAIT, AGAIN_S, "another look is at it")
        if not recording.sealed_utc_us:
            if recording.failure is not None:
                self._publish(endings.failed(recording, recording.failure))
            recording = self.recordings.mark_sealed(sid, now_us)
            self._publish(endings.sealed(recording, task))
        why = task.note if task is not None else "its task was never ordered"
        return Verdict(Action.DONE, 0, why)

    def _publish(self, event: Event) -> None:
        try:
            self.bus.publish(event)
        except EverreelError as error:
            log.warning("%s not published: %s", event.kind.value, error.message)
