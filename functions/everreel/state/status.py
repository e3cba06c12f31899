"""The life cycle of a recording. Every transition stands in `TRANSITIONS`, nowhere else."""

from enum import IntEnum


class Status(IntEnum):
    """Service status as clients see it, numbered as recording APIs of this field number it."""

    NOT_STARTED = 0
    INITIALISED = 1
    STARTING = 2
    PARTLY_READY = 3
    READY = 4
    IN_PROGRESS = 5
    STOP_REQUESTED = 6
    STOPPED = 7
    EXITED = 8
    ABNORMAL = 20


_RUNNING = (Status.STARTING, Status.PARTLY_READY, Status.READY, Status.IN_PROGRESS)

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.NOT_STARTED: frozenset({Status.INITIALISED, Status.STARTING}),
    Status.INITIALISED: frozenset({Status.STARTING}),
    # A running recording only moves forward; it may skip steps, stop, end by itself, or die.
    **{
        status: frozenset(
            [later for later in _RUNNING if later > status]
            + [Status.STOP_REQUESTED, Status.STOPPED, Status.ABNORMAL]
        )
        for status in _RUNNING
    },
    Status.STOP_REQUESTED: frozenset({Status.STOPPED, Status.ABNORMAL}),
    Status.STOPPED: frozenset({Status.EXITED, Status.ABNORMAL}),
    Status.EXITED: frozenset(),
    Status.ABNORMAL: frozenset(),
}

LIVE = frozenset({*_RUNNING, Status.STOP_REQUESTED})
"""A lap may be writing."""

TERMINAL = frozenset({Status.EXITED, Status.ABNORMAL})
"""Nothing moves any more; the recording may still have to be sealed."""


def may_become(now: Status, then: Status) -> bool:
    """Tell whether a recording in status `now` may move to `then`."""
    return then in TRANSITIONS[now]


def predecessors(then: Status) -> frozenset[Status]:
    """Return every status from which `then` can be reached in one step."""
    return frozenset(status for status, nexts in TRANSITIONS.items() if then in nexts)
