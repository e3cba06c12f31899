"""The supervisor's judgement: from what a look saw to what the state machine does next. Pure.

The query is the truth: a verdict follows from the rows alone, so notices may come in any order,
twice or never. The state machine carries a `Watch` between looks and does as the verdict says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from everreel.clock import MICROSECONDS
from everreel.state.recording import Lap, LapState, Recording
from everreel.state.status import LIVE, Status
from everreel.supervisor.backoff import (
    ABANDONED_S,
    BETWEEN_S,
    CONFIRM_S,
    CONFIRMED_WITHIN_S,
    MOST_LOOKS,
    STEADY_S,
    STOPPING_S,
    SUSPECT_S,
    wait_s,
)
from everreel.supervisor.relay import is_lost

LONGEST_LAP_S = 900 + 60
"""Nothing runs longer than a function's fifteen minutes; the minute is for the queue before it."""


class Action(StrEnum):
    """What the state machine does next."""

    WAIT = "wait"
    BURY = "bury"
    GIVE_UP = "give_up"
    RENEW = "renew"
    SEAL = "seal"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is carried from look to look.

    Attributes:
        sid: the recording.
        looks: made so far.
        steady: looks in a row at a lap that beats.
        suspicion: looks in a row that found no new beat.
        beat_utc_us: the beat that is suspected to be the last one.
    """

    sid: str
    looks: int = 0
    steady: int = 0
    suspicion: int = 0
    beat_utc_us: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, after how many seconds to look again, and why in a few words."""

    action: Action
    wait_s: int
    why: str


def judge(
    watch: Watch, recording: Recording | None, laps: Sequence[Lap], now_us: int
) -> tuple[Verdict, Watch]:
    """Judge one look.

    Units: `now_us` is UTC in microseconds since the epoch.
    """
    seen = replace(watch, looks=watch.looks + 1)
    if recording is None:
        return _judge_absence(seen)
    if recording.sealed_utc_us:
        return Verdict(Action.DONE, 0, "sealed"), seen
    if recording.status not in LIVE:
        return Verdict(Action.SEAL, 0, f"status {recording.status.value}: ready to seal"), seen
    if seen.looks >= MOST_LOOKS:
        return Verdict(Action.RENEW, 0, "another execution goes on"), seen
    lap = in_question(laps, now_us)
    if lap is None or lap.state is LapState.INVOKED:
        since_us = recording.created_utc_us if len(laps) < 2 or lap is None else lap.invoked_utc_us
        return _judge_start(seen, since_us, now_us)
    if lap.state is not LapState.RUNNING:
        return _judge_between(seen, laps, now_us)
    return _judge_pulse(seen, recording, lap, now_us)


def in_question(laps: Sequence[Lap], now_us: int) -> Lap | None:
    """Pick the lap that a look judges: one without a pulse before one that is well."""
    lost = [lap for lap in laps if lap.state is LapState.RUNNING and is_lost(lap, now_us)]
    late_us = now_us - CONFIRMED_WITHIN_S * MICROSECONDS
    late = [lap for lap in laps if lap.state is LapState.INVOKED and lap.invoked_utc_us <= late_us]
    running = [lap for lap in laps if lap.state is LapState.RUNNING]
    return next(iter([*late, *lost, *reversed(running), *reversed(laps)]), None)


def _judge_between(watch: Watch, laps: Sequence[Lap], now_us: int) -> tuple[Verdict, Watch]:
    """No lap is open: the lanes start another one, or the recording's row follows in a moment."""
    since_us = max(max(lap.ended_utc_us, lap.invoked_utc_us) for lap in laps)
    if now_us - since_us > ABANDONED_S * MICROSECONDS:
        return Verdict(Action.GIVE_UP, 0, f"no lap for {ABANDONED_S} s"), watch
    watch = replace(watch, steady=0)
    return Verdict(Action.WAIT, BETWEEN_S, "between two laps"), watch


def _judge_absence(watch: Watch) -> tuple[Verdict, Watch]:
    """Supervision begins before the row is written: a start that was refused leaves none."""
    if watch.suspicion >= len(SUSPECT_S):
        return Verdict(Action.DONE, 0, "there is no such recording, confirmed"), watch
    pause_s = wait_s(SUSPECT_S, watch.suspicion)
    watch = replace(watch, suspicion=watch.suspicion + 1)
    return Verdict(Action.WAIT, pause_s, f"no such recording, look {watch.suspicion}"), watch


def _judge_start(watch: Watch, since_us: int, now_us: int) -> tuple[Verdict, Watch]:
    """The invocation has not shown itself yet."""
    age_s = (now_us - since_us) / MICROSECONDS
    if age_s >= CONFIRMED_WITHIN_S:
        return Verdict(Action.BURY, 0, f"no sign of life {CONFIRMED_WITHIN_S} s after start"), watch
    pause_s = min(wait_s(CONFIRM_S, watch.looks), max(1, round(CONFIRMED_WITHIN_S - age_s)))
    return Verdict(Action.WAIT, pause_s, "waiting for the recorder to start"), watch


def _judge_pulse(
    watch: Watch, recording: Recording, lap: Lap, now_us: int
) -> tuple[Verdict, Watch]:
    """A lap runs: does it beat, and how soon should it be looked at again?"""
    if now_us - lap.invoked_utc_us > LONGEST_LAP_S * MICROSECONDS:
        return Verdict(Action.BURY, 0, "older than a function can be"), watch
    if is_lost(lap, now_us):
        known = lap.beat_utc_us == watch.beat_utc_us
        suspicion = watch.suspicion + 1 if known else 1
        watch = replace(watch, suspicion=suspicion, steady=0, beat_utc_us=lap.beat_utc_us)
        if suspicion > len(SUSPECT_S):
            return Verdict(Action.BURY, 0, "no pulse, confirmed"), watch
        pause_s = wait_s(SUSPECT_S, suspicion - 1)
        return Verdict(Action.WAIT, pause_s, f"no pulse, look {suspicion}"), watch
    watch = replace(watch, suspicion=0, beat_utc_us=lap.beat_utc_us)
    if recording.status is Status.STOP_REQUESTED:
        return Verdict(Action.WAIT, STOPPING_S, "stopping"), replace(watch, steady=0)
    if recording.status < Status.READY:
        pause_s = wait_s(CONFIRM_S, watch.looks)
        limit_s = max(1, recording.options.max_idle_s - 1)
        return Verdict(Action.WAIT, min(pause_s, limit_s), "waiting for media"), watch
    pause_s = wait_s(STEADY_S, watch.steady)
    return Verdict(Action.WAIT, pause_s, "recording"), replace(watch, steady=watch.steady + 1)
