"""Makes `tests/data/streams/`: byte streams of real servers, each with the digests it must yield.

Run `python -m tests.lab.capture` to make them anew; the README there says how they came about.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab import clips
from tests.lab.clips import Clip
from tests.lab.compare import compare
from tests.lab.digests import UnitDigest, demuxed, published_units, to_json
from tests.lab.play import start_player
from tests.lab.process import LabError, wait_until
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, LiveHls, NginxRtmp, NodeMediaServer
from tests.lab.tap import Tap
from tests.lab.wire import http_body, rtmp_to_flv, rtsp_units

TARGET = Path(__file__).resolve().parents[1] / "data" / "streams"
LIMIT = 150_000


def keep(name: str, data: bytes, clip: Clip, units: Iterable[UnitDigest], **facts: Any) -> None:
    """Write one capture with its expectations, after checking them against the clip.

    Raises:
        LabError: the capture does not hold an exact run of the clip, or is too big for git.
    """
    units = list(units)
    whole = clip.seconds * 1_000_000
    verdict = compare(published_units(clip.path), units, looped_every_us=whole)
    if not verdict.exact or len(data) > LIMIT:
        raise LabError(f"{name}: {len(data)} bytes\n{verdict}")
    (TARGET / name).write_bytes(data)
    expected = {"bytes": len(data), "clip": clip.name, **facts, "units": to_json(units)}
    lines = json.dumps(expected, indent=1)
    (TARGET / f"{name}.json").write_text(_one_line_per_unit(lines) + "\n")
    print(f"{name}: {len(data)} bytes; {verdict}")


def _one_line_per_unit(text: str) -> str:
    head, units = text.split('"units": [', 1)
    return head + '"units": [' + units.replace("\n   ", " ").replace("\n  }", " }")


def rtmp(server: NginxRtmp | NodeMediaServer, clip: Clip, name: str) -> None:
    """Tap an RTMP player that was there before the publisher: the whole clip arrives."""
    with tempfile.TemporaryDirectory() as temp, Tap(server.rtmp_port) as tap:
        url = f"rtmp://127.0.0.1:{tap.port}/live/{clip.name}"
        player = start_player(url, Path(temp) / "player.log")
        wait_until("the play request", lambda: b"play" in tap.from_client)
        time.sleep(0.5)
        with Publisher(clip, server.rtmp_url(clip.name), rounds=1) as publisher:
            publisher.wait()
            time.sleep(0.5)
        player.stop()
        (TARGET / f"{name}-client").write_bytes(tap.from_client)
        units = demuxed(rtmp_to_flv(bytes(tap.from_server)), "flv")
        keep(name, bytes(tap.from_server), clip, units, protocol="rtmp",
             side="server to client, from S0 on",
             client_bytes=f"{name}-client")  # fmt: skip


def http_flv(server: NodeMediaServer, clip: Clip, name: str) -> None:
    """Tap an HTTP-FLV player that was there before the publisher."""
    with tempfile.TemporaryDirectory() as temp, Tap(server.http_port) as tap:
        url = f"http://127.0.0.1:{tap.port}/live/f{clip.name}.flv"
        player = start_player(url, Path(temp) / "player.log")
        wait_until("the request", lambda: tap.connections > 0)
        time.sleep(0.5)
        with Publisher(clip, server.rtmp_url(f"f{clip.name}"), rounds=1) as publisher:
            publisher.wait()
            time.sleep(0.5)
        player.stop()
        units = demuxed(http_body(bytes(tap.from_server)), "flv")
        keep(name, bytes(tap.from_server), clip, units, protocol="http-flv",
             side="whole HTTP reply, head and chunked body")  # fmt: skip


def rtsp(server: GstRtsp, clip: Clip, mount: str, name: str, seconds: float) -> None:
    """Tap an RTSP player that joins a running stream."""
    with (
        tempfile.TemporaryDirectory() as temp,
        Tap(server.port) as tap,
        Publisher(clip, server.ingest_url(mount)),
    ):
        url = f"rtsp://127.0.0.1:{tap.port}/{mount}"
        player = start_player(url, Path(temp) / "player.log", rtsp_transport="tcp")
        wait_until("PLAY", lambda: b"PLAY " in tap.from_client)
        time.sleep(seconds)
        player.stop()
        (TARGET / f"{name}-client").write_bytes(_requests_only(bytes(tap.from_client)))
        data = bytes(tap.from_server)
        tracks = rtsp_units(data)
        keep(name, data, clip, [u for t in tracks.values() for u in t],
             protocol="rtsp", side="server to client: replies and interleaved RTP and RTCP",
             times="each track from its own first unit; units stand track by track",
             client_bytes=f"{name}-client")  # fmt: skip


def _requests_only(data: bytes) -> bytes:
    """Drop the player's interleaved RTCP, which is noise to a reader of the requests."""
    kept, at = bytearray(), 0
    while at < len(data):
        if data[at] == 0x24:
            at += 4 + int.from_bytes(data[at + 2 : at + 4], "big")
            continue
        end = data.index(b"\r\n\r\n", at) + 4
        kept += data[at:end]
        at = end
    return bytes(kept)


