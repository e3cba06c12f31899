"""An HTTP server that answers everything but a live stream: errors, files, pages."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.process import program


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


class _Pages(BaseHTTPRequestHandler):
    """Answers from a table; everything else is not found."""

    pages: Mapping[str, Page]

    def do_GET(self) -> None:
        """Send the page of the path."""
        page = self.pages.get(self.path.partition("?")[0], Page(status=404))
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page.body)

    def handle(self) -> None:
        """Serve a connection; a recorder that has seen enough hangs up in mid-answer."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def web_server(pages: Mapping[str, Page]) -> Iterator[str]:
    """Serve pages by path on this machine; yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Pages", (_Pages,), {"pages": pages}))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def encoded(path: Path, *arguments: str) -> bytes:
    """Let FFmpeg write a short file; `arguments` choose inputs and codecs."""
    argv = [program("ffmpeg"), "-v", "error", "-nostdin", "-y", *arguments, str(path)]
    subprocess.run(argv, check=True)
    return path.read_bytes()
