"""The demo's publisher as a subscriber on this machine sees it."""

import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from everreel.media.access_unit import AccessUnit
from everreel.protocols.guard import Guard
from everreel.protocols.open import open_source
from infra.local.engine import ROOT
from infra.local.publisher import DemoPublisher
from infra.local.publisher_flv import Tag
from infra.local.publisher_server import Broadcast, FlvServer
from infra.local.publisher_stream import short_digest
from infra.local.serving import HOST


def read_units(url, seconds):
    source = open_source(url, Guard(allow_private=True), cancel=threading.Event())
    units, until = [], time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            units += [each for each in source.read(0.25) if isinstance(each, AccessUnit)]
    finally:
        source.close()
    return units


def test_recorder_that_joins_in_the_middle_gets_what_was_published_from_a_keyframe_on():
    with DemoPublisher() as publisher:
        time.sleep(2.5)
        units = read_units(publisher.url, 2.0)
        sent = publisher.units()

    assert publisher.fault is None
    seen = [(each.medium.value, each.pts, short_digest(each.data)) for each in units]
    published = [(each.medium, each.pts_ms, each.sha) for each in sent]
    first = published.index(seen[0])
    assert units[0].keyframe
    assert units[0].pts == 2000
    assert seen == published[first : first + len(seen)]
    assert units[-1].pts - units[0].pts > 1500


def test_publisher_keeps_real_time():
    with DemoPublisher() as publisher:
        before, began = publisher.frames, time.monotonic()
        time.sleep(2.0)
        rate = (publisher.frames - before) / (time.monotonic() - began)

    assert rate == pytest.approx(25, abs=5)


@pytest.fixture
def server():
    broadcast = Broadcast((Tag(b"<head>"),), limit=300_000)
    with FlvServer(broadcast) as running:
        yield running, broadcast


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def connect(server, request=b"GET /live/demo.flv HTTP/1.1\r\nHost: x\r\n\r\n"):
    port = int(server.url.split(":")[2].split("/")[0])
    client = socket.create_connection((HOST, port), timeout=10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(request)
    return client


def read_all(client):
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_stream_that_ends_is_ended_properly_for_the_subscriber(server):
    running, broadcast = server
    client = connect(running)
    wait_for(lambda: broadcast.subscribers == 1)
    broadcast.publish(Tag(b"K", keyframe=True))
    broadcast.end()

    answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Type: video/x-flv" in answer
    assert answer.endswith(b"0\r\n\r\n")


def test_subscriber_of_http_1_0_gets_the_plain_bytes(server):
    running, broadcast = server
    client = connect(running, b"GET /live/demo.flv HTTP/1.0\r\n\r\n")
    wait_for(lambda: broadcast.subscribers == 1)
    broadcast.publish(Tag(b"K", keyframe=True))
    broadcast.end()

    assert read_all(client).partition(b"\r\n\r\n")[2].endswith(b"<head>K")


def test_subscriber_that_does_not_read_is_dropped_and_sees_no_proper_end(server):
    running, broadcast = server
    client = connect(running)
    wait_for(lambda: broadcast.subscribers == 1)
    sent = 0
    while broadcast.subscribers:
        broadcast.publish(Tag(bytes(20_000)))
        sent += 1
        assert sent < 10_000

    assert not read_all(client).endswith(b"0\r\n\r\n")


def test_subscriber_that_goes_away_is_forgotten(server):
    running, broadcast = server
    client = connect(running)
    wait_for(lambda: broadcast.subscribers == 1)
    client.close()

    def gone():
        broadcast.publish(Tag(bytes(20_000)))
        return broadcast.subscribers == 0

    wait_for(gone)


def test_any_other_path_is_not_found_and_says_where_the_stream_is(server):
    running, _ = server
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(running.url.replace("demo.flv", "other.flv"), timeout=5)

    assert refused.value.code == 404
    assert b"/live/demo.flv" in refused.value.read()


def test_command_line_publishes_for_a_number_of_seconds():
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.publisher", "--seconds", "1"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    url, frames = done.stdout.splitlines()
    assert url.startswith("http://127.0.0.1:")
    assert frames.endswith("frames published")


def test_command_line_with_a_port_in_use_then_says_so():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "infra.local.publisher", "--port", port],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == f"port {port} of 127.0.0.1: Address already in use\n"
