"""Notices where the clock of an HLS stream was set ahead: the list goes on, the stamps leap.

Servers mark it with EXT-X-DISCONTINUITY (RFC 8216 §4.3.2.3), or do not (nginx's RTMP module), or
mark what is none. A playlist always tells how long a segment lasts: the next one begins that
much later, unless somebody set the clock. Without this a leap would be taken for lost media.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from everreel.media.access_unit import AccessUnit, ClockReset, Medium, SourceEvent, TrackFormat
from everreel.media.tolerances import JUMP_AHEAD_US
from everreel.media.track_clock import distance


@dataclass(slots=True)
class _Stretch:
    """First and newest decode time of one medium in one segment, raw ticks."""

    first: int
    newest: int


class SegmentClock:
    """Compares the steps of stamps between segments that follow each other with their lengths."""

    def __init__(self) -> None:
        """Begin with no segment seen."""
        self._formats: dict[Medium, TrackFormat] = {}
        self._here: dict[Medium, _Stretch] = {}
        self._before: dict[Medium, _Stretch] = {}
        self._lasts_s = self._lasted_s = 0.0
        self._told = False

    def begin(self, lasts_s: float) -> None:
        """Expect the next segment, which lasts so many seconds according to the playlist."""
        self._before, self._here, self._told = self._here, {}, False
        self._lasted_s, self._lasts_s = self._lasts_s, lasts_s

    def forget(self) -> None:
        """Segments are missing here: how far stamps step across that says nothing."""
        self._here = {}

    def watch(self, events: Sequence[SourceEvent]) -> list[SourceEvent]:
        """Take events of the segment; return them, with a reset before the unit that shows it."""
        out: list[SourceEvent] = []
        for event in events:
            if isinstance(event, TrackFormat):
                self._formats[event.medium] = event
            elif isinstance(event, AccessUnit) and event.dts is not None:
                here = self._here.get(event.medium)
                if here is not None:
                    here.newest = event.dts
                else:
                    # Of one medium the last from before may stand at the segment's beginning.
                    if not self._told and self._leaps(event.medium, event.dts):
                        self._told = True
                        out.append(ClockReset(event.medium))
                    self._here[event.medium] = _Stretch(event.dts, event.dts)
            out.append(event)
        return out

    def _leaps(self, medium: Medium, dts: int) -> bool:
        before, track_format = self._before.get(medium), self._formats.get(medium)
        if before is None or track_format is None:
            return False
        wrap, timescale = track_format.wrap, track_format.timescale
        held_s = distance(before.newest, before.first, wrap) / timescale
        step_s = distance(dts, before.first, wrap) / timescale
        return step_s - max(self._lasted_s, held_s) > JUMP_AHEAD_US / 1_000_000
