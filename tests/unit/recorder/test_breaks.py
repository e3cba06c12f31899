"""Breaks while more than one lap records or joins: laps stay one, nothing is lost in silence."""

import random
from functools import partial

import pytest

from everreel.media.access_unit import AccessUnit, Medium
from everreel.state.recording import LapState, Reason
from tests.unit.media.streams import Arrival, later
from tests.unit.recorder.stage import SID, Stage
from tests.unit.recorder.test_relay import check_nothing_lost, lively, relay


def restarted(chance: random.Random, lives: int, life_s: float = 30.0) -> list[Arrival]:
    """A publisher that comes back again and again, each time on a new clock; no unit twice."""
    arrivals: list[Arrival] = []
    at_us = 0
    for life in range(lives):
        stretch = lively(life_s + chance.uniform(0, 3), gop=25, start_ms=chance.randrange(10**6))
        if life:
            stretch = [each for each in stretch if isinstance(each.event, AccessUnit)]
        for arrival in stretch:
            if isinstance(arrival.event, AccessUnit):
                arrival.event.data += b"%d" % life
                if arrival.event.medium is Medium.VIDEO:
                    size = len(arrival.event.data) - 4
                    arrival.event.data = size.to_bytes(4, "big") + arrival.event.data[4:]
        arrivals += later(stretch, at_us)
        at_us = arrivals[-1].at_us + round(chance.uniform(0.1, 4.0) * 1e6)
    return arrivals


def lost(stage: Stage, medium: Medium) -> int:
    """Count what is missing of a medium between its first and last unit; none may come twice."""
    recorded, sent = stage.recorded(medium), stage.sent(medium)
    places = {data: at for at, data in enumerate(sent)}
    assert len(places) == len(sent)
    found = [places[data] for data in recorded]
    assert found == sorted(set(found))
    return found[-1] - found[0] + 1 - len(found)


def told_s(stage: Stage) -> float:
    """Seconds of all declared gaps."""
    return sum(row.gap.duration_us for row in stage.rows if row.gap is not None) / 1e6


@pytest.mark.parametrize("seed", range(4))
def test_restart_when_two_laps_see_it_then_nothing_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(restarted(chance, 4), restamp=bool(seed % 2))
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(chance.uniform(6, 9), partial(stage.lap, "b1", "a1"))
    stage.run(stage.arrivals[-1].at_us / 1e6 + 1).end()
    for medium in Medium:
        assert lost(stage, medium) == 0
    assert sum(row.discontinuity for row in stage.rows) == 3


@pytest.mark.parametrize("seed", range(4))
def test_cut_when_only_one_of_two_laps_suffers_it_then_nothing_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(lively(100, gop=chance.choice([13, 25, 40])), restamp=bool(seed % 2))
    stage.cached = chance.choice([False, True])
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    for i in range(4):
        away_s = chance.choice([0.5, 2.5, 6.0])
        name = chance.choice(["a1", "b1"])
        stage.at(15 + 20 * i + chance.random(), partial(stage.cut, name, away_s))
    stage.run(95).end()
    check_nothing_lost(stage)


@pytest.mark.parametrize("seed", range(4))
def test_restart_when_a_hand_over_is_under_way_then_nothing_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(restarted(chance, 4), restamp=bool(seed % 2))
    lives = [
        each.at_us / 1e6
        for before, each in zip(stage.arrivals, stage.arrivals[1:], strict=False)
        if each.at_us - before.at_us > 90_000
        or (
            isinstance(each.event, AccessUnit)
            and isinstance(before.event, AccessUnit)
            and abs(each.event.pts - before.event.pts) > 5000
        )
    ]
    # Each lap starts so near to a new life of the publisher that its joining is disturbed.
    names = relay(stage, [0.0, *(at_s + chance.uniform(-4.0, 2.0) for at_s in lives)], overlap_s=25)
    stage.run(stage.arrivals[-1].at_us / 1e6 + 1).end()
    assert stage.writers() == names
    for medium in Medium:
        assert lost(stage, medium) == 0
    assert sum(row.discontinuity for row in stage.rows) == len(lives)
    laps = stage.recordings.laps(SID)
    assert [lap.reason for lap in laps] == [Reason.HANDED_OVER] * (len(names) - 1) + [
        Reason.STOPPED
    ]
    assert all(lap.state is LapState.ENDED for lap in laps)


@pytest.mark.parametrize("seed", range(4))
def test_cut_when_a_hand_over_is_under_way_then_what_is_lost_is_declared(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(lively(70, gop=chance.choice([13, 25, 40])), restamp=bool(seed % 2))
    stage.cached = chance.choice([False, True])
    names = relay(stage, [0.0, 20.0, 40.0], overlap_s=25)
    for start_s, pair in ((20.0, names[:2]), (40.0, names[1:])):
        for name in chance.choice([pair[:1], pair[1:], pair]):
            away_s = chance.choice([0.3, 1.0, 3.0])
            stage.at(start_s + chance.uniform(0.2, 5.0), partial(stage.cut, name, away_s))
    stage.run(65).end()

    assert stage.writers() == names
    # What both laps did not receive is lost; a frame's length either way.
    assert lost(stage, Medium.VIDEO) / 25 == pytest.approx(told_s(stage), abs=0.6)


@pytest.mark.parametrize("gop", [13, 25, 40])
@pytest.mark.parametrize("away_s", [0.3, 0.9, 4.0])
def test_cut_when_the_server_restamps_and_repeats_then_nothing_is_recorded_twice(
    gop: int, away_s: float
) -> None:
    stage = Stage(lively(40, gop=gop, reorder=2), restamp=True)
    stage.lap("a1")
    for at_s in (10.1, 20.7):
        stage.at(at_s, partial(stage.cut, "a1", away_s))
    stage.run(35).end()
    for medium in Medium:
        assert not lost(stage, medium) or any(row.discontinuity for row in stage.rows)
