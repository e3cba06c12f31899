"""HTTP/1.1 over a scripted wire: framing however the bytes are cut, statuses, requests."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import (
    SourceDenied,
    SourceError,
    SourceMalformed,
    SourceNotFound,
    SourceUnreachable,
)
from everreel.protocols import http_error
from everreel.protocols.guard import Guard
from everreel.protocols.http import HEADER_MAX, HttpLink, Response

BODY = bytes(range(256)) * 5
REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1280\r\n\r\n" + BODY,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n"
    + BODY
    + b"\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + BODY,
}  # fmt: skip


class ScriptedWire:
    """Delivers pieces one by one, then the end; None stands for a wait in vain."""

    def __init__(self, pieces: list[bytes | None]) -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.closed = False
        self.patience_s: float | None = None

    def recv(self, wait_s: float) -> bytes | None:
        return self.pieces.pop(0) if self.pieces else b""

    def send(self, data: bytes) -> None:
        self.sent += data

    def coalesce(self, patience_s: float) -> None:
        self.patience_s = patience_s

    def close(self) -> None:
        self.closed = True


def get(wire: ScriptedWire, url: str = "http://a.example/x") -> HttpLink:
    link = HttpLink(wire)
    target = Guard().check_syntax(url)
    link.request(target, {b"Accept": b"*/*"}, "http://a.example/x")
    return link


def exchange(link: HttpLink) -> tuple[Response, bytes]:
    response: Response | None = None
    body = b""
    for _ in range(10_000):
        found = link.receive(0.0)
        if isinstance(found, Response):
            response = found
        elif found:
            body += found
        elif found is not None:
            assert response is not None
            return response, body
    raise AssertionError("no end")


@given(st.sampled_from(sorted(REPLIES)), st.lists(st.integers(1, 1300), max_size=8), st.booleans())
def test_receive_when_a_reply_is_cut_anywhere_then_the_body_is_whole(kind, cuts, pauses):
    data = REPLIES[kind]
    pieces: list[bytes | None] = []
    for cut in cuts:
        pieces += [data[:cut]] if data[:cut] else []
        pieces += [None] if pauses else []
        data = data[cut:]
    response, body = exchange(get(ScriptedWire([*pieces, *([data] if data else [])])))
    assert (response.status, body) == (200, BODY)


def test_request_when_sent_then_it_is_a_plain_get_that_asks_for_no_compression():
    wire = ScriptedWire([])
    get(wire, "http://a.example:8080/a b".replace(" ", "%20") + "/\u00fc?q=1|2#frag")
    assert wire.sent == (
        b"GET /a%20b/%C3%BC?q=1|2 HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/", b"a.example"),
        ("http://a.example:80/", b"a.example"),
        ("https://a.example/", b"a.example"),
        ("https://a.example:80/", b"a.example:80"),
        ("http://[2606:2800:220:1::1]:81/", b"[2606:2800:220:1::1]:81"),
    ],
)
def test_request_when_the_port_is_the_schemes_then_host_leaves_it_out(url, host):
    wire = ScriptedWire([])
    get(wire, url)
    assert b"Host: " + host + b"\r\n" in wire.sent


def test_recycle_when_both_sides_agree_then_the_next_get_goes_over_the_same_connection():
    wire = ScriptedWire([REPLIES["length"], REPLIES["chunked"]])
    link = get(wire)
    assert exchange(link)[1] == BODY
    assert link.recycle()
    link.request(Guard().check_syntax("http://a.example/y"), {}, "")
    assert exchange(link)[1] == BODY
    assert wire.sent.count(b"GET /") == 2


@pytest.mark.parametrize(
    "reply",
    [REPLIES["close"], b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"],
)
def test_recycle_when_the_server_closes_then_it_says_no(reply):
    link = get(ScriptedWire([reply]))
    exchange(link)
    assert not link.recycle()


def test_recycle_when_the_body_is_not_complete_then_it_says_no():
    link = get(ScriptedWire([REPLIES["length"][:100]]))
    link.receive(0.0)
    assert not link.recycle()


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([], SourceUnreachable),
        ([b"HTTP/1.1 200"], SourceMalformed),
        ([b"\x16\x03\x01\x00"], SourceMalformed),
        ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * HEADER_MAX], SourceMalformed),
        ([REPLIES["length"][:500]], SourceUnreachable),
        ([REPLIES["chunked"][:500]], SourceUnreachable),
    ],
)
def test_receive_when_the_reply_is_broken_then_the_error_says_how(pieces, error):
    with pytest.raises(error):
        exchange(get(ScriptedWire(pieces)))


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=10))
def test_receive_when_the_reply_is_noise_then_only_source_errors_come(pieces):
    for prefix in (b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with contextlib.suppress(SourceError):
            exchange(get(ScriptedWire([prefix or b"H", *pieces])))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (206, None),
        (204, SourceNotFound),
        (404, SourceNotFound),
        (410, SourceNotFound),
        (401, SourceDenied),
        (403, SourceDenied),
        (302, SourceUnreachable),
        (429, SourceUnreachable),
        (500, SourceUnreachable),
    ],
)
def test_of_status_when_asked_then_each_status_has_its_error(status, error):
    found = http_error.of_status(status, "http://a.example/x")
    assert (found and type(found)) == error


def test_of_status_when_the_server_says_when_then_the_message_does_too():
    found = http_error.of_status(503, "http://a.example/x", http_error.retry_after_s(b"12"))
    assert found is not None
    assert "12 s" in found.message
    assert http_error.retry_after_s(b"Wed, 21 Oct 2026 07:28:00 GMT") is None
    assert http_error.retry_after_s(None) is None
