"""Runs the benchmarks: `python -m tests.bench [--only PATTERN ...] [--rounds N] [--quick]`."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import OUT, BenchError
from tests.bench.registry import Group, Pair, Setting, groups
from tests.bench.report import Result, table, write
from tests.lab.process import LabError, program


def main(argv: list[str]) -> int:
    """Measure, print, write; return 0, or 1 if something could not be measured."""
    arguments = _parse(argv)
    chosen = groups(arguments.only)
    if arguments.list:
        print("\n".join(f"{g.name}: {' '.join(m.name for m in g.metrics)}" for g in chosen))
        return 0
    if not chosen:
        print(f"no figure is called {' or '.join(arguments.only)}; see --list", file=sys.stderr)
        return 1
    print(_machine(), flush=True)
    results: list[Result] = []
    failed = False
    scratch = Path(tempfile.mkdtemp(prefix="everreel-bench-", dir=_memory()))
    try:
        setting = Setting(quick=arguments.quick, scratch=scratch)
        for group in chosen:
            try:
                results += _run(group, setting, arguments.rounds)
            except (BenchError, LabError) as error:
                failed = True
                print(f"{group.name}: {error}", file=sys.stderr)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print("\n" + table(results))
    path = write(OUT, results, keep=bool(arguments.only) or failed)
    print(f"\nwritten to {path}")
    return int(failed)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="figures or groups, e.g. 'import_*'"
    )
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="counted rounds")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work?")
    parser.add_argument("--list", action="store_true", help="name the groups and their figures")
    return parser.parse_args(argv)


def _run(group: Group, setting: Setting, rounds: int) -> list[Result]:
    """Measure one group, telling each round as it is done."""
    count = 1 if setting.quick else rounds or group.rounds
    pairs: dict[str, list[Pair]] = {metric.name: [] for metric in group.metrics}
    with group.open(setting) as measure:
        for number in range(-group.warm_up, count):
            measured = measure(number)
            told = "  ".join(f"{name} {p.ours / p.peer:.3f}" for name, p in measured.items())
            print(f"{group.name} {number + 1 or 'warm-up'}: {told}", flush=True)
            if number >= 0:
                for name, pair in measured.items():
                    pairs[name].append(pair)
    return [Result(m, group.against, tuple(pairs[m.name])) for m in group.metrics]


def _machine() -> str:
    """Describe what the figures were made on: ratios travel, seconds do not."""
    ffmpeg = subprocess.run(
        [program("ffmpeg"), "-version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    load = os.getloadavg()[0]
    version = ".".join(str(part) for part in sys.version_info[:3])
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {version}, FFmpeg {ffmpeg}"


def _memory() -> Path | None:
    """Find a folder that is kept in memory, so that no disk is measured."""
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
