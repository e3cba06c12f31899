"""HTTP replies that never end: MPEG-TS relayed live, and a base for scripted ones."""

from __future__ import annotations

import contextlib
import queue
import re
import select
import socket
import threading
from typing import Self

TS_PACKET = 188
_GONE = (BrokenPipeError, ConnectionResetError, TimeoutError)


class Reply:
    """One player's connection, to write the body into."""

    def __init__(self, connection: socket.socket, *, chunked: bool) -> None:
        self._connection = connection
        self._chunked = chunked

    def head(self, content_type: str) -> None:
        """Send status and headers."""
        coding = "Transfer-Encoding: chunked\r\n" if self._chunked else ""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{coding}Connection: close\r\n"
        self._connection.sendall(head.encode() + b"\r\n")

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if data:
            self._connection.sendall(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        """Say that the body is complete."""
        if self._chunked:
            self._connection.sendall(b"0\r\n\r\n")

    @property
    def gone(self) -> bool:
        """Whether the player has hung up."""
        readable, _, _ = select.select([self._connection], [], [], 0)
        return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)


class HttpLive:
    """A one-file HTTP server whose bodies are written while they are played.

    Args:
        chunked: use chunked transfer coding; otherwise the body ends with the connection.
    """

    content_type = "application/octet-stream"
    path = "/live"

    def __init__(self, *, chunked: bool = True) -> None:
        self._chunked = chunked
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.requests: list[str] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where players find the stream."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def serve(self, reply: Reply, number: int) -> None:
        """Write one player's body; `number` counts connections from 0."""
        raise NotImplementedError

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.ending.is_set():
            try:
                connection, _peer = self._listener.accept()
            except OSError:  # closed by __exit__
                return
            number = len(self.requests)
            self.requests.append("")
            self._spawn(self._converse, connection, number)

    def _converse(self, connection: socket.socket, number: int) -> None:
        with self._lock:
            self._connections.add(connection)
        with connection, contextlib.suppress(*_GONE):
            connection.settimeout(10)
            request = _whole_request(connection)
            if not request:
                return
            self.requests[number] = request.decode("latin-1")
            reply = Reply(connection, chunked=self._chunked)
            if request.split(b" ")[1].split(b"?")[0] != self.path.encode():
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            reply.head(self.content_type)
            self.serve(reply, number)
        with self._lock:
            self._connections.discard(connection)

    def drop_players(self) -> None:
        """Break every connection, as a server that falls over."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_players()
        for thread in self._threads:
            thread.join(2)


def _whole_request(connection: socket.socket) -> bytes:
    """Read a request with its body: what is left unread resets the connection when it is closed."""
    request, missing = b"", 1
    while missing > 0:
        data = connection.recv(4096)
        if not data:
            return b""
        request += data
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        missing = (int(length[1]) if length else 0) - len(body) if end else 1
    return request


class TsOverHttp(HttpLive):
    """Relays the MPEG-TS that a publisher sends over TCP to every player, from its next packet."""

    content_type = "video/mp2t"
    path = "/live.ts"

    def __init__(self, *, chunked: bool = True) -> None:
        super().__init__(chunked=chunked)
        self._ingest = socket.create_server(("127.0.0.1", 0))
        self._ingest.settimeout(0.1)
        self._players: list[queue.SimpleQueue[bytes | None]] = []

    @property
    def target(self) -> str:
        """Where a publisher sends its transport stream."""
        return f"tcp://127.0.0.1:{self._ingest.getsockname()[1]}"

    def _take(self) -> None:
        while not self.ending.is_set():
            try:
                publisher, _peer = self._ingest.accept()
            except TimeoutError:
                continue
            with publisher:
                publisher.settimeout(0.1)
                self._relay(publisher)

    def _relay(self, publisher: socket.socket) -> None:
        rest = b""
        while not self.ending.is_set():
            try:
                data = publisher.recv(65536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                return
            if not data:
                return
            rest += data
            whole = len(rest) - len(rest) % TS_PACKET
            with self._lock:
                for player in self._players:
                    player.put(rest[:whole])
            rest = rest[whole:]

    def end_streams(self) -> None:
        """End every player's body properly, as a server whose programme is over."""
        with self._lock:
            for player in self._players:
                player.put(None)

    def serve(self, reply: Reply, number: int) -> None:
        """Send whatever comes in from now on."""
        mine: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with self._lock:
            self._players.append(mine)
        try:
            while not self.ending.is_set():
                try:
                    data = mine.get(timeout=0.2)
                except queue.Empty:
                    if reply.gone:
                        return
                    continue
                if data is None:
                    reply.end()
                    return
                reply.write(data)
        finally:
            with self._lock:
                self._players.remove(mine)

    def __enter__(self) -> Self:
        super().__enter__()
        self._spawn(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._ingest.close()
