"""The second lane of a redundant recording begins beside the first, never on a time of its own."""

from dataclasses import replace

from everreel.clock import MICROSECONDS
from everreel.state.recording import (
    BY_THE_DOOR,
    Lap,
    LapOrigin,
    LapState,
    Options,
    Progress,
    Reason,
    Reliability,
)
from everreel.state.status import Status
from everreel.supervisor.relay import Act, Pace, next_step
from tests.unit.supervisor.test_verdict import T0, recording

PACE = Pace(24.0, 10.0)
REDUNDANT = next(each for each in Reliability if each.width == 2)


def first(state: LapState, beat_s: float) -> Lap:
    beat_us = T0 + round(beat_s * MICROSECONDS) if beat_s else 0
    return Lap(
        "", "a", 1, state, "r", T0, beat_us, Progress(Status.STARTING), origin=BY_THE_DOOR
    )  # fmt: skip


def asked(lap: Lap, now_s: float):
    row = replace(recording(Status.STARTING), options=Options(reliability=REDUNDANT))
    return next_step("b", row, [lap], T0 + round(now_s * MICROSECONDS), PACE)


def test_second_lane_when_the_first_lap_is_still_queued_then_waits_for_it() -> None:
    step = asked(first(LapState.INVOKED, 0), 12)

    assert (step.act, step.wait_s) == (Act.WAIT, 1)


def test_second_lane_when_the_first_lap_was_claimed_then_follows_it() -> None:
    step = asked(first(LapState.RUNNING, 12), 13)

    assert step.act is Act.RUN
    assert (step.order.follows, step.order.relieves) == ("a1", False)


def test_second_lane_when_the_first_lap_never_shows_up_then_goes_ahead() -> None:
    assert asked(first(LapState.INVOKED, 0), 31).act is Act.RUN


def test_dead_lane_when_the_other_is_about_to_be_relieved_then_is_replaced_at_once() -> None:
    second = MICROSECONDS
    a1 = replace(first(LapState.RUNNING, 13), invoked_utc_us=T0)
    b1 = replace(
        a1,
        lane="b",
        state=LapState.DEAD,
        reason=Reason.RECORDER_DIED,
        ended_utc_us=T0 + 12 * second,
        origin=LapOrigin("one more is to record", "a1"),
    )
    c1 = replace(
        a1,
        lane="c",
        state=LapState.RUNNING,
        invoked_utc_us=T0 + 11 * second,
        origin=LapOrigin("planned", "a1", relieves=True),
    )
    row = replace(recording(Status.IN_PROGRESS), options=Options(reliability=REDUNDANT))

    step = next_step("b", row, [a1, c1, b1], T0 + 14 * second, PACE)
    staying = next_step("b", row, [a1, replace(c1, origin=LapOrigin("", "a1")), b1],
                        T0 + 13 * second, PACE)  # fmt: skip
    late = next_step("b", row, [a1, replace(c1, origin=LapOrigin("", "a1")), b1],
                     T0 + 14 * second, PACE)  # fmt: skip

    assert (step.act, step.order.relieves) == (Act.RUN, True)
    assert staying.act is Act.WAIT
    assert (late.act, late.why, late.order.relieves) == (
        Act.RUN,
        "planned",
        True,
    )  # a1 ends at 24 s
