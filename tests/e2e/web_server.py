"""An HTTP server that answers everything but a live stream: errors, files, pages."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.serving import Quiet, Serving
from tests.lab.process import program


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


class _Pages(Quiet):
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


def web_server(pages: Mapping[str, Page]) -> Serving:
    """Serve pages by path on this machine."""
    return Serving(_Pages, pages=pages)


def encoded(path: Path, *arguments: str) -> bytes:
    """Let FFmpeg write a short file; `arguments` choose inputs and codecs."""
    argv = [program("ffmpeg"), "-v", "error", "-nostdin", "-y", *arguments, str(path)]
    subprocess.run(argv, check=True)
    return path.read_bytes()
