"""The one place that opens sockets: a TCP or TLS connection that nobody can make us wait for.

Every call is bounded by the time its caller gives; connecting, the TLS handshake and sending go on
inside `recv`. Few wake-ups matter more than anything else here: most of the CPU that a copied
stream costs is spent on waking up, so reads are large and `coalesce` lets the kernel gather.
"""

import contextlib
import os
import select
import socket
import threading
import time
from errno import ECONNREFUSED, EINPROGRESS
from typing import TYPE_CHECKING, Protocol

from everreel.clock import Clock, SystemClock
from everreel.errors import SourceEnded, SourceUnreachable
from everreel.protocols.ports import Endpoint

if TYPE_CHECKING:
    import ssl

    from everreel.protocols.tls import TlsStream

# Below the 128 KiB from which on malloc maps fresh memory for each read: with 256 KiB the client
# of a 4 Mbps stream took 1.2 times the CPU.
READ_CHUNK = 120 * 1024
READ_MAX = 1024 * 1024
# Twice what 4 Mbps brings within the usual patience, which therefore decides when to wake up.
GATHER = 256 * 1024
SEND_BUFFER_MAX = 1024 * 1024
SEND_STUCK_S = 5.0
# A cancel flag cannot wake a poll: look at it this often.
_CANCEL_SLICE_S = 0.24


class Cancel(Protocol):
    """Says that whoever waits should give up (`threading.Event` does)."""

    def is_set(self) -> bool:
        """Tell whether to give up."""
        ...


class Wire(Protocol):
    """Bytes from and to one peer; `Connection` and `HttpStream` are such."""

    def recv(self, wait_s: float) -> bytes | None:
        """Return what arrived, None if nothing did within `wait_s` seconds, b"" at the end."""
        ...

    def send(self, data: bytes) -> None:
        """Queue bytes for the peer; never waits."""
        ...

    def coalesce(self, patience_s: float) -> None:
        """Say that the stream flows and may be taken in larger, rarer pieces."""
        ...

    def close(self) -> None:
        """Close at once, from any thread."""
        ...


