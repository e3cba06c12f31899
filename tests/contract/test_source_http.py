"""Sources that real and odd servers deliver over HTTP, and servers that send us elsewhere."""

import socket
from collections.abc import Callable

import pytest

from everreel.errors import (
    Retry,
    SourceEnded,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from tests.contract.source_server import (
    FLV_REPLY,
    TS,
    Serve,
    answers,
    expected_units,
    flv,
    headers_of,
    read_to_the_end,
    reply,
    sized,
    units,
)


def chunked(body: bytes, size: int = 700) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


FRAMINGS: list[Callable[[bytes], bytes]] = [
    sized,
    lambda body: reply("200 OK", "Transfer-Encoding: chunked\r\n", chunked(body)),
    lambda body: reply("200 OK", "", body),
    lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
]


@pytest.mark.parametrize("framing", FRAMINGS, ids=["length", "chunked", "close", "http10"])
@pytest.mark.parametrize("path", [FLV_REPLY, TS], ids=["flv", "ts"])
def test_read_when_a_stream_comes_over_http_then_every_framing_delivers_the_same(
    peer, opened, framing, path
):
    body = flv() if path == FLV_REPLY else path.read_bytes()
    events, error = read_to_the_end(
        opened(f"http://127.0.0.1:{peer(answers(framing(body))).port}/x")
    )
    assert isinstance(error, SourceEnded)
    assert units(events) == expected_units(path)


def test_read_when_a_real_servers_reply_is_replayed_then_every_unit_arrives(peer, opened):
    events, error = read_to_the_end(
        opened(f"http://127.0.0.1:{peer(answers(FLV_REPLY.read_bytes())).port}/live/tiny.flv")
    )
    assert error.retry is Retry.LATER  # that server leaves without the last chunk
    assert units(events) == expected_units(FLV_REPLY)


def test_read_when_the_stream_breaks_off_then_what_arrived_is_delivered_first(peer, opened):
    body = flv()
    half = reply("200 OK", "Content-Length: 99999999\r\n", body[: len(body) // 2])
    events, error = read_to_the_end(opened(f"http://127.0.0.1:{peer(answers(half)).port}/x.flv"))
    assert isinstance(error, SourceUnreachable)
    assert 0 < units(events) < expected_units(FLV_REPLY)


def test_read_when_redirected_then_the_stream_and_the_credentials_go_where_they_should(
    peer, opened
):
    seen: dict[str, bytes] = {}

    def elsewhere(connection: socket.socket) -> None:
        seen["elsewhere"] = headers_of(connection)
        connection.sendall(sized(flv()))

    other = peer(elsewhere)

    def first(connection: socket.socket) -> None:
        while True:
            head = headers_of(connection)
            if b"GET /a " in head:
                seen["first"] = head
                connection.sendall(reply("301 Moved", "Location: b\r\nContent-Length: 0\r\n"))
            else:
                seen["second"] = head
                where = f"http://127.0.0.1:{other.port}/c?x=y"
                connection.sendall(reply("307 Moved", f"Location: {where}\r\n"))
                return

    one = peer(first)
    source = opened(f"http://us%40er:pass@127.0.0.1:{one.port}/a")
    events, _ = read_to_the_end(source)
    assert units(events) == expected_units(FLV_REPLY)
    assert b"Basic dXNAZXI6cGFzcw==" in seen["first"]
    assert b"Basic dXNAZXI6cGFzcw==" in seen["second"]
    assert b"uthorization" not in seen["elsewhere"]
    assert b"GET /c?x=y " in seen["elsewhere"]
    assert len(one.accepted) == 1


def test_read_when_an_rtsp_server_redirects_then_it_is_followed_through_the_guard(peer, opened):
    def answer(connection: socket.socket, status: str, headers: str = "") -> None:
        number = headers_of(connection).lower().split(b"cseq:")[1].split(b"\r\n")[0].strip()
        connection.sendall(
            f"RTSP/1.0 {status}\r\nCSeq: {number.decode()}\r\n{headers}\r\n".encode()
        )

    def unknown(connection: socket.socket) -> None:
        while True:
            answer(connection, "404 Not Found")

    there = peer(unknown)

    def moved(where: str) -> Serve:
        return lambda connection: answer(connection, "302 Moved", f"Location: {where}\r\n")

    good = peer(moved(f"rtsp://127.0.0.1:{there.port}/y"))
    _, error = read_to_the_end(opened(f"rtsp://127.0.0.1:{good.port}/x"), 5.0)
    assert isinstance(error, SourceNotFound)
    assert len(there.accepted) == 1
    for where in ("rtsp://169.254.169.254/x", "http://127.0.0.1/x"):
        _, error = read_to_the_end(opened(f"rtsp://127.0.0.1:{peer(moved(where)).port}/x"), 5.0)
        assert isinstance(error, SourceRefused)
