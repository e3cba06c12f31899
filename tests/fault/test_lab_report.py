"""The fault lab's plan, matrix and figures, without a recording."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.fault.__main__ import long, main
from tests.fault.lab.cases import FAULTS, MATRIX, Reliability, chosen
from tests.fault.lab.judge import Hole, Judgement
from tests.fault.lab.record import Plan, Result
from tests.fault.lab.report import percentile, problems, rows, table, write
from tests.fault.lab.stage import Protocol

KILL = next(iter(chosen(["kill/rtmp-nms/economy"])))


def result(number: int, *missing_s: float, struck: int = 1, trouble: str = "") -> Result:
    holes = tuple(
        Hole("video", round(s * 25), round(s * 1e6), at, at + round(s * 1e6), broken=True)
        for at, s in zip(range(10_000_000, 10**12, 60_000_000), missing_s, strict=False)
    )
    lost = sum(hole.units for hole in holes)
    judgement = Judgement(recorded=1000, lost=lost, holes=holes)
    found = (trouble,) if trouble else ()
    return Result(Plan(KILL, number, 1), found, judgement, struck, 3, 20.0)


def test_matrix_when_listed_then_every_protocol_meets_every_fault_twice() -> None:
    assert len({case.name for case in MATRIX}) == len(FAULTS) * len(Protocol) * len(Reliability)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("kill", 14),
        ("rtsp", 2 * len(FAULTS)),
        ("kill/*/redundant", 7),
        ("hang/rtsp/economy", 1),
        ("none", 0),
    ],
)
def test_cases_when_chosen_by_pattern_then_those_that_fit(pattern: str, count: int) -> None:
    assert len(chosen([pattern])) == count


def test_plan_when_the_seed_is_the_same_then_so_is_its_chance() -> None:
    def drawn(seed: int, number: int) -> list[float]:
        chance = Plan(KILL, number, seed).chance
        return [chance.random() for _ in range(5)]

    assert drawn(1, 1) == drawn(1, 1)
    assert drawn(1, 1) != drawn(1, 2)
    assert drawn(1, 1) != drawn(2, 1)


def test_long_form_when_planned_then_has_its_hand_overs_and_kills() -> None:
    plans = long(1)
    counted = Counter({"hand-over": 0})
    for plan in plans:
        counted[plan.case.fault.name] += plan.events

    assert counted["hand-over"] >= 100
    assert counted["kill"] >= 1000
    assert len({plan.case.protocol for plan in plans}) == len(Protocol)
    assert len({plan.channel for plan in plans}) == len(plans)


def test_percentile_when_asked_then_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]

    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([], 0.5) == 0.0


def test_row_when_events_left_no_gap_then_they_count_as_none() -> None:
    (row,) = rows([result(1, 4.0), result(2, struck=3)])
    told = row.dump(1)

    assert (told["runs"], told["events"], told["lost"], told["held"]) == (2, 4, 100, True)
    assert (told["gap_p50_s"], told["gap_p99_s"], told["gap_max_s"]) == (0.0, 4.0, 4.0)


def test_row_when_one_run_failed_then_the_case_did_not_hold() -> None:
    found = rows([result(1), result(2, trouble="never sealed")])

    assert not found[0].held
    assert table(found).splitlines()[-1].rstrip(" |").endswith("NO")
    assert "kill/rtmp-nms/economy run 2: never sealed" in problems(
        [result(2, trouble="never sealed")]
    )


def test_results_when_written_then_hold_every_figure(tmp_path: Path) -> None:
    path = write(tmp_path, rows([result(1, 2.0)]), seed=5)
    document = json.loads(path.read_text())
    case = document["cases"]["kill/rtmp-nms/economy"]

    assert document["seed"] == case["seed"] == 5
    for name in ("runs", "lost", "doubled", "reordered", "gap_p50_s", "gap_p99_s", "gap_max_s",
                 "protocol", "reliability", "duration_s"):  # fmt: skip
        assert name in case


def test_command_when_no_case_fits_then_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases", "nothing"]) == 2
    assert "no case fits nothing" in capsys.readouterr().err


def test_command_when_asked_to_list_then_names_cases_and_what_breaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list", "--cases", "hang"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14
    assert "zombie" in lines[0]
