"""Finds recordings whose machines were lost, and starts others in their place.

An execution ends only when its work is done, unless somebody stops it, deletes it or changes the
template under it. Then the laps that run go on, and nobody starts the next one: except here.
"""

import logging
from collections import defaultdict
from typing import Protocol

from everreel.clock import MICROSECONDS, Clock
from everreel.state.ports import Recordings
from everreel.state.recording import Recording, Reliability
from everreel.state.status import LIVE

log = logging.getLogger(__name__)

YOUNG_S = 60
"""Executions of a younger recording may be missing in a list that follows with a delay."""


SID_LENGTH = 32
SUPERVISION = {"", "s"}
"""What follows sid and hyphen: nothing or an s for supervision; else it is the lane's letter."""


class Machines(Protocol):
    """The executions of a deployment (tests/unit/aws/test_runner.py).

    Errors: ServiceUnavailable, after which the same call may be made again; ServiceFault.
    """

    def running(self) -> set[str]:
        """Return the names of all that run; one that began a moment ago may be missing."""
        ...

    def resume_supervision(self, sid: str, name: str) -> None:
        """Start another supervision of a recording; again with the same name changes nothing."""
        ...

    def resume_lane(self, sid: str, lane: str, name: str) -> None:
        """Start another machine of a lane; again with the same name changes nothing."""
        ...


def sweep(*, recordings: Recordings, runner: Machines, clock: Clock) -> int:
    """Look once through everything that is not sealed; return how many executions were started.

    A new one that turns out to be one too many does no harm: of two the newer runs a lane, and
    looks may be made by any number. Its cost follows the number of live recordings, not of all.
    Raises: StateUnavailable, ServiceUnavailable, ServiceFault.
    """
    now_us = clock.utc_us()
    old = [
        recording
        for recording in recordings.unsealed()
        if now_us - recording.created_utc_us > YOUNG_S * MICROSECONDS
    ]
    if not old:
        return 0
    kinds = defaultdict(set)
    for name in runner.running():
        kinds[name[:SID_LENGTH]].add(name[SID_LENGTH + 1 :][:1])
    started = 0
    stamp = now_us // MICROSECONDS
    for recording in old:
        sid, running = recording.sid, kinds[recording.sid]
        if not running & SUPERVISION:
            log.warning("recording %s has lost its supervision", sid)
            runner.resume_supervision(sid, supervision_name(sid, stamp))
            started += 1
        for lane in _lanes(recording):
            if lane not in running:
                log.warning("lane %s of recording %s has lost its machine", lane, sid)
                runner.resume_lane(sid, lane, lane_name(sid, lane, stamp))
                started += 1
    return started


def _lanes(recording: Recording) -> str:
    """Return the lanes that need a machine."""
    single = recording.options.reliability is Reliability.SINGLE
    return recording.lanes if recording.status in LIVE and not single else ""


def supervision_name(sid: str, stamp: int) -> str:
    """Name an execution that takes over the supervision of a recording."""
    return f"{sid}-s{stamp}"


def lane_name(sid: str, lane: str, stamp: int) -> str:
    """Name an execution that takes over a lane."""
    return f"{sid}-{lane}{stamp}"
