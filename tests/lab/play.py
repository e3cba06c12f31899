"""A stock player (FFmpeg through PyAV): pulls a live URL and prints a digest per access unit.

`pull` starts it as a process, because FFmpeg blocked in a read can only be ended from outside.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import av

from tests.lab.digests import UnitDigest, digest, normalise_packet
from tests.lab.process import Child, LabError

_ROOT = Path(__file__).resolve().parents[2]


def units(url: str, options: dict[str, str]) -> Iterator[UnitDigest]:
    """Demux a live URL until it ends."""
    with av.open(url, options=options) as container:
        for packet in container.demux():
            if packet.size == 0 or packet.stream.type not in {"video", "audio"}:
                continue
            # RTSP's first packets have no time until a sender report came.
            pts_us = round((packet.pts or 0) * packet.time_base * 1_000_000)
            key = packet.stream.type == "audio" or packet.is_keyframe
            payload = normalise_packet(packet.stream, bytes(packet))
            yield digest(packet.stream.type, pts_us, key, payload)


def player_argv(url: str, seconds: float, limit_s: float, **options: str) -> list[str]:
    """The command line of a player that ends some seconds after its first access unit.

    `limit_s` bounds everything; FFmpeg stuck in a read heeds no SIGINT, so SIGKILL follows.
    """
    pairs = [f"{key}={value}" for key, value in options.items()]
    return ["/usr/bin/env", f"PYTHONPATH={_ROOT}", "timeout", "-s", "INT", "-k", "1", str(limit_s),
            sys.executable, "-m", "tests.lab.play", url, str(seconds), *pairs]  # fmt: skip


def start_player(url: str, log: Path, **options: str) -> Child:
    """Start a player that runs until stopped, for a minute at most."""
    return Child(player_argv(url, 60, 60, **options), log)


def pull(url: str, seconds: float, *, limit_s: float = 30.0, **options: str) -> list[UnitDigest]:
    """Play a live URL for some seconds from its first access unit on.

    Args:
        url: what to play.
        seconds: how long to go on after the first unit; a stream that ends ends it sooner.
        limit_s: patience in all.
        options: FFmpeg's options, such as `rtsp_transport="tcp"`.

    Raises:
        LabError: nothing arrived.
    """
    argv = player_argv(url, seconds, limit_s, **options)
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines() if line.endswith("}")]
    if not lines:
        raise LabError(f"no access unit from {url} in {limit_s} s\n{run.stderr[-2000:]}")
    return [UnitDigest(**json.loads(line)) for line in lines]


def main(argv: list[str]) -> int:
    """Print digests until the time is over, the stream ends or SIGINT comes."""
    url, seconds, options = argv[0], float(argv[1]), dict(p.split("=", 1) for p in argv[2:])
    deadline: float | None = None
    try:
        for unit in units(url, options):
            deadline = deadline or time.monotonic() + seconds
            print(json.dumps(asdict(unit)), flush=True)
            if time.monotonic() > deadline:
                break
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
