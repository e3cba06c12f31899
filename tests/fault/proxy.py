"""A TCP proxy in front of a server that can cut, freeze, reset and drip what goes through it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Self


class Proxy:
    """Forwards every connection to a port of this machine until told to misbehave.

    Args:
        port: of the server on 127.0.0.1.

    Attributes:
        connections: accepted so far.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flows = threading.Event()
        self._flows.set()
        self._ending = threading.Event()
        self._drip = 0
        self._refuse = False
        self._open: set[socket.socket] = set()
        self._stranded: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ever: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0

    @property
    def port(self) -> int:
        """Where clients connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def through(self, url: str) -> str:
        """The same URL, through the proxy."""
        return url.replace(f":{self._upstream}/", f":{self.port}/")

    def freeze(self) -> None:
        """Stop forwarding; connections stay open, as when a cable is pulled."""
        self._flows.clear()

    def strand(self) -> None:
        """Never forward again what comes on the connections there are; new ones work."""
        with self._lock:
            self._stranded |= self._open

    def thaw(self) -> None:
        """Go on forwarding what has waited."""
        self._flows.set()

    def drip(self, bytes_per_s: int) -> None:
        """Forward next to nothing."""
        self._drip = bytes_per_s

    def cut(self, *, refuse: bool = False) -> None:
        """Reset every connection; `refuse` also the next ones, until `accept`."""
        self._refuse = refuse
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        """Take connections again."""
        self._refuse = False

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                client, _peer = self._listener.accept()
            except OSError:  # closed by __exit__
                return
            if self._refuse:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._upstream))
            with self._lock:
                self._open |= {client, server}
                self._ever += [client, server]
            self._spawn(self._pump, client, server)
            self._spawn(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                while source in self._stranded or not self._flows.wait(0.1):
                    if self._ending.wait(0.1):
                        return
                if self._drip:
                    self._slowly(data, sink)
                else:
                    sink.sendall(data)
        except OSError:  # either end is gone
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open -= {source, sink}

    def _slowly(self, data: bytes, sink: socket.socket) -> None:
        for at in range(len(data)):
            if self._ending.is_set():
                return
            sink.sendall(data[at : at + 1])
            time.sleep(1 / self._drip)

    def __enter__(self) -> Self:
        self._spawn(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(2)
        for end in self._ever:
            end.close()


class Silent:
    """A server that takes connections, reads, says `greeting` and then nothing, ever."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._greeting = greeting
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port: int = self._listener.getsockname()[1]

    def _serve(self) -> None:
        while True:
            try:
                client, _peer = self._listener.accept()
            except OSError:  # closed by __exit__
                return
            self._open.append(client)
            with contextlib.suppress(OSError):
                client.sendall(self._greeting)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._open:
            client.close()
