"""How a lap takes up a recording that runs: it finds its place, then tells its predecessor.

The place comes from landmarks that both received; if the predecessor is gone, from the source's own
clock as the predecessor read it; and only if that is another clock now, from the wall clock.
"""

import logging
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError
from everreel.media.index import SegmentRow
from everreel.media.segment import Break, FormatChange, Place, Sample, TimelineEvent
from everreel.recorder.place import Finder, beside, goes_first, newest_row, placed
from everreel.state.ports import Recordings
from everreel.state.recording import Lap, LapOrder, parse_lap

if TYPE_CHECKING:
    from everreel.media.access_unit import Medium

log = logging.getLogger(__name__)

HELD_US = 90_000_000
"""Media held while the place is sought; older media goes: the predecessor has it."""

HELD_BYTES = 32 * 1024 * 1024
"""The same bound in bytes."""

POLL_S = 1.0
"""Between looks at the predecessor's row, which its beats change every three seconds."""

POLL_US = 5_000_000
"""Media after which there is another look however soon: a server's past comes in a burst."""

SETTLE_US = 1_000_000
"""Time and media received before the wall clock is believed: the last pictures come in a burst."""

PATIENCE_US = 20_000_000
"""Media without a common landmark after which the source's clock is believed, and after which a lap
that should find its place before us is not waited for."""


class Joining:
    """Holds what the timeline gives out until it is known where in the recording it belongs."""

    def __init__(
        self, order: LapOrder, finder: Finder, recordings: Recordings, clock: Clock
    ) -> None:
        """Join after `order.follows`.

        Args:
            order: which lap we are.
            finder: on the landmarks of all that is given to `take`.
            recordings: the state table.
            clock: time.
        """
        self._sid = order.sid
        self._order = order
        self._before = parse_lap(order.follows)
        self._finder = finder
        self._recordings = recordings
        self._clock = clock
        self._formats: dict[Medium, FormatChange] = {}
        self._held: deque[FormatChange | Sample] = deque()
        self._bytes = 0
        self._first_us: int | None = None
        self._first_s = 0.0
        self._newest_us = 0
        self._polled_s: float | None = None
        self._polled_us = 0
        self.place: Place | None = None

    def take(self, events: Sequence[TimelineEvent]) -> list[TimelineEvent] | None:
        """Hold events; once the place is known, return everything held, else None.

        `place` then tells where they belong; None means that the recording begins with them.
        """
        for event in events:
            self._hold(event)
        now_s = self._clock.monotonic()
        if self._first_us is None:
            return None
        soon = self._polled_s is not None and now_s - self._polled_s < POLL_S
        if soon and self._newest_us - self._polled_us < POLL_US:
            return None
        self._polled_s, self._polled_us = now_s, self._newest_us
        try:
            found = self._look()
        except EverreelError as error:
            log.warning("the predecessor's row cannot be read: %s", error.message)
            return None
        if not found:
            return None
        log.info("joined after %s%d: %s", *self._before, self.place)
        return [*self._formats.values(), *self._held]

    def end(self) -> list[TimelineEvent]:
        """Return what is held if nobody has begun the recording: then it begins with that."""
        try:
            last = newest_row(self._recordings, self._sid)
            begun = last is not None or placed(self._finder, self._recordings, self._order)
        except EverreelError as error:
            log.warning("whether the recording has begun cannot be read: %s", error.message)
            return []
        return [] if begun else [*self._formats.values(), *self._held]

    def _hold(self, event: TimelineEvent) -> None:
        held = self._held
        if isinstance(event, Break):
            self._formats.update(
                {each.format.medium: each for each in held if isinstance(each, FormatChange)}
            )
            held.clear()
            self._bytes = 0
            self._first_us = None
            self._finder.forget()
            return
        held.append(event)
        if isinstance(event, FormatChange):
            return
        if self._first_us is None:
            self._first_us = self._newest_us = event.pts_us
            self._first_s = self._clock.monotonic()
        self._newest_us = max(self._newest_us, event.pts_us)
        self._bytes += len(event.data)
        while self._bytes > HELD_BYTES or self._too_old(held[0]):
            oldest = held.popleft()
            if isinstance(oldest, Sample):
                self._bytes -= len(oldest.data)
            else:
                self._formats[oldest.format.medium] = oldest

    def _too_old(self, event: FormatChange | Sample) -> bool:
        return isinstance(event, FormatChange) or event.pts_us < self._newest_us - HELD_US

    # ------------------------------------------------------------------ finding the place

    def _look(self) -> bool:
        lap = self._recordings.lap(self._sid, *self._before)
        last = newest_row(self._recordings, self._sid)
        finder = self._finder
        if lap is None or not finder.lives(lap):
            others = placed(finder, self._recordings, self._order)
            if not others:
                return self._take_over(lap, last)
            lap = others[0]
        near_us = finder.near_us(self._newest_us, lap)
        zeros = finder.by_landmarks(lap.progress, near_us, self._newest_us)
        if zeros is None and self._waited_us() >= PATIENCE_US:
            zeros = finder.by_source_clock(lap.progress, near_us)
        if zeros is None:
            return False  # no exact place while somebody records: wait for it, or for his end
        self.place = beside(zeros, last, lap.progress.shift_k)
        return True

    def _take_over(self, lap: Lap | None, last: SegmentRow | None) -> bool:
        """Nobody records: begin with the next keyframe, as exactly as can be told where.

        Where nothing is stored yet, the recording begins with the older of two.
        """
        passed_us = (self._clock.monotonic() - self._first_s) * MICROSECONDS
        if last is None:
            patient = passed_us < PATIENCE_US
            return not (patient and goes_first(self._finder, self._recordings, self._order))
        if min(self._waited_us(), passed_us) < SETTLE_US:
            return False
        place = self._finder.behind(last, lap, self._newest_us)
        patient = not place.exact and self._waited_us() < PATIENCE_US
        if patient and goes_first(self._finder, self._recordings, self._order):
            return False
        self.place = place
        return True

    def _waited_us(self) -> int:
        return self._newest_us - (self._first_us or 0)


class Succession:
    """Tells the predecessor first what its successor builds, then that it may leave."""

    def __init__(self, order: LapOrder, recordings: Recordings) -> None:
        """Succeed `order.follows`."""
        self._sid = order.sid
        self._before = parse_lap(order.follows)
        self._recordings = recordings
        self._announced_k = -1
        self._relieved = False

    def tend(self, entered_k: int, passed_k: int) -> None:
        """Tell what is new.

        Args:
            entered_k: the first bucket that we build since we found our place, -1 if none is
                begun. It changes if a break made us look for our place again.
            passed_k: the newest bucket of ours that has an owner.
        """
        relieve = 0 <= entered_k <= passed_k
        if entered_k < 0 or self._relieved or (self._announced_k == entered_k and not relieve):
            return
        try:
            self._recordings.inherit(self._sid, *self._before, entered_k, relieve=relieve)
        except EverreelError as error:
            log.warning("the predecessor does not know yet: %s", error.message)
            return
        self._announced_k, self._relieved = entered_k, relieve
