"""GETs for live streams: the guard on every hop, bounds on time and size, connections kept.

Redirects: at most five, each checked by the guard; http may lead to https, never the other way.
Credentials in a URL are sent as Basic authorisation to its own origin only.
"""

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everreel import redact
from everreel.clock import Clock, SystemClock
from everreel.errors import (
    ServiceFault,
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceRefused,
    SourceUnreachable,
)
from everreel.protocols import http_error
from everreel.protocols.connection import Cancel, Connection
from everreel.protocols.guard import HTTP_SCHEMES, Guard, Lookup, Target, join
from everreel.protocols.http import HttpLink, Response

if TYPE_CHECKING:
    import ssl

REDIRECTS_MAX = 5
IDLE_LINKS_MAX = 4
# A resolver cannot be woken: look at the cancel flag this often.
_LOOKUP_SLICE_S = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one GET may take.

    Attributes:
        body: bytes; None for a stream without end.
        total_s: seconds until the end of the body; None for a stream without end.
        header_s: seconds until the headers of the final response are in (name resolution,
            connecting and redirects included).
    """

    body: int | None = None
    total_s: float | None = None
    header_s: float = 10.0


class HttpClient:
    """Makes GETs through the guard and keeps idle connections. One thread uses it at a time."""

    def __init__(
        self,
        guard: Guard,
        *,
        cancel: Cancel | None = None,
        clock: Clock | None = None,
        context: "ssl.SSLContext | None" = None,
    ) -> None:
        """Keep what every connection needs.

        Args:
            guard: judges each URL.
            cancel: makes every wait give up.
            clock: measures the time limits.
            context: TLS settings other than the default verification.
        """
        self.clock: Clock = clock or SystemClock()
        self._guard = guard
        self._cancel = cancel
        self._context = context
        self._idle: dict[tuple[str, str, int], HttpLink] = {}
        self._credentials: dict[tuple[str, str, int], bytes] = {}
        self._active: HttpLink | None = None
        self._closed = False

    def get(
        self,
        url: str,
        limits: Limits,
        byte_range: tuple[int, int] | None = None,
        *,
        only: bool = False,
    ) -> "HttpStream":
        """Begin a GET; `HttpStream.recv` carries it on.

        Args:
            url: what to fetch.
            limits: bounds of size and time.
            byte_range: (offset, length) of the part wanted.
            only: closing the stream closes this client too.

        Raises: SourceRefused.
        """
        return HttpStream(self, url, limits, byte_range, only=only)

    def close(self) -> None:
        """Close every connection at once, from any thread; what is under way ends."""
        self._closed = True
        active = self._active
        if active is not None:
            active.close()
        for link in list(self._idle.values()):
            link.close()

    def over(self) -> bool:
        """Tell whether our side gave up."""
        return self._closed or (self._cancel is not None and self._cancel.is_set())

    def target(self, url: str) -> Target:
        """Judge a URL and remember the credentials it carries.

        Raises: SourceRefused.
        """
        target = self._guard.check_syntax(url, HTTP_SCHEMES)
        if target.user is not None:
            pair = f"{target.user}:{target.password}".encode()
            self._credentials[target.origin] = b"Basic " + base64.b64encode(pair)
        return target

    def headers(self, target: Target, byte_range: tuple[int, int] | None) -> dict[bytes, bytes]:
        """Make the headers of a GET."""
        headers = {
            b"User-Agent": b"everreel",
            b"Accept": b"*/*",
            b"Accept-Encoding": b"identity",
        }
        authorization = self._credentials.get(target.origin)
        if authorization is not None:
            headers[b"Authorization"] = authorization
        if byte_range is not None:
            first, length = byte_range
            headers[b"Range"] = f"bytes={first}-{first + length - 1}".encode()
        return headers

    def lookup(self, target: Target) -> Lookup:
        """Begin to resolve a target."""
        return Lookup(self._guard, target)

    def kept(self, target: Target) -> HttpLink | None:
        """Take the idle connection to an origin, if there is one."""
        link = self._idle.pop(target.origin, None)
        return None if link is None else self._use(link)

    def connect(self, lookup: Lookup, wait_s: float) -> HttpLink | None:
        """Open a connection once the name is resolved; None while it is not.

        Raises: SourceRefused, SourceUnreachable; SourceEnded after `close` or when cancelled.
        """
        if self.over():
            raise SourceEnded("the source was closed on our side")
        endpoint = lookup.wait(min(wait_s, _LOOKUP_SLICE_S))
        if endpoint is None:
            return None
        connection = Connection(
            endpoint, cancel=self._cancel, clock=self.clock, context=self._context
        )
        return self._use(HttpLink(connection))

    def keep(self, target: Target, link: HttpLink) -> None:
        """Take back a connection after a complete response."""
        self._active = None
        if self._closed or not link.recycle():
            link.close()
            return
        while len(self._idle) >= IDLE_LINKS_MAX:
            self._idle.pop(next(iter(self._idle))).close()
        self._idle[target.origin] = link

    def _use(self, link: HttpLink) -> HttpLink:
        self._active = link
        if self._closed:  # by another thread in this very moment
            link.close()
        return link


class HttpStream:
    """The body of one GET as it arrives.

    Attributes:
        url: where the body comes from, after redirects; holds credentials, so never log it.
        retry_after_s: what a refusing server asked for.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        limits: Limits,
        byte_range: tuple[int, int] | None,
        *,
        only: bool,
    ) -> None:
        """Check the URL; see `HttpClient.get`."""
        self._only = only
        self.url = url
        self.retry_after_s: float | None = None
        self._client = client
        self._limits = limits
        self._range = byte_range
        self._target = client.target(url)
        self._lookup: Lookup | None = None
        self._link: HttpLink | None = None
        self._redirects = 0
        self._started = client.clock.monotonic()
        self._in_body = False
        self._ended = False
        self._closed = False
        self._taken = 0
        self._skip = 0
        self._patience_s: float | None = None

    def restrict(self, limits: Limits) -> None:
        """Hold a GET under way to other limits, now that it is known what it brings."""
        self._limits = limits

    def recv(self, wait_s: float) -> bytes | None:
        """Return body bytes, None if none arrived within `wait_s` seconds, b"" at the end.

        Raises: SourceError; the stream is then over.
        """
        until = time.monotonic() + wait_s
        while True:
            if self._ended:
                return b""
            if self._closed:
                raise SourceEnded(f"{redact.url(self.url)} was closed on our side")
            try:
                self._check_times()
                body = self._step(max(until - time.monotonic(), 0.0))
            except SourceError:
                if not self._stale():
                    self.close()
                    raise
                body = None
            if body is not None:
                return body
            if time.monotonic() >= until:
                return None

    def send(self, data: bytes) -> None:
        """Refuse: a GET has no way back to the server.

        Raises: ServiceFault.
        """
        if data:
            raise ServiceFault("a protocol carried by an HTTP body tried to send")

    def coalesce(self, patience_s: float) -> None:
        """Take the body in larger, rarer pieces."""
        self._patience_s = patience_s
        if self._link is not None and self._in_body:
            self._link.coalesce(patience_s)

    def close(self) -> None:
        """Close at once, from any thread."""
        self._closed = True
        link = self._link
        if link is not None:
            link.close()
        if self._only:
            self._client.close()

    def _step(self, wait_s: float) -> bytes | None:
        """Take one step that may wait; return body bytes if it brought some, b"" at the end."""
        link = self._link or self._open_link(wait_s)
        if link is None:
            return None
        found = link.receive(wait_s)
        if isinstance(found, Response):
            self._respond(found, link)
            return None
        if found == b"":
            self._finish(link)
        return self._measure(found, link) if found else found

    def _open_link(self, wait_s: float) -> HttpLink | None:
        link = self._client.kept(self._target) if self._lookup is None else None
        if link is None:
            if self._lookup is None:
                self._lookup = self._client.lookup(self._target)
            link = self._client.connect(self._lookup, wait_s)
        if link is not None:
            self._lookup = None
            self._link = link
            headers = self._client.headers(self._target, self._range)
            link.request(self._target, headers, redact.url(self.url))
        return link

    def _respond(self, response: Response, link: HttpLink) -> None:
        headers = response.headers
        if response.status in http_error.REDIRECTS and b"location" in headers:
            self._redirect(headers[b"location"].decode("latin-1"), link)
            return
        self.retry_after_s = http_error.retry_after_s(headers.get(b"retry-after"))
        error = http_error.of_status(response.status, redact.url(self.url), self.retry_after_s)
        if error is not None:
            raise error
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise SourceMalformed(f"{redact.url(self.url)} is compressed though we did not ask")
        length = headers.get(b"content-length", b"")
        limit = self._limits.body
        if self._range is not None:
            # A server that knows no ranges sends all of it.
            self._skip = self._range[0] if response.status == 200 else 0
        elif limit is not None and length.isdigit() and int(length) > limit:
            raise self._too_large()
        self._in_body = True
        if self._patience_s is not None:
            link.coalesce(self._patience_s)

    def _redirect(self, location: str, link: HttpLink) -> None:
        self._redirects += 1
        if self._redirects > REDIRECTS_MAX:
            raise SourceUnreachable(
                f"{redact.url(self.url)} redirects more than {REDIRECTS_MAX} times", field="source"
            )
        before = self._target
        self.url = join(self.url, location)
        self._target = self._client.target(self.url)
        if before.tls and not self._target.tls:
            raise SourceRefused(
                f"a redirect to {redact.url(self.url)} would leave https: refused", field="source"
            )
        self._leave(link, before)

    def _measure(self, body: bytes, link: HttpLink) -> bytes | None:
        """Cut the body to the range asked for and hold it to the size limit."""
        if self._skip:
            skipped = min(self._skip, len(body))
            self._skip -= skipped
            body = body[skipped:]
        if self._range is not None:
            body = body[: self._range[1] - self._taken]
        self._taken += len(body)
        if self._limits.body is not None and self._taken > self._limits.body:
            raise self._too_large()
        if self._range is not None and self._taken >= self._range[1]:
            self._leave(link, self._target)
            self._ended = True
        return body or None

    def _finish(self, link: HttpLink) -> None:
        self._ended = True
        self._link = None
        self._client.keep(self._target, link)

    def _leave(self, link: HttpLink, target: Target) -> None:
        """Take no more of a body: keep the connection only if there is no more."""
        self._link = None
        if link.receive(0.0) == b"":
            self._client.keep(target, link)
        else:
            link.close()

    def _stale(self) -> bool:
        """Give a kept connection that the server has closed since another chance: a new one."""
        link = self._link
        if link is None or not link.used or link.answered or self._client.over() or self._closed:
            return False
        link.close()
        self._link = None
        self._lookup = self._client.lookup(self._target)
        return True

    def _check_times(self) -> None:
        taken_s = self._client.clock.monotonic() - self._started
        total_s = self._limits.total_s
        if not self._in_body and taken_s > self._limits.header_s:
            limit_s = self._limits.header_s
        elif total_s is not None and taken_s > total_s:
            limit_s = total_s
        else:
            return
        raise SourceUnreachable(
            f"{redact.url(self.url)} did not answer in full within {limit_s:g} s", field="source"
        )

    def _too_large(self) -> SourceMalformed:
        return SourceMalformed(f"{redact.url(self.url)} is larger than {self._limits.body} bytes")
