"""When the next lap of a lane starts, beside whom and why: every case, from the rows alone."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import MICROSECONDS
from everreel.state.recording import (
    NORMAL_REASONS,
    Lap,
    LapOrigin,
    LapState,
    Options,
    Progress,
    Reason,
    Recording,
    Reliability,
    parse_lap,
)
from everreel.state.status import LIVE, Status
from everreel.supervisor.backoff import CONFIRMED_WITHIN_S, MOST_FAILURES
from everreel.supervisor.relay import (
    DIED,
    DOOR_S,
    IN_TURN_S,
    LONGEST_WAIT_S,
    PULSE_LOST_S,
    SHOW_UP_S,
    SILENT_S,
    Act,
    Pace,
    Step,
    next_step,
)
from tests.unit.supervisor import test_verdict
from tests.unit.supervisor.test_verdict import SID, T0

PACE = Pace(lap_s=100, overlap_s=20)
ECONOMY, REDUNDANT = Reliability.ECONOMY, Reliability.REDUNDANT
BOTH = pytest.mark.parametrize("reliability", [ECONOMY, REDUNDANT])


def us(seconds: float) -> int:
    return T0 + round(seconds * MICROSECONDS)


def recording(
    status: Status = Status.IN_PROGRESS, reliability: Reliability = ECONOMY, backup: str = ""
) -> Recording:
    return replace(
        test_verdict.recording(status),
        options=Options(reliability=reliability),
        backup_recorder_uid=backup,
    )


def running(name: str, invoked_s: float, beat_s: float, received_s: float = 0) -> Lap:
    lane, lap = parse_lap(name)
    progress = Progress(Status.IN_PROGRESS, received_us=round(received_s * MICROSECONDS))
    return Lap(SID, lane, lap, LapState.RUNNING, "r", us(invoked_s), us(beat_s), progress)


def invoked(name: str, invoked_s: float, request: str = "r", why: str = "") -> Lap:
    lane, lap = parse_lap(name)
    starting = Progress(Status.STARTING)
    at_us = us(invoked_s)
    return Lap(SID, lane, lap, LapState.INVOKED, request, at_us, 0, starting, origin=LapOrigin(why))


def over(
    name: str,
    invoked_s: float,
    ended_s: float,
    reason: Reason = Reason.HANDED_OVER,
    *,
    attempt: int = 0,
    segments: int = 0,
) -> Lap:
    lane, lap = parse_lap(name)
    dead = reason in {Reason.RECORDER_DIED, Reason.NEVER_STARTED}
    return Lap(
        SID,
        lane,
        lap,
        LapState.DEAD if dead else LapState.ENDED,
        "r",
        us(invoked_s),
        0 if reason is Reason.NEVER_STARTED else us(ended_s),
        Progress(Status.IN_PROGRESS, segments),
        reason,
        ended_utc_us=us(ended_s),
        origin=LapOrigin(attempt=attempt),
    )


def step(
    lane: str, laps: list[Lap], now_s: float, of: Recording | None = None, lost: str = ""
) -> Step:
    in_order = sorted(laps, key=lambda lap: (lap.invoked_utc_us, lap.lap, lap.lane))
    return next_step(lane, of or recording(), in_order, us(now_s), PACE, lost)


def told(found: Step) -> tuple[str, str, bool]:
    """Say which lap is to run, whom it follows and whether it relieves that one."""
    assert found.act is Act.RUN, found
    assert found.order is not None
    assert found.origin.follows == found.order.follows
    assert found.origin.relieves == found.order.relieves
    return found.order.name, found.order.follows, found.order.relieves


# --- by the clock --------------------------------------------------------------------------------


def test_economy_when_a_lap_runs_then_the_other_lane_follows_after_the_period() -> None:
    laps = [running("a1", 0, 49)]
    waiting = step("b", laps, 50)
    assert (waiting.act, waiting.wait_s, waiting.why) == (Act.WAIT, 30, "next: planned")
    due = step("b", [running("a1", 0, 79)], 80)
    assert told(due) == ("b1", "a1", True)
    assert due.why == due.origin.why == "planned"


def test_redundant_when_two_run_then_the_third_lane_relieves_the_older() -> None:
    two = recording(reliability=REDUNDANT)
    laps = [over("c1", -60, -30), running("a2", 0, 79), running("b2", 40, 79)]
    assert (step("c", laps, 79, two).act, step("c", laps, 79, two).wait_s) == (Act.WAIT, 1)
    assert told(step("c", laps, 80, two)) == ("c2", "a2", True)


def test_redundant_when_deaths_upset_the_order_then_the_oldest_is_relieved_before_its_end() -> None:
    two = recording(reliability=REDUNDANT)
    # b2 was replaced late in the life of a2: by the distance to it alone c2 would start at 110.
    laps = [over("c1", -60, -30), running("a2", 0, 79), running("b3", 70, 79)]
    assert (step("c", laps, 79, two).act, step("c", laps, 79, two).wait_s) == (Act.WAIT, 1)
    assert told(step("c", laps, 80, two)) == ("c2", "a2", True)


def test_redundant_when_it_begins_then_the_second_starts_at_once_and_relieves_nobody() -> None:
    two = recording(Status.STARTING, reliability=REDUNDANT)
    assert told(step("b", [running("a1", 0, 1)], 1, two)) == ("b1", "a1", False)
    later = step("c", [running("a1", 0, 1)], 1, two)
    assert (later.act, later.wait_s) == (Act.WAIT, IN_TURN_S), "the turn counts from now"
    early = step("b", [invoked("a1", 0)], 1, two)
    assert early.act is Act.WAIT, "two beginnings would be two clocks"


@BOTH
def test_pace_when_divided_then_laps_overlap_by_what_was_asked(reliability: Reliability) -> None:
    laps_at_once = reliability.width
    assert PACE.period_us(laps_at_once) * laps_at_once == 80 * MICROSECONDS


def test_wait_when_the_lap_is_long_then_no_longer_than_one_may_last() -> None:
    long = next_step("b", recording(), [running("a1", 0, 1)], us(1), Pace(5000, 30))
    assert (long.act, long.wait_s) == (Act.WAIT, LONGEST_WAIT_S)


# --- a lap that is under way ---------------------------------------------------------------------


def test_lap_when_it_is_under_way_then_the_machine_waits_for_it() -> None:
    origin = LapOrigin("planned", "b1", relieves=True, attempt=4, recorder_uid="backup")
    own = replace(running("a2", 0, 10), origin=origin)
    found = step("a", [own], 12)
    assert told(found) == ("a2", "b1", True)
    assert found.order is not None
    assert found.order.recorder_uid == "backup"
    assert found.origin == origin


@pytest.mark.parametrize(
    ("own", "lost", "now_s", "expected"),
    [
        (running("a1", 0, 10), "", 10 + PULSE_LOST_S, Act.RUN),
        (running("a1", 0, 10), "", 11 + PULSE_LOST_S, Act.BURY),
        (running("a1", 0, 10), DIED, 10.5, Act.BURY),
        (running("a1", 0, 10), "States.HeartbeatTimeout", 10 + SILENT_S, Act.RUN),
        (running("a1", 0, 10), "States.HeartbeatTimeout", 11 + SILENT_S, Act.BURY),
        (invoked("a1", 0), "", SHOW_UP_S, Act.RUN),
        (invoked("a1", 0), "", SHOW_UP_S + 1, Act.BURY),
        (invoked("a1", 0), DIED, 1, Act.BURY),
        (invoked("a1", 0), "States.HeartbeatTimeout", PULSE_LOST_S, Act.BURY),
        (invoked("a1", 0, request=""), "ServiceUnavailable", 1, Act.WAIT),
        (invoked("a1", 0, request=""), "", 2, Act.RUN),
        (invoked("a1", 0, request=""), "ServiceUnavailable", SILENT_S + 1, Act.BURY),
    ],
)
def test_lap_when_its_task_or_its_beat_is_lost_then_dead_only_if_it_is_silent(
    own: Lap, lost: str, now_s: float, expected: Act
) -> None:
    found = step("a", [own], now_s, lost=lost)
    assert found.act is expected, found
    if expected is Act.BURY:
        assert found.lap == own
    if expected is Act.WAIT:
        assert found.wait_s == 1, "a machine that does not wait spins"


# --- takeover ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "pause_s"), [(0, 1), (1, 2), (2, 4), (3, 9), (4, 9), (MOST_FAILURES - 1, 9)]
)
def test_takeover_when_laps_fail_then_after_1_2_4_and_9_seconds(attempt: int, pause_s: int) -> None:
    died = over("a3", 0, 30, Reason.RECORDER_DIED, attempt=attempt)
    waiting = step("a", [died], 30)
    assert (waiting.act, waiting.wait_s) == (Act.WAIT, pause_s)
    found = step("a", [died], 30 + pause_s)
    assert told(found) == ("a4", "a3", False)
    assert found.why == "takeover: a3 recorder_died"
    assert found.origin.attempt == attempt + 1


def test_takeover_when_the_lap_before_stored_something_then_counts_anew() -> None:
    died = over("a3", 0, 30, Reason.RECORDER_DIED, attempt=9, segments=1)
    assert step("a", [died], 31).origin.attempt == 1


def test_takeover_when_others_stored_what_the_lap_before_built_then_counts_anew() -> None:
    died = over("a3", 0, 30, Reason.RECORDER_DIED, attempt=2)
    built = replace(died, progress=replace(died.progress, entered_k=4, open_k=5))
    barely = replace(died, progress=replace(died.progress, entered_k=5, open_k=5))
    beside = running("b3", 0, 38)
    two = recording(reliability=REDUNDANT)
    assert step("a", [built, beside], 39, two).origin.attempt == 1
    assert step("a", [barely, beside], 39, two).origin.attempt == 3


def test_takeover_when_laps_are_gone_then_follows_the_one_that_got_farthest() -> None:
    handed = replace(over("a1", 0, 80), progress=Progress(Status.IN_PROGRESS, 9, received_us=7))
    died = replace(
        over("b1", 70, 90, Reason.RECORDER_DIED),
        progress=Progress(Status.IN_PROGRESS, 2, received_us=9),
    )
    late = over("b2", 91, 92, Reason.NEVER_STARTED)
    assert told(step("b", [handed, died, late], 93)) == ("b3", "b1", False)
    assert told(step("b", [handed, late], 93)) == ("b3", "a1", False)


def test_takeover_when_it_fails_twelve_times_then_is_given_up() -> None:
    twelfth = over("a12", 0, 30, Reason.FAULT, attempt=MOST_FAILURES - 1)
    thirteenth = over("a13", 31, 33, Reason.FAULT, attempt=MOST_FAILURES)
    assert step("a", [twelfth], 39).act is Act.RUN
    assert step("a", [twelfth, thirteenth], 60).act is Act.GIVE_UP
    beside = [thirteenth, running("b1", 0, 59)]
    two = recording(reliability=REDUNDANT)
    assert step("a", beside, 60, two).act is Act.RUN, "another lap records: nothing is over"


def test_recorder_uid_when_three_laps_failed_then_main_and_backup_alternate() -> None:
    both = recording(backup="understudy")
    uids = []
    for attempt in range(12):
        died = over("a1", 0, 0, Reason.SOURCE_FAILED, attempt=attempt)
        found = step("a", [died], 60, both)
        assert found.order is not None
        assert found.origin.recorder_uid == found.order.recorder_uid
        uids.append(found.order.recorder_uid)
    turns = ["", "understudy"]
    assert uids == [turns[(attempt + 1) // 3 % 2] for attempt in range(12)]
    alone = step("a", [over("a1", 0, 0, Reason.FAULT, attempt=3)], 60)
    assert alone.order is not None
    assert alone.order.recorder_uid == ""


def test_successor_when_it_fails_during_a_hand_over_then_the_next_tries_at_once() -> None:
    laps = [running("a2", 0, 84), over("b2", 80, 84, Reason.FAULT)]
    found = step("b", laps, 85)
    assert told(found) == ("b3", "a2", True)
    assert found.origin.attempt == 1
    three = recording(reliability=REDUNDANT)
    laps = [running("a1", 0, 84), running("b1", 40, 84), over("c1", 80, 84, Reason.FAULT)]
    assert told(step("c", laps, 85, three)) == ("c2", "a1", True)


def test_successor_when_it_failed_before_its_turn_then_the_clock_decides() -> None:
    laps = [over("b1", 0, 30, Reason.RECORDER_DIED), running("a2", 35, 100)]
    waiting = step("b", laps, 100)
    assert (waiting.act, waiting.why, waiting.wait_s) == (Act.WAIT, "next: planned", 15)
    due = step("b", [laps[0], running("a2", 35, 115)], 115)
    assert (due.why, due.origin.attempt, told(due)) == ("planned", 0, ("b2", "a2", True))


def test_redundant_when_one_dies_then_its_lane_takes_over_and_relieves_nobody() -> None:
    two = recording(reliability=REDUNDANT)
    laps = [over("c1", -60, -30), over("a2", 0, 50, Reason.RECORDER_DIED), running("b2", 40, 51)]
    assert told(step("a", laps, 51, two)) == ("a3", "b2", False)
    idle = step("c", laps, 51, two)
    assert (idle.act, idle.wait_s) == (Act.WAIT, IN_TURN_S - 1)
    laps[-1] = running("b2", 40, 60)
    assert told(step("c", laps, 60, two)) == ("c2", "b2", False), "lane a did not: c steps in"


# --- ends and beginnings -------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("status", Status)
def test_lane_when_the_recording_is_over_or_stopping_then_starts_nothing(
    reliability: Reliability, status: Status
) -> None:
    of = recording(status, reliability)
    for lane in reliability.lanes:
        found = step(lane, [over("a1", 0, 80)], 300, of)
        assert (found.act is Act.DONE) == (status not in LIVE or status is Status.STOP_REQUESTED)
    still = step("a", [running("a1", 0, 299)], 300, of)
    assert still.act is (Act.RUN if status in LIVE else Act.DONE), "it stops by itself"


def test_first_lap_when_the_door_died_then_lane_a_starts_it() -> None:
    new = recording(Status.STARTING)
    assert step("a", [], DOOR_S - 1, new).act is Act.WAIT
    assert step("b", [], 80, new).act is Act.WAIT
    assert told(step("a", [], DOOR_S, new)) == ("a1", "", False)


@BOTH
def test_start_when_nothing_is_ever_seen_then_is_given_up_after_ninety_seconds(
    reliability: Reliability,
) -> None:
    new = recording(Status.STARTING, reliability)
    tried = [over("a4", 60, CONFIRMED_WITHIN_S - 2, Reason.NEVER_STARTED, attempt=3)]
    assert step("a", tried, CONFIRMED_WITHIN_S - 1, new).act is Act.WAIT
    assert step("a", tried, CONFIRMED_WITHIN_S, new).act is Act.GIVE_UP
    seen = [over("a3", 0, 20, Reason.RECORDER_DIED), *tried]
    assert step("a", seen, CONFIRMED_WITHIN_S + 20, new).act is Act.RUN


def test_last_lap_when_it_passed_without_a_successor_then_the_next_starts_at_once() -> None:
    laps = [over("b1", 0, 80), over("a2", 70, 170, Reason.LAP_LIMIT)]
    assert told(step("b", laps, 170)) == ("b2", "a2", False)
    behind = step("a", laps, 170)
    assert (behind.act, behind.wait_s) == (Act.WAIT, IN_TURN_S)


def test_last_lap_when_it_ended_for_good_then_its_row_is_waited_for() -> None:
    laps = [over("b1", 0, 80), over("a2", 70, 170, Reason.IDLE)]
    assert step("b", laps, 171).act is Act.WAIT
    assert step("b", laps, 170 + SHOW_UP_S + PULSE_LOST_S).act is Act.RUN


def test_lap_of_another_lane_when_it_is_dead_then_its_own_lane_comes_first() -> None:
    laps = [over("b1", 0, 80), running("a2", 70, 100)]
    at_s = 100 + SHOW_UP_S + PULSE_LOST_S
    assert step("a", laps, 120).act is Act.BURY
    assert step("b", laps, at_s - 1).act is Act.WAIT
    assert step("b", laps, at_s).act is Act.RUN


# --- whatever happens ----------------------------------------------------------------------------

AGES = st.floats(0, 300)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Recording, list[Lap], float]:
    """Any rows that could be read at any moment."""
    now_s = draw(st.floats(0, 400))
    reliability = draw(st.sampled_from([ECONOMY, REDUNDANT]))
    laps = []
    for lane in reliability.lanes:
        for number in range(1, draw(st.integers(0, 2)) + 1):
            name, begun_s = f"{lane}{number}", now_s - draw(AGES)
            kind = draw(st.sampled_from(["running", "invoked", "over"]))
            if kind == "running" and number == 2:
                laps.append(running(name, begun_s, draw(st.floats(begun_s, now_s)), draw(AGES)))
            elif kind == "invoked" and number == 2:
                laps.append(invoked(name, begun_s, draw(st.sampled_from(["", "r"]))))
            else:
                reason, ended_s = draw(st.sampled_from(Reason)), draw(st.floats(begun_s, now_s))
                attempt = draw(st.integers(0, 14))
                laps.append(over(name, begun_s, ended_s, reason, attempt=attempt))
    status = draw(st.sampled_from(sorted(LIVE)))
    fence = {lap.lane: lap.lap + (lap.state is LapState.DEAD) for lap in laps}
    of = replace(recording(status, reliability, "understudy"), fence=fence)
    return of, laps, now_s


@given(histories(), st.sampled_from(["", DIED, "States.HeartbeatTimeout"]))
def test_step_when_anything_is_read_then_nothing_fences_a_lap_that_records(
    history: tuple[Recording, list[Lap], float], lost: str
) -> None:
    of, laps, now_s = history
    for lane in of.options.reliability.lanes:
        newest = max(
            (lap for lap in laps if lap.lane == lane), key=lambda lap: lap.lap, default=None
        )
        found = step(lane, laps, now_s, of, lost)
        assert found.why
        assert (found.wait_s > 0) == (found.act is Act.WAIT)
        assert found.wait_s <= LONGEST_WAIT_S
        if found.act is Act.BURY:
            assert found.lap == newest
            assert found.lap is not None
            assert found.lap.open
            silent_s = now_s - (max(found.lap.invoked_utc_us, found.lap.beat_utc_us) - T0) / 1e6
            assert lost == DIED or silent_s > SILENT_S - 0.01
        if found.act is not Act.RUN:
            continue
        assert found.order is not None
        assert found.order.lane == lane
        if newest is not None and newest.open:
            assert found.order.lap == newest.lap, "the lap that records keeps the lane"
            continue
        assert found.order.lap >= max(of.fence.get(lane, 0), newest.lap + 1 if newest else 1)
        if found.order.follows:
            assert parse_lap(found.order.follows) in {(lap.lane, lap.lap) for lap in laps}
        if found.order.relieves:
            recording_now = [lap for lap in laps if lap.state is LapState.RUNNING]
            assert len(recording_now) >= of.options.reliability.width


@pytest.mark.parametrize(("reason", "of"), list(product(Reason, [ECONOMY, REDUNDANT])))
def test_lap_when_it_ends_for_any_reason_then_failed_is_what_a_takeover_follows(
    reason: Reason, of: Reliability
) -> None:
    lap = over("a1", 0, 30, reason)
    assert lap.failed == (reason not in NORMAL_REASONS)
    found = step("a", [lap], 40, recording(reliability=of))
    if lap.failed:
        assert found.why == f"takeover: a1 {reason.value}"
