"""How a vendor's task stands, by its query and by hearsay. Pure."""

from everreel.events.facts import Facts
from everreel.supervisor.provider import Health


def standing(query: Health, hearsay: Facts) -> Health:
    """Say how a task is: as the query says; only where that is unknown, as notices have it.

    Notices can be lost, late or about another life of the task, so they decide nothing: the judge
    of `supervisor.vendor` never sees them.
    """
    if query is not Health.UNKNOWN:
        return query
    if hearsay.abnormal:
        return Health.FAILED
    if hearsay.exited:
        return Health.ENDED
    return Health.RUNNING if hearsay.started else Health.UNKNOWN
