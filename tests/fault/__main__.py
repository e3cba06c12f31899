"""Runs the fault lab: `python -m tests.fault`; the invariants held if it exits 0.

Every run records a live stream from a real media server on the deployed stack in the local engine,
with laps of 80 s, while something breaks; then every access unit in the playlist is compared with
what was published. The seed decides every moment that is left to chance. Figures are written to
.fault/results.json, recordings in which something did not hold to .fault/failed/.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fault.lab.cases import MATRIX, Case, chosen
from tests.fault.lab.record import Plan, Result
from tests.fault.lab.report import machine, problems, rows, table, write
from tests.fault.lab.session import make

LONG_HAND_OVERS, LONG_KILLS, LONG_KILL_RUNS = 8, 24, 3
"""Of each protocol and reliability: events in a run, and runs."""

OUT = Path(__file__).resolve().parents[2] / ".fault"


def main(argv: list[str]) -> int:
    """Make the runs, print the table, write results.json; return 0 if the invariants held."""
    arguments = _parse(argv)
    cases = chosen(arguments.cases)
    if arguments.list:
        print("\n".join(f"{case.name}  {case.fault.what}" for case in cases))
        return 0
    if not cases:
        print(f"no case fits {' or '.join(arguments.cases)}; see --list", file=sys.stderr)
        return 2
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1 << 32)
    plans = long(seed) if arguments.long else once(cases, arguments, seed)
    print(f"{len(plans)} runs of {len(cases)} cases, SEED={seed}, {machine()}", flush=True)
    began = time.monotonic()
    results = make(
        plans, jobs=arguments.jobs, margin=arguments.margin, keep=OUT / "failed", told=_tell
    )
    found = rows(results)
    print(f"\n{table(found)}\n")
    path = write(OUT, found, seed)
    failed = problems(results)
    if failed:
        print(f"what did not hold:\n{failed}\n", file=sys.stderr)
    print(f"{time.monotonic() - began:.0f} s, SEED={seed}, written to {path}")
    return 1 if failed else 0


def once(cases: Sequence[Case], arguments: argparse.Namespace, seed: int) -> list[Plan]:
    """Plan the runs that were asked for, the cases in turn."""
    return [
        Plan(case, number, seed, arguments.events)
        for number in range(1, arguments.runs + 1)
        for case in cases
    ]


def long(seed: int) -> list[Plan]:
    """Plan more than 100 hand-overs and more than 1,000 kills, over every protocol."""
    return [
        *(Plan(case, 1, seed, LONG_HAND_OVERS) for case in chosen(["hand-over"])),
        *(
            Plan(case, number, seed, LONG_KILLS)
            for number in range(1, LONG_KILL_RUNS + 1)
            for case in chosen(["kill"])
        ),
    ]


def _tell(result: Result) -> None:
    word = "held" if result.held else "FAILED: " + result.problems[0].splitlines()[-1][:300]
    plan = result.plan
    print(f"{plan.case.name} run {plan.number}: {result.took_s:.0f} s, {word}", flush=True)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fault",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cases",
        nargs="*",
        default=[],
        metavar="PATTERN",
        help=(
            "which of the cases, by pattern (kill/*/redundant) or by one of the three words; "
            f"default: all {len(MATRIX)}"
        ),
    )
    parser.add_argument("--seed", type=int, help="repeat a session's plan; default: a new one")
    parser.add_argument("--runs", type=int, default=1, help="of each case (1)")
    parser.add_argument("--events", type=int, default=1, help="faults in each run (1)")
    parser.add_argument("--jobs", type=int, default=8, help="runs side by side (8)")
    parser.add_argument(
        "--margin",
        type=float,
        default=1.0,
        help="times the promised gap that is allowed, for a machine that is busy otherwise (1)",
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help="100 hand-overs and 1,000 kills, whatever cases, runs and events say",
    )
    parser.add_argument("--list", action="store_true", help="name the cases and what breaks")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
