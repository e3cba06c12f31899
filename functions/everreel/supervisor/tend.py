"""One call to a vendor: make the one that is due, judge its answer."""

import logging
from dataclasses import replace

from everreel.clock import Clock
from everreel.state.vendor import Call, VendorOrder, VendorWatch
from everreel.supervisor.practices import Practices
from everreel.supervisor.provider import Provider
from everreel.supervisor.vendor import Ending, Judged, Step, heed, judge

log = logging.getLogger(__name__)


def tend(
    order: VendorOrder,
    watch: VendorWatch,
    *,
    provider: Provider,
    practices: Practices,
    clock: Clock,
    stop: bool = False,
    tasks: int = 1,
    exited: bool = False,
) -> Judged:
    """Make the call that `watch` says is due; return when to make the next and what to carry on.

    One call at a time, so that whoever keeps what came of it keeps a ticket before it is used.
    `stop` says that somebody asked the recording to stop, `tasks` how many are watched at this
    vendor under the same application, this one included, `exited` that notices tell of a good end.
    Raises: ServiceFault if the deployment has no credentials for the vendor.
    """
    if watch == VendorWatch(watch.sid) and tasks > practices.tasks:
        full = f"{practices.tasks} tasks run already, the vendor allows no more"
        return Step(0, full, Ending.NO_ROOM), watch
    heeded = heed(watch, stop=stop)
    if isinstance(heeded, Step):
        return heeded, watch
    answer = provider.ask(heeded.call, order, heeded)
    step, after = judge(
        order, practices, heeded, answer, clock.utc_us(), tasks=tasks, exited=exited
    )
    if stop and step.ending and heeded.call is Call.START:
        # It was made to learn which task is to be stopped.
        step = replace(step, ending=Ending.STOP_UNCONFIRMED)
    log.info("%s: %s", heeded.call.value, step.why)
    return step, after
