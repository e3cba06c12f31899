"""One look at a recording: read the rows, judge, and bury a lap that died."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Protocol

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError, FenceLost
from everreel.events.ports import Event, EventBus, Happening
from everreel.state.ports import Recordings
from everreel.state.recording import FIRST_LANE, Failure, Lap, LapOrder, ProviderName, Recording
from everreel.state.status import LIVE
from everreel.supervisor.backoff import STOPPING_S, SUSPECT_S
from everreel.supervisor.elsewhere import Elsewhere
from everreel.supervisor.relay import plan
from everreel.supervisor.verdict import Action, Verdict, Watch, in_question, judge

log = logging.getLogger(__name__)

UNBORN = (FIRST_LANE, 1, 0)
"""The lap that a start meant to queue and never noted."""


class Starter(Protocol):
    """Runs laps."""

    def invoke_lap(self, order: LapOrder) -> str:
        """Queue a recorder invocation; return its request id at once.

        Raises: ServiceUnavailable, after which the same call may be made again; ServiceFault.
        """
        ...


def look(
    watch: Watch,
    *,
    recordings: Recordings,
    bus: EventBus,
    clock: Clock,
    starter: Starter | None = None,
    period_s: int = 0,
    elsewhere: Elsewhere | None = None,
) -> tuple[Verdict, Watch]:
    """Look at the recording of `watch`; the answer's action is wait, seal or done.

    One that runs at a vendor is looked at through `elsewhere`.

    With a `starter`, every `period_s` seconds the next lap is started, and at once when the running
    one does not beat any more.
    Raises: StateUnavailable, ServiceFault; the state machine retries it.
    """
    recording = recordings.find(watch.sid)
    if recording is not None and recording.provider is not ProviderName.EVERREEL and elsewhere:
        return elsewhere.look(recording), replace(watch, looks=watch.looks + 1)
    laps = recordings.laps(watch.sid) if recording is not None else []
    due_s: float | None = None
    if recording is not None and starter is not None:
        due_s = _relay(recording, laps, recordings, clock, starter, period_s)
    verdict, watch = judge(watch, recording, laps, clock.utc_us())
    log.info("look %d: %s, %s", watch.looks, verdict.action.value, verdict.why)
    if verdict.action is Action.WAIT and due_s is not None:
        return replace(verdict, wait_s=min(verdict.wait_s, max(1, ceil(due_s)))), watch
    if verdict.action is not Action.BURY:
        return verdict, watch
    lap = in_question(laps, clock.utc_us())
    place = (lap.lane, lap.lap, lap.beat_utc_us) if lap is not None else UNBORN
    if not _bury(watch.sid, place, verdict.why, recordings, bus, clock):
        return Verdict(Action.WAIT, SUSPECT_S[0], "it moved while it was being buried"), watch
    after = recordings.find(watch.sid)
    if after is not None and after.status in LIVE:
        return Verdict(Action.WAIT, STOPPING_S, "buried; another lap records on"), watch
    return Verdict(Action.SEAL, 0, verdict.why), watch


def _relay(
    recording: Recording,
    laps: Sequence[Lap],
    recordings: Recordings,
    clock: Clock,
    starter: Starter,
    period_s: int,
) -> float | None:
    """Start the next lap if it is due; return in how many seconds one will be, None if unknown."""
    now_us = clock.utc_us()
    start = plan(recording, laps, now_us, period_s)
    if start is None:
        return None
    if start.at_us > now_us:
        return (start.at_us - now_us) / MICROSECONDS
    order = start.order
    log.info("starting lap %s after %s", order.name, start.why)
    try:
        recordings.invoked(order.sid, order.lane, order.lap, "", now_us)
        request_id = starter.invoke_lap(order)
        recordings.invoked(order.sid, order.lane, order.lap, request_id, now_us)
    except FenceLost as lost:
        log.info("no lap is wanted any more: %s", lost.message)
        return None
    return float(SUSPECT_S[0])


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
