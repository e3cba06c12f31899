"""The guard of every URL a user, a redirect or a playlist gives us (design invariant 10).

A URL is read once, its name is resolved once, every answer is judged, and the connection is made
to the address that was judged. Nothing resolves the name again, so a name that changes its answer
(DNS rebinding) gains nothing.

`allow_private` (deployment setting EVERREEL_ALLOW_PRIVATE_SOURCES) opens loopback and private
networks. Link-local and metadata addresses, multicast and reserved ranges stay closed: no stream
is served from there.
"""

import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin, urlsplit

from everreel.errors import SourceError, SourceMalformed, SourceRefused, SourceUnreachable
from everreel.protocols import addresses
from everreel.protocols.ports import Endpoint

Resolve = Callable[[str, int], Sequence[str]]
"""Port to the resolver: all IP addresses of (host, port), best first; OSError if there are none."""

SETTING = "EVERREEL_ALLOW_PRIVATE_SOURCES"
HTTP_SCHEMES = frozenset({"http", "https"})
SCHEMES = HTTP_SCHEMES | {"rtmp", "rtmps", "rtsp", "rtsps"}
URL_LENGTH_MAX = 8192

_DEFAULT_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}
_TLS = frozenset({"https", "rtmps", "rtsps"})
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\Z")
_LATER = {
    "srt": "SRT is not supported yet",
    "whep": "WebRTC is not supported yet",
    "webrtc": "WebRTC is not supported yet",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart by the one parser that everything here trusts.

    Attributes:
        scheme: lower case.
        host: lower case ASCII name or IP address, without brackets and trailing dot.
        port: TCP port.
        tls: whether the scheme asks for TLS.
        path: path and query as the URL has them, at least "/".
        user: user name, percent-decoded, or None.
        password: password, percent-decoded; empty if there is none.
        literal: the IP address if the host is one, else None.
    """

    scheme: str
    host: str
    port: int
    tls: bool
    path: str = field(repr=False)
    user: str | None = field(repr=False)
    password: str = field(repr=False)
    literal: str | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be equal for credentials to be sent along (RFC 6454 §4)."""
        return self.scheme, self.host, self.port


def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver. It may block for as long as it likes: see `Lookup`."""
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_ADDRCONFIG
    )
    return [str(answer[4][0]) for answer in found]


class Guard:
    """Decides which URLs may be opened, and to which address."""

    def __init__(
        self,
        allow_private: bool = False,
        resolve: Resolve = system_resolve,
        schemes: frozenset[str] = SCHEMES,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._schemes = schemes

    def check(self, url: str) -> Endpoint:
        """Resolve the name of `url` once and return the address to connect to.

        Raises: SourceRefused, SourceUnreachable (the name does not resolve).
        """
        return self.resolve(self.check_syntax(url))

    def check_syntax(self, url: str, schemes: frozenset[str] = SCHEMES) -> Target:
        """Judge all that can be judged without asking a resolver, for the reply to a start call.

        Raises: SourceRefused.
        """
        if len(url) > URL_LENGTH_MAX:
            raise _refused(f"the source URL is longer than {URL_LENGTH_MAX} characters")
        if _NOT_IN_A_URL.search(url):
            raise _refused(
                "the source URL holds a space, control character or backslash: percent-encode it"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
            name = parts.hostname or ""
        except ValueError as error:
            raise _refused("the source URL cannot be read: check host and port") from error
        scheme = parts.scheme.lower()
        self._check_scheme(scheme, schemes)
        if port == 0:
            raise _refused("the port of the source URL must be 1 to 65535")
        if parts.netloc.count("@") > 1:
            raise _refused("the source URL has more than one '@': percent-encode the others")
        host = name.removesuffix(".")
        literal = self._literal(host)
        if literal is not None:
            self._judge(host, [literal])
        elif host == "localhost" or host.endswith(".localhost"):
            self._judge(host, ["127.0.0.1"])
        return Target(
            scheme=scheme,
            host=literal or host,
            port=port or _DEFAULT_PORTS[scheme],
            tls=scheme in _TLS,
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            user=None if parts.username is None else unquote(parts.username),
            password=unquote(parts.password or ""),
            literal=literal,
        )

    def resolve(self, target: Target) -> Endpoint:
        """Resolve and judge a target that passed `check_syntax`.

        Raises: SourceRefused, SourceUnreachable (the name does not resolve).
        """
        if target.literal is not None:
            found: Sequence[str] = [target.literal]
        else:
            try:
                found = self._resolve(target.host, target.port)
            except OSError as error:
                raise _unresolved(target.host) from error
        if not found:
            raise _unresolved(target.host)
        self._judge(target.host, found)
        return Endpoint(host=target.host, address=found[0], port=target.port, tls=target.tls)

    def _check_scheme(self, scheme: str, schemes: frozenset[str]) -> None:
        allowed = self._schemes & schemes
        if scheme not in allowed:
            why = _LATER.get(scheme, f"the scheme {scheme[:20]!r} of the source URL is not allowed")
            raise _refused(f"{why}: use one of {', '.join(sorted(allowed))}")

    def _literal(self, host: str) -> str | None:
        if ":" in host:
            address = addresses.ipv6(host)
            if address is None:
                raise _refused("the source URL holds an IPv6 address that cannot be read")
            return address
        if not host.isascii() or not _NAME.match(host) or len(host) > 253:
            raise _refused(
                "the source URL names no valid host: write it in ASCII letters, digits, '-' and '.'"
            )
        if not addresses.looks_like_ipv4(host):
            return None
        address = addresses.plain_ipv4(host)
        if address is None and self._allow_private:
            address = addresses.spelled_ipv4(host)
        if address is None:
            raise _refused(f"source host {host!r}: write an IPv4 address as four decimal numbers")
        return address

    def _judge(self, host: str, found: Sequence[str]) -> None:
        for address in found:
            try:
                verdict = addresses.kind_of(address, allow_private=self._allow_private)
            except ValueError as error:
                raise _refused(f"source host {host!r} resolves to something unreadable") from error
            if verdict is None:
                continue
            kind, could_be_allowed = verdict
            remedy = (
                f"deploy with {SETTING}=true if sources in your own network are wanted"
                if could_be_allowed
                else "no source may be there"
            )
            raise _refused(f"source host {host!r} has {kind} address: {remedy}")


class Lookup:
    """One resolution that cannot hold up its caller: the resolver runs in a thread of its own.

    getaddrinfo(3) knows no timeout and cannot be cancelled, so a caller that gives up leaves the
    thread behind; it ends with the resolver's own timeout.
    """

    def __init__(self, guard: Guard, target: Target) -> None:
        self._guard = guard
        self._target = target
        self._done = threading.Event()
        self._endpoint: Endpoint | None = None
        self._error: SourceError | None = None
        if target.literal is not None:
            self._run()
        else:
            threading.Thread(target=self._run, name="lookup", daemon=True).start()

    def wait(self, wait_s: float) -> Endpoint | None:
        """Return the endpoint, or None if the resolver has not answered within `wait_s` seconds.

        Raises: SourceRefused, SourceUnreachable.
        """
        if not self._done.wait(wait_s):
            return None
        if self._endpoint is None:
            raise self._error or _unresolved(self._target.host)
        return self._endpoint

    def _run(self) -> None:
        try:
            self._endpoint = self._guard.resolve(self._target)
        except SourceError as error:
            self._error = error
        finally:
            self._done.set()


def join(base: str, reference: str) -> str:
    """Make a redirect's or a playlist's reference absolute; judging it is left to the guard.

    Source: RFC 3986 §5.
    Raises: SourceMalformed.
    """
    try:
        return urljoin(base, reference)
    except ValueError as error:
        raise SourceMalformed("the source refers to something that is no URL") from error


def _refused(message: str) -> SourceRefused:
    return SourceRefused(message, field="source")


def _unresolved(host: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"source host {host!r} does not resolve: check the name", field="source"
    )
