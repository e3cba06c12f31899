"""Plays recordings in headless Chromium with the players people use."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from tests.lab.process import LabError, program
from tests.lab.servers import WEB, NginxStatic, web_modules

Player = Literal["hls", "dash", "shaka", "native"]


@dataclass(frozen=True, slots=True)
class Playback:
    """What a player saw; the attributes are the page's own words.

    Units: `startTime`, `currentTime`, `duration` and `buffered` seconds of the media's timeline;
    `duration` is None for a live stream.
    """

    player: str
    started: bool
    seeked: bool | None
    startTime: float  # noqa: N815
    currentTime: float  # noqa: N815
    duration: float | None
    ended: bool
    frames: int
    dropped: int
    stalls: int
    errors: list[str]
    buffered: list[list[float]]
    width: int
    height: int
    sizes: list[list[int]]

    @property
    def played_s(self) -> float:
        """Media time that went by, from the first frame or the seek."""
        return self.currentTime - self.startTime


def play(
    where: Path | str,
    player: Player = "hls",
    *,
    seconds: float = 4.0,
    timeout_s: float = 30.0,
    seek_s: float | None = None,
    rate: float = 1.0,
    screenshot: Path | None = None,
) -> Playback:
    """Play a playlist, manifest or file until some seconds of it went by, or it ended or failed.

    Args:
        where: a local file (its directory is served), or a loopback URL whose server allows
            other origins.
        player: hls.js, dash.js, Shaka or the browser's own.
        seconds: media time to play.
        timeout_s: patience with each step: start, seek, play.
        seek_s: go there first.
        rate: playback rate.
        screenshot: where to keep a picture (PNG) of the page at the end.

    Raises:
        LabError: the browser or the page could not be started.
    """
    web_modules()
    locations = {"/web/": WEB}
    if isinstance(where, Path):
        locations["/media/"] = where.parent
    with NginxStatic(locations) as server:
        url = f"{server.url}/media/{where.name}" if isinstance(where, Path) else where
        order = {
            "chromium": program("chromium"),
            "page": f"{server.url}/web/player.html",
            "url": url,
            "player": player,
            "seconds": seconds,
            "timeout": timeout_s,
            "seek": seek_s,
            "rate": rate,
            "screenshot": str(screenshot) if screenshot else None,
        }
        run = subprocess.run(
            [program("node"), str(WEB / "play.mjs"), json.dumps(order)],
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * timeout_s + 60,
        )
    if run.returncode:
        raise LabError(f"the browser failed on {url}\n{run.stderr[-3000:]}")
    report = json.loads(run.stdout.splitlines()[-1])
    return Playback(**{field.name: report[field.name] for field in fields(Playback)})
