"""What every `Source` promises, held against servers on loopback that misbehave.

Port: everreel.protocols.ports.Source. Whatever the server does: `read` returns within its wait,
what goes wrong is a `SourceError`, `close` from another thread ends a read at once.
"""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    Retry,
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import AccessUnit, SourceEvent, TrackFormat
from everreel.protocols.connection import Connection
from everreel.protocols.guard import Guard
from everreel.protocols.hls import HlsSource
from everreel.protocols.http_client import HttpClient
from everreel.protocols.open import SourceOptions, open_source
from everreel.protocols.ports import Endpoint, Source

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


@pytest.fixture
def peer() -> Iterator[Callable[[Serve], Peer]]:
    peers: list[Peer] = []

    def start(serve: Serve) -> Peer:
        peers.append(Peer(serve))
        return peers[-1]

    yield start
    for one in peers:
        one.stop()


@pytest.fixture
def opened() -> Iterator[Callable[..., Source]]:
    sources: list[Source] = []

    def start(url: str, **options) -> Source:
        clock = options.pop("clock", None)
        cancel = options.pop("cancel", None)
        guard = options.pop("guard", Guard(allow_private=True))
        source = open_source(
            url, guard, cancel=cancel, clock=clock, options=SourceOptions(**options)
        )
        sources.append(source)
        return source

    yield start
    for source in sources:
        source.close()


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


# ---------------------------------------------------------------- servers that say nothing useful


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


# ---------------------------------------------------------------- servers that answer wrongly


def answers(data: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(data)

    return serve


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


def redirect_to(url: str) -> Serve:
    return answers(reply("302 Found", f"Location: {url}\r\nContent-Length: 0\r\n"))


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


# ---------------------------------------------------------------- connections


def test_send_when_the_peer_never_reads_then_nobody_waits_and_it_is_unreachable(peer):
    port = peer(lambda connection: time.sleep(2)).port
    clock = ManualClock()
    endpoint = Endpoint("127.0.0.1", "127.0.0.1", port, False)
    connection = Connection(endpoint, clock=clock)
    connection.recv(0.1)

    def flood(pieces: int) -> None:
        for _ in range(pieces):
            connection.send(bytes(200 * 1024))
            connection.recv(0.0)

    began = time.monotonic()
    with pytest.raises(SourceUnreachable, match="does not read"):
        flood(1000)
    assert time.monotonic() - began < 1.0
    connection.close()
    connection = Connection(endpoint, clock=clock)
    connection.recv(0.1)
    with contextlib.suppress(SourceUnreachable):
        flood(1000)
    clock.advance(6)
    with pytest.raises(SourceUnreachable, match="does not read"):
        connection.recv(0.1)
    connection.close()


def test_recv_when_the_peer_sends_and_leaves_then_all_arrives_before_the_end(peer):
    port = peer(lambda connection: connection.sendall(bytes(3_000_000))).port
    connection = Connection(Endpoint("127.0.0.1", "127.0.0.1", port, False))
    connection.coalesce(0.05)
    total = 0
    while (data := connection.recv(2.0)) != b"":
        assert data is not None
        assert len(data) <= 1024 * 1024 + 256 * 1024
        total += len(data)
    assert total == 3_000_000
    connection.close()
    with pytest.raises(SourceEnded):
        connection.recv(1.0)


def test_recv_when_coalescing_then_a_lull_is_delivered_within_the_patience(peer):
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"a")
        hold(connection)

    connection = Connection(Endpoint("127.0.0.1", "127.0.0.1", peer(serve).port, False))
    connection.coalesce(0.1)
    began = time.monotonic()
    while connection.recv(0.3) is None:
        pass
    assert time.monotonic() - began < 0.1 + SLACK_S
    connection.close()


@dataclass(frozen=True)
class Certificate:
    path: Path
    key: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    found = Certificate(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=cdn.example", "-addext",
         "subjectAltName=DNS:cdn.example", "-keyout", found.key, "-out", found.path],
        check=True, capture_output=True,
    )  # fmt: skip
    return found


