"""One step of a lane's machine: plan its next lap, or start it and let the machine wait for it."""

import logging
from dataclasses import dataclass, replace

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import FenceLost, ServiceFault
from everreel.events.own import DeadLap
from everreel.events.ports import Event, EventBus, Happening
from everreel.state.lanes import Hold, Lanes
from everreel.state.ports import Recordings
from everreel.state.recording import (
    BY_THE_DOOR,
    Lap,
    LapOrder,
    LapOrigin,
    Recording,
)
from everreel.supervisor.backoff import STOPPING_S
from everreel.supervisor.bury import bury, give_up, tell
from everreel.supervisor.ports import Starter, Tasks
from everreel.supervisor.relay import DIED, DOOR_S, Act, Pace, Step, next_step

log = logging.getLogger(__name__)

MOST_PLANS = 200
"""Of one execution, a day or two: then another goes on, as it may be deployed by then.

Each makes up to 16 events, and there is room for 25,000.
Source: AWS Step Functions quotas, "Maximum execution history size".
"""

ABSENT_S = (1, 2, 5, 10)
"""Between looks for a recording whose row is not there yet: its door writes it in a moment."""


@dataclass(frozen=True, slots=True)
class LaneWatch:
    """What the machine of a lane carries from step to step.

    Attributes:
        sid, lane: which lane.
        plans: made by this execution.
        absences: in a row in which there was no such recording.
    """

    sid: str
    lane: str
    plans: int = 0
    absences: int = 0


@dataclass(frozen=True, slots=True)
class LaneVerdict:
    """What the machine of a lane does next: run, wait, renew or done."""

    action: str
    wait_s: int
    why: str


