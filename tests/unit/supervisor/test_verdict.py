"""The supervisor's policy: every status, every lap, every age of a beat; and its timetable."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import MICROSECONDS
from everreel.state.recording import Lap, LapState, Mode, Options, Progress, Recording
from everreel.state.status import LIVE, Status
from everreel.supervisor.backoff import (
    ABANDONED_S,
    BETWEEN_S,
    CONFIRM_S,
    CONFIRMED_WITHIN_S,
    MOST_LOOKS,
    STEADY_S,
    SUSPECT_S,
    wait_s,
)
from everreel.supervisor.relay import PULSE_LOST_S
from everreel.supervisor.verdict import (
    LONGEST_LAP_S,
    Action,
    Watch,
    in_question,
    judge,
)

SID = "0" * 32
T0 = 1_767_225_600_000_000
BEAT_AGES_S = (None, 0, 3, PULSE_LOST_S - 1, PULSE_LOST_S, PULSE_LOST_S + 1, 60, 900)
SUSPICIONS = (0, 1, 2, 3, 4)


def recording(status: Status, *, sealed: bool = False, max_idle_s: int = 30) -> Recording:
    return Recording(
        sid=SID,
        app="app",
        channel="lobby",
        uid="1",
        recorder_uid="recorder",
        resource_id="ticket",
        source="rtmp://media.example/live/x",
        mode=Mode.INDIVIDUAL,
        options=Options(max_idle_s=max_idle_s),
        status=status,
        created_utc_us=T0,
        sealed_utc_us=T0 if sealed else 0,
    )


def lap(state: LapState, beat_utc_us: int, invoked_utc_us: int = T0) -> Lap:
    return Lap(SID, "a", 1, state, "r", invoked_utc_us, beat_utc_us, Progress(Status.STARTING))


def us(seconds: float) -> int:
    return round(seconds * MICROSECONDS)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("state", [None, *LapState])
def test_verdict_when_every_case_is_judged_then_follows_the_rule(
    status: Status, state: LapState | None
) -> None:
    cases = product(BEAT_AGES_S, (1, 89, 90, 500, 961), SUSPICIONS, (False, True))
    for beat_age_s, age_s, suspicion, sealed in cases:
        now_us = T0 + us(age_s)
        beat_us = 0 if beat_age_s is None else max(0, now_us - us(beat_age_s))
        laps = [] if state is None else [lap(state, beat_us)]
        watch = Watch(SID, looks=3, suspicion=suspicion, beat_utc_us=beat_us)
        verdict, seen = judge(watch, recording(status, sealed=sealed), laps, now_us)
        if sealed:
            expected = Action.DONE
        elif status not in LIVE:
            expected = Action.SEAL
        elif state in {None, LapState.INVOKED}:
            expected = Action.BURY if age_s >= CONFIRMED_WITHIN_S else Action.WAIT
        elif state is not LapState.RUNNING:
            # Invoked at T0 and ended: nobody has started another one since.
            expected = Action.GIVE_UP if age_s > ABANDONED_S else Action.WAIT
        else:
            silent = now_us - beat_us > us(PULSE_LOST_S) and suspicion >= len(SUSPECT_S)
            expected = Action.BURY if silent or age_s > LONGEST_LAP_S else Action.WAIT
        case = f"beat {beat_age_s} s ago, {age_s} s old, suspicion {suspicion}"
        assert verdict.action is expected, case
        assert (verdict.wait_s > 0) == (expected is Action.WAIT), case
        assert verdict.why
        assert seen.looks == 4


@pytest.mark.parametrize("status", Status)
def test_verdict_when_an_execution_is_long_then_another_goes_on(status: Status) -> None:
    beating = [lap(LapState.RUNNING, T0)]
    before, _ = judge(Watch(SID, looks=MOST_LOOKS - 2), recording(status), beating, T0 + us(1))
    after, _ = judge(Watch(SID, looks=MOST_LOOKS - 1), recording(status), beating, T0 + us(1))
    assert before.action is not Action.RENEW
    assert after.action is (Action.RENEW if status in LIVE else Action.SEAL)


def test_verdict_when_between_two_laps_then_waits_for_the_lanes_and_then_gives_up() -> None:
    over = replace(lap(LapState.ENDED, T0 + us(99)), ended_utc_us=T0 + us(100))
    for age_s, expected in ((101, Action.WAIT), (700, Action.WAIT), (701, Action.GIVE_UP)):
        watch = Watch(SID, looks=9, steady=4)
        verdict, seen = judge(watch, recording(Status.IN_PROGRESS), [over], T0 + us(age_s))
        assert verdict.action is expected
        assert verdict.wait_s == (BETWEEN_S if expected is Action.WAIT else 0)
        assert seen.steady in {0, 4}


def test_lap_in_question_when_several_run_then_the_one_without_a_pulse() -> None:
    silent = replace(lap(LapState.RUNNING, T0), lane="b")
    well = lap(LapState.RUNNING, T0 + us(20))
    late = replace(lap(LapState.INVOKED, 0), lane="c")
    ended = replace(lap(LapState.ENDED, T0), lane="d")
    now_us = T0 + us(21)
    assert in_question([silent, well, ended], now_us) == silent
    assert in_question([ended, well, late], now_us) == well
    assert in_question([well, late], T0 + us(CONFIRMED_WITHIN_S)) == late
    assert in_question([], now_us) is None


@given(
    status=st.sampled_from(Status),
    state=st.sampled_from([None, *LapState]),
    now_s=st.integers(0, 100_000),
    beat_s=st.integers(-5, 100_000),
    watch=st.builds(
        Watch,
        st.just(SID),
        looks=st.integers(0, 3000),
        steady=st.integers(0, 500),
        suspicion=st.integers(0, 10),
        beat_utc_us=st.one_of(st.just(0), st.integers(T0, T0 + us(1000))),
    ),
)
def test_verdict_when_anything_is_seen_then_waits_at_most_two_minutes(
    status: Status, state: LapState | None, now_s: int, beat_s: int, watch: Watch
) -> None:
    laps = [] if state is None else [lap(state, T0 + us(beat_s))]
    verdict, seen = judge(watch, recording(status), laps, T0 + us(now_s))
    longest = max(*CONFIRM_S, *STEADY_S, *SUSPECT_S)
    assert verdict.wait_s <= longest
    assert verdict.wait_s > 0 or verdict.action is not Action.WAIT
    assert seen.sid == SID


def test_steady_lap_when_it_beats_well_then_looks_grow_rare() -> None:
    watch, waits = Watch(SID), []
    for at_s in range(0, 600, 100):
        beating = lap(LapState.RUNNING, T0 + us(at_s))
        verdict, watch = judge(watch, recording(Status.IN_PROGRESS), [beating], T0 + us(at_s + 1))
        waits.append(verdict.wait_s)
    assert waits == [60, 60, 90, 120, 180, 300]


def test_suspicion_when_a_beat_comes_then_is_forgotten() -> None:
    running = recording(Status.IN_PROGRESS)
    silent = lap(LapState.RUNNING, T0)
    _, watch = judge(Watch(SID), running, [silent], T0 + us(20))
    _, watch = judge(watch, running, [silent], T0 + us(25))
    assert watch.suspicion == 2
    _, watch = judge(watch, running, [lap(LapState.RUNNING, T0 + us(30))], T0 + us(35))
    assert watch.suspicion == 0
    _, watch = judge(watch, running, [lap(LapState.RUNNING, T0 + us(40))], T0 + us(60))
    assert watch.suspicion == 1


def test_suspicion_when_another_beat_is_missed_then_begins_anew() -> None:
    running = recording(Status.IN_PROGRESS)
    watch = Watch(SID, suspicion=3, beat_utc_us=T0)
    verdict, watch = judge(watch, running, [lap(LapState.RUNNING, T0 + us(1))], T0 + us(30))
    assert verdict.action is Action.WAIT
    assert watch.suspicion == 1


def test_idle_limit_when_short_then_looks_come_before_it() -> None:
    waiting = recording(Status.STARTING, max_idle_s=5)
    watch = Watch(SID, looks=7)
    verdict, _ = judge(watch, waiting, [lap(LapState.RUNNING, T0 + us(60))], T0 + us(61))
    assert verdict.wait_s <= 5


def test_wait_when_the_schedule_is_used_up_then_repeats_its_last() -> None:
    assert [wait_s((1, 2, 3), step) for step in range(5)] == [1, 2, 3, 3, 3]
    assert sum(CONFIRM_S) == CONFIRMED_WITHIN_S
