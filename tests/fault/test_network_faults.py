"""Networks that freeze, break and drip: media that still comes is kept, and a stop always works."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from everreel.protocols.source import QUIET_S
from everreel.recorder.loop import POLL_S
from everreel.state.recording import Reason
from everreel.state.status import Status
from tests.fault.proxy import Proxy, Silent
from tests.lab import clips, validate
from tests.lab.compare import compare
from tests.lab.digests import UnitDigest, units_by_part
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, NginxRtmp, NodeMediaServer
from tests.servers.harness import Lap

BEAT_S = 0.3
STOP_S = 1.2
FROZEN_S = 3.0
GONE_S = 14.0
"""Longer than a server is waited for before it is opened anew; a playlist lists 24 s."""


@pytest.fixture(scope="module")
def stage() -> Iterator[dict[str, tuple[str, int, Publisher]]]:
    """Live streams by name: URL, port to put a proxy in front of, publisher."""
    with ExitStack() as stack:
        nginx, nms = stack.enter_context(NginxRtmp()), stack.enter_context(NodeMediaServer())
        rtsp = stack.enter_context(GstRtsp())
        one = stack.enter_context(Publisher(clips.MAIN, nginx.rtmp_url()))
        hls = stack.enter_context(Publisher(clips.MAIN, nginx.rtmp_url(app="hls")))
        two = stack.enter_context(Publisher(clips.MAIN, nms.rtmp_url()))
        three = stack.enter_context(Publisher(clips.MAIN, rtsp.ingest_url()))
        time.sleep(4.5)
        yield {
            "rtmp": (nginx.rtmp_url(), nginx.rtmp_port, one),
            "http-flv": (nms.flv_url(), nms.http_port, two),
            "rtsp": (rtsp.rtsp_url(), rtsp.port, three),
            "hls": (nginx.hls_url(), nginx.http_port, hls),
        }


NAMES = ["rtmp", "http-flv", "rtsp", "hls"]
Made = dict[tuple[str, str], tuple[Lap, Publisher]]
FAULTS = ("frozen", "broken", "away", "gone", "stranded")


@pytest.fixture(scope="module")
def laps(stage: dict[str, tuple[str, int, Publisher]]) -> Iterator[Made]:
    """Every protocol under every fault, all at once: 6 s, the fault, and 9 s after the longest."""
    root = Path(tempfile.mkdtemp(prefix="fault-network-"))
    with ExitStack() as stack:
        made: dict[tuple[str, str], tuple[Lap, Publisher]] = {}
        publishers: dict[tuple[str, str], Publisher] = {}
        proxies: dict[str, list[Proxy]] = {fault: [] for fault in FAULTS}
        for name, (live_url, live_port, publisher) in stage.items():
            for fault in FAULTS:
                if fault == "gone" and name != "hls":
                    continue
                url, port = live_url, live_port
                if name == "rtsp":
                    # A frozen player holds up GStreamer's pipeline, which its players share.
                    server = stack.enter_context(GstRtsp())
                    own = stack.enter_context(Publisher(clips.MAIN, server.ingest_url()))
                    url, port, publishers[name, fault] = server.rtsp_url(), server.port, own
                proxy = stack.enter_context(Proxy(port))
                proxies[fault].append(proxy)
                lap = Lap(proxy.through(url), root / f"{name}-{fault}", segment_s=4)
                made[name, fault] = lap.start(), publishers.get((name, fault), publisher)
        time.sleep(6)
        for fault, through in proxies.items():
            for proxy in through:
                if fault == "frozen":
                    proxy.freeze()
                elif fault == "stranded":
                    proxy.strand()
                else:
                    proxy.cut(refuse=fault != "broken")
        time.sleep(FROZEN_S)
        for proxy in (*proxies["frozen"], *proxies["away"]):
            proxy.thaw()
            proxy.accept()
        time.sleep(GONE_S - FROZEN_S)
        for proxy in proxies["gone"]:
            proxy.accept()
        time.sleep(9)
        for lap, _publisher in made.values():
            lap.stop()
        yield made
    shutil.rmtree(root)


def stretches(lap: Lap) -> list[list[UnitDigest]]:
    found: list[list[UnitDigest]] = []
    for part, units in units_by_part(lap.playlist):
        if part.discontinuity or not found:
            found.append([])
        found[-1] += units
    return found


@pytest.mark.parametrize("name", NAMES)
def test_network_when_it_freezes_and_thaws_then_nothing_is_lost_or_doubled(name: str, laps: Made):
    lap, publisher = laps[name, "frozen"]
    verdict = lap.compared(publisher)

    assert lap.outcome.reason is Reason.STOPPED
    assert verdict.exact, (verdict, lap.holes)
    assert not lap.holes
    assert verdict.runs["video"].count > 25 * 10


@pytest.mark.parametrize("fault", ["broken", "away"])
@pytest.mark.parametrize("name", NAMES)
def test_network_when_a_connection_breaks_then_the_lap_comes_back_and_nothing_is_doubled(
    name: str, fault: str, laps: Made
):
    lap, publisher = laps[name, fault]
    pieces = stretches(lap)
    verdicts = [
        compare(publisher.units, units, looped_every_us=publisher.round_us) for units in pieces
    ]

    assert lap.outcome.reason is Reason.STOPPED
    assert lap.outcome.progress.reconnects >= (0 if name == "hls" else 1)
    for verdict in verdicts:
        if (name, fault) == ("http-flv", "broken"):
            # Where a server repeats what it keeps, less than half a second that it does not keep
            # is no break (docs/time.md); which frames those are depends on when it was cut.
            assert [*verdict.doubled, *verdict.reordered, *verdict.foreign] == [], str(verdict)
            assert len(verdict.lost) < 24, str(verdict)
        else:
            assert verdict.exact, (verdict, lap.holes)
    if name == "hls":
        assert len(pieces) == 1  # the playlist still lists what was missed
    elif len(pieces) == 1:
        # What the server keeps fills the hole, unless a keyframe came while we were away.
        assert (name, fault) == ("http-flv", "broken")
    else:
        before, after = (verdict.runs["video"] for verdict in verdicts)
        # Lost is the time away, up to the first keyframe after it; RTSP takes its time to play.
        lost = after.first - before.last - 1
        away_s = FROZEN_S + 3.5 if fault == "away" else 0.7
        assert 0 <= lost <= 25 * (away_s + 2 * clips.MAIN.gop_s)
        told_us = sum(hole.gap.duration_us for hole in lap.holes)
        bound_us = 1_500_000 if name == "rtsp" else 600_000
        assert told_us == pytest.approx(lost * 40_000, abs=bound_us)
    lap.check_index()
    assert not any(decoded.errors for decoded in validate.decode_playlist(lap.playlist))


def test_network_when_a_playlist_is_gone_for_long_then_what_it_lists_still_is_recorded(laps: Made):
    lap, publisher = laps["hls", "gone"]
    verdict = lap.compared(publisher)

    assert lap.outcome.reason is Reason.STOPPED
    assert lap.outcome.progress.reconnects >= 1  # it was given up and opened anew
    assert verdict.exact, (verdict, lap.holes)
    assert len(stretches(lap)) == 1
    assert not lap.holes
    assert verdict.runs["video"].count > 25 * 20


@pytest.mark.parametrize("name", NAMES)
def test_network_when_a_connection_is_dead_and_nobody_says_so_then_a_new_one_is_made_in_time(
    name: str, laps: Made
):
    lap, publisher = laps[name, "stranded"]
    pieces = stretches(lap)
    verdicts = [
        compare(publisher.units, units, looped_every_us=publisher.round_us) for units in pieces
    ]

    assert lap.outcome.reason is Reason.STOPPED
    assert all(verdict.exact for verdict in verdicts), (verdicts, lap.holes)
    if name == "hls":
        assert len(pieces) == 1
        return
    assert lap.outcome.progress.reconnects >= 1
    before, after = (verdict.runs["video"] for verdict in verdicts)
    lost_s = (after.first - before.last - 1) / 25
    # A server may still have the newest group of pictures; RTSP takes its time to play.
    assert QUIET_S - 1 - clips.MAIN.gop_s < lost_s < QUIET_S + 5 + 2 * clips.MAIN.gop_s
    told_s = sum(hole.gap.duration_us for hole in lap.holes) / 1_000_000
    assert told_s == pytest.approx(lost_s, abs=1.5)


SILENT = {
    "an rtmp server that never answers": ("rtmp://127.0.0.1:{}/live/x", b""),
    "an rtsp server that never answers": ("rtsp://127.0.0.1:{}/x", b""),
    "an http server that never answers": ("http://127.0.0.1:{}/x.flv", b""),
    "an http server that stops in its headers": (
        "http://127.0.0.1:{}/x.flv", b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "an http server that stops in its body": (
        "http://127.0.0.1:{}/x.flv", b"HTTP/1.1 200 OK\r\n\r\nFLV\x01\x05\0\0\0\x09\0\0\0\0\x09"),
    "a playlist that stops in the middle": (
        "http://127.0.0.1:{}/x.m3u8", b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:2\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_stop_when_the_server_is_silent_then_the_lap_ends_within_a_second_of_the_beat(
    name: str, tmp_path: Path
):
    url, greeting = SILENT[name]
    with Silent(greeting) as server:
        lap = Lap(url.format(server.port), tmp_path).start()
        time.sleep(1.0)
        asked = time.monotonic()
        outcome = lap.stop()
        took_s = time.monotonic() - asked

    assert outcome.reason is Reason.STOPPED
    assert took_s < BEAT_S + STOP_S
    assert not lap.objects
    assert lap.status is Status.STOPPED


@pytest.mark.parametrize("name", SILENT)
def test_server_when_it_never_answers_then_the_lap_says_so_when_its_idle_time_is_up(
    name: str, tmp_path: Path
):
    url, greeting = SILENT[name]
    with Silent(greeting) as server:
        began = time.monotonic()
        outcome = Lap(url.format(server.port), tmp_path, idle_s=3).start().wait(20)

    assert time.monotonic() - began < 3 + 4 * POLL_S + STOP_S
    assert outcome.reason in {Reason.IDLE, Reason.SOURCE_FAILED}
    assert outcome.progress.segments == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["frozen", "dripping", "away"])
def test_stop_when_the_network_has_failed_then_the_lap_ends_within_a_second_of_the_beat(
    name: str, fault: str, stage: dict[str, tuple[str, int, Publisher]], tmp_path: Path
):
    url, port, publisher = stage[name]
    with Proxy(port) as proxy:
        lap = Lap(proxy.through(url), tmp_path, segment_s=1).start()
        lap.wait_received(2)
        if fault == "frozen":
            proxy.freeze()
        elif fault == "dripping":
            proxy.drip(20)
        else:
            proxy.cut(refuse=True)
        time.sleep(1.5)
        asked = time.monotonic()
        outcome = lap.stop()
        took_s = time.monotonic() - asked

    assert outcome.reason is Reason.STOPPED
    assert took_s < BEAT_S + STOP_S
    assert lap.compared(publisher).exact
