"""What is no live stream ends with the code that says so, and leaves not one object behind."""

import random
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from everreel.state.recording import Reason
from everreel.state.status import Status
from tests.fault.proxy import Silent
from tests.lab.process import free_port
from tests.servers.harness import Lap

IDLE_S = 2
NOISE = random.Random(11).randbytes(200_000)
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def whole(body: bytes, kind: str) -> bytes:
    return OK + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        kind.encode(), len(body), body)  # fmt: skip


def refusal(status: str, more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: 2\r\n\r\nno".encode()


MP3 = b"ID3\x04\0\0\0\0\0\x23" + bytes(35) + b"\xff\xfb\x90\x64" + NOISE[:4000]
PNG = b"\x89PNG\r\n\x1a\n" + NOISE[:4000]
HTML = b"<!DOCTYPE html><html><head><title>Hello</title></head><body>" + b"x" * 4000
MP4 = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2" + NOISE[:4000]
ENCRYPTED = (
    b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF:2,\na.ts\n'
)
# The reply of a server, the path asked for, the code, and whether that is known at once.
HTTP: dict[str, tuple[bytes, str, bool]] = {
    "random bytes": (whole(NOISE, "video/x-flv"), "source_unsupported", True),
    "a web page": (whole(HTML, "text/html"), "source_unsupported", True),
    "an mp3 file": (whole(MP3, "audio/mpeg"), "source_unsupported", True),
    "a picture": (whole(PNG, "image/png"), "source_unsupported", True),
    "an mp4 file": (whole(MP4, "video/mp4"), "source_unsupported", True),
    "a json document": (whole(b'{"a": 1}' * 200, "text/json"), "source_unsupported", True),
    "an empty body": (whole(b"", "video/x-flv"), "source_unsupported", True),
    "an encrypted playlist": (whole(ENCRYPTED, "text/plain"), "source_unsupported", True),
    "an flv head and random bytes": (
        OK + b"\r\nFLV\x01\x05\0\0\0\x09\0\0\0\0\x55" + NOISE, "source_malformed", False),
    "a stream that is not there": (refusal("404 Not Found"), "source_not_found", False),
    "a stream that is gone": (refusal("410 Gone"), "source_not_found", False),
    "a stream that asks who we are": (
        refusal("401 Unauthorized", "WWW-Authenticate: Basic\r\n"), "source_denied", True),
    "a stream that is forbidden": (refusal("403 Forbidden"), "source_denied", True),
    "a server that is busy": (refusal("503 Unavailable"), "source_unreachable", False),
    "a redirect that goes round": (
        b"HTTP/1.1 302 Found\r\nLocation: /x.flv\r\nContent-Length: 0\r\n\r\n" * 9,
        "source_unreachable", False),
    "no http at all": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "source_malformed", False),
}  # fmt: skip
RTMP, RTSP = "rtmp://127.0.0.1:{}/live/x", "rtsp://127.0.0.1:{}/x"
NO_SUCH_STREAM = b"".join(b"RTSP/1.0 404 Not Found\r\nCSeq: %d\r\n\r\n" % n for n in (1, 2))
OTHERS: dict[str, tuple[str, bytes, str, bool]] = {
    "rtmp: a web server": (RTMP, refusal("400 Bad Request") + NOISE, "source_malformed", False),
    "rtmp: random bytes": (RTMP, b"\x03" + NOISE, "source_malformed", False),
    "rtsp: a web server": (RTSP, refusal("400 Bad Request"), "source_malformed", False),
    "rtsp: random bytes": (RTSP, NOISE, "source_malformed", False),
    "rtsp: no such stream": (RTSP, NO_SUCH_STREAM, "source_not_found", False),
}  # fmt: skip


def lap_of(url: str, root: Path) -> tuple[Lap, float]:
    began = time.monotonic()
    lap = Lap(url, root, idle_s=IDLE_S).start()
    lap.wait(30)
    return lap, time.monotonic() - began


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Lap, float]]:
    """Try them all at once."""
    root = tmp_path_factory.mktemp("garbage")
    servers: list[Silent] = []
    with ThreadPoolExecutor(max_workers=16) as pool:
        tried: dict[str, Future[tuple[Lap, float]]] = {}
        for name, (reply, _code, _now) in HTTP.items():
            servers.append(Silent(reply))
            url = f"http://127.0.0.1:{servers[-1].__enter__().port}/x.flv"
            tried[name] = pool.submit(lap_of, url, root / str(len(tried)))
        for name, (url, reply, _code, _now) in OTHERS.items():
            servers.append(Silent(reply))
            port = servers[-1].__enter__().port
            tried[name] = pool.submit(lap_of, url.format(port), root / str(len(tried)))
        found = {name: future.result() for name, future in tried.items()}
    for server in servers:
        server.__exit__(None, None, None)
    return found


CODES = {name: (code, now) for name, (_reply, code, now) in HTTP.items()} | {
    name: (code, now) for name, (_url, _reply, code, now) in OTHERS.items()
}


@pytest.mark.parametrize("name", CODES)
def test_source_when_it_is_no_live_stream_then_the_code_says_what_it_is(
    name: str, ended: dict[str, tuple[Lap, float]]
):
    code, at_once = CODES[name]
    lap, took_s = ended[name]

    assert lap.outcome.reason is Reason.SOURCE_FAILED
    assert lap.outcome.failure.code == code, lap.outcome.failure.message
    assert lap.outcome.failure.blame == "source"
    assert took_s < (1.8 if at_once else IDLE_S + 2.5)
    assert lap.status is Status.ABNORMAL


@pytest.mark.parametrize("name", CODES)
def test_source_when_it_is_no_live_stream_then_nothing_is_written(
    name: str, ended: dict[str, tuple[Lap, float]]
):
    lap, _took_s = ended[name]

    assert not lap.root.exists()
    assert not lap.rows
    assert lap.recordings.find(lap.sid).origin_utc_us == 0


def test_source_when_it_sends_only_stuffing_then_it_is_idle_and_nothing_is_written(tmp_path: Path):
    stuffing = OK + b"\r\n" + (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 2000
    with Silent(stuffing) as server:
        lap, _took_s = lap_of(f"http://127.0.0.1:{server.port}/x.ts", tmp_path / "store")

    assert lap.outcome.reason is Reason.IDLE
    assert not lap.root.exists()


def test_source_when_nobody_listens_then_it_is_unreachable(tmp_path: Path):
    lap, _took_s = lap_of(f"rtmp://127.0.0.1:{free_port()}/live/x", tmp_path / "store")

    assert lap.outcome.failure.code == "source_unreachable"
    assert "Connection refused" in lap.outcome.failure.message
    assert not lap.root.exists()


def test_source_when_its_name_has_credentials_then_no_failure_tells_them(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
    url = f"http://someone:s3cret@127.0.0.1:{port}/x.flv?token=t0ken"
    lap, _took_s = lap_of(url, tmp_path / "store")

    assert lap.outcome.failure.code == "source_unreachable"
    told = repr((lap.outcome, lap.recordings.laps(lap.sid), lap.bus.published))
    assert "s3cret" not in told
    assert "t0ken" not in told
