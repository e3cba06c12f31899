"""A stock player (FFmpeg through PyAV): pulls a live URL and prints a digest per access unit.

`pull` starts it as a process, because FFmpeg blocked in a read can only be ended from outside.
"""

from __future__ import annotations

import json
import subprocess
import sys
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


def player_argv(url: str, seconds: float, **options: str) -> list[str]:
    """The command line of a player that gives up after a time."""
    pairs = [f"{key}={value}" for key, value in options.items()]
    return ["/usr/bin/env", f"PYTHONPATH={_ROOT}", "timeout", "-s", "INT", str(seconds),
            sys.executable, "-m", "tests.lab.play", url, *pairs]  # fmt: skip


def start_player(url: str, log: Path, seconds: float = 60.0, **options: str) -> Child:
    """Start a player that runs until stopped."""
    return Child(player_argv(url, seconds, **options), log)


def pull(url: str, seconds: float, **options: str) -> list[UnitDigest]:
    """Play a live URL for a while; digests in the order they came.

    Raises:
        LabError: nothing arrived.
    """
    run = subprocess.run(
        player_argv(url, seconds, **options), capture_output=True, text=True, check=False
    )
    lines = [line for line in run.stdout.splitlines() if line.endswith("}")]
    if not lines:
        raise LabError(f"no access unit from {url} in {seconds} s\n{run.stderr[-2000:]}")
    return [UnitDigest(**json.loads(line)) for line in lines]


def main(argv: list[str]) -> int:
    """Print digests until ended."""
    try:
        for unit in units(argv[0], dict(pair.split("=", 1) for pair in argv[1:])):
            print(json.dumps(asdict(unit)), flush=True)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
