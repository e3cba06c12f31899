"""When laps start: by the clock, once each, and at once when the running one is lost."""

from itertools import pairwise, product

import pytest

from everreel.clock import MICROSECONDS
from everreel.lifecycle.memory import MemoryRunner
from everreel.state.recording import Lap, LapState, Progress, Reason, parse_lap
from everreel.state.status import LIVE, Status
from everreel.supervisor.look import look
from everreel.supervisor.relay import REPEAT_S, SHOW_UP_S, plan
from everreel.supervisor.verdict import Action, Watch
from tests.unit.supervisor.test_verdict import T0, recording
from tests.unit.supervisor.world import SID, World

PERIOD_S = 100


def us(seconds: float) -> int:
    return T0 + round(seconds * MICROSECONDS)


def a_lap(
    name: str, state: LapState, invoked_s: float, beat_s: float = 0, request: str = "r"
) -> Lap:
    lane, number = parse_lap(name)
    return Lap(
        SID, lane, number, state, request, us(invoked_s), us(beat_s), Progress(Status.STARTING)
    )


def test_plan_when_a_lap_runs_then_its_successor_is_due_after_the_period() -> None:
    start = plan(recording(Status.IN_PROGRESS), [a_lap("a1", LapState.RUNNING, 0, 49)], us(50), 100)
    assert start is not None
    assert (start.order.name, start.order.follows, start.at_us) == ("b1", "a1", us(100))


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("states", list(product([None, *LapState], repeat=2)))
def test_plan_when_every_case_is_asked_then_nothing_fences_a_lap_that_records(
    status: Status, states: tuple[LapState | None, LapState | None]
) -> None:
    for beat_s, now_s in product((0, 95, 199), (50, 99, 100, 129, 131, 200)):
        laps = [
            a_lap(name, state, invoked_s, beat_s)
            for name, state, invoked_s in zip(("a1", "b1"), states, (0, 100), strict=True)
            if state is not None
        ]
        start = plan(recording(status), laps, us(now_s), PERIOD_S)
        if status not in LIVE or status is Status.STOP_REQUESTED:
            assert start is None
        if start is None:
            continue
        running = [lap for lap in laps if lap.state is LapState.RUNNING]
        assert start.order.follows == running[-1].name
        assert start.order.lane != running[-1].lane
        well = [lap for lap in running if us(now_s) - lap.beat_utc_us <= 15 * MICROSECONDS]
        if start.at_us <= us(now_s):
            assert not [lap for lap in well if lap.lane == start.order.lane and now_s < 200]


def test_plan_when_stopping_or_without_a_period_then_none() -> None:
    running = [a_lap("a1", LapState.RUNNING, 0, 200)]
    assert plan(recording(Status.STOP_REQUESTED), running, us(200), 100) is None
    assert plan(recording(Status.IN_PROGRESS), running, us(200), 0) is None
    assert plan(recording(Status.IN_PROGRESS), [], us(200), 100) is None


def test_plan_when_a_successor_does_not_show_up_then_another_one() -> None:
    laps = [a_lap("a1", LapState.RUNNING, 0, 130), a_lap("b1", LapState.INVOKED, 100)]
    start = plan(recording(Status.IN_PROGRESS), laps, us(105), 100)
    assert (start.order.name, start.at_us) == ("b2", us(100 + SHOW_UP_S))


def test_plan_when_its_look_died_before_the_invocation_then_the_same_again() -> None:
    laps = [a_lap("a1", LapState.RUNNING, 0, 130), a_lap("b1", LapState.INVOKED, 100, request="")]
    start = plan(recording(Status.IN_PROGRESS), laps, us(101), 100)
    assert (start.order.name, start.at_us) == ("b1", us(100 + REPEAT_S))


def relayed(seconds: int, *, dies_s: float | None = None) -> tuple[World, MemoryRunner]:
    """Let the machine watch laps that beat, hand over and end as real ones do."""
    world, runner = World(), MemoryRunner()
    world.create()
    world.invoke()

    def live(name: str, from_s: float, until_s: float, follows: str) -> None:
        lane, lap = parse_lap(name)
        stamp = world.clock.utc_us

        def claim() -> None:
            world.recordings.claim(SID, lane, lap, "r", stamp())

        def beat() -> None:
            world.recordings.beat(SID, lane, lap, Progress(Status.IN_PROGRESS), stamp())

        def end() -> None:
            reason = Reason.STOPPED if until_s >= seconds else Reason.HANDED_OVER
            progress = Progress(Status.IN_PROGRESS)
            world.recordings.end_lap(SID, lane, lap, reason, None, progress, stamp())

        world.at(from_s, claim)
        if dies_s is not None and from_s < dies_s < until_s:
            until_s = dies_s
        else:
            world.at(until_s, end)
        for n in range(1, int((until_s - from_s) / 3)):
            world.at(from_s + 3 * n, beat)

    live("a1", 1, min(seconds, PERIOD_S + 20), "")
    watch, wait_s = Watch(SID), 5.0
    for _ in range(400):
        world._pass(wait_s)
        before = len(runner.laps)
        verdict, watch = look(
            watch, recordings=world.recordings, bus=world.bus, clock=world.clock,
            starter=runner, period_s=PERIOD_S,
        )  # fmt: skip
        world.looks.append((world.now_s, verdict))
        for order in runner.laps[before:]:
            until_s = min(seconds, world.now_s + PERIOD_S + 20)
            live(order.name, world.now_s + 1, max(until_s, world.now_s + 5), order.follows)
        if verdict.action is not Action.WAIT:
            return world, runner
        wait_s = verdict.wait_s
    raise AssertionError("the machine never ends")


def test_laps_when_the_clock_says_so_then_start_one_after_another() -> None:
    world, runner = relayed(1000)
    assert [order.name for order in runner.laps[:4]] == ["b1", "a2", "b2", "a3"]
    assert [order.follows for order in runner.laps[:4]] == ["a1", "b1", "a2", "b2"]
    invoked = [lap.invoked_utc_us for lap in world.recordings.laps(SID)]
    for before, after in pairwise(invoked):
        assert PERIOD_S <= (after - before) / MICROSECONDS <= PERIOD_S + 2
    assert world.recording.status is Status.STOPPED
    assert not world.buried


def test_lap_when_it_hangs_then_its_successor_starts_before_it_is_buried() -> None:
    world, runner = relayed(1000, dies_s=150.0)
    assert world.buried
    assert world.recording.status is Status.STOPPED
    dead = [lap for lap in world.recordings.laps(SID) if lap.state is LapState.DEAD]
    assert len(dead) == 1
    assert any(order.follows == dead[0].name for order in runner.laps)


def test_wait_when_a_lap_is_due_then_ends_at_that_instant() -> None:
    world, _ = relayed(300)
    at_s = [round(second) for second, _ in world.looks]
    assert PERIOD_S in at_s or PERIOD_S + 1 in at_s
