"""A lap's segments: cut from its place in the recording on, up to where its successor begins."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError
from everreel.media.access_unit import Medium
from everreel.media.landmarks import Landmarks, Mark
from everreel.media.segment import Break, Sample, Segment, TimelineEvent
from everreel.media.segmenter import Segmenter
from everreel.media.timeline import Timeline
from everreel.recorder.join import POLL_S, Joining, Succession
from everreel.recorder.place import Finder, newest_row, placed
from everreel.recorder.resync import Resync, Verdict, Yielding
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Progress, Recording

log = logging.getLogger(__name__)

SPARE_S = 30.0
"""How much earlier than needed a source is to begin that can: three of the longest HLS segments,
because what a playlist shows is that much older than what the wall clock tells."""


class Cutting:
    """The segmenter of one lap, and what other laps must know of it.

    Attributes:
        segmenter: cuts what `feed` lets through.
        yielding: tells for how long others are to be let go first with a bucket.
    """

    def __init__(
        self,
        recording: Recording,
        order: LapOrder,
        recordings: Recordings,
        clock: Clock,
        timeline: Timeline,
    ) -> None:
        """Cut for lap `order` of `recording`; it takes what `timeline` gives out."""
        segment_s = recording.options.segment_s
        self.segmenter = Segmenter(segment_s * MICROSECONDS)
        self._order = order
        self._recordings = recordings
        self._clock = clock
        self._timeline = timeline
        self._landmarks = Landmarks()
        self._marks: tuple[Mark, ...] = ()
        shared_clock = not recording.source.lower().startswith("rtsp")
        self._finder = Finder(self._landmarks, timeline, clock, shared_clock=shared_clock)
        self._joining = self._join() if order.follows else None
        self._resync: Resync | None = None
        self._silent = False
        self._width = recording.options.reliability.width
        self._free = False
        self._counted_s = -POLL_S
        self._succession = Succession(order, recordings) if order.relieves else None
        self.yielding = Yielding(order, self._finder, recordings, clock, 2 * segment_s + 10.0)

    def feed(self, events: list[TimelineEvent]) -> list[Segment]:
        """Cut what the timeline gives out; while the place in the recording is sought, hold it."""
        noted = self._landmarks.note(events)
        segmenter = self.segmenter
        broken = any(isinstance(event, Break) for event in events)
        if broken and segmenter.waiting and segmenter.first_k < 0:
            self._joining = self._join()  # the place was found on a clock that may be gone
        if self._joining is not None:
            held = self._joining.take(events)
            if held is None:
                return []
            if self._joining.place is not None:
                segmenter.join(self._joining.place)
            self._joining = None
            return self._cut(held, noted=True)
        if self._resync is None and segmenter.first_k >= 0:
            back = self._silent and any(isinstance(event, Sample) for event in events)
            if broken or back:
                self._silent = False
                self._marks = ()  # nobody may join by what lies before
                self._resync = self._new_resync()
        if self._resync is None:
            return self._cut(events, noted=noted)
        verdict = self._resync.take(events)
        return [] if verdict is None else self._go_on(verdict)

    def pause(self, rest: list[TimelineEvent], heir_k: int) -> Sequence[Segment]:
        """Cut the rest and close what is open, but for what a successor has from `heir_k` on.

        What is held since a break stays held until the other laps have told what they do, and what
        is open with it: the group of pictures may run on.
        """
        segments = self.feed(rest)
        if self._resync is not None:
            return segments
        self._silent = self.segmenter.first_k >= 0
        return [*segments, *self._flush(self._live_heir(heir_k))]

    def close(
        self, rest: list[TimelineEvent], heir_k: int, fenced: threading.Event, latest_s: float
    ) -> Sequence[Segment]:
        """Do the same at the end of the lap, with what is held as well.

        The last two arguments bound the wait for other laps, as those of `Resync.end`.
        """
        segments = self.feed(rest)
        if self._joining is not None:
            segments += self._cut(self._joining.end(), noted=True)
        heir_k = self._live_heir(heir_k)
        if self._resync is not None:
            resync = self._resync
            left = resync.end(fenced, latest_s) if heir_k < 0 else resync.leave()
            segments += self._go_on(left)
        return [*segments, *self._flush(heir_k)]

    def _live_heir(self, heir_k: int) -> int:
        """Return -1 for a dead successor: what it would have stored is ours to store."""
        return heir_k if heir_k >= 0 and self._in_step() else -1

    def _flush(self, heir_k: int) -> list[Segment]:
        return self.segmenter.flush() if heir_k < 0 else self.segmenter.leave(heir_k)

    def behind_s(self) -> float:
        """Tell from how many seconds ago on media may be of use, as far as a server still has it.

        Nobody has committed it, or it holds the landmarks by which we find our place.
        """
        try:
            last = newest_row(self._recordings, self._order.sid)
        except EverreelError as error:
            log.warning("where the recording stands cannot be read: %s", error.message)
            return 0.0
        if last is None:
            return 0.0
        ago_us = self._clock.utc_us() - last.utc_us - last.duration_us
        return max(0.0, ago_us / MICROSECONDS) + SPARE_S

    def tend(self, passed_k: int) -> None:
        """Tell the predecessor how far we are; up to bucket `passed_k` ours have an owner."""
        if self._succession is not None and self._resync is None:
            self._succession.tend(self.segmenter.entered_k, passed_k)

    def may_leave(self) -> bool:
        """Tell whether as many others as are to record have all that we have not stored yet.

        The one that relieves us need not be enough: another may have died meanwhile.
        """
        now_s = self._clock.monotonic()
        if not self._free and now_s - self._counted_s >= POLL_S:
            self._counted_s = now_s
            self._free = self._in_step() >= self._width
        return self._free

    def _in_step(self) -> int:
        """Count the other laps that have what we are building; as many as it takes if unknown."""
        open_k = self.segmenter.open_k
        try:
            others = placed(self._finder, self._recordings, self._order)
        except EverreelError as error:
            log.warning("the other laps cannot be asked: %s", error.message)
            return self._width
        begun = [lap.progress.entered_k for lap in others if lap.progress.entered_k >= 0]
        return sum(k <= open_k or open_k < 0 for k in begun)

    def tell(self, progress: Progress) -> Progress:
        """Add what another lap needs to find its place; one without a place tells no `open_k`."""
        marks = self._marks  # first: numbers may be newer than the landmarks, never older
        segmenter, resync = self.segmenter, self._resync
        origin_us = segmenter.origin_us
        if resync is not None and origin_us is not None:
            held_us = resync.newest_us - origin_us
            progress = replace(progress, received_us=max(progress.received_us, held_us))
        told = replace(
            progress,
            open_k=-1 if resync is not None else segmenter.open_k,
            entered_k=segmenter.entered_k,
            shift_k=segmenter.shift_k,
            marks=marks,
        )
        if origin_us is None:
            return told
        return replace(
            told,
            zero_us=origin_us - self._timeline.source(Medium.VIDEO).moved_us,
            audio_zero_us=segmenter.audio_origin_us - self._timeline.source(Medium.AUDIO).moved_us,
        )

    def _cut(self, events: list[TimelineEvent], *, noted: bool) -> list[Segment]:
        segmenter = self.segmenter
        segments = segmenter.feed(events)
        if noted and segmenter.origin_us is not None:
            self._marks = self._landmarks.told(segmenter.origin_us, segmenter.audio_origin_us)
        return segments

    def _go_on(self, verdict: Verdict) -> list[Segment]:
        """Go on after a break: as a joining lap does, or by ourselves."""
        self._resync = None
        early: list[Segment] = []
        if verdict.place is not None:
            early = self.segmenter.flush()
            self.segmenter.join(verdict.place)
        return [*early, *self._cut(verdict.events, noted=True)]

    def _join(self) -> Joining:
        return Joining(self._order, self._finder, self._recordings, self._clock)

    def _new_resync(self) -> Resync:
        received_us = self.segmenter.received_us
        return Resync(self._order, self._finder, self._recordings, self._clock, received_us)