def tls_serving(certificate: Certificate, serve: Serve) -> Serve:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)

    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            serve(secure)
            with contextlib.suppress(OSError):
                secure.unwrap()

    return wrapped


def test_read_when_the_certificate_is_not_trusted_then_it_is_unreachable(peer, opened, certificate):
    port = peer(tls_serving(certificate, answers(sized(flv())))).port
    guard = Guard(allow_private=True, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(SourceUnreachable, match="certificate"):
        timed_reads(opened(f"https://cdn.example:{port}/x", guard=guard), 3.0)


@pytest.mark.parametrize(("host", "good"), [("cdn.example", True), ("other.example", False)])
def test_read_when_the_certificate_is_trusted_then_the_host_must_match(
    peer, opened, certificate, host, good
):
    import ssl

    context = ssl.create_default_context(cafile=str(certificate.path))
    port = peer(tls_serving(certificate, answers(sized(flv())))).port
    guard = Guard(allow_private=True, resolve=lambda host, port: ["127.0.0.1"])
    source = opened(f"https://{host}:{port}/x", guard=guard, context=context)
    events, error = read_to_the_end(source)
    assert bool(events) is good
    assert isinstance(error, SourceEnded if good else SourceUnreachable)


def test_read_when_a_redirect_leaves_https_then_it_is_refused(peer, opened, certificate):
    import ssl

    context = ssl.create_default_context(cafile=str(certificate.path))
    port = peer(tls_serving(certificate, redirect_to("http://cdn.example/x"))).port
    guard = Guard(allow_private=True, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(SourceRefused, match="https"):
        timed_reads(opened(f"https://cdn.example:{port}/x", guard=guard, context=context), 3.0)


# ---------------------------------------------------------------- streams over HTTP


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


def expected_units(path: Path) -> int:
    return len(json.loads(path.with_name(path.name + ".json").read_text())["units"])


def units(events: list[SourceEvent]) -> int:
    return sum(isinstance(event, AccessUnit) for event in events)


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


# ---------------------------------------------------------------- HLS


class Files:
    """A web server of files that a test changes; keeps connections and notes what was asked."""

    def __init__(self, files: dict[str, bytes | str]) -> None:
        self.files = files
        self.asked: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        while True:
            path = request(connection)
            self.asked.append(path)
            found = self.files.get(path)
            if found is None:
                connection.sendall(reply("404 Not Found", "Content-Length: 0\r\n"))
            else:
                body = found.encode() if isinstance(found, str) else found
                connection.sendall(sized(body))


def playlist(first: int, names: list[str], *, ended: bool = False, target: int = 1) -> str:
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{target}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    for name in names:
        lines += [f"#EXTINF:{target},", name]
    return "\n".join([*lines, "#EXT-X-ENDLIST"] if ended else lines) + "\n"


def test_read_when_it_is_hls_then_segments_come_in_order_over_one_connection(peer, opened):
    segment = HLS_TS.read_bytes()
    files = Files(
        {
            "/m.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive/i.m3u8\n",
            "/live/i.m3u8": playlist(7, ["a.ts", "b.ts"], ended=True),
            "/live/a.ts": segment,
            "/live/b.ts": segment,
        }
    )
    one = peer(files)
    source = opened(f"http://127.0.0.1:{one.port}/m.m3u8")
    events, error = read_to_the_end(source)
    assert isinstance(error, SourceEnded)
    assert files.asked == ["/m.m3u8", "/live/i.m3u8", "/live/a.ts", "/live/b.ts"]
    assert len(one.accepted) == 1
    assert units(events) == 2 * expected_units(HLS_TS)
    assert isinstance(events[0], TrackFormat)


def hls(port: int, path: str = "/i.m3u8", **options) -> HlsSource:
    client = HttpClient(Guard(allow_private=True), clock=options.get("clock"))
    return HlsSource(client, f"http://127.0.0.1:{port}{path}", **options)


def test_read_when_the_playlist_grows_then_it_is_followed_and_holes_are_declared(peer):
    segment = HLS_TS.read_bytes()
    files = Files({f"/{n}.ts": segment for n in range(20)})
    files.files["/i.m3u8"] = playlist(0, ["0.ts", "1.ts"])
    clock = ManualClock()
    source = hls(peer(files).port, clock=clock)
    assert units(timed_reads(source, 1.0)) == 2 * expected_units(HLS_TS)
    asked = len(files.asked)
    files.files["/i.m3u8"] = playlist(4, ["4.ts", "gone.ts", "6.ts", "7.ts"], ended=True)
    files.files["/7.ts"] = b""
    timed_reads(source, 0.3)
    assert len(files.asked) == asked
    events, error = read_to_the_end(source, wait_s=0.05, clock=clock)
    assert isinstance(error, SourceEnded)
    assert units(events) == 2 * expected_units(HLS_TS)
    assert [(missed.first, missed.count, missed.cause.value) for missed in source.missed] == [
        (2, 2, "left_playlist"),
        (5, 1, "not_found"),
        (7, 1, "failed"),
    ]
    assert files.asked.count("/gone.ts") == 3
    source.close()


def test_read_when_every_segment_is_missing_then_it_is_not_found(peer):
    files = Files({"/i.m3u8": playlist(0, ["a.ts", "b.ts", "c.ts", "d.ts"], ended=True)})
    clock = ManualClock()
    source = hls(peer(files).port, clock=clock)
    _, error = read_to_the_end(source, wait_s=0.02, clock=clock)
    assert isinstance(error, SourceNotFound)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("#EXTINF:1,\nhttp://169.254.169.254/latest\n", SourceRefused),
        ("#EXTINF:1,\nfile:///etc/passwd\n", SourceRefused),
        ("#EXTINF:1,\nhttp://2852039166/\n", SourceRefused),
        ('#EXT-X-MAP:URI="http://169.254.100.1/"\n#EXTINF:1,\na.m4s\n', SourceRefused),
        ('#EXT-X-KEY:METHOD=AES-128,URI="http://169.254.169.254/k"\n#EXTINF:1,\na.ts\n',
         SourceUnsupported),
        ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="/key"\n#EXTINF:1,\na.ts\n', SourceUnsupported),
    ],
)  # fmt: skip
def test_read_when_a_playlist_points_where_it_must_not_then_it_is_refused(peer, lines, expected):
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + lines + "#EXT-X-ENDLIST\n"
    files = Files({"/i.m3u8": text, "/a.ts": HLS_TS.read_bytes(), "/key": bytes(16)})
    source = hls(peer(files).port)
    _, error = read_to_the_end(source, 5.0)
    assert isinstance(error, expected)
    assert files.asked == ["/i.m3u8"]


