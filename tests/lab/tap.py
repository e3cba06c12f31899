"""A TCP tap between a player and a server that keeps the bytes of both directions."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Self


class Tap:
    """Listens on a free port, relays one connection after another, remembers what went through.

    Args:
        port: the server's port on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.from_server = bytearray()
        self.from_client = bytearray()
        self.connections = 0

    @property
    def port(self) -> int:
        """Where players connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                player, _peer = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            with player, socket.create_connection(("127.0.0.1", self._upstream)) as server:
                self._relay(player, server)

    def _relay(self, player: socket.socket, server: socket.socket) -> None:
        ways = ((player, server, self.from_client), (server, player, self.from_server))
        with selectors.DefaultSelector() as selector:
            for way in ways:
                selector.register(way[0], selectors.EVENT_READ, way)
            while not self._ending.is_set():
                for key, _events in selector.select(0.1):
                    end, other, kept = key.data
                    try:
                        data = end.recv(65536)
                        other.sendall(data)
                    except OSError:  # either end hung up: the session is over
                        return
                    if not data:
                        return
                    kept += data

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(5)
        self._listener.close()