class LaneKeeper:
    """Plans and starts the laps of lanes."""

    def __init__(
        self,
        *,
        recordings: Recordings,
        lanes: Lanes,
        starter: Starter,
        tasks: Tasks,
        bus: EventBus,
        clock: Clock,
        pace: Pace,
    ) -> None:
        """Keep the lanes of one deployment."""
        self._recordings = recordings
        self._lanes = lanes
        self._starter = starter
        self._tasks = tasks
        self._bus = bus
        self._clock = clock
        self._pace = pace

    def plan(self, watch: LaneWatch, owner: str, lost: str = "") -> tuple[LaneVerdict, LaneWatch]:
        """Tell the execution `owner` what to do; `lost` is how its last task failed.

        The first plan of an execution takes the lane, so of two executions the newer one goes on.
        Raises: StateUnavailable, ServiceFault; the machine tries again.
        """
        sid, lane = watch.sid, watch.lane
        seen = replace(watch, plans=watch.plans + 1)
        if watch.plans == 0:
            self._take(sid, lane, owner)
        elif not self._owns(sid, lane, owner):
            return LaneVerdict("done", 0, "another execution runs this lane"), seen
        recording = self._recordings.find(sid)
        if recording is None:
            return self._absent(seen)
        seen = replace(seen, absences=0)
        step = self._step(recording, lane, lost)
        if step.act is Act.GIVE_UP:
            if self._give_up(sid, step.why):
                return LaneVerdict("done", 0, step.why), seen
            return LaneVerdict("wait", STOPPING_S, f"{step.why}; a lap is still open"), seen
        if step.act is not Act.DONE and seen.plans >= MOST_PLANS:
            return LaneVerdict("renew", 0, "another execution goes on"), seen
        log.info("lane %s of %s: %s, %s", lane, sid, step.act.value, step.why)
        return LaneVerdict(step.act.value, step.wait_s, step.why), seen

    def start(self, watch: LaneWatch, owner: str, token: str) -> str:
        """Start the lap that is due, or adopt the one that runs; it ends the task of `token`.

        If there is nothing to start any more, the task ends at once. Returns the lap's name or "".
        Raises: StateUnavailable, ServiceUnavailable, ServiceFault; the machine plans again.
        """
        recording = self._recordings.find(watch.sid)
        step = None if recording is None else self._step(recording, watch.lane)
        if step is None or step.order is None or not self._owns(watch.sid, watch.lane, owner):
            self._tasks.succeed(token, {"ended": "" if step is None else step.why})
            return ""
        order = step.order
        try:
            self._launch(order, step.origin, Hold(owner, order.lap, token))
        except FenceLost as lost:
            self._tasks.succeed(token, {"ended": lost.message})
            return ""
        return order.name

    # ------------------------------------------------------------------ parts of a step

    def _take(self, sid: str, lane: str, owner: str) -> None:
        """Take the lane, and let the execution that had it go: its lap looks for our token then."""
        former = self._lanes.held(sid, lane)
        self._lanes.take(sid, lane, owner)
        if former is None or not former.token or former.owner == owner:
            return
        try:
            self._tasks.succeed(former.token, {"ended": "another execution runs this lane"})
        except ServiceFault as error:
            # It goes when the lap has ended; until then the lap beats for it and not for us.
            log.warning("the execution %s was not told: %s", former.owner, error.message)

    def _give_up(self, sid: str, why: str) -> bool:
        return give_up(
            sid,
            why,
            self._recordings.recent_laps(sid),
            recordings=self._recordings,
            bus=self._bus,
            clock=self._clock,
        )

    def _step(self, recording: Recording, lane: str, lost: str = "") -> Step:
        """Tell what is to be done, after burying who is dead."""
        sid = recording.sid
        laps = self._recordings.recent_laps(sid)
        step = next_step(lane, recording, laps, self._clock.utc_us(), self._pace, lost)
        if step.act is not Act.BURY or step.lap is None:
            return step
        dead = step.lap
        bury(
            sid,
            (dead.lane, dead.lap, dead.beat_utc_us),
            step.why,
            recordings=self._recordings,
            bus=self._bus,
            clock=self._clock,
        )
        recording = self._recordings.find(sid) or recording
        laps = self._recordings.recent_laps(sid)
        step = next_step(lane, recording, laps, self._clock.utc_us(), self._pace)
        if step.act is Act.BURY:  # it has moved, and fell silent again: the next plan sees to it
            return Step(Act.WAIT, "it moved while it was being buried", wait_s=1)
        return step

    def _launch(self, order: LapOrder, origin: LapOrigin, hold: Hold) -> None:
        now_us = self._clock.utc_us()
        place = (order.sid, order.lane, order.lap)
        self._recordings.invoked(*place, "", now_us, origin)
        if not self._lanes.hold(order.sid, order.lane, hold):
            raise FenceLost("another execution runs this lane")
        known = self._recordings.lap(*place)
        if known is not None and not known.open:
            raise FenceLost("it has ended before it knew of this task")
        if known is not None and self._is_queued(known, now_us):
            return
        request_id = self._starter.invoke_lap(order)
        self._recordings.invoked(*place, request_id, now_us)
        detail: dict[str, object] = {
            "lane": order.lane,
            "lap": order.lap,
            "follows": order.follows or None,
            "why": origin.why,
            "attempt": origin.attempt,
        }
        tell(self._bus, Event(Happening.LAP_STARTED, order.sid, detail))

    def _is_queued(self, lap: Lap, now_us: int) -> bool:
        """Tell whether somebody invoked a lap, or is just about to: the door notes its first."""
        young = now_us - lap.invoked_utc_us < DOOR_S * MICROSECONDS
        return bool(lap.request_id) or (young and lap.origin == BY_THE_DOOR)

    def _owns(self, sid: str, lane: str, owner: str) -> bool:
        held = self._lanes.held(sid, lane)
        return held is not None and held.owner == owner

    def _absent(self, watch: LaneWatch) -> tuple[LaneVerdict, LaneWatch]:
        """The machine begins before the row is written; a start that was refused leaves none."""
        if watch.absences >= len(ABSENT_S):
            return LaneVerdict("done", 0, "there is no such recording"), watch
        pause_s = ABSENT_S[watch.absences]
        later = replace(watch, absences=watch.absences + 1)
        return LaneVerdict("wait", pause_s, "no such recording yet"), later


def lap_died(dead: DeadLap, *, recordings: Recordings, lanes: Lanes, tasks: Tasks) -> bool:
    """End the task that waits for a lap whose invocation has failed; False if none waits.

    The machine of the lane then buries it. The news may come twice, late, about a lap that was
    replaced long ago, or about a duplicate of one that records: nothing is done then.
    Raises: StateUnavailable, ServiceUnavailable, ServiceFault.
    """
    lap = recordings.lap(dead.sid, dead.lane, dead.lap)
    if lap is None or not lap.open or lap.request_id not in {"", dead.request_id}:
        return False
    held = lanes.held(dead.sid, dead.lane)
    if held is None or held.lap != dead.lap or not held.token:
        return False
    return tasks.fail(held.token, DIED, dead.error or dead.condition)
