"""Two laps that record side by side: either may die at any moment and nothing is lost."""

import random
import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from everreel.media.access_unit import AccessUnit, Medium
from everreel.media.segment import Cause
from everreel.recorder import loop
from everreel.recorder.place import Finder
from everreel.state.recording import Failure, Options, Reason, Reliability
from tests.unit.media.streams import later
from tests.unit.recorder.stage import SID, Stage
from tests.unit.recorder.test_relay import (
    check_nothing_lost,
    check_same_bytes,
    lively,
    lost_in_one_hole,
)

START_S = 6.0
"""From the start of a lap to its first committed bucket, with time to spare."""


def bury(stage: Stage, name: str) -> None:
    """Let everybody know that a killed lap is dead."""
    lap = stage.recordings.lap(SID, name[0], int(name[1:]))
    assert lap is not None
    failure = Failure("recorder_died", "service", "killed")
    stage.recordings.declare_dead(SID, name[0], int(name[1:]), failure, 0, lap.beat_utc_us)


def replace_both(
    stage: Stage, at_s: float, older: tuple[str, str], younger: tuple[str, str], apart_s: float
) -> None:
    """Plan that killed laps a1 and b1 are buried and two laps, each after another, replace them."""
    stage.at(at_s, partial(bury, stage, "a1"))
    stage.at(at_s, partial(stage.lap, *older))  # before all are dead, or the recording would end
    stage.at(at_s, partial(bury, stage, "b1"))
    stage.at(at_s + apart_s, partial(stage.lap, *younger))


def let_die(stage: Stage, name: str, at_s: float) -> None:
    """Plan the death of a lap, of which everybody knows a second later."""
    stage.at(at_s, partial(stage.kill, name))
    stage.at(at_s + 1.0, partial(bury, stage, name))


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


@pytest.mark.parametrize(
    ("cached", "lost_s"), [(True, 0.0), (False, 1.0)], ids=["keyframe-kept", "present-only"]
)
def test_kill_when_the_replacement_has_only_a_part_of_the_bucket_then_that_part_is_kept(
    cached: bool, lost_s: float
) -> None:
    stage = Stage(lively(60, gop=25), cached=cached)
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(5.0, partial(stage.lap, "b1", "a1"))
    begin_s = 0.0 if cached else 1.0  # the first keyframe that arrives
    stage.at(begin_s + 12.1, partial(stage.kill, "b1"))
    stage.at(begin_s + 12.2, partial(bury, stage, "b1"))
    stage.at(begin_s + 12.3, partial(stage.lap, "b2", "a1"))  # in bucket 6: only a1 has it whole
    stage.at(begin_s + 13.8, partial(stage.kill, "a1"))
    stage.at(begin_s + 15.0, partial(bury, stage, "a1"))
    stage.run(20).end()

    by_k = {row.k: row for row in stage.rows}
    assert (by_k[5].lane, by_k[6].lane, by_k[7].lane) == ("a", "b", "b")
    gap = by_k[6].gap
    assert (gap.duration_us if gap else 0) == pytest.approx(lost_s * 1e6, abs=1)
    assert not by_k[7].discontinuity
    recorded = stage.recorded(Medium.VIDEO)
    sent = stage.sent(Medium.VIDEO)[round(begin_s * 25) :]
    del sent[300 : 300 + round(lost_s * 25)]
    assert recorded == sent[: len(recorded)]


