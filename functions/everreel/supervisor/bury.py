"""Declares a lap dead, so that nothing it may still do counts, and tells the bus."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError
from everreel.events.ports import Event, EventBus, Happening
from everreel.state.ports import Recordings
from everreel.state.recording import Failure, Lap, Reason
from everreel.state.status import LIVE

MOST_UNTOLD = 100
"""Segments after its last beat that a dead lap can have committed, with room to spare."""

log = logging.getLogger(__name__)


def bury(
    sid: str,
    place: tuple[str, int, int],
    why: str,
    *,
    recordings: Recordings,
    bus: EventBus,
    clock: Clock,
) -> bool:
    """Bury a lap (lane, number, its last beat); False if it moved after all.

    The bus learns `LapLost`, and `RecordingFailed` if that was the end of the recording.
    Raises: StateUnavailable, RecordingNotFound.
    """
    lane, lap, beat_utc_us = place
    failure = Failure(
        code="recorder_died",
        blame="service",
        message=f"the recorder stopped answering ({why}); what it committed is kept",
    )
    now_us = clock.utc_us()
    if not recordings.declare_dead(sid, lane, lap, failure, now_us, unchanged_since=beat_utc_us):
        return False
    log.warning("lap %s%d is declared dead: %s", lane, lap, why)
    _complete(sid, lane, lap, recordings)
    error = {"code": failure.code, "message": failure.message}
    detail: dict[str, object] = {"lane": lane, "lap": lap, "error": error}
    after = recordings.find(sid)
    events = [Event(Happening.LAP_LOST, sid, detail)]
    if after is not None and after.status not in LIVE:
        events.append(Event(Happening.FAILED, sid, detail))
    tell(bus, *events)
    return True


def _complete(sid: str, lane: str, number: int, recordings: Recordings) -> None:
    """Add to the last beat of a dead lap what it committed afterwards; now it commits no more."""
    lap, recording = recordings.lap(sid, lane, number), recordings.find(sid)
    if lap is None or recording is None:
        return
    told = lap.progress
    k = told.media_us // (recording.options.segment_s * MICROSECONDS)
    later = [
        row
        for row in islice(recordings.segments(sid, after=k - 1), MOST_UNTOLD)
        if (row.lane, row.lap) == (lane, number) and row.start_us + row.duration_us > told.media_us
    ]
    if not later:
        return
    end_us = later[-1].start_us + later[-1].duration_us
    progress = replace(
        told,
        segments=told.segments + len(later),
        bytes=told.bytes + sum(row.size for row in later),
        media_us=end_us,  # and not `received_us`, which is where it stood at its last beat
        recorded_us=told.recorded_us + sum(row.media_us for row in later),
    )
    recordings.complete(sid, lane, number, progress)


def give_up(
    sid: str,
    why: str,
    laps: Sequence[Lap],
    *,
    recordings: Recordings,
    bus: EventBus,
    clock: Clock,
) -> bool:
    """End a live recording that no lap has open; False if one has, or if it has ended.

    `laps` tell whether a recorder was ever seen. Raises: StateUnavailable, RecordingNotFound.
    """
    seen = any(lap.beat_utc_us for lap in laps)
    reason = Reason.RECORDER_DIED if seen else Reason.NEVER_STARTED
    failure = Failure(
        code="recorder_died",
        blame="service",
        message=f"no lap could go on ({why}); what was committed is kept",
    )
    if not recordings.give_up(sid, reason, failure, clock.utc_us()):
        return False
    error = {"code": failure.code, "message": failure.message}
    tell(bus, Event(Happening.FAILED, sid, {"error": error}))
    return True


def tell(bus: EventBus, *events: Event) -> None:
    """Publish events; a bus that fails loses hints, and the rows have the truth."""
    try:
        bus.publish(*events)
    except EverreelError as error:
        log.warning("not published: %s", error.message)
