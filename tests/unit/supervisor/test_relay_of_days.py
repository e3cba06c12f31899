"""Recordings of hours and days in seconds: how many laps, how many at once, what a loss costs."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from everreel.errors import ServiceUnavailable
from everreel.events.ports import Happening
from everreel.state.recording import LapOrder, LapState, Reason, Reliability
from everreel.state.status import Status
from everreel.supervisor.backoff import CONFIRMED_WITHIN_S, MOST_FAILURES
from everreel.supervisor.lane import MOST_PLANS
from everreel.supervisor.relay import LONGEST_WAIT_S, Pace
from tests.unit.supervisor.relay_world import BEAT_S, SID, Fate, RelayWorld

ECONOMY, REDUNDANT = Reliability.ECONOMY, Reliability.REDUNDANT
BOTH = pytest.mark.parametrize("reliability", [ECONOMY, REDUNDANT])
USUAL = Pace(815, 30)
SHORT = Pace(60, 20)
HOUR_S = 3600.0
BEGUN_S = 10.0
"""By then the first laps record."""


@pytest.mark.parametrize(("reliability", "laps"), [(ECONOMY, 111), (REDUNDANT, 222)])
def test_day_when_nothing_fails_then_laps_follow_and_as_many_record_as_are_wanted(
    reliability: Reliability, laps: int
) -> None:
    day_s = 24 * HOUR_S
    world = RelayWorld(reliability, USUAL).run(day_s)
    assert abs(len(world.orders) - laps) <= 1
    assert not world.below(reliability.width, BEGUN_S, day_s - 2 * BEAT_S)
    assert not world.dead
    # Never more than the lanes, and those only for the overlap.
    over = world.below(reliability.width + 1, BEGUN_S, day_s)
    assert sum(seconds for _, seconds in over) > 0.95 * (day_s - BEGUN_S)
    ended = [lap for lap in world.laps if not lap.open]
    assert {lap.reason for lap in ended} == {Reason.HANDED_OVER}
    followed = Counter(order.follows for _, order in world.orders if order.relieves)
    assert set(followed.values()) == {1}, "every lap has one successor"
    assert {lap.name for lap in ended} == set(followed) - {
        lap.name for lap in world.laps if lap.open
    }
    for (before_s, _), (after_s, _) in pairwise(world.orders[reliability.width - 1 :]):
        assert after_s - before_s == pytest.approx(785 / reliability.width, abs=3)
    world.stop()
    world.run(day_s + LONGEST_WAIT_S + 60)
    assert world.recording.status is Status.EXITED
    assert not world.running()


def test_machines_when_they_grow_old_then_others_go_on() -> None:
    world = RelayWorld(ECONOMY, Pace(60, 10)).run(7 * HOUR_S + 1200)
    plans = len(world.orders)
    assert plans > MOST_PLANS / 2
    assert not world.below(1, BEGUN_S, world.now_s - 10)
    world = RelayWorld(ECONOMY, Pace(30, 10)).run(10 * HOUR_S)
    renewed = [name for name in world.executions if len(name) > len(f"{SID}-a")]
    assert renewed, "none was renewed"
    assert sum(each.alive for each in world.executions.values()) == 2
    assert not world.below(1, BEGUN_S, world.now_s - 10)


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_crashes_when_at_any_time_then_the_next_lap_is_there_within_seconds(
    reliability: Reliability, seed: int
) -> None:
    chance = Random(seed)

    def fate(order: LapOrder, now_s: float) -> Fate:
        return Fate(dies_s=chance.uniform(2, 80)) if chance.random() < 0.4 else Fate()

    world = RelayWorld(reliability, SHORT, fate).run(2 * HOUR_S)
    assert len(world.dead) > 20
    holes = [seconds for _, seconds in world.below(1, BEGUN_S, world.now_s - BEAT_S)]
    if reliability is ECONOMY:
        first_tries = sorted(holes)[: round(0.9 * len(holes))]
        assert max(first_tries) <= 10.0
    else:
        assert sum(holes) < 60.0, "both died within seconds of each other"
    assert world.is_live()
    assert all(order.lap >= 1 for _, order in world.orders)
    lost = [event for event in world.bus.published if event.kind is Happening.LAP_LOST]
    assert len(lost) == len(world.dead)


@BOTH
def test_crash_when_nobody_hears_of_it_then_missing_beats_tell_it(reliability: Reliability) -> None:
    world = RelayWorld(
        reliability, USUAL, lambda order, _: Fate(dies_s=100, told=False)
        if order.name == "a1" else Fate(),
    ).run(HOUR_S)  # fmt: skip
    assert world.dead == ["a1"]
    holes = world.below(reliability.width, BEGUN_S, world.now_s - BEAT_S)
    assert len(holes) == 1
    assert holes[0][1] <= 25.0
    assert not world.below(1, BEGUN_S, world.now_s - BEAT_S) or reliability is ECONOMY


@BOTH
def test_hang_when_it_happens_then_takeover_within_25_seconds(reliability: Reliability) -> None:
    world = RelayWorld(
        reliability, USUAL, lambda order, _: Fate(hangs_s=500) if order.name == "b1" else Fate()
    ).run(3 * HOUR_S)
    assert world.dead == ["b1"]
    assert all(s <= 25.0 for _, s in world.below(reliability.width, BEGUN_S, world.now_s - BEAT_S))


@pytest.mark.parametrize(
    ("fate", "longest_s"),
    [(Fate(shows_up=False), 5.0), (Fate(dies_s=2), 0.0), (Fate(hangs_s=3), 0.0)],
)
def test_successor_when_it_fails_then_another_relieves_before_the_lap_must_leave(
    fate: Fate, longest_s: float
) -> None:
    world = RelayWorld(
        ECONOMY, USUAL, lambda order, _: fate if order.name in {"b1", "a3"} else Fate()
    ).run(2 * HOUR_S)
    assert sorted(world.dead) == ["a3", "b1"]
    # One that never shows up is waited for about as long as the overlap lasts.
    assert all(s <= longest_s for _, s in world.below(1, BEGUN_S, world.now_s - BEAT_S))
    tries = {order.name: order for _, order in world.orders}
    assert tries["b2"].follows == "a1"
    assert tries["b2"].relieves


def test_start_when_nothing_ever_shows_up_then_ends_within_two_minutes() -> None:
    world = RelayWorld(ECONOMY, USUAL, lambda order, _: Fate(shows_up=False)).run(150)
    assert world.recording.status is Status.ABNORMAL
    assert world.recording.reason is Reason.NEVER_STARTED
    ended_s = (world.recording.ended_utc_us - world.recording.created_utc_us) / 1e6
    assert CONFIRMED_WITHIN_S <= ended_s <= CONFIRMED_WITHIN_S + 20
    world.run(LONGEST_WAIT_S + 200)
    assert not world.running()


@BOTH
def test_laps_when_all_fail_from_some_hour_on_then_twelve_tries_and_the_end(
    reliability: Reliability,
) -> None:
    world = RelayWorld(
        reliability,
        USUAL,
        lambda _, now_s: Fate(dies_s=HOUR_S - now_s + 1) if now_s < HOUR_S else Fate(dies_s=2.5),
        backup="understudy",
    ).run(HOUR_S + 1200)
    assert world.recording.status is Status.ABNORMAL
    assert world.recording.reason is Reason.RECORDER_DIED
    tries = [order for at_s, order in world.orders if at_s > HOUR_S]
    per_lane = Counter(order.lane for order in tries)
    assert max(per_lane.values()) <= MOST_FAILURES
    assert {order.recorder_uid for order in tries} == {"", "understudy"}
    assert not world.running()
    assert [e.kind for e in world.bus.published].count(Happening.FAILED) == 1


def test_service_when_it_refuses_laps_for_a_while_then_the_recording_goes_on() -> None:
    def refuse(now_s: float) -> None:
        if 600 < now_s < 805:
            raise ServiceUnavailable("throttled")

    world = RelayWorld(ECONOMY, USUAL, refuse=refuse).run(HOUR_S)
    assert world.is_live()
    assert not world.below(1, BEGUN_S, world.now_s - BEAT_S)


@BOTH
@pytest.mark.parametrize("lane", ["a", "b"])
def test_machine_when_it_is_lost_then_swept_up_and_no_lap_is_lost(
    reliability: Reliability, lane: str
) -> None:
    world = RelayWorld(reliability, USUAL)
    world.sweep_every_minute()
    world.run(400)
    world.lose(f"{SID}-{lane}")
    world.run(3 * HOUR_S)
    assert not world.below(reliability.width, BEGUN_S, world.now_s - BEAT_S)
    assert not world.dead
    assert sum(each.alive for each in world.executions.values()) == len(reliability.lanes)


def test_machines_when_all_are_lost_then_swept_up_and_the_recording_is_sealed() -> None:
    world = RelayWorld(ECONOMY, USUAL)
    world.sweep_every_minute()
    world.run(700)
    for name in list(world.executions):
        world.lose(name)
    world.supervisions.clear()
    world.run(2 * HOUR_S)
    assert not world.below(1, BEGUN_S, world.now_s - BEAT_S)
    world.stop()
    world.supervisions.clear()
    world.run(2 * HOUR_S + 200)
    assert world.recording.status is Status.EXITED


def test_sweep_when_all_is_well_then_starts_nothing() -> None:
    world = RelayWorld(REDUNDANT, USUAL)
    world.sweep_every_minute()
    world.run(HOUR_S)
    assert len(world.executions) == 3
    assert world.supervisions == {SID}


def test_executions_when_two_run_one_lane_then_the_newer_goes_on_and_neither_comes_back() -> None:
    world = RelayWorld(ECONOMY, USUAL).run(300)
    world.resume_lane(SID, "a", f"{SID}-a300")
    world.run(360)
    alive = {name for name, each in world.executions.items() if each.alive}
    assert alive == {f"{SID}-a300", f"{SID}-b"}
    plans = world.executions[f"{SID}-a300"].watch.plans
    assert plans <= 3, "it waits for the lap that runs"
    world.run(2 * HOUR_S)
    assert not world.dead
    assert not world.below(1, BEGUN_S, world.now_s - BEAT_S)
    assert world.executions[f"{SID}-a300"].watch.plans <= 30


def test_door_when_it_died_then_its_lane_starts_the_first_lap() -> None:
    world = RelayWorld(ECONOMY, USUAL, door_dies=True).run(HOUR_S)
    assert world.orders[0][1].name == "a1"
    assert world.orders[0][0] <= 7.0
    assert not world.below(1, BEGUN_S, world.now_s - BEAT_S)


def test_stop_when_between_two_laps_then_ends_at_once_and_is_sealed() -> None:
    world = RelayWorld(ECONOMY, USUAL, lambda _, now_s: Fate(dies_s=100)).run(101.5)
    while any(lap.open for lap in world.laps):
        world.run(world.now_s + 0.1)
    world.stop()
    stopped = world.recording.status
    assert stopped is Status.STOPPED
    before = len(world.orders)
    world.run(world.now_s + LONGEST_WAIT_S)
    assert len(world.orders) == before
    assert world.recording.status is Status.EXITED, "sealed by the next look"
    assert world.recording.reason is Reason.STOPPED
    assert not world.running()
    assert all(lap.state in {LapState.ENDED, LapState.DEAD} for lap in world.laps)