def transport_stream(clip: Clip, name: str) -> None:
    """Let FFmpeg write a transport stream."""
    with tempfile.TemporaryDirectory() as temp:
        path = Path(temp) / "out.ts"
        with Publisher(clip, str(path), rounds=1, pace=0) as publisher:
            publisher.wait()
        data = path.read_bytes()
    keep(name, data, clip, demuxed(data, "mpegts"), protocol="mpegts", side="whole stream")


def nginx_hls(server: NginxRtmp, clip: Clip, name: str) -> None:
    """Keep nginx-rtmp's own transport stream fragments, joined."""
    with Publisher(clip, server.rtmp_url(clip.name, "hls"), rounds=1) as publisher:
        publisher.wait()
    time.sleep(0.5)
    fragments = sorted((server.dir / "hls").glob(f"{clip.name}-*.ts"),
                       key=lambda p: int(p.stem.rsplit("-", 1)[1]))  # fmt: skip
    data = b"".join(path.read_bytes() for path in fragments)
    units = [u for path in fragments for u in demuxed(path.read_bytes(), "mpegts")]
    keep(name, data, clip, units, protocol="mpegts", side="HLS fragments one after the other",
         fragment_bytes=[path.stat().st_size for path in fragments])  # fmt: skip


def hls_fmp4(clip: Clip, name: str) -> None:
    """Keep FFmpeg's fragmented MP4: initialisation section and segments, joined."""
    with LiveHls("fmp4") as live:
        options = {**live.options, "hls_time": "1"}
        with Publisher(clip, live.target, rounds=1, pace=0, options=options) as publisher:
            publisher.wait()
        paths = [live.dir / "init.mp4", *sorted(live.dir.glob("seg-*.m4s"))]
        data = b"".join(path.read_bytes() for path in paths)
        sizes = [path.stat().st_size for path in paths]
    keep(name, data, clip, demuxed(data, "mp4"), protocol="fmp4",
         side="init section, then segments", part_bytes=sizes)  # fmt: skip


def main() -> int:
    """Make every capture."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with NginxRtmp(chunk_size=1024) as nginx:
        rtmp(nginx, clips.TINY, "rtmp-nginx-h264-aac.bin")
        nginx_hls(nginx, clips.TINY, "hls-nginx-h264-aac.ts")
    with NodeMediaServer() as nms:
        rtmp(nms, clips.TINY, "rtmp-nms-h264-aac.bin")
        rtmp(nms, clips.TINY_H265, "rtmp-nms-h265-aac.bin")
        http_flv(nms, clips.TINY, "http-flv-nms-h264-aac.bin")
        http_flv(nms, clips.TINY_H265, "http-flv-nms-h265-aac.bin")
        http_flv(nms, clips.TINY_AUDIO, "http-flv-nms-aac.bin")
    with GstRtsp() as gst:
        rtsp(gst, clips.TINY, "h264-aac", "rtsp-gst-h264-aac.bin", 2.5)
        rtsp(gst, clips.TINY_H265, "h265-aac", "rtsp-gst-h265-aac.bin", 2.5)
        rtsp(gst, clips.TINY_OPUS, "h264-opus", "rtsp-gst-h264-opus.bin", 2.5)
    transport_stream(clips.TINY, "mpegts-ffmpeg-h264-aac.ts")
    transport_stream(clips.TINY_H265, "mpegts-ffmpeg-h265-aac.ts")
    transport_stream(clips.TINY_OPUS, "mpegts-ffmpeg-h264-opus.ts")
    hls_fmp4(clips.TINY, "hls-ffmpeg-h264-aac.mp4")
    hls_fmp4(clips.TINY_OPUS, "hls-ffmpeg-h264-opus.mp4")
    return 0


if __name__ == "__main__":
    sys.exit(main())
