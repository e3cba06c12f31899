"""Joins by streams that give little to go by: silence, still pictures, one medium, long groups."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from everreel.media.access_unit import AccessUnit, Medium
from tests.unit.media.streams import Arrival
from tests.unit.recorder.stage import Stage
from tests.unit.recorder.test_relay import lively, relay


def units(arrivals: list[Arrival], medium: Medium) -> list[AccessUnit]:
    """The units of a medium, to be changed."""
    events = [arrival.event for arrival in arrivals]
    return [each for each in events if isinstance(each, AccessUnit) and each.medium is medium]


def silent(seconds: float) -> list[Arrival]:
    """Sound whose frames are all alike."""
    arrivals = lively(seconds)
    for unit in units(arrivals, Medium.AUDIO):
        unit.data = b"a silence"
    return arrivals


def still(seconds: float) -> list[Arrival]:
    """A picture that does not move: keyframes are alike, and so are the others."""
    arrivals = silent(seconds)
    for unit in units(arrivals, Medium.VIDEO):
        unit.data = unit.data[:5] + bytes(len(unit.data) - 5)
    return arrivals


def flickering(seconds: float) -> list[Arrival]:
    """Keyframes of three kinds in turn."""
    arrivals = lively(seconds)
    keys = [unit for unit in units(arrivals, Medium.VIDEO) if unit.keyframe]
    for i, unit in enumerate(keys):
        unit.data = unit.data[:5] + bytes([i % 3]) + bytes(len(unit.data) - 6)
    return arrivals


def late_sound(seconds: float) -> list[Arrival]:
    """A track of sound that appears in the middle of a hand-over."""
    arrivals = lively(seconds)
    sound = [each for each in arrivals if each.event.medium is Medium.AUDIO]
    late_us = 22_000_000
    return sorted(
        [each for each in arrivals if each.event.medium is Medium.VIDEO]
        + [replace(each, at_us=max(each.at_us, late_us)) for each in sound[:1]]
        + [each for each in sound if each.at_us > late_us],
        key=lambda arrival: arrival.at_us,
    )


STREAMS: dict[str, Callable[[float], list[Arrival]]] = {
    "silence": silent,
    "still": still,
    "flickering": flickering,
    "long groups": lambda seconds: lively(seconds, gop=113),
    "longer groups": lambda seconds: lively(seconds, gop=225),
    "pictures only": lambda seconds: lively(seconds, audio=False),
    "sound only": lambda seconds: [
        arrival for arrival in lively(seconds) if arrival.event.medium is Medium.AUDIO
    ],
    "late sound": late_sound,
}


@pytest.mark.parametrize("restamp", [False, True], ids=["own-clock", "restamped"])
@pytest.mark.parametrize("name", list(STREAMS))
def test_hand_over_when_a_stream_gives_little_to_go_by_then_nothing_is_lost(
    name: str, restamp: bool
) -> None:
    chance = random.Random(name + str(restamp))
    stage = Stage(STREAMS[name](110), restamp=restamp)
    names = relay(stage, [0.0, 20 + chance.random() * 4, 45 + chance.random() * 9], overlap_s=40)
    stage.run(105).end()
    assert stage.writers() == names
    for medium in Medium:
        recorded, sent = stage.recorded(medium), stage.sent(medium)
        begin = sent.index(recorded[0]) if recorded else 0
        assert recorded == sent[begin : begin + len(recorded)], medium
    rows = stage.rows
    assert not any(row.gap for row in rows)
    assert sum(row.discontinuity for row in rows) == (name == "late sound")
    for before, after in pairwise(rows):
        assert after.start_us == before.start_us + before.duration_us
    # Alike units cannot be told apart: their number tells what is lost or doubled.
    last = rows[-1]
    for medium, spacing_us in ((Medium.VIDEO, 40_000), (Medium.AUDIO, 21_333)):
        recorded = stage.recorded(medium)
        if recorded and name != "late sound":
            assert abs(len(recorded) * spacing_us - last.start_us - last.duration_us) < 50_000
