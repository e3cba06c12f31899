"""A small web server of the demo: shows the bucket's objects of one recording to local players."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from everreel.media import names

HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("assets") / "watch.html"


class _Request(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server_version = "everreel-demo"
    timeout = 30.0
    s3: Any  # boto3 makes its clients at run time
    bucket: str
    folder: str

    def do_GET(self) -> None:
        """Send the page, or an object of the recording."""
        name = self.path.partition("?")[0].lstrip("/")
        if not name:
            self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif names.parse(self.folder + name) is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send_object(name)

    def _send_object(self, name: str) -> None:
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=self.folder + name)
        except self.s3.exceptions.NoSuchKey:
            self.send_error(HTTPStatus.NOT_FOUND, explain="not there yet")
            return
        self._send(found["Body"].read(), names.content_type(name))

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        try:
            self.wfile.write(body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it
        """Keep quiet: the terminal shows the recording."""


class WatchServer:
    """Serves a recording's folder of the bucket on 127.0.0.1, read-only."""

    def __init__(self, s3: Any, bucket: str, folder: str) -> None:
        """Serve objects whose key begins with `folder`."""
        parts = {"s3": s3, "bucket": bucket, "folder": folder}
        self._server = ThreadingHTTPServer((HOST, 0), type("WatchRequest", (_Request,), parts))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where the page is; objects lie beside it."""
        return f"http://{HOST}:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
