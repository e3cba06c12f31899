"""When the next lap of a recording starts, and after whom. Pure: the state machine's clock decides.

Lanes alternate, so that the fence of the new lap never touches the one that leaves. No lap starts
its successor: the looks do, whichever comes at or after the planned instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from everreel.clock import MICROSECONDS
from everreel.state.recording import Lap, LapOrder, LapState, Recording
from everreel.state.status import LIVE, Status

LANES = "ab"

PULSE_LOST_S = 15
"""A lap beats every 3 s: five beats missing is no jitter."""

SHOW_UP_S = 30
"""A successor that was invoked and not seen for so long is given up for another."""

REPEAT_S = 5
"""A successor that was noted and never invoked (its look died between) is invoked again."""


@dataclass(frozen=True, slots=True)
class Start:
    """A lap to start at `at_us` (UTC, microseconds since the epoch) or as soon after as possible.

    Attributes:
        order: what the lap is told.
        why: in a few words.
    """

    order: LapOrder
    at_us: int
    why: str


def plan(recording: Recording, laps: Sequence[Lap], now_us: int, period_s: int) -> Start | None:
    """Tell which lap starts next and when; None if none is to be started as things stand.

    Args:
        recording: its row.
        laps: its laps, oldest first.
        now_us: UTC, microseconds since the epoch.
        period_s: seconds from a lap's invocation to its successor's; 0 for no relay.
    """
    if not period_s or recording.status not in LIVE or recording.status is Status.STOP_REQUESTED:
        return None
    running = [lap for lap in laps if lap.state is LapState.RUNNING]
    if not running:
        return None
    base = running[-1]
    at_us = base.invoked_utc_us + period_s * MICROSECONDS
    why = "its time is nearly up"
    if all(is_lost(lap, now_us) for lap in running):
        at_us, why = min(at_us, now_us), "it does not beat any more"
    lane = LANES[1 - LANES.index(base.lane)]
    pending = [lap for lap in laps if lap.state is LapState.INVOKED and lap.lane == lane]
    if pending:
        known = pending[-1]
        if not known.request_id:
            again_us = known.invoked_utc_us + REPEAT_S * MICROSECONDS
            return Start(_order(recording, lane, known.lap, base), again_us, "it was not invoked")
        at_us = max(at_us, known.invoked_utc_us + SHOW_UP_S * MICROSECONDS)
    used = max((lap.lap for lap in laps if lap.lane == lane), default=0)
    number = max(used + 1, recording.fence.get(lane, 0))
    return Start(_order(recording, lane, number, base), at_us, f"{base.name}: {why}")


def is_lost(lap: Lap, now_us: int) -> bool:
    """Tell whether a running lap's pulse is missing."""
    return now_us - lap.beat_utc_us > PULSE_LOST_S * MICROSECONDS


def _order(recording: Recording, lane: str, number: int, base: Lap) -> LapOrder:
    return LapOrder(recording.sid, lane, number, follows=base.name)
