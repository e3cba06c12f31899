"""Two laps that record side by side: either may die at any moment and nothing is lost."""

import random
from functools import partial

import pytest

from everreel.state.recording import Failure
from tests.unit.recorder.stage import SID, Stage
from tests.unit.recorder.test_relay import check_nothing_lost, check_same_bytes, lively

START_S = 6.0
"""From the start of a lap to its first committed bucket, with time to spare."""


def bury(stage: Stage, name: str) -> None:
    """Let everybody know that a killed lap is dead."""
    lap = stage.recordings.lap(SID, name[0], int(name[1:]))
    assert lap is not None
    failure = Failure("recorder_died", "service", "killed")
    stage.recordings.declare_dead(SID, name[0], int(name[1:]), failure, 0, lap.beat_utc_us)


def side_by_side(stage: Stage, chance: random.Random, kills: int) -> float:
    """Plan two laps of which either dies, again and again, each time at a random moment."""
    running = ["a1", "b1"]
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(5.0, partial(stage.lap, "b1", "a1"))
    at_s = 5.0
    for _ in range(kills):
        at_s += START_S + chance.uniform(0.0, 4.0)
        dead = running.pop(chance.randrange(2))
        stage.at(at_s, partial(stage.kill, dead))
        name = f"{dead[0]}{int(dead[1:]) + 1}"
        at_s += chance.choice([0.3, 1.0, 3.0])
        stage.at(at_s, partial(bury, stage, dead))
        stage.at(at_s, partial(stage.lap, name, running[0]))
        running.append(name)
    return at_s + START_S + 4.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("restamp", [False, True], ids=["own-clock", "restamped"])
def test_kill_when_two_laps_record_then_every_unit_is_there_once(restamp: bool, seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(lively(320, gop=chance.choice([13, 25, 40]), reorder=seed % 3), restamp=restamp)
    stage.cached = chance.choice([False, True])
    seconds = side_by_side(stage, chance, kills=25)
    assert seconds < 318
    stage.run(seconds).end()
    check_nothing_lost(stage)
    check_same_bytes(stage)
    assert len(stage.writers()) > 10
