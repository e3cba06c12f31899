"""Opens the source a URL names: by scheme, and behind HTTP by what the first bytes are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from everreel import redact
from everreel.clock import Clock, SystemClock
from everreel.protocols.connection import Cancel, Connection
from everreel.protocols.dial import Call, DialledSource
from everreel.protocols.guard import HTTP_SCHEMES, Guard, Target
from everreel.protocols.ports import SansIO, Source
from everreel.protocols.source import (
    FIRST_DATA_S,
    GATHER_APART_S,
    GATHER_S,
    SniffedSource,
    SocketSource,
)

if TYPE_CHECKING:
    import ssl

_RTMP = frozenset({"rtmp", "rtmps"})
_RTSP = frozenset({"rtsp", "rtsps"})


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is opened.

    Attributes:
        first_data_s: give up when the server has said nothing for so long.
        connect_s: how long connecting and the TLS handshake may take.
        context: TLS settings other than the default verification.
    """

    first_data_s: float = FIRST_DATA_S
    connect_s: float = 10.0
    context: "ssl.SSLContext | None" = None


def open_source(
    url: str,
    guard: Guard,
    *,
    cancel: Cancel | None = None,
    clock: Clock | None = None,
    options: SourceOptions | None = None,
) -> Source:
    """Judge `url` and begin to resolve its name; `read` carries on from there.

    Imports only the parser that is needed: a lap starts in milliseconds.

    Raises: SourceRefused.
    """
    scheme = guard.check_syntax(url).scheme
    settings = options or SourceOptions()
    watch = clock or SystemClock()
    if scheme in HTTP_SCHEMES:
        return _open_http(url, guard, cancel, watch, settings)
    return DialledSource(
        url,
        guard,
        _RTMP if scheme in _RTMP else _RTSP,
        _call_rtmp if scheme in _RTMP else _call_rtsp,
        lambda connection, protocol: SocketSource(
            connection,
            protocol,
            where=redact.url(url),
            first_data_s=settings.first_data_s,
            clock=watch,
            gather_s=GATHER_S if scheme in _RTMP else GATHER_APART_S,
        ),
        lambda endpoint: Connection(
            endpoint, settings.connect_s, cancel, clock=watch, context=settings.context
        ),
        cancel=cancel,
        clock=watch,
    )


def _call_rtmp(url: str, target: Target) -> Call:  # noqa: ARG001 - one shape for both protocols
    from everreel.protocols import rtmp  # noqa: PLC0415 - see open_source

    asked = rtmp.target(url)
    return Call(rtmp.RtmpPlay(asked.app, asked.stream, asked.tc_url), lambda: None)


def _call_rtsp(url: str, target: Target) -> Call:
    from everreel.protocols.rtsp import RtspPlay  # noqa: PLC0415 - see open_source

    parts = urlsplit(url)
    bare = urlunsplit((target.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    session = RtspPlay(bare, target.user or "", target.password)
    return Call(session, lambda: session.redirect)


def _open_http(
    url: str, guard: Guard, cancel: Cancel | None, clock: Clock, settings: SourceOptions
) -> Source:
    from everreel.protocols.http_client import (  # noqa: PLC0415 - see open_source
        HttpClient,
        Limits,
    )
    from everreel.protocols.sniff import Carried, carried  # noqa: PLC0415 - see open_source

    client = HttpClient(guard, cancel=cancel, clock=clock, context=settings.context)
    stream = client.get(url, Limits(header_s=settings.first_data_s), only=True)
    where = redact.url(url)

    def choose(head: bytes, complete: bool) -> Source | None:
        kind = carried(head, complete=complete)
        if kind is None:
            return None
        if kind is Carried.HLS:
            from everreel.protocols.hls import HlsSource  # noqa: PLC0415 - see open_source

            return HlsSource(client, url, clock=clock, opened=(stream, head))
        return SocketSource(
            stream, _carried_by_http(kind is Carried.FLV), where=where, clock=clock, head=head
        )

    return SniffedSource(stream, choose, where=where)


def _carried_by_http(flv: bool) -> SansIO:
    if flv:
        from everreel.protocols.flv import HttpFlv  # noqa: PLC0415 - see open_source

        return HttpFlv()
    from everreel.protocols.mpegts import MpegTs  # noqa: PLC0415 - see open_source

    return MpegTs()
