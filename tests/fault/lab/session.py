"""Many runs side by side on one stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from tests.fault.lab.harness import LabStack
from tests.fault.lab.record import Plan, Result, record


@contextmanager
def under_way(
    plans: Sequence[Plan], *, jobs: int, margin: float = 1.0, keep: Path | None = None
) -> Iterator[list[Future[Result]]]:
    """Begin all runs in their order, `jobs` at a time; what is not done at the end is given up.

    They share one stack, so the laps of all must be of one length.
    """
    store_fails = any(plan.case.fault.store for plan in plans)
    (laps,) = {plan.case.fault.laps for plan in plans}
    with (
        LabStack(store_fails=store_fails, laps=laps) as stack,
        ThreadPoolExecutor(max_workers=jobs) as pool,
    ):
        try:
            yield [pool.submit(record, stack, plan, margin=margin, keep=keep) for plan in plans]
        finally:
            stack.ending.set()
            pool.shutdown(wait=True, cancel_futures=True)


def make(
    plans: Sequence[Plan],
    *,
    jobs: int,
    margin: float = 1.0,
    keep: Path | None = None,
    told: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Make all runs, those with short laps first; `told` hears of each as it ends."""
    results: list[Result] = []
    for laps in sorted({plan.case.fault.laps for plan in plans}):
        alike = [plan for plan in plans if plan.case.fault.laps == laps]
        with under_way(alike, jobs=jobs, margin=margin, keep=keep) as runs:
            for run in as_completed(runs):
                results.append(run.result())
                told(results[-1])
    return results
