"""Breaks while more than one lap records or joins: laps stay one, nothing is lost in silence."""

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from everreel.media.access_unit import AccessUnit, Medium, SourceEvent
from everreel.media.segment import TimelineEvent
from everreel.media.timeline import Timeline
from everreel.recorder import loop, resync
from everreel.state.recording import LapState, Reason, parse_lap
from tests.unit.media.streams import Arrival, later
from tests.unit.recorder.stage import SID, Stage
from tests.unit.recorder.test_relay import check_nothing_lost, lively, relay
from tests.unit.recorder.test_side_by_side import bury


def restarted(
    chance: random.Random,
    lives: int,
    life_s: float = 30.0,
    away_s: float | None = None,
    gop: int = 25,
) -> list[Arrival]:
    """A publisher that comes back again and again, each time on a new clock; no unit twice."""
    arrivals: list[Arrival] = []
    at_us = 0
    for life in range(lives):
        stretch = lively(life_s + chance.uniform(0, 3), gop=gop, start_ms=chance.randrange(10**6))
        if life:
            stretch = [each for each in stretch if isinstance(each.event, AccessUnit)]
        for arrival in stretch:
            if isinstance(arrival.event, AccessUnit):
                arrival.event.data += b"%d" % life
                if arrival.event.medium is Medium.VIDEO:
                    size = len(arrival.event.data) - 4
                    arrival.event.data = size.to_bytes(4, "big") + arrival.event.data[4:]
        arrivals += later(stretch, at_us)
        pause_s = chance.uniform(0.1, 4.0) if away_s is None else away_s
        at_us = arrivals[-1].at_us + round(pause_s * 1e6)
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


@pytest.fixture
def late_hearing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lap b1 hears everything from the second life on 109 ms late, as a busy machine may."""
    feed = Timeline.feed

    def fed(timeline: Timeline, events: Sequence[SourceEvent], now_us: int) -> list[TimelineEvent]:
        late = threading.current_thread().name == "b1" and now_us > 32_000_000
        return feed(timeline, events, now_us + 109_000 * late)

    monkeypatch.setattr(Timeline, "feed", fed)


def check_one_seam(stage: Stage) -> None:
    """Hold a recording to one restart: nothing lost, twice or on two clocks behind it."""
    for medium in Medium:
        assert lost(stage, medium) == 0
    rows = stage.rows
    assert sum(row.discontinuity for row in rows) == 1
    for before, after in pairwise(rows):
        seam_us = after.start_us - before.start_us - before.duration_us
        assert after.discontinuity or seam_us == 0


def back_us(stage: Stage) -> int:
    """When the publisher of two lives comes back."""
    pauses = {b.at_us - a.at_us: b.at_us for a, b in pairwise(stage.arrivals)}
    return pauses[max(pauses)]


@pytest.mark.usefixtures("late_hearing")
@pytest.mark.parametrize("away_s", [2.0, 12.0])
@pytest.mark.parametrize("unheard_s", [0.0, 4.0])
def test_restart_when_each_lap_would_place_it_differently_then_both_go_on_at_one_place(
    away_s: float, unheard_s: float
) -> None:
    stage = Stage(restarted(random.Random(1), 2, away_s=away_s))
    unheard, back_s = stage.recordings.unheard, back_us(stage) / 1e6
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    if unheard_s:
        stage.at(20.0, partial(unheard.update, ("a1", "b1")))
        stage.at(back_s + unheard_s, unheard.clear)
    stage.at(back_s + 16.0, partial(stage.kill, "a1"))  # a seam would show from here on
    stage.at(back_s + 17.0, partial(bury, stage, "a1"))
    stage.run(back_s + 28).end()
    assert stage.writers()[-2:] == ["a1", "b1"]
    check_one_seam(stage)


@pytest.mark.usefixtures("late_hearing")
@pytest.mark.parametrize("restamp", [False, True], ids=["own-clock", "restamped"])
@pytest.mark.parametrize("stored", [1, 2])
def test_restart_when_the_lap_that_went_on_is_gone_then_the_other_goes_on_behind_it(
    stored: int, restamp: bool
) -> None:
    stage = Stage(restarted(random.Random(1), 2, away_s=2.0), restamp=restamp)
    back_s = back_us(stage) / 1e6
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    stage.at(back_s, partial(stage.recordings.unheard.add, "b1"))
    stage.run(back_s)
    before = len(stage.rows)
    stage.run(3.1)  # now all know of the break
    while not stage.recordings.lap(SID, "a", 1).progress.marks:
        stage.run(0.1)
    while len(stage.rows) < before + 1 + stored:  # one is what was open at the break
        stage.run(0.1)
    stage.kill("a1")
    bury(stage, "a1")
    stage.recordings.unheard.clear()
    stage.run(12).end()
    assert stage.writers()[-2:] == ["a1", "b1"]
    check_one_seam(stage)


def test_restart_when_nobody_went_on_yet_then_each_lap_tells_where_the_present_is() -> None:
    # What a replacement reckons its place by, if both should die now.
    stage = Stage(restarted(random.Random(1), 2, away_s=2.0))
    back_s = back_us(stage) / 1e6
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    stage.at(20.0, partial(stage.recordings.unheard.update, ("a1", "b1")))
    stage.run(back_s + 5)
    told = [lap.progress for lap in stage.recordings.laps(SID)]
    assert [each.open_k for each in told] == [-1, -1]
    for each in told:
        assert each.received_us == pytest.approx((back_s + 5) * 1e6, abs=1.2e6)
    stage.end()


@pytest.mark.parametrize("late_s", [4.0, 5.5, 7.0])
def test_restart_when_the_lap_that_went_on_dies_soon_then_the_other_lacks_nothing(
    late_s: float,
) -> None:
    stage = Stage(restarted(random.Random(1), 2, away_s=2.0, gop=50))
    back_s = back_us(stage) / 1e6
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    stage.at(back_s + late_s, partial(stage.kill, "a1"))
    stage.at(back_s + late_s + 1, partial(bury, stage, "a1"))
    stage.run(back_s + 25).end()
    assert stage.writers()[-1] == "b1"
    check_one_seam(stage)


@pytest.mark.usefixtures("late_hearing")
@pytest.mark.parametrize("late_s", [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5])
@pytest.mark.parametrize("deaf", ["", "a1", "b1"])
def test_restart_when_it_is_stopped_soon_then_nothing_is_there_twice_and_nothing_is_missing(
    deaf: str, late_s: float
) -> None:
    stage = Stage(restarted(random.Random(1), 2, away_s=2.0))
    back_s = back_us(stage) / 1e6
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    if deaf:  # hears of the stop a while after the other
        lap = parse_lap(deaf)
        stage.at(back_s, partial(stage.recordings.deaf.add, lap))
        stage.at(back_s + late_s + 1.5, partial(stage.recordings.deaf.discard, lap))
    stage.run(back_s + late_s).end()
    check_one_seam(stage)
    last = stage.rows[-1]
    end_s = (last.start_us + last.duration_us) / 1e6
    assert back_s + late_s - 0.3 < end_s < back_s + late_s + 2.5


def leapt(at_s: float) -> list[Arrival]:
    """A source whose clock leaps within a group of pictures, and nothing pauses."""
    arrivals = []
    for arrival in lively(60, gop=50, start_ms=1000):
        unit = arrival.event
        if isinstance(unit, AccessUnit) and unit.dts is not None and arrival.at_us >= at_s * 1e6:
            unit = replace(unit, pts=unit.pts + 3_600_000, dts=unit.dts + 3_600_000)
        arrivals.append(replace(arrival, event=unit))
    return arrivals


@pytest.fixture
def many_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage's looks are a hundred times shorter than real ones, its waits for beats are not."""
    monkeypatch.setattr(loop, "LOOKS_PER_S", 40)
    monkeypatch.setattr(resync, "POLL_S", 0.02)