def test_read_when_a_redirected_segment_points_inside_then_it_is_refused(peer):
    def serve(connection: socket.socket) -> None:
        while True:
            if request(connection).endswith(".m3u8"):
                connection.sendall(sized(playlist(0, ["a.ts"], ended=True).encode()))
            else:
                connection.sendall(reply("302 Found", "Location: http://169.254.169.254/\r\n"))

    source = hls(peer(serve).port)
    _, error = read_to_the_end(source, 5.0)
    assert isinstance(error, SourceRefused)


def test_read_when_segments_are_byte_ranges_then_both_kinds_of_servers_serve_them(peer):
    segment = HLS_TS.read_bytes()
    text = (
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
        f"#EXTINF:1,\n#EXT-X-BYTERANGE:{len(segment)}@188\nall.ts\n"
        f"#EXTINF:1,\n#EXT-X-BYTERANGE:{len(segment)}\nall.ts\n#EXT-X-ENDLIST\n"
    )
    whole = bytes(188) + segment * 2
    ranges: list[bytes] = []

    def partial(connection: socket.socket) -> None:
        while True:
            head = headers_of(connection)
            if b".m3u8" in head:
                connection.sendall(sized(text.encode()))
                continue
            wanted = head.lower().split(b"range: bytes=")[1].split(b"\r\n")[0]
            ranges.append(wanted)
            first, last = (int(number) for number in wanted.split(b"-"))
            part = whole[first : last + 1]
            connection.sendall(
                reply("206 Partial Content", f"Content-Length: {len(part)}\r\n", part)
            )

    for serve in (partial, Files({"/i.m3u8": text, "/all.ts": whole})):
        source = hls(peer(serve).port)
        events, error = read_to_the_end(source)
        assert isinstance(error, SourceEnded)
        assert units(events) == 2 * expected_units(HLS_TS)
        assert source.missed == []
    assert len(ranges) == 2


