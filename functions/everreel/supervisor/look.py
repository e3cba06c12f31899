"""One look at a recording: read the rows, judge, and bury a lap that died."""

import logging
from dataclasses import replace

from everreel.clock import Clock
from everreel.events.ports import EventBus
from everreel.state.ports import Recordings
from everreel.state.recording import FIRST_LANE, ProviderName, Recording
from everreel.state.status import LIVE
from everreel.supervisor.backoff import MOST_LOOKS, STOPPING_S, SUSPECT_S
from everreel.supervisor.bury import bury, give_up
from everreel.supervisor.elsewhere import Elsewhere
from everreel.supervisor.verdict import Action, Verdict, Watch, in_question, judge

log = logging.getLogger(__name__)

UNBORN = (FIRST_LANE, 1, 0)
"""The lap that a start meant to queue and never noted."""


def look(
    watch: Watch,
    *,
    recordings: Recordings,
    bus: EventBus,
    clock: Clock,
    elsewhere: Elsewhere | None = None,
) -> tuple[Verdict, Watch]:
    """Look at the recording of `watch`; the answer's action is wait, seal, renew or done.

    Laps are planned by the machines of their lanes; the looks are the second witness. A recording
    at a vendor has no laps: `elsewhere` looks at it.
    Raises: StateUnavailable, ServiceFault; the state machine retries it.
    """
    sid = watch.sid
    recording = recordings.find(sid)
    if recording is not None and recording.provider is not ProviderName.EVERREEL and elsewhere:
        return _look_elsewhere(watch, recording, elsewhere)
    laps = recordings.recent_laps(sid) if recording is not None else []
    verdict, watch = judge(watch, recording, laps, clock.utc_us())
    log.info("look %d: %s, %s", watch.looks, verdict.action.value, verdict.why)
    if verdict.action is Action.BURY:
        lap = in_question(laps, clock.utc_us())
        place = (lap.lane, lap.lap, lap.beat_utc_us) if lap is not None else UNBORN
        if not bury(sid, place, verdict.why, recordings=recordings, bus=bus, clock=clock):
            return Verdict(Action.WAIT, SUSPECT_S[0], "it moved while it was being buried"), watch
    elif verdict.action is Action.GIVE_UP:
        give_up(sid, verdict.why, laps, recordings=recordings, bus=bus, clock=clock)
    else:
        return verdict, watch
    after = recordings.find(sid)
    if after is not None and after.status in LIVE:
        return Verdict(Action.WAIT, STOPPING_S, f"{verdict.why}; the recording goes on"), watch
    return Verdict(Action.SEAL, 0, verdict.why), watch


def _look_elsewhere(
    watch: Watch, recording: Recording, elsewhere: Elsewhere
) -> tuple[Verdict, Watch]:
    """Have a recording at a vendor looked at; a long one by one execution after another."""
    verdict, seen = elsewhere.look(recording), replace(watch, looks=watch.looks + 1)
    log.info("look %d: %s, %s", seen.looks, verdict.action.value, verdict.why)
    if verdict.action is Action.WAIT and seen.looks >= MOST_LOOKS:
        return Verdict(Action.RENEW, 0, "another execution goes on"), seen
    return verdict, seen
