"""Cuts the timeline into segments: bucket k holds what starts at the first keyframe after k·D.

A segment is a pure function of the source: two recorders that see the same units make the same
segments, so a hand-over needs no more than an overlap. See docs/time.md.
"""

from collections.abc import Iterable

from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.open_segment import OpenSegment, joined
from everreel.media.segment import (
    Break,
    Cause,
    FormatChange,
    Gap,
    Place,
    Sample,
    Segment,
    TimelineEvent,
)
from everreel.media.tolerances import ROUNDING_US

VIDEO, AUDIO = Medium.VIDEO, Medium.AUDIO

JOIN_WAIT_US = 2_000_000
"""Audio alone is recorded from the start if no video format shows up for this long."""

VIDEO_WAIT_US = 5_000_000
"""The same when a video format was announced but not one picture comes."""

KEYFRAME_WAIT_US = 20_000_000
"""The same when pictures come but none of them is a keyframe."""

SKEW_US = 2_000_000
"""How far audio may lag behind video in the transport and still join its own segment."""

LONGEST_US = 60_000_000
"""A group of pictures longer than this is cut by force: what was received must be committed."""

LARGEST_BYTES = 64 * 1024 * 1024
"""The same bound in bytes, so that memory is bounded whatever the source sends."""


class Segmenter:
    """Builds segments from the events of a `Timeline`.

    Attributes:
        origin_us: output-clock time of recording timeline 0 (the first keyframe kept), None until
            it is known. A joining lap is given the one that its recording has.
        first_k: number of the first segment begun, -1 before that.
        received_us: recording timeline position of the newest sample taken.
        dropped: units left out because decoding could not start with them, per medium.
    """

    def __init__(self, target_us: int) -> None:
        """Cut every `target_us` microseconds."""
        self.origin_us: int | None = None
        self.first_k = -1
        self.received_us = 0
        self.dropped = {VIDEO: 0, AUDIO: 0}
        self._target_us = target_us
        self._formats: dict[Medium, TrackFormat] = {}
        self._changed: set[Medium] = set()
        self._open: OpenSegment | None = None
        self._closing: tuple[OpenSegment, int] | None = None
        self._pending: Break | None = None
        self._held: list[Sample] = []
        self._pictures_before_key = 0
        self._video_us: int | None = None
        self._epoch_us = 0
        self._last_k = -1
        self._resumed = False
        self._audio_origin_us = 0
        self._place: Place | None = None
        self._passed_k: int | None = None
        self._next_gap: Gap | None = None
        self._out: list[Segment] = []

    # ------------------------------------------------------------------ what callers use

    def feed(self, events: Iterable[TimelineEvent]) -> list[Segment]:
        """Take timeline events; return the segments they complete, in order."""
        for event in events:
            if isinstance(event, Sample):
                self._sample(event)
            elif isinstance(event, FormatChange):
                self._format(event.format)
            else:
                self._break(event)
        done, self._out = self._out, []
        return done

    def flush(self) -> list[Segment]:
        """Close what is open: the recording, or this lap of it, ends here."""
        if self._open is None and self._held and not self._pictures_before_key:
            self._open_with_audio()  # a short stream of audio alone is worth keeping
        self._resolve_pending()
        self._finish_all()
        done, self._out = self._out, []
        return done

    def join(self, place: Place) -> None:
        """Take up a recording that others began."""
        self.origin_us = place.origin_us
        self._audio_origin_us = place.audio_origin_us
        self._last_k = place.after_k
        self._place = place

    def owes(self, heir_k: int) -> bool:
        """Tell whether a segment before bucket `heir_k` is not yet complete."""
        early = self._open is not None and self._open.k < heir_k
        return early or (self._closing is not None and self._closing[0].k < heir_k)

    def leave(self, heir_k: int) -> list[Segment]:
        """Close what is open, unless it belongs to the successor, who has all from `heir_k` on."""
        if self._open is None or self._open.k < heir_k:
            return self.flush()
        self._finish_closing(None)
        self._open = None
        self._pending = None
        self._held.clear()
        done, self._out = self._out, []
        return done

    @property
    def open_k(self) -> int:
        """Number of the segment being built, -1 if none is."""
        return -1 if self._open is None else self._open.k

    @property
    def waiting(self) -> bool:
        """Whether a place to join was given and the first segment is not begun."""
        return self._place is not None

    @property
    def audio_origin_us(self) -> int:
        """Output-clock time of recording timeline 0 for audio, where tracks differ."""
        return self._audio_origin_us

    # ------------------------------------------------------------------ events

    def _sample(self, sample: Sample) -> None:
        if self.origin_us is not None:
            origin_us = self.origin_us if sample.medium is VIDEO else self._audio_origin_us
            sample.pts_us -= origin_us
            sample.dts_us -= origin_us
            self.received_us = max(self.received_us, sample.pts_us)
        if self._open is None:
            self._wait_for_start(sample)
        elif sample.medium is VIDEO:
            self._video(self._open, sample)
        else:
            self._audio(self._open, sample)

    def _format(self, track_format: TrackFormat) -> None:
        medium = track_format.medium
        if medium in self._formats:
            self._changed.add(medium)
        elif self._open is not None:
            self._open.formats[medium] = track_format
            self._open.discontinuity = self._resumed
        self._formats[medium] = track_format

    def _break(self, event: Break) -> None:
        at_us = event.at_us - (self.origin_us or 0)
        gap = Gap(event.cause, at_us - event.gap_us, event.gap_us) if event.gap_us else None
        if self._open is not None and event.continuous:
            self._resolve_pending()
            self._pending = event
            self._next_gap = gap
            return
        self._resolve_pending()
        if self._open is not None:
            self._finish_all()
            self._held.clear()
            self._pictures_before_key = 0
        if self._resumed:
            self._next_gap = joined(self._next_gap, gap)

    # ------------------------------------------------------------------ the start of an epoch

    def _wait_for_start(self, sample: Sample) -> None:
        """Begin with a keyframe, and with the audio from its presentation time on."""
        if sample.medium is VIDEO:
            if not sample.keyframe:
                self._pictures_before_key += 1
                self.dropped[VIDEO] += 1
                return
            if self._too_early(sample):
                self._held = [audio for audio in self._held if audio.pts_us >= sample.pts_us]
                return
            held, self._held = self._held, []
            self._begin([sample, *held])
            return
        if VIDEO not in self._formats and self._too_early(sample):
            return
        self._held.append(sample)
        waited_us = sample.pts_us - self._held[0].pts_us
        if VIDEO not in self._formats:
            limit_us = 0 if self._resumed or self._passed_k is not None else JOIN_WAIT_US
        else:
            limit_us = KEYFRAME_WAIT_US if self._pictures_before_key else VIDEO_WAIT_US
        if waited_us >= limit_us:
            self._open_with_audio()

    def _too_early(self, sample: Sample) -> bool:
        """Tell whether a joining lap must let this start pass: others have it."""
        place = self._place
        if place is None:
            return False
        if place.end_us is not None:
            early = sample.pts_us < place.end_us - ROUNDING_US
        else:
            k = sample.pts_us // self._target_us
            early = self._passed_k is None or k == self._passed_k or k <= self._last_k
            if early:
                self._passed_k = k
        self.dropped[sample.medium] += early
        return early

    def _open_with_audio(self) -> None:
        held, self._held = self._held, []
        begin = next((i for i, sample in enumerate(held) if not self._too_early(sample)), None)
        if begin is not None:
            self._begin(held[begin:])

    def _arrive(self, place: Place, start_us: int) -> None:
        """Write down what lies between the recording so far and its first segment from us."""
        self._place = None
        if place.end_us is None:
            return
        missing_us = start_us - place.end_us
        if missing_us > ROUNDING_US:
            gap = Gap(Cause.TAKEOVER, place.end_us, missing_us)
            self._next_gap = joined(gap, self._next_gap)
        self._resumed = missing_us > ROUNDING_US or not place.exact

    def _begin(self, samples: list[Sample]) -> None:
        """Open a segment that starts with the first of `samples`."""
        first = samples[0]
        if self._place is not None:
            self._arrive(self._place, first.pts_us)
        if self.origin_us is None:
            self.origin_us = self._audio_origin_us = first.pts_us
            for sample in samples:
                sample.pts_us -= self.origin_us
                sample.dts_us -= self.origin_us
        self._open = self._new(first.pts_us)
        self._epoch_us = first.pts_us
        if self.first_k < 0:
            self.first_k = self._open.k
        self._open.discontinuity = self._resumed
        self._open.gap, self._next_gap = self._next_gap, None
        self._changed.clear()
        self._pictures_before_key = 0
        self._video_us = None
        for sample in samples:
            self.received_us = max(self.received_us, sample.pts_us)
            if sample.medium is VIDEO:
                self._video(self._open, sample)
            else:
                self._audio(self._open, sample)

    def _new(self, start_us: int) -> OpenSegment:
        last_k = self._last_k
        if self._open is not None:
            last_k = max(last_k, self._open.k)
        return OpenSegment(
            max(start_us // self._target_us, last_k + 1), start_us, dict(self._formats)
        )

    # ------------------------------------------------------------------ samples of an open segment

    def _video(self, current: OpenSegment, sample: Sample) -> None:
        if self._pending is not None:
            if sample.keyframe:
                self._cut_at_break(sample)
                return
            self._resolve_pending()
        if self._closing is not None and sample.pts_us > self._closing[1] + SKEW_US:
            self._finish_closing(None)
        pictures = current.units[VIDEO]
        if sample.keyframe:
            if pictures:
                must = bool(self._changed) or sample.pts_us // self._target_us > current.k
            else:
                must = bool(current.units[AUDIO]) and sample.pts_us > current.start_us
            if must:
                current = self._cut(current, sample.pts_us)
        elif current.bytes + len(sample.data) > LARGEST_BYTES or (
            sample.dts_us - current.start_us > LONGEST_US
        ):
            current = self._cut(current, sample.pts_us)
            current.independent = False
        elif not pictures:
            current.independent = False
        current.add(sample)
        if self._video_us is None or sample.pts_us > self._video_us:
            self._video_us = sample.pts_us

    def _audio(self, current: OpenSegment, sample: Sample) -> None:
        if sample.pts_us < self._epoch_us:
            self.dropped[AUDIO] += 1  # both tracks of an epoch start with its first keyframe
            return
        if self._pending is not None:
            if self._has_video(sample.pts_us):
                self._held.append(sample)
                if sample.pts_us - self._held[0].pts_us > SKEW_US:
                    self._resolve_pending()
                return
            self._cut_at_break(sample)
            return
        closing = self._closing
        if closing is not None:
            if sample.pts_us < closing[1]:
                closing[0].add(sample)
                return
            self._finish_closing(sample.pts_us)
        if not self._has_video(sample.pts_us) and (
            sample.pts_us // self._target_us > current.k or AUDIO in self._changed
        ):
            current = self._cut(current, sample.pts_us)
            self._finish_closing(sample.pts_us)
        elif AUDIO in self._changed:
            # Another decoder set-up cannot follow inside a segment: resume at the next keyframe.
            self.dropped[AUDIO] += 1
            return
        current.add(sample)

    def _has_video(self, now_us: int) -> bool:
        """Tell whether pictures still come, so that they decide where to cut."""
        return self._video_us is not None and now_us - self._video_us <= self._target_us

    # ------------------------------------------------------------------ cutting

    def _cut(self, current: OpenSegment, at_us: int) -> OpenSegment:
        """Go on with a new segment from `at_us`; the old one still waits for its late audio."""
        self._finish_closing(None)
        fresh = self._new(at_us)
        fresh.discontinuity = fresh.formats != current.formats
        self._changed.clear()
        moved = current.split_audio(at_us)
        for sample in moved:
            fresh.add(sample)
        self._open = fresh
        self._closing = (current, at_us)
        if moved:
            self._finish_closing(moved[0].pts_us)
        return fresh

    def _cut_at_break(self, first: Sample) -> None:
        """Let the pending break end the open segment; decoding starts anew with `first`."""
        self._pending = None
        held, self._held = self._held, []
        gap, self._next_gap = self._next_gap, None
        early = [sample for sample in held if sample.pts_us < first.pts_us]
        if gap is None and self._open is not None:
            for sample in early:
                self._open.add(sample)
            early = []
        self._finish_all()
        self._next_gap = gap
        self.dropped[AUDIO] += len(early)
        self._begin([first, *(sample for sample in held if sample.pts_us >= first.pts_us)])

    def _resolve_pending(self) -> None:
        """The break lies inside a group of pictures that ran on: note it and keep every unit."""
        if self._pending is None or self._open is None:
            return
        self._pending = None
        held, self._held = self._held, []
        self._open.gap = joined(self._open.gap, self._next_gap)
        self._next_gap = None
        for sample in held:
            self._audio(self._open, sample)

    def _finish_closing(self, next_audio_us: int | None) -> None:
        if self._closing is None or self._open is None:
            return
        closing, at_us = self._closing
        self._closing = None
        next_pts = {VIDEO: at_us} if closing.units[VIDEO] else {}
        if next_audio_us is not None:
            next_pts[AUDIO] = next_audio_us
        self._emit(closing, at_us, next_pts)

    def _finish_all(self) -> None:
        self._finish_closing(None)
        if self._open is not None:
            self._emit(self._open, None, {})
            self._open = None

    def _emit(self, done: OpenSegment, end_us: int | None, next_pts: dict[Medium, int]) -> None:
        segment = done.close(end_us, next_pts)
        if segment is not None:
            self._last_k = done.k
            self._resumed = True
            self._out.append(segment)