@pytest.mark.usefixtures("many_looks")
@pytest.mark.parametrize("late_s", [0.3, 0.9, 2.1, 3.3, 4.5])
@pytest.mark.parametrize("leap_s", [30.0, 30.72])
def test_leap_when_it_is_stopped_soon_then_nothing_is_there_twice_and_nothing_is_missing(
    leap_s: float, late_s: float
) -> None:
    stage = Stage(leapt(leap_s))
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    stage.run(leap_s + late_s).end()
    for medium in Medium:
        assert lost(stage, medium) == 0
    last = stage.rows[-1]
    end_s = (last.start_us + last.duration_us) / 1e6
    assert leap_s + late_s - 0.3 < end_s < leap_s + late_s + 2.5


@pytest.mark.parametrize("silent_s", [31.98, 33.98])
def test_leap_when_the_publisher_is_silent_soon_then_what_it_sent_between_is_kept(
    silent_s: float,
) -> None:
    arrivals = []
    for arrival in leapt(30.72):
        unit = arrival.event
        if isinstance(unit, AccessUnit) and unit.dts is not None and arrival.at_us > silent_s * 1e6:
            unit = replace(unit, pts=unit.pts + 6000, dts=unit.dts + 6000)
            arrivals.append(Arrival(arrival.at_us + 6_000_000, unit))
        else:
            arrivals.append(arrival)
    stage = Stage(arrivals)
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    stage.run(50).end()
    assert lost(stage, Medium.VIDEO) == 0
    assert lost(stage, Medium.AUDIO) <= 10
    assert told_s(stage) == pytest.approx(6.0, abs=0.3)


@pytest.mark.usefixtures("many_looks")
@pytest.mark.parametrize("late_s", [0.5, 1.5, 2.5, 3.5, 5.0])
@pytest.mark.parametrize("name", ["a1", "b1"])
def test_cut_when_it_is_stopped_soon_then_nothing_is_there_twice_and_nothing_is_missing(
    name: str, late_s: float
) -> None:
    stage = Stage(lively(60, gop=25))
    stage.at(0.0, partial(stage.lap, "a1"))
    stage.at(6.0, partial(stage.lap, "b1", "a1"))
    stage.at(25.3, partial(stage.cut, name, 0.7))
    stage.run(26 + late_s).end()
    check_nothing_lost(stage)
    last = stage.rows[-1]
    assert 26 + late_s - 0.3 < (last.start_us + last.duration_us) / 1e6 < 26 + late_s + 2.5


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
