"""How a vendor's task stands, by its query and by hearsay. Pure."""

from everreel.events.facts import Facts
from everreel.state.vendor import Call, VendorTask
from everreel.supervisor.provider import Health
from everreel.supervisor.vendor import Ending

_OVER = {Ending.STOPPED: Health.ENDED, Ending.EXITED: Health.ENDED}


def standing(query: Health, hearsay: Facts) -> Health:
    """Say how a task is: as the query says; only where that is unknown, as notices have it.

    Notices can be lost, late or about another life of the task. They decide one thing only
    (ADR 0023): whether a task that queries confirm to be gone has come to a good end.
    """
    if query is not Health.UNKNOWN:
        return query
    if hearsay.abnormal:
        return Health.FAILED
    if hearsay.exited:
        return Health.ENDED
    return Health.RUNNING if hearsay.started else Health.UNKNOWN


def health_of(task: VendorTask, hearsay: Facts) -> Health:
    """Say how a task is by what its looks have found, and by hearsay where they found nothing."""
    watch = task.watch
    if task.ending:
        return _OVER.get(Ending(task.ending), Health.FAILED)
    if watch.call is Call.STOP or watch.trouble == Health.ENDING:
        return Health.ENDING
    if not watch.task or watch.trouble:
        return standing(Health.UNKNOWN, hearsay)
    return Health.RUNNING if watch.running_utc_us else Health.STARTING
