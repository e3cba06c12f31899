"""A lap's segments: cut from its place in the recording on, up to where its successor begins."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from everreel.clock import MICROSECONDS, Clock
from everreel.media.access_unit import Medium
from everreel.media.landmarks import Landmarks, Mark
from everreel.media.segment import Break, Sample, Segment, TimelineEvent
from everreel.media.segmenter import Segmenter
from everreel.media.track_clock import SourceClock
from everreel.recorder.join import Joining, Succession
from everreel.recorder.place import Finder
from everreel.recorder.resync import Resync, Verdict, Yielding
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Progress, Recording


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
        source: Callable[[Medium], SourceClock],
    ) -> None:
        """Cut for lap `order` of `recording`; `source` is the timeline's."""
        segment_s = recording.options.segment_s
        self.segmenter = Segmenter(segment_s * MICROSECONDS)
        self._order = order
        self._recordings = recordings
        self._clock = clock
        self._source = source
        self._landmarks = Landmarks()
        self._marks: tuple[Mark, ...] = ()
        shared_clock = not recording.source.lower().startswith("rtsp")
        self._finder = Finder(self._landmarks, source, clock, shared_clock=shared_clock)
        self._joining = self._join() if order.follows else None
        self._resync: Resync | None = None
        self._silent = False
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

    def close(self, rest: list[TimelineEvent], heir_k: int) -> Sequence[Segment]:
        """Cut the rest and close what is open, but for what a successor has from `heir_k` on."""
        segments = self.feed(rest)
        if self._resync is not None:
            segments += self._go_on(self._resync.alone())
        segmenter = self.segmenter
        self._silent = segmenter.first_k >= 0
        return [*segments, *(segmenter.flush() if heir_k < 0 else segmenter.leave(heir_k))]

    def tend(self, committed: int) -> None:
        """Tell the predecessor how far we are; `committed` segments are ours."""
        if self._succession is not None:
            self._succession.tend(self.segmenter.first_k, committed)

    def tell(self, progress: Progress) -> Progress:
        """Add what another lap needs to find its place; one without a place tells no `open_k`."""
        marks = self._marks  # first: numbers may be newer than the landmarks, never older
        segmenter = self.segmenter
        origin_us = segmenter.origin_us
        told = replace(
            progress,
            open_k=-1 if self._resync is not None else segmenter.open_k,
            shift_k=segmenter.shift_k,
            marks=marks,
        )
        if origin_us is None:
            return told
        return replace(
            told,
            zero_us=origin_us - self._source(Medium.VIDEO).moved_us,
            audio_zero_us=segmenter.audio_origin_us - self._source(Medium.AUDIO).moved_us,
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
        return Resync(self._order, self._finder, self._recordings, self._clock)
