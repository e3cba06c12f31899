"""Runs one lap: takes it, records until something ends it, and leaves nothing behind."""

import logging
from dataclasses import replace

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError, FenceLost
from everreel.events.ports import Event, EventBus, Happening
from everreel.recorder.loop import Loop
from everreel.recorder.loop import OpenSource as OpenSource
from everreel.recorder.orders import LapSettings, Outcome
from everreel.recorder.publish import Publisher
from everreel.recorder.task import LapTask
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Progress, Reason
from everreel.state.status import Status
from everreel.store.ports import ObjectStore

log = logging.getLogger(__name__)


def run_lap(
    order: LapOrder,
    *,
    open_source: OpenSource,
    store: ObjectStore,
    recordings: Recordings,
    bus: EventBus,
    clock: Clock,
    settings: LapSettings,
    deadline_s: float,
    request_id: str,
    task: LapTask | None = None,
) -> Outcome:
    """Record until stop, idle time, a limit or a failure; then drain and close the lap.

    Args:
        order: which lap this is; a duplicate or late order ends at once without a trace.
        open_source: opens a recording's source through the guard.
        store: the bucket.
        recordings: the state table.
        bus: where events go.
        clock: time.
        settings: the deployment's choices.
        deadline_s: `clock.monotonic()` at which the function is killed.
        request_id: of the invocation.
        task: tells whoever waits for the lap that it lives, and at last that it has ended.
    """
    try:
        recording = recordings.claim(order.sid, order.lane, order.lap, request_id, clock.utc_us())
    except FenceLost as lost:
        log.warning("not our lap: %s", lost.message)
        return Outcome(order.sid, Reason.FAULT, None, Progress(Status.STARTING), fenced=True)
    publisher = Publisher(recording, order, store=store, recordings=recordings, bus=bus)
    loop = Loop(
        recording, order, open_source, publisher, recordings, clock, settings, deadline_s, task
    )
    outcome = loop.run()
    if outcome.fenced:
        return outcome
    try:
        _close(outcome, order, recordings, bus, clock)
    except FenceLost as lost:
        log.warning("buried before it could end: %s", lost.message)
        return replace(outcome, fenced=True)
    if task is not None:
        task.end(outcome.reason.value)
    return outcome


def _close(
    outcome: Outcome, order: LapOrder, recordings: Recordings, bus: EventBus, clock: Clock
) -> None:
    """Write down how the lap ended, then tell the bus: the row is the truth, the event a hint."""
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
