"""One look at a recording: read the rows, judge, and bury a lap that died."""

import logging

from everreel.clock import Clock
from everreel.errors import EverreelError
from everreel.events.ports import Event, EventBus, Happening
from everreel.state.ports import Recordings
from everreel.state.recording import FIRST_LANE, Failure
from everreel.supervisor.backoff import SUSPECT_S
from everreel.supervisor.verdict import Action, Verdict, Watch, judge

log = logging.getLogger(__name__)

UNBORN = (FIRST_LANE, 1, 0)
"""The lap that a start meant to queue and never noted."""


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
    newest = (laps[-1].lane, laps[-1].lap, laps[-1].beat_utc_us) if laps else UNBORN
    if not _bury(watch.sid, newest, verdict.why, recordings, bus, clock):
        return Verdict(Action.WAIT, SUSPECT_S[0], "it moved while it was being buried"), watch
    return Verdict(Action.SEAL, 0, verdict.why), watch


def _bury(
    sid: str,
    newest: tuple[str, int, int],
    why: str,
    recordings: Recordings,
    bus: EventBus,
    clock: Clock,
) -> bool:
    """Declare a lap (lane, number, last beat) dead unless it beats after all; tell the bus."""
    lane, lap, beat_utc_us = newest
    failure = Failure(
        code="recorder_died",
        blame="service",
        message=f"the recorder stopped answering ({why}); what it committed is kept",
    )
    dead = recordings.declare_dead(
        sid, lane, lap, failure, clock.utc_us(), unchanged_since=beat_utc_us
    )
    if dead:
        try:
            bus.publish(
                Event(
                    Happening.FAILED,
                    sid,
                    {
                        "lane": lane,
                        "lap": lap,
                        "error": {"code": failure.code, "message": failure.message},
                    },
                )
            )
        except EverreelError as error:
            log.warning("RecordingFailed not published: %s", error.message)
    return dead
