"""What every `Source` promises, held against servers on loopback that misbehave.

Port: everreel.protocols.ports.Source. Whatever the server does: `read` returns within its wait,
what goes wrong is a `SourceError`, `close` from another thread ends a read at once.
"""

import contextlib
import socket
import threading
import time

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.protocols.guard import Guard
from tests.contract.source_server import (
    answers,
    drip,
    hold,
    read_to_the_end,
    redirect_to,
    reply,
    request,
    sized,
    timed_reads,
)


def accept_and_hold(connection: socket.socket) -> None:
    hold(connection)


def drip_headers(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-A: ")


def drip_noise(connection: socket.socket) -> None:
    drip(connection, b"\x03\x00")


def drip_body(connection: socket.socket) -> None:
    connection.sendall(reply("200 OK"))
    drip(connection, b"FLV\x01\x05\x00\x00\x00\x09")


def hold_body(connection: socket.socket) -> None:
    connection.sendall(reply("200 OK", "Content-Length: 99999999999999\r\n"))
    hold(connection)


def hold_playlist(connection: socket.socket) -> None:
    connection.sendall(reply("200 OK") + b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n")
    hold(connection)


def endless_interim(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


SILENT = [
    ("http", accept_and_hold),
    ("https", accept_and_hold),
    ("rtmp", accept_and_hold),
    ("rtmps", accept_and_hold),
    ("rtsp", accept_and_hold),
    ("http", drip_headers),
    ("rtmp", drip_noise),
    ("https", drip_noise),
    ("http", drip_body),
    ("http", hold_body),
    ("http", hold_playlist),
    ("http", endless_interim),
]
silent = pytest.mark.parametrize(
    ("scheme", "serve"), SILENT, ids=[f"{scheme}-{serve.__name__}" for scheme, serve in SILENT]
)


@silent
def test_read_when_the_server_stalls_then_it_returns_in_time_and_close_ends_it(
    peer, opened, scheme, serve
):
    port = peer(serve).port
    source = opened(f"{scheme}://127.0.0.1:{port}/live/x")
    with contextlib.suppress(SourceMalformed, SourceUnreachable):  # noise is found out at once
        assert timed_reads(source, 0.5) == []
    finished = threading.Event()
    errors: list[SourceError] = []

    def long_read() -> None:
        try:
            while True:
                source.read(30.0)
        except SourceError as error:
            errors.append(error)
        finished.set()

    reader = threading.Thread(target=long_read)
    reader.start()
    time.sleep(0.1)
    source.close()
    source.close()
    assert finished.wait(1.0)
    reader.join()
    assert errors


@silent
def test_read_when_cancelled_then_it_gives_up_within_a_second(peer, opened, scheme, serve):
    cancel = threading.Event()
    source = opened(f"{scheme}://127.0.0.1:{peer(serve).port}/live/x", cancel=cancel)
    with contextlib.suppress(SourceError):
        source.read(0.2)
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    read_to_the_end(source, wait_s=30.0)
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("scheme", "serve"),
    [
        ("http", accept_and_hold),
        ("http", drip_headers),
        ("http", endless_interim),
        ("https", accept_and_hold),
        ("rtmp", accept_and_hold),
        ("rtsp", accept_and_hold),
    ],
)
def test_read_when_the_server_does_not_answer_for_long_then_it_is_unreachable(
    peer, opened, scheme, serve
):
    clock = ManualClock()
    source = opened(f"{scheme}://127.0.0.1:{peer(serve).port}/live/x", clock=clock)
    assert timed_reads(source, 0.3) == []
    clock.advance(11)
    with pytest.raises(SourceUnreachable):
        timed_reads(source, 1.0)


def test_read_when_a_playlist_never_ends_then_it_is_given_up(peer, opened):
    clock = ManualClock()
    source = opened(f"http://127.0.0.1:{peer(hold_playlist).port}/x.m3u8", clock=clock)
    timed_reads(source, 0.3)
    clock.advance(16)
    with pytest.raises(SourceUnreachable, match="in full"):
        timed_reads(source, 1.0)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Filler: " + b"a" * 1000 + b"\r\n")


def redirect_loop(connection: socket.socket) -> None:
    while True:
        path = request(connection)
        connection.sendall(reply("302 Found", f"Location: {path}x\r\nContent-Length: 0\r\n"))


def greet_and_leave(connection: socket.socket) -> None:
    connection.recv(1537)
    connection.sendall(b"\x03" + bytes(700))


def close_at_once(connection: socket.socket) -> None:
    connection.close()


def plain_http(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def tls_garbage(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(b"\x16\x03\x03\x40\x00" + b"\xff" * 20_000)


WRONG = [
    ("http", close_at_once, SourceUnreachable),
    ("rtmp", close_at_once, SourceError),
    ("rtsp", close_at_once, SourceError),
    ("https", close_at_once, SourceUnreachable),
    ("https", tls_garbage, SourceUnreachable),
    ("rtmps", tls_garbage, SourceUnreachable),
    ("https", plain_http, SourceUnreachable),
    ("rtmp", greet_and_leave, SourceError),
    ("http", endless_headers, SourceMalformed),
    ("http", redirect_loop, SourceUnreachable),
    ("http", redirect_to("http://169.254.169.254/latest/meta-data/"), SourceRefused),
    ("http", redirect_to("http://2852039166/"), SourceRefused),
    ("http", redirect_to("//[::ffff:169.254.169.254]/"), SourceRefused),
    ("http", redirect_to("file:///etc/passwd"), SourceRefused),
    ("http", redirect_to("rtmp://127.0.0.1/app/x"), SourceRefused),
    ("http", redirect_to("http://[::1"), SourceMalformed),
    ("http", answers(reply("404 Not Found", "Content-Length: 0\r\n")), SourceNotFound),
    ("http", answers(reply("410 Gone")), SourceNotFound),
    ("http", answers(reply("401 Unauthorized")), SourceDenied),
    ("http", answers(reply("403 Forbidden")), SourceDenied),
    ("http", answers(reply("500 Oops")), SourceUnreachable),
    ("http", answers(reply("503 Later", "Retry-After: 7\r\n")), SourceUnreachable),
    ("http", answers(b"ICY 200 OK\r\n\r\n"), SourceMalformed),
    ("http", answers(b"SSH-2.0-OpenSSH_9.2\r\n" * 10), SourceMalformed),
    ("http", answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
     SourceMalformed),
    ("http", answers(reply("200 OK", "Transfer-Encoding: chunked\r\n", b"zz\r\n")), SourceError),
    ("http", answers(reply("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b")), SourceMalformed),
    ("http", answers(sized(b"")), SourceUnsupported),
    ("http", answers(sized(b"ID3\x04\x00" + bytes(1000))), SourceUnsupported),
    ("http", answers(sized(b"<html><body>hello")), SourceUnsupported),
    ("http", answers(sized(b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")), SourceError),
    ("http", answers(sized(b"#EXTM3U\n")), SourceMalformed),
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "serve", "expected"), WRONG)
def test_read_when_the_server_answers_wrongly_then_the_right_error_comes_once_and_for_all(
    peer, opened, scheme, serve, expected
):
    source = opened(f"{scheme}://user:secret@127.0.0.1:{peer(serve).port}/live/x?token=secret")
    events, error = read_to_the_end(source, 5.0)
    assert events == []
    assert isinstance(error, expected)
    assert "secret" not in str(error)


def test_open_when_nothing_listens_then_it_is_unreachable(opened):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for scheme in ("http", "rtmp", "rtsp", "https"):
        with pytest.raises(SourceUnreachable, match="refused"):
            timed_reads(opened(f"{scheme}://127.0.0.1:{port}/live/x"), 2.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x", "rtmp://localhost/app/x", "srt://a.example:9000", "file:///x", "",
        "rtsp://169.254.100.1/x", "http://cam.example/x", "rtmp://cam.example/app/x",
    ],
)  # fmt: skip
def test_open_when_the_guard_says_no_then_no_socket_is_opened(opened, url):
    guard = Guard(resolve=lambda host, port: ["10.0.0.1"])
    with pytest.raises(SourceRefused):
        opened(url, guard=guard).read(1.0)


def test_read_when_the_name_resolves_anew_to_loopback_then_it_is_never_asked_again(peer, opened):
    """The name is public at first: the connection goes there, and nowhere else (and fails here)."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    port = peer(answers(sized(b"secret"))).port
    source = opened(f"http://rebind.example:{port}/x", guard=Guard(resolve=rebinding))
    with pytest.raises(SourceUnreachable):
        timed_reads(source, 1.0)
    assert asked == ["rebind.example"]


def test_open_when_the_resolver_hangs_then_cancel_still_works(opened):
    release = threading.Event()
    cancel = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        release.wait(20)
        return ["127.0.0.1"]

    guard = Guard(allow_private=True, resolve=hanging)
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(SourceEnded):
        opened("rtmp://slow.example/app/x", guard=guard, cancel=cancel).read(30)
    with pytest.raises(SourceEnded):
        opened("http://slow.example/app/x", guard=guard, cancel=cancel).read(30)
    assert time.monotonic() - began < 1.0
    release.set()
