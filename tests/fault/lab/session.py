"""Many runs side by side on one stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.fault.lab.harness import LabStack
from tests.fault.lab.record import Plan, Result, record


def make(
    plans: Sequence[Plan],
    *,
    jobs: int,
    margin: float = 1.0,
    keep: Path | None = None,
    told: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Make all runs, `jobs` at a time; `told` hears of each as it ends."""
    results: list[Result] = []
    store_fails = any(plan.case.fault.store for plan in plans)
    with (
        LabStack(store_fails=store_fails) as stack,
        ThreadPoolExecutor(max_workers=jobs) as pool,
    ):
        try:
            runs = [pool.submit(record, stack, plan, margin=margin, keep=keep) for plan in plans]
            for run in as_completed(runs):
                results.append(run.result())
                told(results[-1])
        except BaseException:
            stack.ending.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results
