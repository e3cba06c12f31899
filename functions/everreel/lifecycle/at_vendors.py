"""The use cases of recordings that run at a vendor: order, wake, tell how they stand."""

import logging
from dataclasses import dataclass

from everreel.errors import AlreadyEnded, EverreelError
from everreel.events.facts import Facts, facts_of
from everreel.events.notices import AGORA
from everreel.lifecycle.ports import Runner
from everreel.lifecycle.requests import StartRequest
from everreel.lifecycle.vendor_order import order_of
from everreel.state.notices import Notices
from everreel.state.recording import Recording
from everreel.state.status import LIVE
from everreel.state.vendor import VendorTask, VendorTasks, VendorWatch
from everreel.supervisor.hints import health_of
from everreel.supervisor.provider import Health

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VendorView:
    """How a recording stands at its vendor.

    Attributes:
        task: what was ordered and how far it has come.
        facts: what notices about the present task add up to.
        health: of the task.
    """

    task: VendorTask
    facts: Facts
    health: Health


class AtVendors:
    """What `Lifecycle` leaves to vendors."""

    def __init__(self, tasks: VendorTasks, notices: Notices, runner: Runner) -> None:
        """Keep orders in `tasks`; looks, which `runner` starts, carry them out."""
        self._tasks = tasks
        self._notices = notices
        self._runner = runner

    def launch(self, recording: Recording, request: StartRequest, supervised: str) -> Recording:
        """Keep the order of a recording unless it is kept, and have it carried out at once.

        Raises: InvalidRequest, AlreadyEnded, StateUnavailable, ServiceFault.
        """
        sid = recording.sid
        if self._tasks.find(sid) is not None:
            return recording
        order = order_of(request, recording.channel, recording.recorder_uid)
        if recording.status not in LIVE:
            raise AlreadyEnded(
                f"recording {sid} ended before its vendor could be asked; "
                "start a new one with a new resource id",
                field="resource_id",
            )
        if sid != supervised:
            self._runner.supervise(sid, recording.lanes)
        self._tasks.put(
            VendorTask(sid, recording.provider, order, VendorWatch(sid), recording.created_utc_us)
        )
        self.wake(sid)
        return recording

    def wake(self, sid: str) -> None:
        """Have a recording looked at now; without, its state machine comes by in time."""
        try:
            self._runner.wake(sid)
        except EverreelError as error:
            log.warning("no look could be asked for: %s", error.message)

    def view(self, recording: Recording) -> VendorView | None:
        """Tell how a recording stands, None before its order was kept."""
        task = self._tasks.find(recording.sid)
        if task is None:
            return None
        named = task.watch.task
        facts = facts_of(self._notices.of_task(AGORA, named) if named else ())
        return VendorView(task, facts, health_of(task, facts))
