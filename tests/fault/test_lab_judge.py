"""The judge of the fault lab finds every kind of fault, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.fault.lab.judge import LEAP_US, STALL_US, Gap, Judgement, Sent, judge
from tests.lab.digests import PlaylistPart, UnitDigest, digest

FRAME_US, SOUND_US = 40_000, 20_000
ROUND_S, SEGMENT_S = 20, 2
Part = tuple[PlaylistPart, list[UnitDigest]]


def sent(word: str = "one", round_s: int = ROUND_S) -> Sent:
    """A round of 25 pictures and 50 sounds a second, no two alike."""
    units = [
        digest(medium, at, at % 1_000_000 == 0, f"{word} {medium} {at}".encode())
        for at in range(0, round_s * 1_000_000, SOUND_US)
        for medium in ("video", "audio")
        if medium == "audio" or at % FRAME_US == 0
    ]
    return Sent(units, round_s * 1_000_000)


def part(units: Sequence[UnitDigest], *, broken: bool = False) -> Part:
    return PlaylistPart("segment", "init", SEGMENT_S, broken, None), list(units)


def recorded(
    source: Sent, start_s: float, end_s: float, *, shift_s: float = 0.0, broken: bool = False
) -> list[Part]:
    """Segments of two seconds with all that was sent in some rounds; `broken` says the first."""
    parts: list[Part] = []
    begin = round(start_s * 1e6)
    while begin < round(end_s * 1e6):
        end = min(begin + SEGMENT_S * 1_000_000, round(end_s * 1e6))
        units = [
            replace(unit, pts_us=unit.pts_us + turn * source.round_us + round(shift_s * 1e6))
            for turn in range(begin // source.round_us, end // source.round_us + 1)
            for unit in source.units
            if begin <= unit.pts_us + turn * source.round_us < end
        ]
        parts.append(part(units, broken=broken and not parts))
        begin = end
    return parts


def gap(start_s: float, duration_s: float) -> Gap:
    return Gap(round(start_s * 1e6), round(duration_s * 1e6), "loss")


ONE, TWO = sent("one"), sent("two")


def test_judge_when_every_unit_is_there_then_finds_no_fault() -> None:
    found = judge(recorded(ONE, 3, 47), [ONE], [])

    assert found.faults == []
    assert (found.recorded, found.lost, found.missing_s) == (44 * 75, 0, [])


def edited(change: Callable[[list[UnitDigest]], list[UnitDigest]]) -> Judgement:
    """Judge 12 s whose third segment was changed."""
    parts = recorded(ONE, 0, 12)
    parts[2] = (parts[2][0], change(parts[2][1]))
    return judge(parts, [ONE], [])


@pytest.mark.parametrize("medium", ["video", "audio"])
def test_judge_when_one_unit_is_missing_then_says_so(medium: str) -> None:
    def without(units: list[UnitDigest]) -> list[UnitDigest]:
        gone = next(u for u in units[20:] if u.medium == medium)
        return [u for u in units if u is not gone]

    found = edited(without)

    assert found.lost == 1
    assert len(found.undeclared) == 1
    assert "undeclared" in found.faults[0]


def test_judge_when_a_unit_is_doubled_then_says_so() -> None:
    found = edited(lambda units: [*units[:30], units[29], *units[30:]])

    assert (found.doubled, found.lost, found.reordered) == (1, 0, 0)
    assert found.faults == ["1 units doubled"]


def test_judge_when_a_whole_segment_is_doubled_then_says_so() -> None:
    parts = recorded(ONE, 0, 12)
    found = judge([*parts[:3], parts[2], *parts[3:]], [ONE], [])

    assert found.doubled == len(parts[2][1])
    assert found.faults


def test_judge_when_units_are_swapped_then_says_so() -> None:
    def swapped(units: list[UnitDigest]) -> list[UnitDigest]:
        a, b = [n for n, u in enumerate(units) if u.medium == "video"][5:7]
        units[a], units[b] = units[b], units[a]
        return units

    found = edited(swapped)

    assert found.reordered == 1
    assert "1 units reordered" in found.faults


def test_judge_when_a_payload_was_never_published_then_says_so() -> None:
    found = edited(lambda units: [*units, digest("video", 5_990_000, False, b"alien")])

    assert found.foreign == 1
    assert found.faults == ["1 units that nobody published"]


def test_judge_when_a_hole_is_declared_then_it_is_a_gap_and_no_fault() -> None:
    parts = recorded(ONE, 0, 10) + recorded(ONE, 16, 30, broken=True)
    found = judge(parts, [ONE], [gap(10, 6)])

    assert found.faults == []
    assert found.lost == 6 * 75
    assert found.missing_s == [6.0]


@pytest.mark.parametrize(
    "told",
    [[], [gap(2, 6)], [gap(10, 3)], [gap(13, 3)]],
    ids=["none", "elsewhere", "front", "back"],
)
def test_judge_when_a_hole_is_not_covered_then_it_is_undeclared(told: list[Gap]) -> None:
    found = judge(recorded(ONE, 0, 10) + recorded(ONE, 16, 30, broken=True), [ONE], told)

    assert {hole.medium for hole in found.undeclared} == {"video", "audio"}


def test_judge_when_the_hole_is_longer_than_the_gap_then_time_was_stretched() -> None:
    parts = recorded(ONE, 0, 10) + recorded(ONE, 16, 30, shift_s=-4, broken=True)
    found = judge(parts, [ONE], [gap(10, 2)])

    assert found.stretched == (gap(10, 2),)
    assert found.undeclared == ()


def test_judge_when_nothing_is_missing_in_a_gap_then_it_is_invented() -> None:
    found = judge(recorded(ONE, 0, 12), [ONE], [gap(6, 1)])

    assert found.invented == (gap(6, 1),)
    assert found.faults


def test_judge_when_a_small_hole_has_a_discontinuity_then_it_is_declared() -> None:
    parts = recorded(ONE, 0, 10) + recorded(ONE, 10.2, 20, broken=True)

    assert judge(parts, [ONE], []).faults == []
    parts[5] = part(parts[5][1])
    assert len(judge(parts, [ONE], []).undeclared) == 2


def test_judge_when_the_publisher_restarts_then_only_the_new_start_s_beginning_counts() -> None:
    before = recorded(ONE, 4, 10)
    whole = judge(
        [*before, *recorded(TWO, 0, 10, shift_s=14, broken=True)], [ONE, TWO], [gap(10, 4)]
    )
    late = judge([*before, *recorded(TWO, 3, 9, shift_s=11, broken=True)], [ONE, TWO], [gap(10, 4)])
    silent = judge([*before, *recorded(TWO, 3, 9, shift_s=7)], [ONE, TWO], [])

    assert (whole.lost, whole.faults) == (0, [])
    assert (late.lost, late.faults, late.missing_s) == (3 * 75, [], [3.0])
    assert len(silent.undeclared) == 2


def test_judge_when_an_old_start_comes_after_a_new_one_then_it_is_out_of_order() -> None:
    parts = [
        *recorded(ONE, 4, 10),
        *recorded(TWO, 0, 4, shift_s=10, broken=True),
        *recorded(ONE, 10, 12, shift_s=4, broken=True),
    ]

    assert judge(parts, [ONE, TWO], []).reordered == 2 * 75


def test_judge_when_timestamps_wander_then_says_so() -> None:
    parts = recorded(ONE, 0, 12)
    found = judge([*parts[:3], *recorded(ONE, 6, 12, shift_s=0.01)], [ONE], [])

    assert found.drift_us == 10_000
    assert found.faults == ["timestamps wander by 10000 us"]
    assert (
        judge([*parts[:3], *recorded(ONE, 6, 12, shift_s=0.01, broken=True)], [ONE], []).faults
        == []
    )


def test_judge_when_the_clock_leapt_then_the_seam_of_its_tracks_is_allowed_and_no_more() -> None:
    def leapt(shift_s: float, leap_us: int, *gaps: Gap) -> Judgement:
        parts = [*recorded(ONE, 0, 6), *recorded(ONE, 6, 12, shift_s=shift_s)]
        return judge(parts, [ONE], gaps, leap_us=leap_us)

    pause = Gap(6_000_000, 600_000, "timestamp_jump")
    assert leapt(0.08, LEAP_US).faults == []
    assert leapt(0.2, LEAP_US).faults == ["timestamps wander by 200000 us"]
    assert leapt(0.6, STALL_US, pause).faults == []
    assert leapt(0.6, STALL_US, replace(pause, cause="loss")).faults == [
        "gap of 0.600 s at 6.000 s (loss) declared and nothing missing"
    ]


def test_judge_when_nothing_was_recorded_then_says_so() -> None:
    assert judge([], [ONE], []).faults == ["nothing recorded"]


def test_judge_when_there_are_two_holes_then_both_are_measured() -> None:
    parts = (
        recorded(ONE, 0, 10)
        + recorded(ONE, 14, 20, broken=True)
        + recorded(ONE, 22, 30, broken=True)
    )
    found = judge(parts, [ONE], [gap(10, 4), gap(20, 2)])

    assert found.faults == []
    assert found.missing_s == [4.0, 2.0]
