"""Live streams of every protocol from real servers: shared ones, and ones of a run's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, partial
from typing import Self

from tests.fault.lab.judge import Sent
from tests.lab import clips
from tests.lab.clips import Clip
from tests.lab.digests import published_units
from tests.lab.http_live import TsOverHttp
from tests.lab.process import http_get, wait_until
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, LiveHls, NginxRtmp, NodeMediaServer


class Protocol(StrEnum):
    """What a recorder pulls, and from which server."""

    RTMP_NGINX = "rtmp-nginx"
    RTMP_NMS = "rtmp-nms"
    HTTP_FLV = "http-flv"
    RTSP = "rtsp"
    HTTP_TS = "http-ts"
    HLS_TS = "hls-ts"
    HLS_FMP4 = "hls-fmp4"


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of one stream.

    Attributes:
        target: where a publisher sends.
        url: where recorders pull.
        port: of the server that recorders reach, to put a proxy in front of.
        options: for the publisher's muxer; `again` for one that returns.
        restart: restarts the server between two publishers, if it cannot do without.
    """

    target: str
    url: str
    port: int
    options: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    restart: Callable[[], object] | None = None


LEAPS_IN_STREAM = frozenset(Protocol) - {Protocol.RTSP, Protocol.HLS_FMP4}
"""GStreamer's server waits a leap out, and FFmpeg's playlist writer makes it one long segment."""


@cache
def sent_by(clip: Clip) -> Sent:
    """What a publisher of a clip sends."""
    return Sent(published_units(clip.path), clip.seconds * 1_000_000)


class Feed:
    """A stream on air.

    Attributes:
        sent: what each start of its publisher sends, in order.
    """

    def __init__(self, ends: Ends, *, leap_s: int = 0) -> None:
        """Make a stream whose clock `leap` moves ahead by `leap_s` seconds."""
        self.ends = ends
        self.url = ends.url
        self.sent: list[Sent] = []
        self._stack = ExitStack()
        self._publisher = self._publish(clips.FAULT, ends.options, 1_000_000, leap_s)

    def _publish(
        self, clip: Clip, options: dict[str, str], base_us: int, leap_s: int = 0
    ) -> Publisher:
        publisher = Publisher(
            clip, self.ends.target, base_us=base_us, options=options, leap_s=leap_s
        )
        self.sent.append(sent_by(clip))
        return publisher

    def leap(self) -> None:
        """Move the clock of its publisher ahead."""
        self._publisher.leap()

    def restart(self, away_s: float, base_us: int, ending: threading.Event) -> None:
        """Kill the publisher as a crash would; another encoder starts after a while."""
        self._publisher.kill()
        if self.ends.restart is not None:
            self.ends.restart()
        ending.wait(away_s)
        again = {**self.ends.options, **self.ends.again}
        self._publisher = self._publish(clips.FAULT_AGAIN, again, base_us)
        self._stack.enter_context(self._publisher)

    def __enter__(self) -> Self:
        self._stack.enter_context(self._publisher)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Stage:
    """Servers that are started when first asked for, and end with the stage."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._feeds: dict[Protocol, Feed] = {}
        self._nginx: NginxRtmp | None = None
        self._nms: NodeMediaServer | None = None
        self._streams = 0

    def shared(self, protocol: Protocol) -> Feed:
        """Give the stream that every run of a protocol may share."""
        with self._lock:
            if protocol not in self._feeds:
                ends = self._ends(protocol, self._stack, "shared")
                self._feeds[protocol] = self._stack.enter_context(Feed(ends))
                _wait_on_air(ends)
            return self._feeds[protocol]

    @contextmanager
    def own(self, protocol: Protocol, *, leap_s: int = 0) -> Iterator[Feed]:
        """Put a stream on air that nobody else uses."""
        with ExitStack() as stack:
            with self._lock:
                self._streams += 1
                ends = self._ends(protocol, stack, f"own{self._streams}")
            feed = stack.enter_context(Feed(ends, leap_s=leap_s))
            _wait_on_air(ends)
            yield feed

    def _ends(self, protocol: Protocol, stack: ExitStack, name: str) -> Ends:
        if protocol in {Protocol.RTMP_NGINX, Protocol.HLS_TS}:
            if self._nginx is None:
                self._nginx = self._stack.enter_context(NginxRtmp())
            nginx = self._nginx
            if protocol is Protocol.HLS_TS:
                return Ends(nginx.rtmp_url(name, "hls"), nginx.hls_url(name), nginx.http_port)
            return Ends(nginx.rtmp_url(name), nginx.rtmp_url(name), nginx.rtmp_port)
        if protocol in {Protocol.RTMP_NMS, Protocol.HTTP_FLV}:
            if self._nms is None:
                self._nms = self._stack.enter_context(NodeMediaServer())
            nms, name = self._nms, f"{name}{protocol.value.replace('-', '')}"
            if protocol is Protocol.HTTP_FLV:
                return Ends(nms.rtmp_url(name), nms.flv_url(name), nms.http_port)
            return Ends(nms.rtmp_url(name), nms.rtmp_url(name), nms.rtmp_port)
        if protocol is Protocol.RTSP:
            rtsp = stack.enter_context(GstRtsp())
            return Ends(rtsp.ingest_url(), rtsp.rtsp_url(), rtsp.port, restart=partial(_anew, rtsp))
        if protocol is Protocol.HTTP_TS:
            ts = stack.enter_context(TsOverHttp())
            return Ends(ts.target, ts.url, ts.port)
        hls = stack.enter_context(LiveHls("fmp4"))
        return Ends(hls.target, hls.url, hls.port, hls.options, hls.again)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _anew(server: GstRtsp) -> None:
    """Restart GStreamer's server: its own clock would delay what a returning publisher sends."""
    server.stop()
    server.start()


def _wait_on_air(ends: Ends) -> None:
    """Wait until a live playlist lists something; other servers let players wait."""
    if ends.url.endswith(".m3u8"):
        wait_until(ends.url, lambda: (http_get(ends.url) or b"").count(b"#EXTINF") >= 3, 30)