def fmp4() -> tuple[bytes, list[bytes]]:
    """The init section and the segments of a captured fMP4 stream."""
    data = HLS_MP4.read_bytes()
    parts = []
    for size in json.loads(HLS_MP4.with_name(HLS_MP4.name + ".json").read_text())["part_bytes"]:
        parts.append(data[:size])
        data = data[size:]
    return parts[0], parts[1:]


def test_read_when_segments_are_fmp4_then_the_init_section_is_fetched_once(peer):
    init, segments = fmp4()
    files = Files({f"/{n}.m4s": segment for n, segment in enumerate(segments)})
    files.files["/init.mp4"] = init
    names = [f"{n}.m4s" for n in range(len(segments))]
    files.files["/i.m3u8"] = playlist(0, names, ended=True).replace(
        "#EXT-X-MEDIA-SEQ", '#EXT-X-MAP:URI="init.mp4"\n#EXT-X-MEDIA-SEQ'
    )
    events, error = read_to_the_end(hls(peer(files).port))
    assert isinstance(error, SourceEnded)
    assert units(events) == expected_units(HLS_MP4)
    assert files.asked.count("/init.mp4") == 1
    assert [type(event) for event in events[:2]] == [TrackFormat, TrackFormat]


def test_read_when_the_sound_is_apart_then_both_playlists_are_followed_side_by_side(peer):
    segment = HLS_TS.read_bytes()
    files = Files({f"/{kind}{n}.ts": segment for kind in "av" for n in range(3)})
    files.files["/i.m3u8"] = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="x",DEFAULT=YES,URI="a.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="g"\nv.m3u8\n'
    )
    for kind in "av":
        names = [f"{kind}{n}.ts" for n in range(3)]
        files.files[f"/{kind}.m3u8"] = playlist(5, names, ended=True)
    events, error = read_to_the_end(hls(peer(files).port))
    assert isinstance(error, SourceEnded)
    assert units(events) == 3 * expected_units(HLS_TS)
    assert [path for path in files.asked if path.endswith(".ts")] == [
        f"/{kind}{n}.ts" for n in range(3) for kind in "va"
    ]


def test_read_when_a_kept_connection_was_closed_then_a_new_one_is_made(peer):
    segment = HLS_TS.read_bytes()
    bodies = {"/i.m3u8": playlist(0, ["a.ts"], ended=True).encode(), "/a.ts": segment}

    def once(connection: socket.socket) -> None:
        connection.sendall(sized(bodies[request(connection)]))

    one = peer(once)
    events, error = read_to_the_end(hls(one.port))
    assert isinstance(error, SourceEnded)
    assert units(events) == expected_units(HLS_TS)
    assert len(one.accepted) == 2


def test_read_when_a_segment_is_huge_then_it_is_not_swallowed(peer):
    def serve(connection: socket.socket) -> None:
        while True:
            if request(connection).endswith(".m3u8"):
                connection.sendall(sized(playlist(0, ["a.ts", "b.ts", "c.ts"]).encode()))
            else:
                connection.sendall(reply("200 OK", "Content-Length: 99999999999\r\n"))

    clock = ManualClock()
    source = hls(peer(serve).port, clock=clock)
    _, error = read_to_the_end(source, wait_s=0.02, clock=clock)
    assert isinstance(error, SourceMalformed)
    assert "larger" in error.message
