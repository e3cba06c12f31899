"""Connections and TLS under the `Source` port: nobody makes us wait, nobody poses as the host."""

import contextlib
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    SourceEnded,
    SourceRefused,
    SourceUnreachable,
)
from everreel.protocols.connection import Connection
from everreel.protocols.guard import Guard
from everreel.protocols.ports import Endpoint
from tests.contract.source_server import (
    SLACK_S,
    Serve,
    answers,
    flv,
    hold,
    read_to_the_end,
    redirect_to,
    sized,
    timed_reads,
)


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
