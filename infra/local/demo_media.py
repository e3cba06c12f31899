"""Reads recorded media with FFmpeg's demuxers and decoders, never with everreel's own parsers."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from everreel.media.bitstream.nal import join_length_prefixed, split_length_prefixed
from infra.local.demo_proof import RecordedUnit
from infra.local.publisher_picture import flash_is_on
from infra.local.publisher_stream import picture_nals, short_digest

# A tone louder than this follows silence: a beep begins.
_LOUD = 0.2
_QUIET_S = 0.25


def recorded_units(segment: bytes) -> list[RecordedUnit]:
    """Digest the H.264 and AAC of a segment that carries its init segment in front."""
    units: list[RecordedUnit] = []
    with av.open(io.BytesIO(segment), "r", format="mp4") as container:
        for packet in container.demux():
            if not packet.size or packet.pts is None or packet.time_base is None:
                continue
            medium, payload = packet.stream.type, bytes(packet)
            if medium == "video":
                payload = join_length_prefixed(picture_nals(split_length_prefixed(payload)))
            units.append(
                RecordedUnit(
                    medium,
                    round(packet.pts * packet.time_base * 1_000_000),
                    packet.is_keyframe,
                    short_digest(payload),
                )
            )
    return units


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding a whole file gave.

    Attributes:
        seconds: how long the file says it is.
        pictures, samples: decoded.
        offsets_ms: at each flash, how much later the beep begins.
    """

    seconds: float
    pictures: int
    samples: int
    offsets_ms: tuple[float, ...]


def decode(path: Path) -> Decoded:
    """Decode a file from the first to the last frame.

    Raises:
        av.error.FFmpegError: it cannot be opened or decoded.
    """
    pictures = samples = 0
    flashes, beeps = _Onsets(), _Beeps()
    with av.open(str(path)) as container:
        if container.streams.video:
            container.streams.video[0].thread_type = "AUTO"
        chosen = [*container.streams.video[:1], *container.streams.audio[:1]]
        for frame in container.decode(chosen):
            if not isinstance(frame, av.VideoFrame | av.AudioFrame) or frame.time is None:
                continue
            if isinstance(frame, av.VideoFrame):
                pictures += 1
                flashes.look(frame.time, on=flash_is_on(_luma(frame)))
            else:
                samples += frame.samples
                beeps.listen(frame)
        seconds = (container.duration or 0) / av.time_base
    pairs = [(flash, _nearest(flash, beeps.found)) for flash in flashes.found]
    offsets = tuple(
        (beep - flash) * 1000
        for flash, beep in pairs
        if beep is not None and abs(beep - flash) < 0.5
    )
    return Decoded(seconds, pictures, samples, offsets)


def _nearest(flash_s: float, beeps: list[float]) -> float | None:
    return min(beeps, key=lambda beep_s: abs(beep_s - flash_s), default=None)


def _luma(frame: av.VideoFrame) -> Any:
    """Look at the luma plane of a picture without copying it."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]


class _Onsets:
    """Keeps when something begins; what is on from the start has no beginning."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self._on = True

    def look(self, at_s: float, *, on: bool) -> None:
        if on and not self._on:
            self.found.append(at_s)
        self._on = on


class _Beeps:
    """Keeps when beeps begin, to the sample."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self._quiet = 0

    def listen(self, frame: av.AudioFrame) -> None:
        sound = frame.to_ndarray()[0]
        loud = np.flatnonzero(np.abs(sound) > _LOUD)
        if not loud.size:
            self._quiet += frame.samples
            return
        if self._quiet > _QUIET_S * frame.sample_rate and frame.time is not None:
            self.found.append(frame.time + float(loud[0]) / frame.sample_rate)
        self._quiet = frame.samples - int(loud[-1])
