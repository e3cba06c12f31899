"""A lap's segments: cut from its place in the recording on, up to where its successor begins."""

from collections.abc import Sequence
from dataclasses import replace

from everreel.clock import MICROSECONDS, Clock
from everreel.media.landmarks import Landmarks, Mark
from everreel.media.segment import Break, Segment, TimelineEvent
from everreel.media.segmenter import Segmenter
from everreel.recorder.join import Joining, Succession
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Progress, Recording


class Cutting:
    """The segmenter of one lap, and what other laps must know of it.

    Attributes:
        segmenter: cuts what `feed` lets through.
    """

    def __init__(
        self, recording: Recording, order: LapOrder, recordings: Recordings, clock: Clock
    ) -> None:
        """Cut for lap `order` of `recording`."""
        self.segmenter = Segmenter(recording.options.segment_s * MICROSECONDS)
        self._order = order
        self._recordings = recordings
        self._clock = clock
        self._shared_clock = not recording.source.lower().startswith("rtsp")
        self._landmarks = Landmarks()
        self._marks: tuple[Mark, ...] = ()
        self._joining = self._join() if order.follows else None
        self._succession = Succession(order, recordings) if order.relieves else None

    def feed(self, events: list[TimelineEvent]) -> list[Segment]:
        """Cut what the timeline gives out; while the place in the recording is sought, hold it."""
        noted = self._landmarks.note(events)
        segmenter = self.segmenter
        if segmenter.waiting and any(isinstance(event, Break) for event in events):
            self._joining = self._join()  # the place was found on a clock that may be gone
        if self._joining is not None:
            held = self._joining.take(events)
            if held is None:
                return []
            if self._joining.place is not None:
                segmenter.join(self._joining.place)
            self._joining = None
            events, noted = held, True
        segments = segmenter.feed(events)
        if noted and segmenter.origin_us is not None:
            self._marks = self._landmarks.told(segmenter.origin_us, segmenter.audio_origin_us)
        return segments

    def close(self, rest: list[TimelineEvent], heir_k: int) -> Sequence[Segment]:
        """Cut the rest and close what is open, but for what a successor has from `heir_k` on."""
        segments = self.feed(rest)
        segmenter = self.segmenter
        return [*segments, *(segmenter.flush() if heir_k < 0 else segmenter.leave(heir_k))]

    def tend(self, committed: int) -> None:
        """Tell the predecessor how far we are; `committed` of our segments are stored."""
        if self._succession is not None:
            self._succession.tend(self.segmenter.first_k, committed)

    def tell(self, progress: Progress, shift_us: int) -> Progress:
        """Add what a successor needs to find its place; `shift_us` is the timeline's."""
        marks = self._marks  # first: numbers may be newer than the landmarks, never older
        origin_us = self.segmenter.origin_us
        return replace(
            progress,
            open_k=self.segmenter.open_k,
            shift_k=self.segmenter.shift_k,
            marks=marks,
            zero_us=None if origin_us is None else origin_us - shift_us,
        )

    def _join(self) -> Joining:
        return Joining(
            self._order,
            self._landmarks,
            recordings=self._recordings,
            clock=self._clock,
            shared_clock=self._shared_clock,
        )
