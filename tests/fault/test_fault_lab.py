"""A bounded part of the fault lab (`make fault` is the whole): the deployed stack, one seed.

Every protocol is handed over, every fault strikes once, each reliability is struck by the worst.
"""

from __future__ import annotations

import pytest

from tests.fault.lab.cases import chosen
from tests.fault.lab.record import Plan, Result
from tests.fault.lab.session import make

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
    "clock-jump/http-flv/economy",
]

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """Make all runs on one stack, several side by side."""
    plans = [Plan(case, 1, SEED) for name in [*HAND_OVERS, *STRUCK] for case in chosen([name])]
    made = make(plans, jobs=JOBS, margin=MARGIN)
    return {result.plan.case.name: result for result in made}


@pytest.mark.parametrize("name", [*HAND_OVERS, *STRUCK])
def test_recording_when_struck_then_the_invariants_hold(
    name: str, results: dict[str, Result]
) -> None:
    result = results[name]

    assert result.problems == (), result.judgement.notes if result.judgement else ""
    assert result.struck > 0
    assert result.judgement.recorded > 500


@pytest.mark.parametrize(
    "name", [n for n in [*HAND_OVERS, *STRUCK] if n.startswith("hand-over") or "redundant" in n]
)
def test_recording_when_handed_over_or_redundant_then_several_laps_wrote_it(
    name: str, results: dict[str, Result]
) -> None:
    assert results[name].laps >= 2


def test_faults_when_listed_here_then_each_of_the_matrix_strikes() -> None:
    struck = {name.split("/")[0] for name in [*HAND_OVERS, *STRUCK]}

    assert struck == {case.fault.name for case in chosen([])}
