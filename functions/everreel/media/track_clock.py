"""The clock of one track: unwrapping of raw ticks and their conversion to microseconds."""

from typing import NamedTuple

from everreel.media.access_unit import ClockReference, TrackFormat
from everreel.media.tolerances import NUDGE_US, STEP_US


def distance(ticks: int, origin: int, wrap: int) -> int:
    """Count raw ticks from `origin`, the short way round; `wrap` 0 never wraps."""
    apart = ticks - origin
    return (apart + (wrap >> 1)) % wrap - (wrap >> 1) if wrap else apart


class SourceClock(NamedTuple):
    """How the samples of a track lie to the clock of its source.

    Attributes:
        moved_us: a sample's time less the source's own, microseconds.
        wrap_us: after how many microseconds the source's clock begins anew, 0 if it never does.
    """

    moved_us: int
    wrap_us: int


class TrackClock:
    """Where one track stands on its source's clock.

    Attributes:
        format: the track's current format; its timescale and wrap rule the ticks.
        joined: after a reopen, whether the track is past what the server repeats.
        aligned: RTP only: its ticks are tied to the clock that the tracks share.
        last_us: output time of its last unit (decode time), None since a reset.
        newest_us: the same, kept over resets: nothing of the track may be placed before it.
        shown_us: the latest output time at which one of its units is shown.
        stale_us: after a reset, where the abandoned clock stood on the new one.
        arrived_us: arrival of its last unit.
    """

    __slots__ = (
        "aligned",
        "arrived_us",
        "format",
        "half",
        "joined",
        "last_us",
        "newest_us",
        "offset_us",
        "raw",
        "shown_us",
        "stale_us",
        "ticks",
    )

    def __init__(self, track_format: TrackFormat) -> None:
        """Start with no ticks seen."""
        self.format = track_format
        self.half = track_format.timescale // 2
        self.raw: int | None = None
        self.ticks = 0
        self.offset_us = 0
        self.aligned = False
        self.joined = True
        self.last_us: int | None = None
        self.newest_us: int | None = None
        self.stale_us: int | None = None
        self.shown_us = 0
        self.arrived_us = 0

    def change(self, track_format: TrackFormat) -> None:
        """Go on in another format; ticks of another kind have nothing to do with the last ones."""
        old, self.format = self.format, track_format
        self.half = track_format.timescale // 2
        if (old.timescale, old.wrap) != (track_format.timescale, track_format.wrap):
            self.raw = None

    def abandon(self, move_us: int | None) -> None:
        """Begin a new clock, `move_us` after the old one; None where a new connection has none."""
        stands = self.last_us is not None and move_us is not None
        self.stale_us = (self.last_us or 0) + (move_us or 0) if stands else None
        self.last_us = None
        self.joined = True

    def left_us(self, dts_us: int, *, falls: bool) -> int | None:
        """Tell how far to move a unit that is still on the clock that was left with the reset.

        Args:
            dts_us: its time as if it were on the new clock.
            falls: times of this track may fall from unit to unit (RTP pictures).

        Returns: None if it is not; then it is the first of the track on the new clock.
        """
        if self.stale_us is None:
            return None
        step_us = dts_us - self.stale_us
        if abs(step_us) > STEP_US or (step_us < 0 and not falls):
            return None
        at_us = (self.newest_us or 0) + (step_us if falls or step_us > 0 else NUDGE_US)
        self.stale_us, self.newest_us = dts_us, at_us
        return at_us - dts_us

    def extend(self, raw: int) -> int:
        """Unwrap raw ticks to the representative nearest to the last ones."""
        ticks = self.peek(raw)
        self.raw = raw
        self.ticks = ticks
        return ticks

    def peek(self, raw: int) -> int:
        """Unwrap raw ticks without taking them for the last ones."""
        wrap = self.format.wrap
        if self.raw is None or not wrap:
            return raw
        step = (raw - self.raw) % wrap
        return self.ticks + (step - wrap if step > wrap >> 1 else step)

    def lead(self, pts: int, dts: int) -> int:
        """Tell by how many ticks a unit is presented after it is decoded."""
        lead, wrap = pts - dts, self.format.wrap
        return lead if not wrap or -(wrap >> 1) < lead < wrap >> 1 else distance(pts, dts, wrap)

    def to_us(self, ticks: int) -> int:
        """Convert to microseconds, to nearest: exact again when rounded back (below 500 kHz)."""
        return (ticks * 1_000_000 + self.half) // self.format.timescale + self.offset_us

    def source(self, shift_us: int) -> SourceClock:
        """Tell how samples that are moved by `shift_us` lie to the ticks they came with."""
        timescale = self.format.timescale
        wrap_us = (self.format.wrap * 1_000_000 + self.half) // timescale
        return SourceClock(shift_us + self.offset_us, wrap_us)

    def told_us(self, reference: ClockReference) -> int:
        """Return the offset with which the reference's ticks stand for its instant."""
        return reference.common_us - (self.to_us(self.peek(reference.ticks)) - self.offset_us)

    def align(self, reference: ClockReference) -> None:
        """Let raw ticks stand for an instant of the clock that all tracks share."""
        if self.raw is None:  # units before and after it unwrap around the reference
            self.raw = self.ticks = reference.ticks
        self.offset_us = self.told_us(reference)
        self.aligned = True
