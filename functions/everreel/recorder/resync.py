"""How laps of one recording stay one after a break of the source: one goes on, the others join it.

What lies behind a break is placed by the wall clock, a little differently by each recorder; and a
connection may break for one of them only. So a lap that sees a break looks at the others first. If
one of them records on, it has the media, and we find our place by it. If all of them saw the break,
the oldest goes on and the others find their places by it. A lap that is alone goes on at once: with
what it has, or behind what another one stored after the break before it left.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError
from everreel.media.access_unit import Medium
from everreel.media.index import SegmentRow
from everreel.media.landmarks import TELL, of
from everreel.media.segment import (
    Break,
    Cause,
    FormatChange,
    Place,
    Sample,
    Segment,
    TimelineEvent,
)
from everreel.media.tolerances import GAP_US, ROUNDING_US
from everreel.recorder.place import Finder, beside, newest_row, placed
from everreel.state.ports import Recordings
from everreel.state.recording import Lap, LapOrder, Reason

log = logging.getLogger(__name__)

POLL_S = 0.5
"""Between looks at the other laps."""

SETTLE_S = 3.0
"""What a lap tells later than this after our break, it tells in knowledge of its own, if it has
any: timelines judge an interruption for up to two seconds."""

SILENT_US = 10_000_000
"""A lap that received nothing for so long does not go on before us; HLS comes more often."""

PATIENCE_S = 20.0
"""How long the others are waited for, in memory; after that we go on, with a seam at worst."""

END_S = 4.0
"""How long another lap that is to stop too is waited for: a beat, and its last commit."""

HELD_US = 1_000_000
"""A lap that holds media from behind a break tells a position so much farther than before it."""

ENDS_ALL = frozenset({Reason.STOPPED, Reason.MAX_DURATION})
"""Reasons for which all laps of a recording end, each when it learns of it."""

HELD_BYTES = 32 * 1024 * 1024
"""The same bound in bytes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How to go on.

    Attributes:
        place: where to join another lap, None if we go on by ourselves.
        events: what to go on with.
    """

    place: Place | None
    events: list[TimelineEvent]


class Resync:
    """Holds what comes from a break on until it is known who goes on.

    Attributes:
        newest_us: the newest sample that came since.
    """

    def __init__(
        self,
        order: LapOrder,
        finder: Finder,
        recordings: Recordings,
        clock: Clock,
        received_us: int,
    ) -> None:
        """Begin at a break that lap `order` sees now.

        Args:
            order: which lap we are.
            finder: on the landmarks of all that is given to `take`.
            recordings: the state table.
            clock: time.
            received_us: where in the recording the newest sample from before the break is.
        """
        self._order = order
        self._received_us = received_us
        self._finder = finder
        self._recordings = recordings
        self._clock = clock
        self._held: list[TimelineEvent] = []
        self._bytes = 0
        self.newest_us = 0
        self._since_s = clock.monotonic()
        self._since_utc_us = clock.utc_us()
        self._polled_s: float | None = None
        finder.forget()

    def take(self, events: Sequence[TimelineEvent]) -> Verdict | None:
        """Hold events; tell how to go on once that is known."""
        for event in events:
            if isinstance(event, Break):
                self._finder.forget()
            elif isinstance(event, Sample):
                self._bytes += len(event.data)
                self.newest_us = event.pts_us
        self._held += events
        now_s = self._clock.monotonic()
        if self._bytes > HELD_BYTES:
            return self._at_last()
        if self._polled_s is not None and now_s - self._polled_s < POLL_S:
            return None
        self._polled_s = now_s
        try:
            return self._alone() if now_s - self._since_s > PATIENCE_S else self._judge()
        except EverreelError as error:  # nothing could be committed either: there is time
            log.warning("the other laps cannot be asked: %s", error.message)
            return None

    def end(self, fenced: threading.Event, latest_s: float) -> Verdict:
        """Decide now: nothing more comes for us. What another lap goes on with is left to it.

        What a lap told before it can have seen the break says nothing of what it does behind it:
        two that believed it would leave the end of the recording to each other.

        Args:
            fenced: ends the wait for what they tell.
            latest_s: when it has to end in any case; monotonic seconds.
        """
        until_s = min(self._clock.monotonic() + SETTLE_S + END_S, latest_s)
        try:
            while not all(self._knows(lap) for lap in self._others()):
                if self._clock.monotonic() >= until_s or fenced.wait(POLL_S):
                    break
            left = any(self._goes_before_us(lap) for lap in self._others())
        except EverreelError as error:
            log.warning("the other laps cannot be asked: %s", error.message)
            left = False
        return self.leave() if left else self._at_last()

    def _goes_before_us(self, lap: Lap) -> bool:
        """Tell whether a lap has what we hold, and records on or is older."""
        holds = lap.progress.received_us > self._received_us + HELD_US
        goes = lap.progress.open_k >= 0 or not self._older_than(lap)
        return holds and goes and self._knows(lap)

    def leave(self) -> Verdict:
        """Leave what was held to another lap; what the source said of its formats holds on."""
        return Verdict(None, [event for event in self._held if isinstance(event, FormatChange)])

    def _at_last(self) -> Verdict:
        try:
            return self._alone() or self.leave()
        except EverreelError as error:
            log.warning("what is stored cannot be read: %s", error.message)
            return Verdict(None, self._held)

    def _alone(self) -> Verdict | None:
        """Go on by ourselves, with all that was held, but behind what others have stored of it.

        None if one that went on has ended the recording; then we shall hear of it as well.
        """
        last = newest_row(self._recordings, self._order.sid)
        if last is None or not self._lies_behind(last):
            log.info("a break: going on")
            return Verdict(None, self._held)
        lap = self._recordings.lap(self._order.sid, last.lane, last.lap)
        if lap is not None and lap.reason in ENDS_ALL:
            return None
        place = self._finder.behind(last, lap, self.newest_us)
        log.info("a break: going on behind %s%d: %s", last.lane, last.lap, place)
        return Verdict(place, self._since_break())

    def _lies_behind(self, row: SegmentRow) -> bool:
        """Tell whether another lap stored what comes behind our break, or recorded across it."""
        ours = (row.lane, row.lap) == (self._order.lane, self._order.lap)
        return not ours and row.start_us + row.duration_us > self._received_us + GAP_US

    def _judge(self) -> Verdict | None:
        others = [lap for lap in self._others() if not self._is_silent(lap)]
        for lap in others:
            if lap.progress.open_k >= 0 and self._knows(lap):
                place = self._place(lap)
                if place is not None:
                    log.info("a break: joined %s%d", lap.lane, lap.lap)
                    return Verdict(place, self._since_break())
        if all(self._knows(lap) and lap.progress.open_k < 0 for lap in others) and (
            not others or self._older_than(others[0])
        ):
            return self._alone()
        return None

    def _others(self) -> list[Lap]:
        """Return the laps that have their place, the oldest first."""
        return placed(self._finder, self._recordings, self._order)

    def _is_silent(self, lap: Lap) -> bool:
        """Tell whether a lap still hears nothing; before the break none of us heard anything."""
        return self._knows(lap) and lap.progress.idle_us >= SILENT_US

    def _knows(self, lap: Lap) -> bool:
        return lap.beat_utc_us > self._since_utc_us + SETTLE_S * MICROSECONDS

    def _older_than(self, other: Lap) -> bool:
        me = self._recordings.lap(self._order.sid, self._order.lane, self._order.lap)
        return me is None or _age(me) < _age(other)

    def _place(self, lap: Lap) -> Place | None:
        told = lap.progress
        near_us = self._finder.near_us(self.newest_us, lap)
        zeros = self._finder.by_landmarks(told, near_us, self.newest_us)
        if zeros is None:
            return None
        place = beside(zeros, newest_row(self._recordings, self._order.sid), told.shift_k)
        marks = of(Medium.VIDEO, told.marks) or of(Medium.AUDIO, told.marks)
        if len(marks) < TELL:  # nothing is left out: it began with the first, and so do we
            return replace(place, after_us=max(place.after_us, min(marks)[0]))
        return replace(place, after_k=max(place.after_k, told.open_k))

    def _since_break(self) -> list[TimelineEvent]:
        """Leave out media of a clock that is gone; formats hold on."""
        begin = max((i for i, e in enumerate(self._held) if isinstance(e, Break)), default=-1)
        early = [e for e in self._held[: begin + 1] if not isinstance(e, Sample | Break)]
        return [*early, *self._held[begin + 1 :]]


class Yielding:
    """Lets others commit a bucket that they have whole and we have not."""

    def __init__(
        self, order: LapOrder, finder: Finder, recordings: Recordings, clock: Clock, limit_s: float
    ) -> None:
        """Yield for at most `limit_s` seconds; the other arguments are those of `Resync`."""
        self._order = order
        self._finder = finder
        self._recordings = recordings
        self._clock = clock
        self._limit_s = limit_s
        self._pause = threading.Event()

    def wait(
        self,
        segment: Segment,
        leaving: threading.Event,
        poll_s: float,
        looks: int,
        latest_s: float,
    ) -> None:
        """Wait while somebody else is likely to commit a bucket of which we have a part.

        One that leaves leaves the bucket to those that stay; of those that stop at the same time
        none has more of it, which their rows soon tell.

        Args:
            segment: the part.
            leaving: the lap ends and has less time for it.
            poll_s: seconds between looks.
            looks: of a lap that leaves.
            latest_s: when it has to go on in any case, as its function ends; monotonic seconds.
        """
        until_s = min(self._clock.monotonic() + self._limit_s, latest_s)
        patience = looks
        while patience > 0 and self._likely(segment) and self._clock.monotonic() < until_s:
            patience -= leaving.is_set()
            self._pause.wait(poll_s)

    def _likely(self, segment: Segment) -> bool:
        sid, k = self._order.sid, segment.k
        try:
            if next(iter(self._recordings.segments(sid, after=k - 1)), None) is not None:
                return False
            others = placed(self._finder, self._recordings, self._order)
        except EverreelError as error:
            log.warning("the other laps cannot be asked: %s", error.message)
            return False
        if segment.stand_in:  # any part that begins earlier is better, however it ends
            return any(0 <= lap.progress.entered_k <= k for lap in others)
        return any(
            k in told.due
            or (
                0 <= told.entered_k <= k
                and (told.open_k >= 0 or told.received_us > segment.end_us + HELD_US)
            )
            for told in (lap.progress for lap in others)
        )

    def is_over(self, segment: Segment, fenced: threading.Event) -> bool:
        """Tell whether a lap beside us ended the recording before `segment`: it was stopped first.

        What lies between nobody stores, so what we have after it would leave a hole at the end, if
        only of the last units of a segment that was cut short. A lap that is about to end is waited
        for, as it may store more. Behind a break there is a gap anyway, and the other lap may have
        left to us what came after it.
        """
        if segment.gap is not None and segment.gap.cause is not Cause.TAKEOVER:
            return False
        sid, until_s = self._order.sid, self._clock.monotonic() + END_S
        while True:
            last = newest_row(self._recordings, sid)
            if last is None or (last.lane, last.lap) == (self._order.lane, self._order.lap):
                return False
            if last.k > segment.k:
                return False  # ours lies before what is stored: without it there would be a hole
            missing_us = segment.start_us - last.start_us - last.duration_us
            if last.whole and missing_us <= ROUNDING_US:
                return False
            lap = self._recordings.lap(sid, last.lane, last.lap)
            if lap is None or not lap.open:
                return lap is not None and lap.reason in ENDS_ALL
            if self._clock.monotonic() >= until_s or fenced.wait(POLL_S):
                return False


def _age(lap: Lap) -> tuple[int, str, int]:
    return lap.invoked_utc_us, lap.lane, lap.lap
