"""What a segment costs after a day and after a week of recording, against the first hours."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import ROOT, BenchError, Running
from tests.bench.registry import Group, Metric, Pair, Round, Setting

_DRIVER = Path(__file__).with_name("record_long.py")
_HOURS, _QUICK_HOURS = {"24h": 24, "7d": 168}, {"24h": 8, "7d": 12}
_FLAT = 1.1
"""What flat means for CPU, which no machine measures the same twice."""


@contextmanager
def _open(setting: Setting) -> Iterator[Round]:
    hours = _QUICK_HOURS if setting.quick else _HOURS
    yield lambda number: _measure(setting.scratch / f"long-{number}.log", hours)


def _measure(log: Path, hours: Mapping[str, int]) -> Mapping[str, Pair]:
    found: dict[str, Pair] = {}
    for name, count in hours.items():
        out = log.with_suffix(f".{name}.json")
        argv = [sys.executable, str(_DRIVER), str(count), str(out)]
        Running(argv, log, environment={"PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}"}).cost()
        told = json.loads(out.read_text())
        if told["segments"] < 600 * count:
            raise BenchError(f"{told['segments']} segments instead of {600 * count}")
        for figure, (late, early) in told["figures"].items():
            found[f"long_{name}_{figure}"] = Pair(late, early)
    return found


GROUPS = [
    Group(
        name="long",
        against="the same recording's hours 2 to 7; seal and verify: one of an hour",
        metrics=tuple(
            Metric(f"long_{name}_{figure}", unit, goal=goal)
            for name in _HOURS
            for figure, unit, goal in (
                ("requests", "a segment", 1.0),
                ("put", "B a segment", None),
                ("got", "B a segment", None),
                ("rows", "a segment", None),
                ("cpu", "us a segment", _FLAT),
                ("lap_memory", "MiB", None),
                ("seal_cpu", "us a segment", None),
                ("seal_rss", "MiB", None),
                ("verify_cpu", "us a segment", None),
                ("verify_rss", "MiB", None),
            )
        ),
        rounds=1,
        open=_open,
        warm_up=0,
    )
]
