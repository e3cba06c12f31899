"""Each server of the lab hands on what was published to it, unit by unit."""

import socket
import time
from pathlib import Path

import pytest

from tests.lab import clips
from tests.lab.clips import Clip
from tests.lab.compare import Comparison, compare
from tests.lab.digests import UnitDigest, published_units, units_in_playlist
from tests.lab.http_live import TsOverHttp
from tests.lab.play import pull
from tests.lab.process import LabError, http_get, tcp_accepts, wait_until
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, LiveHls, NginxRtmp, NginxStatic, NodeMediaServer


def judged(publisher: Publisher, units: list[UnitDigest]) -> Comparison:
    return compare(publisher.units, units, looped_every_us=publisher.round_us)


def test_nginx_rtmp_when_played_then_it_sends_what_was_published():
    with NginxRtmp() as server, Publisher(clips.MAIN, server.rtmp_url()) as publisher:
        verdict = judged(publisher, pull(server.rtmp_url(), 2))

    assert verdict.exact, verdict
    assert verdict.runs["video"].count > 25


def test_nginx_rtmp_when_published_to_its_hls_app_then_the_playlist_holds_the_units():
    with NginxRtmp() as server, Publisher(clips.MAIN, server.rtmp_url(app="hls")) as publisher:
        wait_until(
            "two fragments", lambda: (http_get(server.hls_url()) or b"").count(b"#EXTINF") > 1
        )
        verdict = judged(publisher, units_in_playlist(server.hls_url()))

    assert verdict.exact, verdict
    assert verdict.first["video"] == 0


def test_nginx_rtmp_when_it_serves_files_then_byte_ranges_work():
    with NginxRtmp() as server:
        (server.files / "x.mp4").write_bytes(b"0123456789")
        with socket.create_connection(("127.0.0.1", server.http_port)) as client:
            client.sendall(b"GET /files/x.mp4 HTTP/1.0\r\nRange: bytes=2-4\r\n\r\n")
            reply = b"".join(iter(lambda: client.recv(4096), b""))

    assert b"206 Partial Content" in reply
    assert b"Content-Type: video/mp4" in reply
    assert reply.endswith(b"\r\n\r\n234")


@pytest.mark.parametrize("clip", [clips.MAIN, clips.H265], ids=lambda c: c.name)
def test_node_media_server_when_played_by_flv_or_rtmp_then_both_send_what_was_published(
    clip: Clip,
):
    with NodeMediaServer() as server, Publisher(clip, server.rtmp_url()) as publisher:
        time.sleep(0.3)  # it refuses nobody, but a player that came first waits for headers
        by_flv = judged(publisher, pull(server.flv_url(), 1))
        by_rtmp = judged(publisher, pull(server.rtmp_url(), 1))

    assert by_flv.exact, by_flv
    assert by_rtmp.exact, by_rtmp


@pytest.mark.parametrize(
    ("mount", "clip"),
    [("h264-aac", clips.MAIN), ("h265-aac", clips.H265), ("h264-opus", clips.OPUS)],
)
def test_gst_rtsp_when_played_over_tcp_then_it_sends_what_was_published(mount: str, clip: Clip):
    with GstRtsp() as server, Publisher(clip, server.ingest_url(mount)) as publisher:
        verdict = judged(publisher, pull(server.rtsp_url(mount), 1.0, rtsp_transport="tcp"))

    assert verdict.exact, verdict
    assert set(verdict.runs) == {"video", "audio"}


@pytest.mark.parametrize("chunked", [True, False])
def test_ts_over_http_when_played_then_it_sends_what_was_published(chunked: bool):
    with TsOverHttp(chunked=chunked) as server, Publisher(clips.MAIN, server.target) as publisher:
        verdict = judged(publisher, pull(server.url, 2))

    assert verdict.exact, verdict


@pytest.mark.parametrize("kind", ["fmp4", "ts"])
def test_live_hls_when_read_then_its_segments_hold_the_units(kind: str):
    with LiveHls(kind) as server, Publisher(
        clips.MAIN, server.target, options=server.options
    ) as publisher:  # fmt: skip
        server.wait_live(1)
        verdict = judged(publisher, units_in_playlist(server.url))

    assert verdict.exact, verdict
    assert verdict.first == {"video": 0, "audio": 0}


def test_publisher_when_the_clip_goes_round_then_no_unit_is_lost_or_doubled(tmp_path: Path):
    clip = clips.MAIN
    with Publisher(clip, str(tmp_path / "out.ts"), rounds=3, pace=0) as publisher:
        publisher.wait()

        verdict = judged(publisher, units_in_playlist(_playlist_of(tmp_path / "out.ts")))

    assert verdict.exact, verdict
    assert verdict.last["video"] == 3 * clip.seconds * clip.fps - 1
    assert verdict.runs["video"].offset_max_us - verdict.runs["video"].offset_min_us <= 12
    assert verdict.runs["audio"].offset_max_us - verdict.runs["audio"].offset_min_us <= 12


def _playlist_of(path: Path) -> Path:
    playlist = path.with_suffix(".m3u8")
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{path.name}\n")
    return playlist


def test_publisher_when_killed_and_restarted_then_it_begins_again():
    with NodeMediaServer() as server, Publisher(clips.TINY, server.rtmp_url()) as publisher:
        first, pid = publisher.first_unit_utc_us, publisher.pid
        publisher.restart()

        assert publisher.running
        assert publisher.pid != pid
        assert publisher.first_unit_utc_us > first


def test_publisher_when_paused_then_nothing_comes_until_it_is_resumed():
    with TsOverHttp() as server, Publisher(clips.TINY, server.target) as publisher:
        publisher.pause()
        with pytest.raises(LabError, match="no access unit"):
            pull(server.url, 1, limit_s=1.5)
        publisher.resume()

        assert pull(server.url, 2)


def test_publisher_when_nobody_listens_then_the_failure_carries_the_log(tmp_path: Path):
    publisher = Publisher(clips.TINY, "rtmp://127.0.0.1:1/live/x")

    with pytest.raises(LabError, match="Connection refused"), publisher:
        pass


def test_server_when_it_cannot_start_then_the_failure_carries_its_log(tmp_path: Path):
    server = NginxStatic({"/x/": tmp_path})
    with (
        socket.create_server(("127.0.0.1", server.http_port)),
        pytest.raises(LabError, match="Address already in use"),
        server,
    ):
        pass


def test_server_when_stopped_then_its_port_is_free():
    with NginxRtmp() as server:
        port = server.rtmp_port

    assert not tcp_accepts(port)


def test_clips_when_read_then_every_unit_is_unlike_all_others():
    for clip in (clips.MAIN, clips.H265, clips.OPUS, clips.BASELINE, clips.LONG_GOP):
        units = published_units(clip.path)

        assert len({unit.sha for unit in units}) == len(units), clip.name
        assert sum(u.medium == "video" for u in units) == clip.seconds * clip.fps
        keys = [u for u in units if u.medium == "video" and u.keyframe]
        assert len(keys) == clip.seconds // clip.gop_s