class Connection:
    """A connection to an address that the guard has checked.

    Promises: connects to `endpoint.address` only; no call lasts longer than the wait it was given;
    `close` ends a `recv` of another thread at once, a set `cancel` within 250 ms.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float = 10.0,
        cancel: Cancel | None = None,
        *,
        clock: Clock | None = None,
        context: "ssl.SSLContext | None" = None,
    ) -> None:
        """Begin to connect; `recv` carries on with it.

        Args:
            endpoint: the guard's answer.
            timeout_s: how long connecting and the TLS handshake may take together.
            cancel: makes `recv` give up.
            clock: measures the timeouts.
            context: TLS settings other than the default verification.

        Raises: SourceUnreachable.
        """
        self._where = f"{endpoint.host}:{endpoint.port}"
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._cancel = cancel
        self._clock = clock or SystemClock()
        self._context = context
        self._lock = threading.Lock()
        self._closed = False
        self._connected = False
        self._open = False
        self._ready = False
        self._peer_closed = False
        self._broken: SourceUnreachable | None = None
        self._tls: TlsStream | None = None
        self._outgoing = bytearray()
        self._stuck_since: float | None = None
        self._patience_s: float | None = None
        self._started = self._clock.monotonic()
        family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._watch(select.POLLOUT)
        try:
            code = self._socket.connect_ex((endpoint.address, endpoint.port))
        except OSError as error:
            code = error.errno or ECONNREFUSED
        if code not in (0, EINPROGRESS):
            self._socket.close()
            raise self._unreachable(os.strerror(code))

    def recv(self, wait_s: float) -> bytes | None:
        """Return what arrived (at most 1 MiB), None if nothing did in time, b"" at the end.

        Units: seconds.
        Raises: SourceUnreachable; SourceEnded after `close` or when cancelled.
        """
        until = time.monotonic() + wait_s
        while True:
            if self._cancel is not None and self._cancel.is_set():
                raise self._over()
            if self._ready or self._wait(max(until - time.monotonic(), 0.0)):
                with self._lock:
                    data = self._advance()
                if data is not None:
                    return data
            self._check_times()
            if time.monotonic() >= until:
                return None

    def send(self, data: bytes) -> None:
        """Queue bytes for the peer and send what the socket takes; never waits.

        Raises: SourceUnreachable if the peer has not read for a while.
        """
        if not data:
            return
        if len(self._outgoing) + len(data) > SEND_BUFFER_MAX:
            raise self._unreachable("it does not read what we send")
        self._outgoing += data
        with self._lock:
            if self._open and not self._closed:
                self._flush()

    def coalesce(self, patience_s: float) -> None:
        """Let the kernel gather up to 256 KiB, or `patience_s` seconds, before `recv` wakes up.

        For a stream that flows: a wake-up per network packet costs more than all parsing.
        """
        with self._lock:
            if self._patience_s is None and not self._closed:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, GATHER)
            self._patience_s = patience_s

    def close(self) -> None:
        """Close at once, from any thread, as often as one likes."""
        self._closed = True
        # Shutting down first wakes a poll in another thread; closing alone would not, and would
        # give the file number away under it. The base class's own method, as the one of an
        # SSLSocket would turn a read under way into a read of ciphertext.
        with contextlib.suppress(OSError):  # not connected (any more): nothing to wake
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        with self._lock:
            self._socket.close()

    def _wait(self, left_s: float) -> bool:
        """Wait for the socket; tell whether there is something to do."""
        wait_s = min(left_s, _CANCEL_SLICE_S) if self._cancel is not None else left_s
        patience_s = self._patience_s
        if patience_s is not None:
            wait_s = min(wait_s, patience_s)
        # A poll that ends by patience may leave up to the low-water mark unread: read it then.
        self._ready = bool(self._poll.poll(wait_s * 1000)) or (
            patience_s is not None and wait_s >= min(patience_s, left_s)
        )
        return self._ready

    def _advance(self) -> bytes | None:
        """Do all that can be done without waiting."""
        self._ready = False
        if self._closed:
            raise self._over()
        if self._broken is not None:
            raise self._broken
        if not self._open and not self._establish():
            return None
        if self._outgoing:
            self._flush()
        return self._read()

    def _establish(self) -> bool:
        """Take connecting and the TLS handshake as far as they go; tell whether both are done."""
        if not self._connected:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise self._unreachable(os.strerror(code))
            self._connected = True
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A peer that vanished without a word is found within 15 s, also while it owes us an
            # acknowledgement, when the kernel sends no probes.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)
            if self._endpoint.tls:
                from everreel.protocols.tls import TlsStream  # noqa: PLC0415 - ssl takes 10 ms

                self._tls = TlsStream(self._socket, self._endpoint.host, self._context)
                self._socket = self._tls.socket
        if self._tls is not None:
            event = self._tls.handshake()
            if event:
                self._watch(event)
                return False
        self._open = True
        self._watch(select.POLLIN)
        return True

    def _read(self) -> bytes | None:
        if self._peer_closed:
            self._ready = True
            return b""
        pieces: list[bytes] = []
        total = 0
        try:
            while total < READ_MAX:
                piece = self._read_once()
                if piece is None:
                    break
                if not piece:
                    self._peer_closed = True
                    break
                pieces.append(piece)
                total += len(piece)
                if self._tls is None and len(piece) < READ_CHUNK:
                    break
            else:
                self._ready = True
        except OSError as error:
            self._broken = self._unreachable(f"the connection broke: {error.strerror or error}")
            self._broken.__cause__ = error
        if pieces:
            self._ready = self._ready or self._peer_closed or self._broken is not None
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._broken is not None:
            raise self._broken
        self._ready = self._peer_closed
        return b"" if self._peer_closed else None

    def _read_once(self) -> bytes | None:
        if self._tls is not None:
            return self._tls.read()
        try:
            return self._socket.recv(READ_CHUNK)
        except BlockingIOError:
            return None

    def _flush(self) -> None:
        sent = 0
        try:
            if self._tls is not None:
                sent = self._tls.write(self._outgoing)
            else:
                sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            sent = 0
        except OSError:
            # What the peer said before it left is still to be read; the read finds the end.
            self._outgoing.clear()
        del self._outgoing[:sent]
        if not self._outgoing:
            self._stuck_since = None
            self._watch(select.POLLIN)
            return
        if sent or self._stuck_since is None:
            self._stuck_since = self._clock.monotonic()
        self._watch(select.POLLIN | select.POLLOUT)

    def _check_times(self) -> None:
        now = self._clock.monotonic()
        if not self._open and now - self._started > self._timeout_s:
            raise self._unreachable(f"no connection within {self._timeout_s:g} s")
        if self._stuck_since is not None and now - self._stuck_since > SEND_STUCK_S:
            raise self._unreachable("it does not read what we send")

    def _watch(self, events: int) -> None:
        self._poll.register(self._socket, events)

    def _over(self) -> SourceEnded:
        return SourceEnded(f"the connection to {self._where} was closed on our side")

    def _unreachable(self, reason: str) -> SourceUnreachable:
        return SourceUnreachable(f"{self._where} cannot be reached: {reason}", field="source")
