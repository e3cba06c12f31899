"""Plays a folder of objects with the players of the web, in a headless Chromium."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.local.node import node
from infra.local.serving import Quiet, Serving
from tests.tools import require_tool

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent / "web" / "node_modules"


@dataclass(frozen=True, slots=True)
class Playback:
    """What a player saw.

    Attributes:
        time, duration: seconds, where it was last and where it ends.
        frames: pictures decoded.
        sizes: picture sizes, in order.
        buffered: stretches held at the end, seconds.
        waits: times it had to wait for data, once at the start.
    """

    ended: bool
    time: float
    duration: float
    frames: int
    sizes: list[str]
    buffered: list[list[float]]
    waits: int
    errors: list[str]


class _Objects(Quiet):
    """Serves files with byte ranges, as an object store does."""

    folder: Path

    def do_GET(self) -> None:
        """Answer with the whole file or the range asked for."""
        path = self.folder / self.path.lstrip("/")
        if self.path == "/blank.html":
            self._answer(200, b"<!doctype html>", "text/html")
        elif not path.is_file():
            self._answer(404, b"", "text/plain")
        elif match := re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            body = path.read_bytes()
            last = int(match[2]) if match[2] else len(body) - 1
            first, last = int(match[1]), min(last, len(body) - 1)
            place = f"bytes {first}-{last}/{len(body)}"
            self._answer(206, body[first : last + 1], "application/octet-stream", place)
        else:
            self._answer(200, path.read_bytes(), "application/octet-stream")

    def _answer(self, status: int, body: bytes, kind: str, place: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        if place:
            self.send_header("Content-Range", place)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)


def served(folder: Path) -> Serving:
    """Serve a folder on this machine."""
    return Serving(_Objects, folder=folder)


def play(player: str, url: str, *, seconds: float = 40, speed: float = 2) -> Playback:
    """Play a URL with "hls", "dash", "shaka" or "native" until it ends or time is up."""
    chromium = require_tool("chromium")
    script = [str(node()), str(HERE / "play.mjs"), str(chromium), str(MODULES)]
    run = subprocess.run(
        [*script, player, url, str(seconds), str(speed)],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return Playback(**json.loads(run.stdout))
