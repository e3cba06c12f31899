"""The benchmarks' own machinery: registry, medians, results file. Nothing is measured."""

import json
import sys

import pytest

from tests.bench.measure import BenchError, Running
from tests.bench.registry import Metric, Pair, groups
from tests.bench.report import Result, table, write


def result(name, *pairs, goal=None):
    return Result(Metric(name, "s", goal), "them", tuple(Pair(*pair) for pair in pairs))


def test_groups_when_listed_then_every_figure_has_a_name_of_its_own():
    names = [metric.name for group in groups() for metric in group.metrics]
    assert len(names) == len(set(names))
    assert {"copy_cpu", "copy_rss", "copy_steady_cpu", "copy_unpaced_cpu"} <= set(names)
    assert "import_record_lap" in names


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (["copy_rss"], ["copy_live"]),
        (["import_*"], ["imports"]),
        (["copy_*"], ["copy_live", "copy_unpaced"]),
        (["nothing"], []),
    ],
)
def test_groups_when_asked_for_some_then_gives_those_that_hold_them(only, found):
    assert [group.name for group in groups(only)] == found


def test_result_when_the_machine_drifts_then_pairs_round_by_round():
    drifting = result("x", (1, 2), (10, 20), (3, 4))
    assert (drifting.ratio, drifting.ours, drifting.peer) == (0.5, 3, 4)


def test_write_when_some_are_measured_again_then_keeps_the_others(tmp_path):
    write(tmp_path, [result("a", (1, 2)), result("b", (3, 4))], keep=False)
    path = write(tmp_path, [result("b", (5, 4))], keep=True)
    entry = {"ratio": 0.5, "ours": 1, "peer": 2, "unit": "s", "runs": 1}
    written = json.loads(path.read_text())
    assert written == {"a": entry, "b": {**entry, "ratio": 1.25, "ours": 5, "peer": 4}}
    write(tmp_path, [result("a", (1, 2))], keep=False)
    assert json.loads(path.read_text()) == {"a": entry}


def test_table_when_a_goal_is_missed_then_says_so():
    text = table([result("slow", (9, 10), goal=0.8), result("quick", (1, 2), goal=0.8)])
    slow, quick = text.splitlines()[1:]
    assert "MISSED" in slow
    assert "met" in quick


def test_running_when_a_command_works_then_it_is_accounted_for(tmp_path):
    code = "import time; end = time.process_time() + 0.05\nwhile time.process_time() < end: pass"
    cost = Running([sys.executable, "-S", "-c", code], tmp_path / "log", marks_s=(0.2,)).cost()
    assert cost.cpu_s >= 0.05
    assert 1 < cost.rss_mib < 200
    assert 0.05 <= cost.clocks_s[0] <= cost.cpu_s + 0.01


def test_running_when_a_command_fails_then_shows_its_words(tmp_path):
    with pytest.raises(BenchError, match="no such luck"):
        Running([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log").cost()
