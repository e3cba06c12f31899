"""Cuts an RTSP connection into messages and interleaved packets, and resolves control URLs."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from everreel.errors import SourceMalformed
from everreel.protocols import sdp

MAX_HEAD = 16 << 10
MAX_BODY = sdp.MAX_BYTES

_STATUS_LINE = re.compile(r"RTSP/\d\.\d (\d{3})(?: (.*))?$")
_REQUEST_LINE = re.compile(r"([A-Z_]{3,20}) (\S+) RTSP/\d\.\d$")
_DOLLAR = 0x24


@dataclass(frozen=True, slots=True)
class Message:
    """A reply (status > 0) or a request of the server (method not empty).

    Attributes:
        status, reason: of a reply; 0 and empty for a request.
        method: of a request.
        headers: values by name in small letters, in order of appearance.
        body: as long as Content-Length says.
    """

    status: int
    reason: str
    method: str
    headers: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return the first value of a header, empty if it is missing."""
        return self.headers.get(name, [""])[0]


Packet = tuple[int, bytes]
"""Channel and content of an interleaved packet."""


class Framing:
    """Takes bytes, gives messages and packets in their order; holds less than 90 KiB.

    Source: RFC 2326 §4, §10.12.
    """

    __slots__ = ("_at", "_buffer")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def next(self) -> Message | Packet | None:
        """Return the next message or packet, None while it is not complete.

        Raises: SourceMalformed if neither begins here.
        """
        buffer, at = self._buffer, self._at
        size = len(buffer)
        while at < size and buffer[at] in b"\r\n":
            at += 1  # an empty line before a message is to be ignored
        self._at = at
        if at >= size:
            return None
        if buffer[at] == _DOLLAR:
            if at + 4 > size:
                return None
            after = at + 4 + (buffer[at + 2] << 8 | buffer[at + 3])
            if after > size:
                return None
            self._at = after
            return buffer[at + 1], buffer[at + 4 : after]
        return self._message(buffer, at)

    def _message(self, buffer: bytes, at: int) -> Message | None:
        if not 0x41 <= buffer[at] <= 0x5A:
            raise SourceMalformed("neither an RTSP message nor an interleaved packet follows")
        end = buffer.find(b"\r\n\r\n", at, at + MAX_HEAD)
        if end < 0:
            if len(buffer) - at > MAX_HEAD:
                raise SourceMalformed(f"RTSP message head is longer than {MAX_HEAD >> 10} KiB")
            first, complete, _ = buffer[at : at + MAX_HEAD].partition(b"\r\n")
            if complete:
                _first_line(first.decode("utf-8", "replace"))
            return None
        lines = buffer[at:end].decode("utf-8", "replace").split("\r\n")
        status, reason, method = _first_line(lines[0])
        headers: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers.setdefault(name.strip().lower(), []).append(value.strip())
        length = headers.get("content-length", ["0"])[0]
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            raise SourceMalformed("RTSP Content-Length is not a number")
        if int(length) > MAX_BODY:
            raise SourceMalformed(f"RTSP message body is longer than {MAX_BODY >> 10} KiB")
        after = end + 4 + int(length)
        if after > len(buffer):
            return None
        self._at = after
        return Message(status, reason, method, headers, buffer[end + 4 : after])


def _first_line(line: str) -> tuple[int, str, str]:
    """Read status and reason of a reply, or the method of a request."""
    reply = _STATUS_LINE.match(line)
    if reply:
        return int(reply[1]), reply[2] or "", ""
    request = _REQUEST_LINE.match(line)
    if request:
        return 0, "", request[1]
    what = "an HTTP server" if line.startswith("HTTP/") else "not an RTSP server"
    raise SourceMalformed(f"the source answers, but is {what}; check scheme and port of the URL")


def split_credentials(url: str) -> tuple[str, str, str]:
    """Take user and password out of a URL: the bare URL, the user, the password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return bare, unquote(parts.username or ""), unquote(parts.password or "")


def control_url(base: str, control: str) -> str:
    """Resolve a control attribute.

    A relative one is appended as a path element. Where the base has a query, most servers want it
    appended to that; those whose base path ends in a slash, before the query. Both are what the
    servers themselves do, not RFC 3986.
    """
    if not control or control == "*":
        return base
    if "://" in control[:32]:
        return control
    path, mark, query = base.partition("?")
    if mark and path.endswith("/") and not query.endswith("/"):
        return f"{path}{control}?{query}"
    return f"{base.rstrip('/')}/{control.lstrip('/')}"


def resolve(base: str, reference: str) -> str:
    """Resolve the Content-Base or Location of a reply against the request's URL."""
    if "://" in reference[:32]:
        return reference
    # urljoin knows hierarchical schemes by name.
    scheme, _, rest = base.partition("://")
    return scheme + urljoin(f"http://{rest}", reference)[4:]
