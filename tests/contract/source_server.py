"""Tiny servers on loopback that do what they are told, and readers that hold sources to time."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    SourceError,
)
from everreel.media.access_unit import AccessUnit, SourceEvent
from everreel.protocols.ports import Source

STREAMS = Path(__file__).resolve().parents[1] / "data" / "streams"
FLV_REPLY = STREAMS / "http-flv-nms-h264-aac.bin"
TS = STREAMS / "mpegts-ffmpeg-h264-aac.ts"
HLS_TS = STREAMS / "hls-nginx-h264-aac.ts"
HLS_MP4 = STREAMS / "hls-ffmpeg-h264-aac.mp4"
SLACK_S = 0.3  # 50 ms are promised; the machines that run this are shared


def flv() -> bytes:
    """The FLV in the chunked body of a captured reply."""
    rest = FLV_REPLY.read_bytes().partition(b"\r\n\r\n")[2]
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        pieces.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return b"".join(pieces)


Serve = Callable[[socket.socket], None]


class Peer:
    """A server on loopback: `serve` gets each connection in a thread of its own."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._serve(connection)

    def stop(self) -> None:
        for connection in (self._listener, *self.accepted):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        for thread in self._threads:
            thread.join(5)


def headers_of(connection: socket.socket) -> bytes:
    """Read a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise OSError("closed")
        data += more
    return data


def request(connection: socket.socket) -> str:
    """Read a GET; return its path."""
    return headers_of(connection).split(b" ")[1].decode()


def hold(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    while connection.recv(65536):
        pass


def drip(connection: socket.socket, data: bytes) -> None:
    """Send a byte a second, in effect for ever."""
    for byte in data * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def reply(status: str, headers: str = "", body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}\r\n".encode() + body


def sized(body: bytes, headers: str = "") -> bytes:
    return reply("200 OK", f"Content-Length: {len(body)}\r\n{headers}", body)


def timed_reads(source: Source, seconds: float, wait_s: float = 0.1) -> list[SourceEvent]:
    """Read for so long, holding every read to its time."""
    events: list[SourceEvent] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        events += source.read(wait_s)
        assert time.monotonic() - began < wait_s + SLACK_S
    return events


def read_to_the_end(
    source: Source,
    timeout_s: float = 20.0,
    *,
    wait_s: float = 0.1,
    clock: ManualClock | None = None,
) -> tuple[list[SourceEvent], SourceError]:
    """Read until the error that ends every source; a clock given is moved ahead meanwhile."""
    events: list[SourceEvent] = []
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if clock is not None:
            clock.advance(0.6)
        try:
            events += source.read(wait_s)
        except SourceError as error:
            with pytest.raises(type(error)):
                source.read(0.0)
            return events, error
    raise AssertionError(f"no end within {timeout_s} s; {len(events)} events")


def answers(data: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(data)

    return serve


def redirect_to(url: str) -> Serve:
    return answers(reply("302 Found", f"Location: {url}\r\nContent-Length: 0\r\n"))


def expected_units(path: Path) -> int:
    return len(json.loads(path.with_name(path.name + ".json").read_text())["units"])


def units(events: list[SourceEvent]) -> int:
    return sum(isinstance(event, AccessUnit) for event in events)
