"""The segment that is being built, and the one before it that still waits for late audio."""

from itertools import pairwise
from typing import NamedTuple

from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream.describe import frame_samples
from everreel.media.bounds import LARGEST_BYTES, sound_from
from everreel.media.decode_order import in_decode_order
from everreel.media.segment import Gap, Sample, Segment

_ORDER = {Medium.VIDEO: 0, Medium.AUDIO: 1}


class OpenSegment:
    """The segment being built; see `Segment` for what its parts mean."""

    __slots__ = (
        "bytes",
        "discontinuity",
        "formats",
        "gap",
        "independent",
        "k",
        "stand_in",
        "start_us",
        "units",
        "whole",
    )

    def __init__(
        self, k: int, start_us: int, formats: dict[Medium, TrackFormat], *, stand_in: bool
    ) -> None:
        """Start bucket `k` at `start_us` of the recording timeline."""
        self.k = k
        self.start_us = start_us
        self.formats = formats
        self.units: dict[Medium, list[Sample]] = {Medium.VIDEO: [], Medium.AUDIO: []}
        self.discontinuity = False
        self.gap: Gap | None = None
        self.independent = True
        self.whole = True
        self.stand_in = stand_in
        self.bytes = 0

    def add(self, sample: Sample) -> None:
        """Take a sample."""
        self.units[sample.medium].append(sample)
        self.bytes += len(sample.data)

    def full_with(self, sample: Sample) -> bool:
        """Tell whether one sample more would make it larger than a segment may be."""
        return self.bytes + len(sample.data) > LARGEST_BYTES

    def split_audio(self, at_us: int) -> list[Sample]:
        """Take out the audio from `at_us` on: it came early and belongs to the next segment."""
        early = self.units[Medium.AUDIO]
        keep = len(early)
        while keep and early[keep - 1].pts_us >= sound_from(at_us):
            keep -= 1
        moved = early[keep:]
        del early[keep:]
        self.bytes -= sum(len(sample.data) for sample in moved)
        return moved

    def close(self, end_us: int | None, next_pts: dict[Medium, int]) -> Segment | None:
        """Make the segment; None if it holds nothing. `end_us` None: where its samples end."""
        samples = {medium: units for medium, units in self.units.items() if units}
        if not samples:
            return None
        if Medium.VIDEO in samples:
            samples[Medium.VIDEO] = in_decode_order(samples[Medium.VIDEO])
        return Segment(
            k=self.k,
            start_us=self.start_us,
            end_us=self.end_us if end_us is None else end_us,
            formats=tuple(sorted(self.formats.values(), key=lambda f: _ORDER[f.medium])),
            samples=samples,
            discontinuity=self.discontinuity,
            gap=self.gap,
            independent=self.independent,
            whole=self.whole and bool(next_pts),
            stand_in=self.stand_in,
            next_pts_us=next_pts,
        )

    @property
    def end_us(self) -> int:
        """Presentation end of what it holds; there is something."""
        tracks = ((units, self.formats[medium]) for medium, units in self.units.items() if units)
        return max(_end_of(units, track_format) for units, track_format in tracks)


class Closing(NamedTuple):
    """The segment before the open one, which still waits for late audio.

    Attributes:
        at_us: presentation time of the first picture that is not its own.
        broken: the timeline breaks there, so no duration may be computed up to it.
    """

    segment: OpenSegment
    at_us: int
    broken: bool

    def awaits(self, sound_us: int, epoch_us: int) -> bool:
        """Tell whether sound presented at `sound_us` belongs to it; `epoch_us`: of the open one."""
        begins_us = sound_from(self.segment.start_us) if self.broken else epoch_us
        return begins_us <= sound_us < sound_from(self.at_us)

    def end(self) -> None:
        """Say that nothing more comes: if it had sound, the last of it is missing."""
        self.segment.whole = not self.segment.units[Medium.AUDIO]


def joined(first: Gap | None, second: Gap | None) -> Gap | None:
    """Write two gaps of one segment down as one, as long as both together."""
    if first is None or second is None:
        return first or second
    return Gap(first.cause, first.start_us, first.duration_us + second.duration_us)


def _end_of(units: list[Sample], track_format: TrackFormat) -> int:
    """Presentation end of a track's last sample before a break, where nothing follows."""
    last_us = max(sample.pts_us for sample in units)
    if track_format.medium is Medium.AUDIO:
        samples = frame_samples(track_format, units[-1].data)
        rate = 48_000 if track_format.codec is Codec.OPUS else track_format.sample_rate
        return last_us + (samples * 1_000_000 + rate // 2) // rate
    if len(units) == 1:
        return last_us + 40_000
    shown = sorted(sample.pts_us for sample in units)
    steps = sorted(after - before for before, after in pairwise(shown) if after > before)
    usual_us = steps[len(steps) // 2] if steps else 40_000
    near = [step for step in steps if 2 * step <= 3 * usual_us]  # pictures may be missing between
    return last_us + (sum(near) // len(near) if near else usual_us)
