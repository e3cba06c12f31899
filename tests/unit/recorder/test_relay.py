"""Planned hand-overs: whole laps over one stream; every access unit is there exactly once."""

import random
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from everreel.events.ports import Happening
from everreel.media.access_unit import AccessUnit, Medium, TrackFormat
from everreel.media.hls import LiveWindow, entry, media_playlist
from everreel.media.names import Folder
from everreel.media.segment import Cause
from everreel.state.recording import Failure, LapState, Reason
from everreel.state.status import Status
from tests.unit.media.isobmff.media_samples import VIDEO
from tests.unit.media.streams import WRAP, Arrival, stream
from tests.unit.recorder.stage import SID, Stage


def lively(
    seconds: float, *, gop: int = 25, reorder: int = 0, audio: bool = True, start_ms: int = 0
) -> list[Arrival]:
    """A stream whose payloads the MP4 reader can read again, each of its own kind."""
    arrivals = [
        replace(arrival, event=replace(VIDEO, timescale=1000, wrap=WRAP))
        if isinstance(arrival.event, TrackFormat) and arrival.event.width
        else arrival
        for arrival in stream(seconds, gop=gop, reorder=reorder, audio=audio, start_ms=start_ms)
    ]
    for arrival in arrivals:
        event = arrival.event
        if isinstance(event, AccessUnit) and event.medium is Medium.VIDEO:
            kind = b"\x65" if event.keyframe else b"\x41"
            event.data = (len(event.data) - 4).to_bytes(4, "big") + kind + event.data[5:]
    return arrivals


def relay(stage: Stage, starts: list[float], overlap_s: float = 10.0) -> list[str]:
    """Plan laps on alternating lanes that start at `starts`; return their names."""
    names = [f"{'ab'[i % 2]}{i // 2 + 1}" for i in range(len(starts))]
    for i, (name, start_s) in enumerate(zip(names, starts, strict=True)):
        next_s = starts[i + 1] if i + 1 < len(starts) else start_s + 1000
        before = names[i - 1] if i else ""
        lap_s = next_s - start_s + overlap_s + 6.0
        stage.at(start_s, partial(stage.lap, name, before, lap_s, relieves=i > 0))
    return names


def check_nothing_lost(stage: Stage) -> None:
    for medium in Medium:
        recorded, sent = stage.recorded(medium), stage.sent(medium)
        begin = sent.index(recorded[0])
        assert recorded == sent[begin : begin + len(recorded)], medium
        assert begin <= 90, medium  # before the first client came
    rows = stage.rows
    assert not any(row.discontinuity or row.gap for row in rows)
    for before, after in pairwise(rows):
        assert after.start_us == before.start_us + before.duration_us


def check_same_bytes(stage: Stage) -> int:
    """Both recorders of an overlap write the same object; return how many were written twice."""
    last_k = stage.rows[-1].k
    twice = {k: bodies for k, bodies in stage.store.put_ever.items() if len(bodies) > 1}
    for k, bodies in twice.items():
        # The stop cuts the last one short, where each lap saw it, and the sound of the one before.
        if k < last_k - 1:
            assert len(set(bodies.values())) == 1, (
                k,
                list(bodies),
                [len(b) for b in bodies.values()],
            )
    return len(twice)


@pytest.mark.parametrize(
    ("restamp", "cached", "seed"),
    [(False, False, 1), (False, True, 2), (True, False, 3), (True, True, 4)],
    ids=["own-clock", "own-clock-cached", "restamped", "restamped-cached"],
)
def test_hand_overs_when_laps_start_at_any_phase_then_every_unit_is_there_once(
    restamp: bool, cached: bool, seed: int
) -> None:
    chance = random.Random(seed)
    starts = [0.0]
    for _ in range(22):
        starts.append(starts[-1] + chance.uniform(11, 14))
    seconds = starts[-1] + 15
    stage = Stage(lively(seconds + 5, gop=chance.choice([13, 25, 40]), reorder=seed // 2))
    stage.restamp, stage.cached = restamp, cached
    names = relay(stage, starts)
    stage.run(seconds).end()
    assert stage.writers() == names
    check_nothing_lost(stage)
    assert check_same_bytes(stage) >= 11
    laps = stage.recordings.laps(SID)
    assert not [lap.failure for lap in laps if lap.failure]
    assert [lap.reason for lap in laps] == [Reason.HANDED_OVER] * 22 + [Reason.STOPPED]
    assert all(lap.state is LapState.ENDED for lap in laps)


@pytest.mark.parametrize("stop_s", [20.0, 22.3, 24.1, 26.4, 28.0, 30.0])
def test_stop_when_it_comes_during_a_hand_over_then_media_end_without_a_hole(stop_s: float) -> None:
    stage = Stage(lively(40))
    relay(stage, [0.0, 20.0])
    stage.run(stop_s).end()
    check_nothing_lost(stage)
    last = stage.rows[-1]
    assert last.start_us + last.duration_us >= (stop_s - 3.0) * 1e6
    assert stage.recordings.find(SID).status is Status.STOPPED


def test_playlists_when_laps_change_then_go_on_as_one() -> None:
    stage = Stage(lively(140))
    relay(stage, [0.0, 40.0, 80.0])
    stage.run(120).end()
    inits = {row.number: row for row in stage.recordings.inits(SID)}
    assert len(inits) == 1
    window = LiveWindow(2)
    entries = [entry(row, inits) for row in stage.rows]
    for each in entries:
        window.add(each)
    folder = Folder("", "room", SID)
    assert stage.store.get(folder.live).decode() == window.render()
    index = stage.store.get(folder.index).decode()
    assert media_playlist(entries, target_s=2, kind="event").startswith(index)
    assert index.count("#EXTINF") >= len(entries) - 2
    started = [event for event in stage.bus.published if event.kind is Happening.STARTED]
    assert len(started) == 1


def lost_in_one_hole(stage: Stage, medium: Medium) -> list[bytes]:
    """Return what is missing of a medium: all in one place, and nothing else is there twice."""
    recorded, sent = stage.recorded(medium), stage.sent(medium)
    known = set(recorded)
    assert len(recorded) == len(known)
    lost = sent[sent.index(recorded[0]) : sent.index(recorded[-1])]
    lost = [unit for unit in lost if unit not in known]
    begin = sent.index(lost[0])
    assert lost == sent[begin : begin + len(lost)], "one hole"
    return lost


@pytest.mark.parametrize("restamp", [False, True], ids=["own-clock", "restamped"])
def test_takeover_when_a_lap_dies_then_only_its_open_bucket_and_the_absence_are_lost(
    restamp: bool,
) -> None:
    stage = Stage(lively(80), restamp=restamp)
    stage.lap("a1")
    stage.at(30.5, lambda: stage.kill("a1"))
    stage.at(35.0, lambda: stage.lap("b1", "a1"))
    stage.run(60)
    stage.recordings.declare_dead(
        SID,
        "a",
        1,
        Failure("died", "service", "x"),
        0,
        stage.recordings.lap(SID, "a", 1).beat_utc_us,
    )
    stage.end()
    (hole,) = [row.gap for row in stage.rows if row.gap is not None]
    assert hole.cause is Cause.TAKEOVER
    for medium in Medium:
        lost = lost_in_one_hole(stage, medium)
        span_s = len(lost) / (25 if medium is Medium.VIDEO else 46.875)
        assert span_s == pytest.approx(hole.duration_us / 1e6, abs=0.05 if not restamp else 1.5)
        assert span_s < 35.0 - 28.0 + 2.0
