"""A bounded part of the fault lab (`make fault` is the whole): the deployed stack, one seed.

Every protocol is handed over, every fault strikes once, each reliability is struck by the worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.fault.lab.cases import chosen
from tests.fault.lab.harness import LONG, SHORT
from tests.fault.lab.record import Plan, Result
from tests.fault.lab.session import under_way

SEED = 20261128
JOBS = 8

MARGIN = 2.5
"""A gap lasts as long as processes take to start, and this machine runs a dozen at a time."""

HAND_OVERS = [case.name for case in chosen(["hand-over/*/economy"])]
STRUCK = [
    "hand-over/rtmp-nms/redundant",
    "hand-over/hls-fmp4/redundant",
    "kill/rtmp-nginx/economy",
    "kill/hls-ts/economy",
    "kill/http-flv/redundant",
    "kill/rtsp/redundant",
    "kill-all/hls-fmp4/redundant",
    "hang/rtmp-nms/economy",
    "hang/http-ts/redundant",
    "store-503/http-flv/economy",
    "store-slow/rtmp-nms/redundant",
    "store-409/rtmp-nginx/redundant",
    "store-412/hls-ts/economy",
    "network-cut/rtmp-nginx/economy",
    "network-cut/http-ts/redundant",
    "network-freeze/rtsp/economy",
    "invoked-again/rtmp-nginx/redundant",
    "machines-killed/http-flv/economy",
    "publisher-restart/rtsp/economy",
    "publisher-restart/rtmp-nms/redundant",
    "publisher-away/rtmp-nginx/redundant",
    "clock-jump/http-flv/economy",
    "clock-jump/hls-ts/redundant",
]

NAMES = [*HAND_OVERS, *STRUCK]


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Result]]]:
    """Begin all runs, several side by side, in the order of the tests; long laps on their own."""
    plans = [Plan(case, 1, SEED) for name in NAMES for case in chosen([name])]
    short = [plan for plan in plans if plan.case.fault.laps == SHORT]
    long = [plan for plan in plans if plan.case.fault.laps == LONG]
    with (
        under_way(long, jobs=JOBS, margin=MARGIN) as patient,
        under_way(short, jobs=JOBS, margin=MARGIN) as begun,
    ):
        yield {
            plan.case.name: run
            for plan, run in zip([*long, *short], [*patient, *begun], strict=True)
        }


@pytest.mark.parametrize("name", NAMES)
def test_recording_when_struck_then_the_invariants_hold(
    name: str, runs: dict[str, Future[Result]]
) -> None:
    result = runs[name].result()

    assert result.problems == (), result.judgement.notes if result.judgement else ""
    assert result.struck > 0
    assert result.judgement.recorded > 500
    if name.startswith("hand-over") or name.endswith("redundant"):
        assert result.laps >= 2


def test_faults_when_listed_here_then_each_of_the_matrix_strikes() -> None:
    struck = {name.split("/")[0] for name in NAMES}

    assert struck == {case.fault.name for case in chosen([])}
