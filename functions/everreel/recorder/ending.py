"""How a lap ended: in the table first, then on the bus."""

import logging

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import Blame, EverreelError, SourceError
from everreel.events.ports import Event, EventBus, Happening
from everreel.recorder.orders import Outcome
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Reason

log = logging.getLogger(__name__)


def close(
    outcome: Outcome, order: LapOrder, recordings: Recordings, bus: EventBus, clock: Clock
) -> None:
    """Write down how the lap ended, then tell the bus: the row is the truth, the event a hint.

    Raises: FenceLost if the lap was buried before, StateUnavailable.
    """
    recordings.end_lap(
        order.sid,
        order.lane,
        order.lap,
        outcome.reason,
        outcome.failure,
        outcome.progress,
        clock.utc_us(),
    )
    detail: dict[str, object] = {
        "lane": order.lane,
        "lap": order.lap,
        "reason": outcome.reason.value,
        "segments": outcome.progress.segments,
        "mediaSeconds": outcome.progress.media_us / MICROSECONDS,
    }
    if outcome.failure is not None:
        detail["error"] = {"code": outcome.failure.code, "message": outcome.failure.message}
    try:
        bus.publish(Event(Happening.LAP_ENDED, order.sid, detail))
    except EverreelError as error:
        log.warning("LapEnded not published, the next look finds it: %s", error.message)


def reason_of(error: EverreelError) -> Reason:
    """Return the reason of an end that an error brought about."""
    if isinstance(error, SourceError):
        return Reason.SOURCE_FAILED
    if error.blame is Blame.DESTINATION:
        return Reason.DESTINATION_FAILED
    return Reason.FAULT
