"""Small web servers on this machine, in threads of their own: of the demo and of the tests."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HOST = "127.0.0.1"


class Quiet(BaseHTTPRequestHandler):
    """A connection that tells the terminal nothing; a client that hangs up is no error."""

    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Serve the connection until it ends."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it
        """Say nothing."""


class Serving:
    """Serves on 127.0.0.1 while it is entered.

    Attributes:
        port: taken at once; requests are answered once it is entered.
        url: of the root, without a slash at its end.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0, **parts: Any) -> None:
        """Take the port, 0 for a free one; `parts` become attributes of the handler's class."""
        kind = type(handler.__name__, (handler,), parts)
        self._server = ThreadingHTTPServer((HOST, port), kind)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.port = self._server.server_port
        self.url = f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
