"""A publisher that comes back goes on in the same recording; one that stays away ends it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everreel.media.segment import Cause
from everreel.state.recording import Reason
from everreel.state.status import Status
from tests.lab import clips, validate
from tests.lab.compare import Run, compare
from tests.lab.digests import UnitDigest, units_by_part
from tests.lab.http_live import TsOverHttp
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, NginxRtmp, NodeMediaServer
from tests.servers.harness import Hole, Lap

Ends = Callable[[], tuple[AbstractContextManager[object], Callable[[], str], Callable[[], str]]]


def nginx(idle_streams: bool = True):
    server = NginxRtmp(idle_streams=idle_streams)
    return server, server.rtmp_url, server.rtmp_url


def nginx_dropping():
    return nginx(idle_streams=False)


def nginx_hls():
    server = NginxRtmp()
    return server, lambda: server.rtmp_url(app="hls"), server.hls_url


def nms():
    server = NodeMediaServer()
    return server, server.rtmp_url, server.rtmp_url


def nms_flv():
    server = NodeMediaServer()
    return server, server.rtmp_url, server.flv_url


def rtsp():
    server = GstRtsp()
    return server, server.ingest_url, server.rtsp_url


def ts():
    server = TsOverHttp()
    return server, lambda: server.target, lambda: server.url


SERVERS = {
    "nginx rtmp, idle streams kept": nginx,
    "nginx rtmp, idle streams dropped": nginx_dropping,
    "node-media-server rtmp": nms,
    "node-media-server http-flv": nms_flv,
    "gstreamer rtsp": rtsp,
    "mpeg-ts over http": ts,
    "nginx hls": nginx_hls,
}
BEFORE_S, AWAY_S, AFTER_S = 8.0, 2.0, 9.0
IDLE_S = 9


@dataclass(frozen=True)
class Restarted:
    """What came of a lap whose publisher was killed, started again, and killed for good."""

    lap: Lap
    before: Run
    after: Run
    real_hole_us: int
    told_hole_us: int
    idle_for_s: float


def parts_at_breaks(lap: Lap) -> list[list[UnitDigest]]:
    """The recorded units, cut where the playlist says that the timeline breaks."""
    stretches: list[list[UnitDigest]] = []
    for part, units in units_by_part(lap.playlist):
        if part.discontinuity or not stretches:
            stretches.append([])
        stretches[-1] += units
    return stretches


def record(ends: Ends, root: Path) -> Restarted:
    """Kill the publisher, start it again, kill it for good.

    GStreamer's server dies with it: its own clock would delay what a returning publisher sends.
    """
    server, target, url = ends()
    with server, Publisher(clips.MAIN, target()) as publisher:
        time.sleep(1.0)
        with Lap(url(), root, idle_s=IDLE_S, segment_s=2) as lap:
            time.sleep(BEFORE_S)
            first_utc_us = publisher.first_unit_utc_us
            publisher.kill()
            if isinstance(server, GstRtsp):
                server.stop()
            time.sleep(AWAY_S)
            if isinstance(server, GstRtsp):
                server.start()
            publisher.start()
            again_utc_us = publisher.first_unit_utc_us
            time.sleep(AFTER_S)
            publisher.kill()
            killed = time.monotonic()
            lap.wait(30)
            idle_for_s = time.monotonic() - killed
    stretches = parts_at_breaks(lap)
    runs = [compare(publisher.units, units).runs for units in stretches]
    before, after = runs[0], runs[-1]
    published = [u for u in publisher.units if u.medium == "video"]
    left_us = published[before["video"].last].pts_us
    came_us = published[after["video"].first].pts_us
    videos = [[u for u in units if u.medium == "video"] for units in (stretches[0], stretches[-1])]
    return Restarted(
        lap,
        before["video"],
        after["video"],
        real_hole_us=again_utc_us + came_us - first_utc_us - left_us,
        told_hole_us=min(u.pts_us for u in videos[1]) - max(u.pts_us for u in videos[0]),
        idle_for_s=idle_for_s,
    )


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Restarted]]:
    root = Path(tempfile.mkdtemp(prefix="lab-restarts-"))
    with ThreadPoolExecutor() as pool:
        waiting = {
            name: pool.submit(record, ends, root / str(number))
            for number, (name, ends) in enumerate(SERVERS.items())
        }
        yield {name: future.result() for name, future in waiting.items()}
    shutil.rmtree(root)


@pytest.fixture(params=SERVERS)
def restarted(request: pytest.FixtureRequest, made: dict[str, Restarted]) -> Restarted:
    return made[request.param]


def test_publisher_when_killed_and_started_again_then_one_recording_holds_both_lives(
    restarted: Restarted,
):
    stretches = parts_at_breaks(restarted.lap)

    assert len(stretches) == 2, restarted.lap.holes
    assert restarted.before.exact, restarted.before
    assert restarted.after.exact, restarted.after
    assert restarted.before.count > 25 * (BEFORE_S - 4)
    assert restarted.after.count > 25 * (AFTER_S - 4)


def test_publisher_when_killed_and_started_again_then_the_gap_is_written_down_as_it_was(
    restarted: Restarted,
):
    holes: list[Hole] = restarted.lap.holes

    assert len(holes) == 1
    assert holes[0].gap.cause in {Cause.JUMP, Cause.RECONNECT, Cause.OUTAGE}
    # HLS shows only when a whole fragment came; GStreamer's server prerolls before it plays.
    source = restarted.lap.recording.source
    bound_us = 2_300_000 if "m3u8" in source else 1_500_000 if "rtsp" in source else 700_000
    assert restarted.told_hole_us == pytest.approx(restarted.real_hole_us, abs=bound_us)
    assert holes[0].gap.duration_us == pytest.approx(restarted.told_hole_us, abs=200_000)


def test_publisher_when_it_stays_away_then_the_lap_leaves_by_itself_in_time(restarted: Restarted):
    outcome = restarted.lap.outcome

    assert outcome is not None
    assert (outcome.reason, outcome.failure) == (Reason.IDLE, None)
    assert restarted.lap.status is Status.STOPPED
    assert IDLE_S - 1 < restarted.idle_for_s < IDLE_S + 4


def test_publisher_when_it_comes_and_goes_then_every_segment_decodes_and_the_index_holds(
    restarted: Restarted,
):
    restarted.lap.check_index()
    for decoded in validate.decode_playlist(restarted.lap.playlist):
        assert not decoded.errors, decoded.messages[:3]