@pytest.mark.parametrize("cached", [True, False], ids=["keyframe-kept", "present-only"])
@pytest.mark.parametrize("apart_s", [0.0, 0.4, 2.3])
def test_kill_when_both_laps_die_at_once_then_their_replacements_go_on_at_one_place(
    apart_s: float, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    near_us = Finder.near_us

    def reckoned(finder: Finder, *told: Any) -> int:
        late_us = 109_000 if threading.current_thread().name == "a2" else 0
        return near_us(finder, *told) - late_us

    # Each client's clock begins with its connection: nothing but the wall clock tells the place,
    # and to each a little differently.
    monkeypatch.setattr(Finder, "near_us", reckoned)
    stage = Stage(lively(110, gop=40), restamp=True, cached=cached)
    stage.lap("a1")
    stage.at(5.0, partial(stage.lap, "b1", "a1"))
    for name in ("a1", "b1"):
        stage.at(40.5, partial(stage.kill, name))
    replace_both(stage, 42.0, ("b2", "b1"), ("a2", "a1"), apart_s)
    let_die(stage, "b2", 60.0)  # the other writes from here on: a seam would show
    stage.run(75).end()
    assert {"a2", "b2"} < set(stage.writers())
    (hole,) = [row.gap for row in stage.rows if row.gap is not None]
    assert hole.cause is Cause.TAKEOVER
    # From 1.6 s on, less what the wall clock is wrong by: a keyframe that the server kept.
    assert hole.duration_us == pytest.approx(4_000_000, abs=2_600_000)
    for medium in Medium:
        assert lost_in_one_hole(stage, medium)


@pytest.mark.parametrize("apart_s", [0.0, 0.4])
@pytest.mark.parametrize("quiet_s", [7.5, 12.0], ids=["media-flows", "media-comes-later"])
def test_kill_when_both_laps_die_before_any_media_then_only_one_replacement_begins(
    quiet_s: float, apart_s: float
) -> None:
    stage = Stage(later(lively(60, gop=25, start_ms=7000), round(quiet_s * 1e6)), restamp=True)
    stage.lap("a1")
    stage.at(1.0, partial(stage.lap, "b1", "a1"))
    for name in ("a1", "b1"):
        stage.at(3.0, partial(stage.kill, name))
    replace_both(stage, 8.0, ("a2", "b1"), ("b2", "b1"), apart_s)
    let_die(stage, "a2", 30.0)  # the other writes from here on: a seam would show
    stage.run(45).end()
    assert stage.writers() == ["a2", "b2"]
    check_nothing_lost(stage)
    assert not any(row.discontinuity for row in stage.rows)


def test_stop_when_the_older_replacement_never_heard_anything_then_the_other_keeps_all() -> None:
    stage = Stage(later(lively(60, gop=25), 7_500_000))
    stage.lap("a1")
    stage.at(3.0, partial(stage.kill, "a1"))
    stage.at(7.0, partial(stage.cut, "a2", 100.0))
    stage.at(8.0, partial(stage.lap, "a2", "a1"))
    stage.at(8.0, partial(bury, stage, "a1"))
    stage.at(8.5, partial(stage.lap, "b2", "a1"))
    stage.run(16).end()
    assert stage.writers() == ["b2"]
    assert len(stage.recorded(Medium.VIDEO)) == pytest.approx(25 * (16 - 8.5), abs=6)


def test_leaver_when_the_lap_beside_it_dies_then_stays_until_two_others_have_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "IN_TURN_S", 0.0)  # it is waited for by the real clock
    options = Options(segment_s=2, max_idle_s=30, reliability=Reliability.REDUNDANT)
    stage = Stage(lively(60, gop=25), options=options)
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(5.0, partial(stage.lap, "b1", "a1"))
    stage.at(14.0, partial(stage.kill, "b1"))
    stage.at(15.0, partial(bury, stage, "b1"))
    stage.at(15.0, partial(stage.lap, "c1", "a1", relieves=True))
    seen: dict[float, bool] = {}

    def look(at_s: float) -> None:
        lap = stage.recordings.lap(SID, "a", 1)
        seen[at_s] = lap is not None and lap.open

    for at_s in (24.0, 34.0):
        stage.at(at_s, partial(look, at_s))
    stage.at(25.0, partial(stage.lap, "b2", "a1"))
    stage.at(34.0, partial(stage.kill, "c1"))
    stage.at(35.0, partial(bury, stage, "c1"))
    stage.run(45).end()

    assert seen == {24.0: True, 34.0: False}
    assert stage.recordings.lap(SID, "a", 1).reason is Reason.HANDED_OVER
    check_nothing_lost(stage)


def test_leaver_when_its_successor_died_then_stores_what_it_has_at_its_limit() -> None:
    stage = Stage(lively(60, gop=25))
    stage.at(0.0, partial(stage.lap, "a1", lap_s=19.3 + 6.0))
    stage.at(8.0, partial(stage.lap, "b1", "a1", relieves=True))
    stage.at(11.5, partial(stage.kill, "b1"))  # it has told what it builds, and stored nothing
    stage.at(12.0, partial(bury, stage, "b1"))
    stage.run(24)

    last = stage.rows[-1]
    assert stage.recordings.lap(SID, "a", 1).reason is Reason.LAP_LIMIT
    assert last.start_us + last.duration_us == pytest.approx(19.3e6, abs=0.2e6)
    assert not any(row.discontinuity for row in stage.rows)


@pytest.mark.parametrize("late_s", [0.5, 1.0, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("first", ["a1", "b1"])
def test_stop_when_one_lap_hears_of_it_first_then_the_recording_ends_without_a_hole(
    first: str, late_s: float
) -> None:
    options = Options(segment_s=2, max_idle_s=30, reliability=Reliability.REDUNDANT)
    stage = Stage(lively(60, gop=25), options=options)
    late = {"a1": ("b", 1), "b1": ("a", 1)}[first]
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(5.0, partial(stage.lap, "b1", "a1"))
    stage.at(20.0, partial(stage.recordings.deaf.add, late))
    stage.at(20.3 + late_s, partial(stage.recordings.deaf.discard, late))
    stage.run(20.3).end()

    check_nothing_lost(stage)
    assert stage.rows[-1].start_us > 12_000_000


@pytest.mark.parametrize("reorder", [0, 2])
@pytest.mark.parametrize("leaves_s", [6.95, 7.95, 8.25, 9.95])
def test_limit_when_sound_lags_then_what_the_leaver_lacks_is_not_passed_over(
    leaves_s: float, reorder: int
) -> None:
    # At 8.0 s all pictures of a bucket are there, but not its last sound and no later keyframe.
    lag_us = {Medium.VIDEO: 20_000, Medium.AUDIO: 320_000}
    arrivals = [
        replace(each, at_us=each.at_us + lag_us[each.event.medium])
        if isinstance(each.event, AccessUnit)
        else each
        for each in lively(30, reorder=reorder)
    ]
    stage = Stage(sorted(arrivals, key=lambda each: each.at_us))
    stage.at(0.0, partial(stage.lap, "a1", lap_s=leaves_s + 6.0))
    stage.at(3.0, partial(stage.lap, "b1", "a1"))
    stage.run(24).end()
    assert stage.writers() == ["a1", "b1"]
    for medium in Medium:
        sent, newest, broken = stage.sent(medium), None, False
        for row in stage.rows:
            here = sorted(sent.index(data) for data in stage.recorded_in(row, medium))
            broken = broken or row.discontinuity
            if here:
                assert newest is None or broken or newest + 1 == here[0], (row.k, medium)
                newest, broken = here[-1], False
