"""Laps that take over from each other on real servers: every access unit is there exactly once.

Phases are random; an assertion shows the seed that repeats them. The counts are small here; the
functions of `relays` take any.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from everreel.state.recording import Reason
from tests.lab import clips
from tests.lab.http_live import TsOverHttp
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, LiveHls, NginxRtmp, NodeMediaServer
from tests.servers.relays import Result, hand_over, phases, side_by_side, take_over

HAND_OVERS = 2
KILLS = 2
SEED = random.randrange(1_000_000)
GOP_US = 2_000_000
D_US = 2_000_000

SOURCES = (
    "nginx rtmp",
    "nms rtmp",
    "nms http-flv",
    "rtsp aac",
    "rtsp opus",
    "mpeg-ts over http",
    "nginx hls",
    "hls fmp4",
)
HLS = SOURCES[-2:]
Run = Callable[[str, Publisher, Path, int], Result]


def run_hand_over(url: str, publisher: Publisher, root: Path, seed: int) -> Result:
    return hand_over(url, publisher, root, phases(HAND_OVERS, seed), seed=seed)


def run_side_by_side(url: str, publisher: Publisher, root: Path, seed: int) -> Result:
    return side_by_side(url, publisher, root, phases(KILLS, seed, 0.0, 4.0), seed=seed)


def run_take_over(url: str, publisher: Publisher, root: Path, seed: int) -> Result:
    waits_s = phases(KILLS, seed, 1.0, 4.0)
    return take_over(url, publisher, root, waits_s, seed=seed, away_s=3.0)


RUNS: dict[str, Run] = {
    "hand-over": run_hand_over,
    "side by side": run_side_by_side,
    "takeover": run_take_over,
}


def publish(stack: ExitStack) -> dict[str, tuple[str, Publisher]]:
    """Start every server with one publisher per stream; return where to record it."""

    def on(
        target: str, clip: clips.Clip = clips.MAIN, options: dict[str, str] | None = None
    ) -> Publisher:
        return stack.enter_context(Publisher(clip, target, options=options))

    nginx = stack.enter_context(NginxRtmp())
    nms = stack.enter_context(NodeMediaServer())
    rtsp = stack.enter_context(GstRtsp())
    ts = stack.enter_context(TsOverHttp())
    hls = stack.enter_context(LiveHls("fmp4"))
    both = on(nms.rtmp_url())
    streams = {
        "nginx rtmp": (nginx.rtmp_url(), on(nginx.rtmp_url())),
        "nms rtmp": (nms.rtmp_url(), both),
        "nms http-flv": (nms.flv_url(), both),
        "rtsp aac": (rtsp.rtsp_url(), on(rtsp.ingest_url())),
        "rtsp opus": (
            rtsp.rtsp_url("h264-opus"),
            on(rtsp.ingest_url("h264-opus"), clips.OPUS),
        ),
        "mpeg-ts over http": (ts.url, on(ts.target)),
        "nginx hls": (nginx.hls_url(), on(nginx.rtmp_url(app="hls"))),
        "hls fmp4": (hls.url, on(hls.target, options=hls.options)),
    }
    hls.wait_live(2)
    return streams


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[tuple[str, str], Future[Result]]]:
    """Every kind of run on every server, all at the same time."""
    root = Path(tempfile.mkdtemp(prefix="lab-relays-"))
    with ExitStack() as stack:
        streams = publish(stack)
        time.sleep(2.0)
        pool = stack.enter_context(ThreadPoolExecutor(len(RUNS) * len(streams)))
        yield {
            (kind, name): pool.submit(
                partial(run, *streams[name], root / f"{kind}-{name}".replace(" ", "-"), SEED + i)
            )
            for kind, run in RUNS.items()
            for i, name in enumerate(streams)
        }
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("name", SOURCES)
def test_hand_over_when_planned_then_every_unit_is_there_once(
    runs: dict[tuple[str, str], Future[Result]], name: str
) -> None:
    result = runs["hand-over", name].result()
    assert result.seamless, result
    assert len(result.writers) == HAND_OVERS + 1, result
    reasons = [outcome.reason for outcome in result.outcomes.values()]
    assert reasons == [Reason.HANDED_OVER] * HAND_OVERS + [Reason.STOPPED], result


@pytest.mark.parametrize("name", SOURCES)
def test_kill_when_two_laps_record_side_by_side_then_every_unit_is_there_once(
    runs: dict[tuple[str, str], Future[Result]], name: str
) -> None:
    result = runs["side by side", name].result()
    assert result.seamless, result


@pytest.mark.parametrize("name", HLS)
def test_takeover_when_the_server_keeps_what_was_missed_then_nothing_is_lost(
    runs: dict[tuple[str, str], Future[Result]], name: str
) -> None:
    result = runs["takeover", name].result()
    assert result.seamless, result
    assert len(result.writers) == KILLS + 1, result


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in HLS])
def test_takeover_when_the_server_sends_the_present_only_then_the_gap_is_exact(
    runs: dict[tuple[str, str], Future[Result]], name: str
) -> None:
    result = runs["takeover", name].result()
    verdict = result.compared
    assert verdict.doubled + verdict.reordered + verdict.foreign == [], result
    # Media after the hole lies where it was published: by the source's own clock, to its tick.
    for run in verdict.runs.values():
        assert run.offset_max_us - run.offset_min_us <= 1_100, result
    video = verdict.runs["video"]
    assert len(video.lost) * 40_000 == result.gap_us, result
    assert len(result.breaks) == sum(row.gap is not None for row in result.rows), result
