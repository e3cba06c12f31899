"""Measures how far sound and picture lie apart, by the clips' flash and beep of every second."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.lab.digests import load, playlist_location, playlist_parts


@dataclass(frozen=True, slots=True)
class Mark:
    """One second mark found in both media.

    Units: seconds of the recording's timeline; `offset_ms` milliseconds, positive when the sound
    comes after the picture.
    """

    flash_s: float
    beep_s: float

    @property
    def offset_ms(self) -> float:
        """Sound minus picture."""
        return (self.beep_s - self.flash_s) * 1000


def _flashes(container: Any) -> list[float]:
    """Times at which the left half turns white."""
    stream = container.streams.video[0]
    found: list[float] = []
    white = True  # a flash that is already on when the recording begins has no onset
    for frame in container.decode(stream):
        luma = frame.reformat(width=64, height=36, format="gray").to_ndarray()
        now = bool(luma[:, 2:26].mean() > 215)
        if now and not white:
            found.append(float(frame.pts * stream.time_base))
        white = now
    return found


def _beeps(container: Any) -> list[float]:
    """Times at which the tone begins, to the sample."""
    stream = container.streams.audio[0]
    found: list[float] = []
    quiet_for = 0
    for frame in container.decode(stream):
        sound = frame.to_ndarray()
        # One row per channel when planar, all channels in one row when packed.
        step = 1 if frame.format.is_planar else len(frame.layout.channels)
        loud = np.flatnonzero(np.abs(sound[0, ::step]) > 0.2)
        rate = frame.sample_rate
        if loud.size:
            if quiet_for > rate // 4:
                found.append(float(frame.pts * stream.time_base) + float(loud[0]) / rate)
            quiet_for = frame.samples - int(loud[-1])
        else:
            quiet_for += frame.samples
    return found


def _opened(where: Path | str) -> Any:
    """Open a file, or a playlist's segments joined to one."""
    name = playlist_location(where)
    if not name.endswith(".m3u8"):
        return av.open(name)
    parts, _ended = playlist_parts(load(name).decode(), name)
    if len({part.init_uri for part in parts}) > 1:
        raise ValueError(f"{name}: has several init sections; measure one stretch at a time")
    head = load(parts[0].init_uri) if parts[0].init_uri else b""
    body = head + b"".join(load(part.uri) for part in parts)
    return av.open(io.BytesIO(body), format="mp4" if head else "mpegts")


def marks(where: Path | str) -> list[Mark]:
    """Pair each flash of a recording with the beep nearest to it.

    Args:
        where: a media file, a playlist, a recording's directory or a loopback URL.

    Raises:
        ValueError: no second mark lies in both media.
    """
    with _opened(where) as container:
        flashes = _flashes(container)
    with _opened(where) as container:
        beeps = _beeps(container)
    nearest = (min(beeps, key=lambda beep: abs(beep - flash)) for flash in flashes if beeps)
    both = (Mark(flash, beep) for flash, beep in zip(flashes, nearest, strict=False))
    paired = [mark for mark in both if abs(mark.offset_ms) < 500]
    if not paired:
        raise ValueError(f"no second mark: {len(flashes)} flashes, {len(beeps)} beeps")
    return paired


def offsets_ms(where: Path | str) -> list[float]:
    """The offset at every second mark, sound minus picture."""
    return [mark.offset_ms for mark in marks(where)]
