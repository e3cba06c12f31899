"""One look at a recording: read the rows, judge, and bury a lap that died."""

import logging

from everreel.clock import Clock
from everreel.errors import EverreelError
from everreel.events.ports import Event, EventBus, Happening
from everreel.state.ports import Recordings
from everreel.state.recording import Failure, Lap
from everreel.supervisor.backoff import SUSPECT_S
from everreel.supervisor.verdict import Action, Verdict, Watch, judge

log = logging.getLogger(__name__)


def look(
    watch: Watch, *, recordings: Recordings, bus: EventBus, clock: Clock
) -> tuple[Verdict, Watch]:
    """Look at the recording of `watch`; the answer's action is wait, seal or done.

    Raises: StateUnavailable; the state machine retries it.
    """
    recording = recordings.find(watch.sid)
    laps = recordings.laps(watch.sid) if recording is not None else []
    verdict, watch = judge(watch, recording, laps, clock.utc_us())
    log.info("look %d: %s, %s", watch.looks, verdict.action.value, verdict.why)
    if verdict.action is not Action.BURY:
        return verdict, watch
    if not laps or not _bury(watch.sid, laps[-1], verdict.why, recordings, bus, clock):
        return Verdict(Action.WAIT, SUSPECT_S[0], "it moved while it was being buried"), watch
    return Verdict(Action.SEAL, 0, verdict.why), watch


def _bury(
    sid: str, lap: Lap, why: str, recordings: Recordings, bus: EventBus, clock: Clock
) -> bool:
    """Declare a lap dead unless it beats after all; tell the bus."""
    failure = Failure(
        code="recorder_died",
        blame="service",
        message=f"the recorder stopped answering ({why}); what it committed is kept",
    )
    dead = recordings.declare_dead(
        sid, lap.lane, lap.lap, failure, clock.utc_us(), unchanged_since=lap.beat_utc_us
    )
    if dead:
        try:
            bus.publish(
                Event(
                    Happening.FAILED,
                    sid,
                    {"lane": lap.lane, "lap": lap.lap, "code": failure.code, "why": why},
                )
            )
        except EverreelError as error:
            log.warning("RecordingFailed not published: %s", error.message)
    return dead
