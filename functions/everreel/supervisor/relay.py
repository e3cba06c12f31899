"""When the next lap of a lane starts, beside whom and why. Pure.

Laps follow each other at a fixed distance, each on the lane that has been idle for longest, so
that as many record at any time as the recording's reliability wants. No lap starts its successor:
the machine of each lane asks here, and the answer follows from the rows alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from everreel.clock import MICROSECONDS
from everreel.state.recording import (
    FIRST_LANE,
    PASSING_REASONS,
    UNKNOWN,
    Lap,
    LapOrder,
    LapOrigin,
    LapState,
    Recording,
)
from everreel.state.status import LIVE, Status
from everreel.supervisor.backoff import (
    CONFIRMED_WITHIN_S,
    MOST_FAILURES,
    RESTART_S,
    TRIES_PER_UID,
    wait_s,
)

PULSE_LOST_S = 15
"""A lap beats every 3 s: five beats missing is no jitter."""

SILENT_S = 10
"""The same for a lap whose task has heard nothing for as long as a task waits."""

SHOW_UP_S = 25
"""A lap that was invoked and not seen for so long is given up for another.

Less than two heartbeats of a task (15 s each): the second that is missed decides, not the third.
"""

DOOR_S = 5
"""The door that starts a recording invokes its first lap; only if it died on the way, a lane."""

IN_TURN_S = 10
"""Between the times at which idle lanes step in one after the other, each if the last did not."""

LONGEST_WAIT_S = 900
"""No lane waits longer than a lap lasts before it looks again."""

DIED = "LapDied"
"""Error of a task whose lap's invocation is known to have failed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a lap records, and for how long two record side by side at a hand-over. Seconds."""

    lap_s: float
    overlap_s: float

    def period_us(self, width: int) -> int:
        """Return the time from one lap's start to the next, microseconds."""
        return max(1, self.alone_us // width)

    @property
    def alone_us(self) -> int:
        """Return for how long a lap records before another has to relieve it, microseconds."""
        return round((self.lap_s - self.overlap_s) * MICROSECONDS)


class Act(StrEnum):
    """What a lane does next."""

    RUN = "run"
    WAIT = "wait"
    BURY = "bury"
    GIVE_UP = "give_up"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a lane.

    Attributes:
        act: what to do.
        why: in a few words, for whoever reads the machine.
        wait_s: for WAIT.
        order: for RUN: the lap to run, or one that runs and nobody waits for.
        origin: for RUN: why it was started.
        lap: for BURY: whom.
    """

    act: Act
    why: str
    wait_s: int = 0
    order: LapOrder | None = None
    origin: LapOrigin = UNKNOWN
    lap: Lap | None = None


def next_step(
    lane: str, recording: Recording, laps: Sequence[Lap], now_us: int, pace: Pace, lost: str = ""
) -> Step:
    """Tell what a lane does next.

    Args:
        lane: which one.
        recording: its row.
        laps: the newest laps of each lane, oldest first.
        now_us: UTC, microseconds since the epoch.
        pace: of the laps.
        lost: error with which the task of the lane's newest lap ended, "" if it did not fail.
    """
    if recording.status not in LIVE:
        return Step(Act.DONE, "the recording has ended")
    own = _newest(laps, lane)
    if own is not None and own.open:
        return _tend(recording, own, now_us, lost)
    if recording.status is Status.STOP_REQUESTED:
        return Step(Act.DONE, "the recording is stopping")
    if not laps:
        return _first(lane, recording, now_us)
    return _Turn(lane, recording, laps, own, now_us, pace).step()


def is_lost(lap: Lap, now_us: int) -> bool:
    """Tell whether a running lap's pulse is missing."""
    return now_us - lap.beat_utc_us > PULSE_LOST_S * MICROSECONDS


def _newest(laps: Sequence[Lap], lane: str) -> Lap | None:
    # By number: the clocks of two functions may differ, numbers only grow.
    return max((lap for lap in laps if lap.lane == lane), key=lambda lap: lap.lap, default=None)


def _tend(recording: Recording, own: Lap, now_us: int, lost: str) -> Step:
    """The lane's lap is open: wait for its task, unless it is dead."""
    silent_s = (now_us - max(own.invoked_utc_us, own.beat_utc_us)) / MICROSECONDS
    if lost == DIED:
        return Step(Act.BURY, "its invocation failed", lap=own)
    if lost and silent_s > SILENT_S:
        # One that is only slow to start is fenced, and leaves: another may be here sooner.
        return Step(Act.BURY, f"its task ended with {lost}", lap=own)
    if lost and own.state is LapState.INVOKED and not own.request_id:
        return Step(Act.WAIT, f"it could not be invoked: {lost}", wait_s=1)
    if own.state is LapState.RUNNING and is_lost(own, now_us):
        return Step(Act.BURY, "it does not beat any more", lap=own)
    if own.state is LapState.INVOKED and silent_s > SHOW_UP_S:
        return Step(Act.BURY, "it was never seen", lap=own)
    known = own.origin
    order = LapOrder(
        recording.sid, own.lane, own.lap, known.follows, known.relieves, known.recorder_uid
    )
    return Step(Act.RUN, "it is under way", order=order, origin=known)


def _first(lane: str, recording: Recording, now_us: int) -> Step:
    """Nothing was ever invoked: that is the door's to do, and the first lane's if it died."""
    late_us = recording.created_utc_us + DOOR_S * MICROSECONDS - now_us
    if lane != FIRST_LANE or late_us > 0:
        return Step(Act.WAIT, "waiting for the first lap", wait_s=1)
    order = LapOrder(recording.sid, lane, max(1, recording.fence.get(lane, 0)))
    why = "nobody started the first lap"
    return Step(Act.RUN, why, order=order, origin=LapOrigin(why))


class _Turn:
    """The case of an idle lane."""

    def __init__(
        self,
        lane: str,
        recording: Recording,
        laps: Sequence[Lap],
        own: Lap | None,
        now_us: int,
        pace: Pace,
    ) -> None:
        self._lane = lane
        self._recording = recording
        self._laps = laps
        self._own = own
        self._now_us = now_us
        self._reliability = recording.options.reliability
        self._width = self._reliability.width
        self._pace = pace
        self._live = [lap for lap in laps if lap.open and lap.lane != lane and self._is_well(lap)]

    def _is_well(self, lap: Lap) -> bool:
        if lap.state is LapState.RUNNING:
            return not is_lost(lap, self._now_us)
        return self._now_us - lap.invoked_utc_us <= SHOW_UP_S * MICROSECONDS

    def step(self) -> Step:
        """Tell what the lane does."""
        own, live = self._own, self._live
        if self._never_started():
            why = f"no sign of life {CONFIRMED_WITHIN_S} s after the start"
            return Step(Act.GIVE_UP, why)
        if live and not any(lap.beat_utc_us for lap in self._laps):
            return Step(Act.WAIT, "waiting for the first lap to begin", wait_s=1)
        if len(self._laps) == 1 and self._turn_us():
            # Its start may have taken long: a turn counts from now, when the one before has its.
            return Step(Act.WAIT, "another lane goes first", wait_s=IN_TURN_S)
        if own is not None and own.failed:
            return self._take_over(own)
        if len(live) >= self._width:
            return self._at(self._planned_us(), "planned", 0)
        if own is not None and not live:
            return self._wait_for_end(own)
        moved_us = max(max(lap.invoked_utc_us, lap.ended_utc_us) for lap in self._laps)
        return self._at(moved_us + self._turn_us(), "one more is to record", 0)

    def _never_started(self) -> bool:
        """Tell whether laps are invoked and none was ever seen."""
        age_us = self._now_us - self._recording.created_utc_us
        seen = any(lap.beat_utc_us for lap in self._laps)
        waiting = self._recording.status is Status.STARTING and not self._live
        return waiting and not seen and age_us >= CONFIRMED_WITHIN_S * MICROSECONDS

    def _take_over(self, own: Lap) -> Step:
        did = own.progress  # laps beside it may have stored every bucket that it built
        worked = did.segments > 0 or did.open_k > did.entered_k >= 0
        attempt = 1 if worked else own.origin.attempt + 1
        if attempt > MOST_FAILURES and not self._live:
            return Step(Act.GIVE_UP, f"{MOST_FAILURES} laps failed in a row")
        why = f"takeover: {own.name} {own.reason.value if own.reason else 'failed'}"
        due_us = own.ended_utc_us + wait_s(RESTART_S, attempt - 1) * MICROSECONDS
        # If it failed beside as many as are to record, the next one is due by the clock: at once if
        # it was to relieve one of them.
        if len(self._staying()) >= self._width and (planned_us := self._planned_us()) > due_us:
            return self._at(planned_us, "planned", 0)
        return self._at(due_us, why, attempt)

    def _staying(self) -> list[Lap]:
        """Return the laps that record on: one that another relieves is about to leave."""
        relieved = {lap.origin.follows for lap in self._live if lap.origin.relieves}
        return [lap for lap in self._live if lap.name not in relieved]

    def _planned_us(self) -> int:
        """Return when the next lap is due: a period after the newest that did not fail.

        It is due earlier where deaths have upset the order, so that the oldest would reach its end
        before somebody relieves it.
        """
        newest_us = max(lap.invoked_utc_us for lap in self._laps if not lap.failed)
        due_us = newest_us + self._pace.period_us(self._width)
        oldest_us = min((lap.invoked_utc_us for lap in self._staying()), default=newest_us)
        return min(due_us, oldest_us + self._pace.alone_us) + self._turn_us()

    def _wait_for_end(self, own: Lap) -> Step:
        """Our lap ended in order and nobody else is well.

        If all laps have ended and the last one merely passed, nobody started the next: that is for
        us to do. Else another lane's lap is dead, which is for that lane to mend, and for us only
        if it does not; or the recording ends, which its row says in a moment.
        """
        others = [lap for lap in self._laps if lap.lane != self._lane]
        moved_us = max(max(lap.beat_utc_us, lap.ended_utc_us) for lap in [own, *others])
        last = max([own, *others], key=lambda lap: lap.ended_utc_us)
        passed = last.reason in PASSING_REASONS and not last.failed
        alone = passed and not any(lap.open for lap in others)
        patience_s = 0 if alone else SHOW_UP_S + PULSE_LOST_S
        due_us = moved_us + patience_s * MICROSECONDS + self._turn_us()
        return self._at(due_us, "takeover: no lap records", 0)

    def _turn_us(self) -> int:
        """Return how long this lane leaves the turn to those that come before it."""
        lanes = [lane for lane in self._reliability.lanes if not self._is_busy(lane)]
        lanes.sort(key=self._rank)
        place = lanes.index(self._lane) if self._lane in lanes else len(lanes)
        wanted = max(1, self._width - len(self._live))
        return max(0, place - wanted + 1) * IN_TURN_S * MICROSECONDS

    def _is_busy(self, lane: str) -> bool:
        newest = _newest(self._laps, lane)
        return newest is not None and newest.open

    def _rank(self, lane: str) -> tuple[bool, int, str]:
        newest = _newest(self._laps, lane)
        failed = newest is not None and newest.failed
        return not failed, newest.invoked_utc_us if newest else 0, lane

    def _at(self, due_us: int, why: str, attempt: int) -> Step:
        left_s = ceil((due_us - self._now_us) / MICROSECONDS)
        if left_s > 0:
            return Step(Act.WAIT, f"next: {why}", wait_s=min(left_s, LONGEST_WAIT_S))
        follows, relieves = self._beside_whom()
        uid = self._uid(attempt)
        sid, lane = self._recording.sid, self._lane
        used = self._own.lap if self._own is not None else 0
        number = max(used + 1, self._recording.fence.get(lane, 0))
        return Step(
            Act.RUN,
            why,
            order=LapOrder(sid, lane, number, follows, relieves, uid),
            origin=LapOrigin(why, follows, relieves, attempt, uid),
        )

    def _beside_whom(self) -> tuple[str, bool]:
        """Return the lap by which the new one finds its place, and whether that one then leaves.

        The oldest that records is the one to leave; of laps that are gone, the one that got
        farthest knows best. Only a lap that follows nobody begins the recording without a look
        beside it, so it is named even if it got nowhere: two may replace it.
        """
        well = [lap for lap in self._live if lap.state is LapState.RUNNING]
        if well:
            return well[0].name, len(well) >= self._width
        seen = [lap for lap in self._laps if lap.beat_utc_us]
        farthest = max(seen, key=_how_far, default=None)
        return ("" if farthest is None else farthest.name), False

    def _uid(self, attempt: int) -> str:
        turns = attempt // TRIES_PER_UID
        return self._recording.backup_recorder_uid if turns % 2 else ""


def _how_far(lap: Lap) -> tuple[int, int]:
    return lap.progress.received_us, lap.invoked_utc_us
