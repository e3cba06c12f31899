"""Publishes clips to the lab's servers and says what was published."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from tests.lab.clips import Clip
from tests.lab.digests import UnitDigest, published_units
from tests.lab.process import Child, LabError

_SCRIPT = Path(__file__).with_name("publish_clip.py")
Media = Literal["both", "audio", "video"]


class Publisher:
    """One source publishing one clip in real time, in a process of its own.

    Args:
        clip: what to send, round after round.
        target: where to: rtmp://, udp://, tcp://, a path.
        rounds: how often; 0 sends until stopped.
        base_us: media time of the clip's time 0.
        media: send one medium only.
        options: FFmpeg muxer options.
        pace: times real time; 0 sends as fast as the target takes it.
        leap_s: how far `leap` moves the timestamps ahead.

    Units: `base_us` microseconds.
    """

    def __init__(
        self,
        clip: Clip,
        target: str,
        *,
        rounds: int = 0,
        base_us: int = 1_000_000,
        media: Media = "both",
        options: Mapping[str, str] | None = None,
        pace: float = 1.0,
        leap_s: int = 0,
    ) -> None:
        self.clip = clip
        self.target = target
        self.rounds = rounds
        self.base_us = base_us
        self._dir = Path(tempfile.mkdtemp(prefix="lab-publisher-"))
        container, defaults = _muxer(target)
        self._argv = [
            sys.executable, str(_SCRIPT), str(clip.path), target, "--format", container,
            "--round-us", str(self.round_us), "--rounds", str(rounds), "--base-us", str(base_us),
            "--media", media, "--pace", str(pace), "--leap-s", str(leap_s),
        ]  # fmt: skip
        for key, value in {**defaults, **(options or {})}.items():
            self._argv += ["--option", f"{key}={value}"]
        self._child: Child | None = None
        self._starts = 0

    @property
    def round_us(self) -> int:
        """Length of one round, for `compare(..., looped_every_us=...)`."""
        return self.clip.seconds * 1_000_000

    @property
    def units(self) -> list[UnitDigest]:
        """Every access unit of one round, in sending order."""
        return published_units(self.clip.path)

    @property
    def running(self) -> bool:
        """Whether it sends (or is paused)."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """Process id of the sender."""
        return self._sending().pid

    def _sending(self) -> Child:
        if self._child is None:
            raise LabError("the publisher was not started")
        return self._child

    def start(self) -> Self:
        """Start sending; returns when the server has taken the handshake."""
        self._starts += 1
        log = self._dir / f"publisher-{self._starts}.log"
        self._child = Child(self._argv, log)
        self._child.wait_ready(
            f"publisher to {self.target}", lambda: "first_unit_utc_us" in self._log()
        )
        return self

    def _log(self) -> str:
        return self._sending().log.read_text(errors="replace")

    @property
    def first_unit_utc_us(self) -> int:
        """Wall-clock instant at which the clip's time 0 of the newest start was sent.

        Units: microseconds since the Unix epoch.
        """
        line = next(line for line in self._log().splitlines() if "first_unit_utc_us" in line)
        instant: int = json.loads(line)["first_unit_utc_us"]
        return instant

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait until all rounds are sent.

        Raises:
            LabError: the sender failed or still sends after the time.
        """
        status = self._sending().wait(timeout_s)
        if status:
            raise LabError(f"publisher to {self.target} failed ({status})\n{self._log()}")

    def stop(self) -> None:
        """End the stream politely: the server is told."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End the sender as a crash would."""
        self._sending().kill()

    def pause(self) -> None:
        """Freeze the sender: the connection stays open and silent."""
        self._sending().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw a paused sender: it catches up at once with what it owes."""
        self._sending().signal(signal.SIGCONT)

    def leap(self) -> None:
        """Move the clock ahead, as an encoder whose host was given the right time."""
        self._sending().signal(signal.SIGUSR1)

    def restart(self) -> None:
        """Publish again from the clip's time 0, as an encoder that was started anew."""
        if self.running:
            self.kill()
        self.start()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except LabError:
            shutil.rmtree(self._dir, ignore_errors=True)
            raise

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.resume()
            self.stop()
        shutil.rmtree(self._dir, ignore_errors=True)


def _muxer(target: str) -> tuple[str, dict[str, str]]:
    """Choose FFmpeg's container for a target."""
    if target.startswith("rtmp://"):
        return "flv", {"flvflags": "no_duration_filesize"}
    if target.startswith(("udp://", "tcp://")):
        # A packet list every 0.5 s lets a joiner find the streams soon.
        return "mpegts", {"pat_period": "0.5", "flush_packets": "1", "muxdelay": "0"}
    if target.endswith(".m3u8"):
        return "hls", {
            "hls_time": "2",
            "hls_list_size": "6",
            "hls_flags": "delete_segments+independent_segments",
        }
    if target.endswith(".mpd"):
        return "dash", {}
    return ("mpegts" if target.endswith(".ts") else "flv"), {}
