"""Puts pictures and sound that an HLS server offers in playlists of their own in order of time.

Each playlist is read a segment at a time. How long those are must not decide what lies in a segment
of the recording, as other laps may read them in another order.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from everreel.media.access_unit import AccessUnit, Medium, SourceEvent, TrackFormat

VIDEO, AUDIO = Medium.VIDEO, Medium.AUDIO


@dataclass(slots=True)
class _Track:
    """What is held of one medium.

    Attributes:
        due: decode time in seconds of each unit, and the unit with what came right before it.
        loose: what came after the last unit.
        timescale, round_s: ticks in a second, and after how many seconds they wrap; 0 for never.
    """

    due: deque[tuple[float, list[SourceEvent]]] = field(default_factory=deque)
    loose: list[SourceEvent] = field(default_factory=list)
    timescale: int = 1
    round_s: float = 0.0

    def add(self, events: Sequence[SourceEvent]) -> None:
        for event in events:
            self.loose.append(event)
            if isinstance(event, TrackFormat):
                self.timescale, self.round_s = event.timescale, event.wrap / event.timescale
            elif isinstance(event, AccessUnit):
                ticks = event.pts if event.dts is None else event.dts
                self.due.append((ticks / self.timescale, self.loose))
                self.loose = []

    def all(self) -> list[SourceEvent]:
        events = [event for _, unit in self.due for event in unit]
        self.due.clear()
        return events


class Interleave:
    """Holds what came of one medium until the other is as far; less than two segments of it.

    Both are on one clock (RFC 8216 §6.2.4: matching content has matching timestamps).
    """

    def __init__(self) -> None:
        """Start with nothing held."""
        self._tracks = {VIDEO: _Track(), AUDIO: _Track()}

    def begin(self, medium: Medium) -> list[SourceEvent]:
        """Return what is left of a medium whose next segment begins: the other had its time."""
        return self._tracks[medium].all()

    def add(self, medium: Medium, events: Sequence[SourceEvent]) -> list[SourceEvent]:
        """Take events of a medium, in its order; return what is due of both."""
        self._tracks[medium].add(events)
        video, audio = self._tracks[VIDEO], self._tracks[AUDIO]
        out: list[SourceEvent] = []
        while video.due and audio.due:
            later_s = video.due[0][0] - audio.due[0][0]
            if video.round_s and audio.round_s:
                later_s = (later_s + video.round_s / 2) % video.round_s - video.round_s / 2
            out += (video if later_s <= 0 else audio).due.popleft()[1]
        return out

    def rest(self) -> list[SourceEvent]:
        """Return all that is held: nothing more comes."""
        return [*self.begin(VIDEO), *self.begin(AUDIO)]
