"""HTTP/1.1 over one connection: grammar and framing are h11's, waiting and bounds are ours."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import h11

from everreel.errors import SourceError, SourceMalformed, SourceUnreachable
from everreel.protocols.connection import Wire
from everreel.protocols.guard import Target

HEADER_MAX = 64 * 1024
# What stands unescaped in request targets; everything else that is not ASCII letters and digits is
# percent-encoded, as playlists with spaces and umlauts in their URIs exist.
_NOT_QUOTED = "/?:@!$&'()*+,;=-._~%[]|"


@dataclass(frozen=True, slots=True)
class Response:
    """Status and headers of a response; header names are lower case."""

    status: int
    headers: Mapping[bytes, bytes]


class HttpLink:
    """A connection that takes one GET after the other.

    Attributes:
        used: a complete exchange went over it before, so the server may have closed it since.
        answered: bytes of the response under way have arrived.
    """

    def __init__(self, wire: Wire) -> None:
        self.used = False
        self.answered = False
        self._wire = wire
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_MAX)
        self._where = ""
        self._in_body = False
        self._ended = False
        self._closed_by_peer = False

    def request(self, target: Target, headers: Mapping[bytes, bytes], where: str) -> None:
        """Send a GET.

        Args:
            target: what to ask for; its origin is this connection's.
            headers: besides Host.
            where: the redacted URL, for error texts.
        """
        self.answered = self._in_body = self._ended = False
        self._where = where
        host = f"[{target.host}]" if ":" in target.host else target.host
        if target.port != (443 if target.tls else 80):
            host += f":{target.port}"
        request = h11.Request(
            method=b"GET",
            target=quote(target.path, safe=_NOT_QUOTED).encode(),
            headers=[(b"Host", host.encode()), *headers.items()],
        )
        for event in (request, h11.EndOfMessage()):
            self._wire.send(self._protocol.send(event) or b"")

    def receive(self, wait_s: float) -> Response | bytes | None:
        """Return the response, then pieces of its body, b"" at its end; None if nothing came.

        Raises: SourceUnreachable, SourceMalformed; SourceEnded after `close` or when cancelled.
        """
        if self._ended:
            return b""
        until = time.monotonic() + wait_s
        while True:
            try:
                found = self._next()
            except h11.RemoteProtocolError as error:
                raise self._broken() from error
            if found is not None:
                return found
            data = self._wire.recv(max(until - time.monotonic(), 0.0))
            if data is None:
                return None
            self.answered = self.answered or bool(data)
            self._closed_by_peer = not data
            try:
                self._protocol.receive_data(data)
            except h11.RemoteProtocolError as error:
                raise self._broken() from error

    def coalesce(self, patience_s: float) -> None:
        """Take the body in larger, rarer pieces."""
        self._wire.coalesce(patience_s)

    def recycle(self) -> bool:
        """Get ready for the next GET; tell whether both sides are willing."""
        if self._closed_by_peer:
            return False
        try:
            self._protocol.start_next_cycle()
        except h11.LocalProtocolError:  # the response is not complete, or was the last
            return False
        self.used = True
        return True

    def close(self) -> None:
        """Close at once, from any thread."""
        self._wire.close()

    def _next(self) -> Response | bytes | None:
        """Take what h11 has ready: a response, or as much of the body as has arrived."""
        pieces: list[bytes] = []
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Data):
                pieces.append(event.data)
            elif isinstance(event, h11.Response):
                self._in_body = True
                return Response(event.status_code, dict(event.headers))
            elif isinstance(event, h11.EndOfMessage):
                self._ended = True
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise self._broken()
            elif event is h11.NEED_DATA:
                break
        if pieces:
            return b"".join(pieces)
        return b"" if self._ended else None

    def _broken(self) -> SourceError:
        where = self._where
        if self._in_body:
            return SourceUnreachable(f"{where} broke off in the middle of the body", field="source")
        if not self.answered:
            return SourceUnreachable(f"{where} closed without an answer", field="source")
        return SourceMalformed(f"{where} does not answer in HTTP/1.1")
