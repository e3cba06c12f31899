"""Cuts the timeline into segments, each at the first keyframe beyond the bucket it began in.

A segment is a pure function of the source: two recorders that see the same units make the same
segments, so a hand-over needs no more than an overlap. See docs/time.md.
"""

from collections.abc import Iterable

from everreel.media import bounds
from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.entrance import Entrance
from everreel.media.open_segment import Closing, OpenSegment, joined
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
from everreel.media.tolerances import GAP_US
from everreel.media.waiting import Waiting

VIDEO, AUDIO = Medium.VIDEO, Medium.AUDIO


class Segmenter:
    """Builds segments from the events of a `Timeline`.

    Attributes:
        origin_us: output clock at recording timeline 0; a joining lap is given its recording's.
        first_k: number of the first segment begun, -1 before that.
        entered_k: the first that it has from its beginning since it joined last, -1 before that.
        shift_k: by how much numbers run ahead of buckets, because of breaks within a bucket.
        received_us: recording timeline position of the newest sample taken.
        dropped: units left out because decoding could not start with them, per medium.
    """

    def __init__(self, target_us: int) -> None:
        """Cut every `target_us` microseconds."""
        self.origin_us: int | None = None
        self.audio_origin_us = 0
        self.first_k = self.entered_k = -1
        self.shift_k = 0
        self.received_us = 0
        self.dropped = {VIDEO: 0, AUDIO: 0}
        self._target_us = target_us
        self._formats: dict[Medium, TrackFormat] = {}
        self._changed: set[Medium] = set()
        self._open: OpenSegment | None = None
        self._closing: Closing | None = None
        self._pending_us: int | None = None
        self._held = Waiting()
        self._pictures_before_key = 0
        self._video_us: int | None = None
        self._epoch_us = 0
        self._last_k = -1
        self._resumed = False
        self._entrance: Entrance | None = None
        self._next_gap: Gap | None = None
        self._cause = Cause.LOSS
        self._ended_us = 0
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
        return self._take_out()

    def flush(self) -> list[Segment]:
        """Close what is open: the recording, or this lap of it, ends here."""
        if self._open is None and self._held and not self._pictures_before_key:
            self._open_with_audio()  # a short stream of audio alone is worth keeping
        self._resolve_pending()
        self._finish_all()
        return self._take_out()

    def join(self, place: Place) -> None:
        """Take up a recording that others began."""
        self.origin_us, self.audio_origin_us = place.origin_us, place.audio_origin_us
        self.shift_k, self.entered_k = place.shift_k, -1
        self._entrance = Entrance(place, self._target_us, max(place.after_k, self._last_k))

    def owes(self, heir_k: int) -> bool:
        """Tell whether a segment before bucket `heir_k` is not yet complete."""
        early = self._open is not None and self._open.k < heir_k
        return early or (self._closing is not None and self._closing.segment.k < heir_k)

    def leave(self, heir_k: int) -> list[Segment]:
        """Close what is open, unless it belongs to the successor, who has all from `heir_k` on."""
        if self._open is None or self._open.k < heir_k:
            return self.flush()
        if self._closing is not None and self._closing.segment.k < heir_k:
            self._closing.end()
            self._finish_closing(None)
        self._closing = self._open = self._pending_us = None
        self._held.clear()
        return self._take_out()

    def _take_out(self) -> list[Segment]:
        done, self._out = self._out, []
        return done

    @property
    def open_k(self) -> int:
        """Number of the segment being built, -1 if none is."""
        return -1 if self._open is None else self._open.k

    @property
    def waiting(self) -> bool:
        """Whether a place to join was given and the first segment is not begun."""
        return self._entrance is not None

    # ------------------------------------------------------------------ events

    def _sample(self, sample: Sample) -> None:
        if self.origin_us is not None:
            origin_us = self.origin_us if sample.medium is VIDEO else self.audio_origin_us
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
        self._cause = event.cause
        at_us = event.at_us - (self.origin_us or 0)
        gap = Gap(event.cause, at_us - event.gap_us, event.gap_us) if event.gap_us else None
        if self._open is not None and event.continuous:
            self._resolve_pending()
            self._pending_us = at_us - event.gap_us
            self._next_gap = gap
            return
        self._resolve_pending()
        if self._open is not None:
            self._finish_all()
            self._held.clear()
            self._pictures_before_key = 0
        if self._last_k >= 0:
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
                self._held.drop_before(sample.pts_us)
                return
            self._begin([sample, *self._held.take()])
            return
        if VIDEO not in self._formats and self._too_early(sample):
            return
        waited_us = self._held.add(sample)
        if VIDEO not in self._formats:
            limit_us = 0 if self._last_k >= 0 else bounds.JOIN_WAIT_US
        else:
            keys = self._pictures_before_key
            limit_us = bounds.KEYFRAME_WAIT_US if keys else bounds.VIDEO_WAIT_US
        if waited_us >= limit_us or self._held.full:
            self._open_with_audio()

    def _open_with_audio(self) -> None:
        held = self._held.take()
        begin = next((i for i, sample in enumerate(held) if not self._too_early(sample)), None)
        if begin is not None:
            self._begin(held[begin:])

    def _too_early(self, sample: Sample) -> bool:
        early = self._entrance is not None and self._entrance.too_early(sample)
        self.dropped[sample.medium] += early
        return early

    def _enter(self, entrance: Entrance, start_us: int) -> None:
        self._entrance = None
        self._last_k = entrance.after_k
        self._resumed = not entrance.seamless(start_us)
        self._ended_us = entrance.place.after_us
        self._next_gap = entrance.gap(start_us)

    def _begin(self, samples: list[Sample]) -> None:
        """Open a segment that starts with the first of `samples`."""
        first = samples[0]
        late = self._entrance is not None and self._entrance.late(first)
        if self._entrance is not None:
            self._enter(self._entrance, first.pts_us)
        if self.origin_us is None:
            self.origin_us = self.audio_origin_us = first.pts_us
            for sample in samples:
                sample.pts_us -= self.origin_us
                sample.dts_us -= self.origin_us
        self._open = self._new(first.pts_us, late=late)
        self._epoch_us = bounds.sound_from(first.pts_us)
        self._open.discontinuity = self._resumed or self._closing is not None
        self._open.gap, self._next_gap = self._gap_before(first.pts_us), None
        self._changed.clear()
        self._pictures_before_key = 0
        self._video_us = None
        for sample in samples:
            self.received_us = max(self.received_us, sample.pts_us)
            if sample.medium is VIDEO:
                self._video(self._open, sample)
            else:
                self._audio(self._open, sample)

    def _gap_before(self, start_us: int) -> Gap | None:
        """Tell what is missing before a new epoch: the wait for its first keyframe counts too."""
        known = self._next_gap
        missing_us = start_us - self._ended_us
        if not self._resumed or self._closing is not None or missing_us <= 0:
            return known
        if known is None and missing_us <= GAP_US:
            return None
        return Gap(known.cause if known else self._cause, self._ended_us, missing_us)

    def _new(self, start_us: int, *, late: bool = False) -> OpenSegment:
        last_k = max(self._last_k, self.open_k)
        if self._closing is not None:
            last_k = max(last_k, self._closing.segment.k)
        bucket = bounds.bucket(start_us, self._target_us)
        self.shift_k = max(self.shift_k, last_k + 1 - bucket)
        begun = OpenSegment(bucket + self.shift_k, start_us, dict(self._formats), stand_in=late)
        self.first_k = self.first_k if self.first_k >= 0 else begun.k
        self.entered_k = self.entered_k if late or self.entered_k >= 0 else begun.k
        return begun

    def _outgrown(self, current: OpenSegment, sample: Sample) -> bool:
        """Tell whether a segment that may be cut here has to be."""
        target_us, start_us = self._target_us, current.start_us
        late = bounds.bucket(sample.pts_us, target_us) > bounds.bucket(start_us, target_us)
        return late or current.full_with(sample)

    # ------------------------------------------------------------------ samples of an open segment

    def _video(self, current: OpenSegment, sample: Sample) -> None:
        if self._pending_us is not None:
            if sample.keyframe:
                self._cut_at_break(sample)
                return
            self._video_us = sample.pts_us  # pictures are back: sound alone cuts no more
            self._resolve_pending()
        if self._closing is not None and sample.pts_us > self._closing.at_us + bounds.SKEW_US:
            self._finish_closing(None)
        pictures = current.units[VIDEO]
        if sample.keyframe:
            if pictures:
                must = bool(self._changed) or self._outgrown(current, sample)
            else:
                must = bool(current.units[AUDIO]) and sample.pts_us > current.start_us
            if must:
                current = self._cut(current, sample.pts_us)
        elif current.full_with(sample) or sample.dts_us - current.start_us > bounds.LONGEST_US:
            current = self._cut(current, sample.pts_us)
            current.independent = False
        elif not pictures:
            current.independent = False
        current.add(sample)
        if self._video_us is None or sample.pts_us > self._video_us:
            self._video_us = sample.pts_us

    def _audio(self, current: OpenSegment, sample: Sample) -> None:
        closing = self._closing
        if closing is not None and closing.awaits(sample.pts_us, self._epoch_us):
            known = AUDIO in closing.segment.formats and AUDIO not in self._changed
            if known and not closing.segment.full_with(sample):
                closing.segment.add(sample)
            else:
                self.dropped[AUDIO] += 1
            return
        if sample.pts_us < self._epoch_us:
            self.dropped[AUDIO] += 1  # both tracks of an epoch start with its first keyframe
            return
        if self._pending_us is not None:
            if self._has_video(self._pending_us):
                # Whether the group of pictures runs on decides where this sound belongs.
                if self._held.add(sample) > bounds.SKEW_US or self._held.full:
                    self._resolve_pending()
                return
            self._cut_at_break(sample)
            return
        if closing is not None:
            self._finish_closing(sample.pts_us)
        if current.full_with(sample) or (
            not self._has_video(sample.pts_us)
            and (self._outgrown(current, sample) or AUDIO in self._changed)
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
        self._closing = Closing(current, at_us, broken=False)
        if moved:
            self._finish_closing(moved[0].pts_us)
        return fresh

    def _cut_at_break(self, first: Sample) -> None:
        """Let the pending break end the open segment; decoding starts anew with `first`."""
        self._pending_us = None
        held = self._held.take()
        early = [sample for sample in held if sample.pts_us < first.pts_us]
        if self._next_gap is None and self._open is not None:
            # The clock jumped and nothing is missing: sound from before `first` may still come.
            for sample in early:
                self._open.add(sample)
            self._finish_closing(None)
            self._closing = Closing(self._open, first.pts_us, broken=True)
            self._open = None
        else:
            gap, self._next_gap = self._next_gap, None
            self._finish_all()
            self._next_gap = gap
            self.dropped[AUDIO] += len(early)
        self._begin([first, *(sample for sample in held if sample.pts_us >= first.pts_us)])

    def _resolve_pending(self) -> None:
        """The break lies inside a group of pictures that ran on: note it and keep every unit."""
        if self._pending_us is None or self._open is None:
            return
        self._pending_us = None
        held = self._held.take()
        self._open.gap = joined(self._open.gap, self._next_gap)
        self._next_gap = None
        for sample in held:
            self._audio(self._open, sample)

    def _finish_closing(self, next_audio_us: int | None) -> None:
        if self._closing is None or self._open is None:
            return
        closing, at_us, broken = self._closing
        self._closing = None
        if broken:
            self._emit(closing, min(at_us, closing.end_us), {})
            return
        next_pts = {VIDEO: at_us} if closing.units[VIDEO] else {}
        if next_audio_us is not None:
            next_pts[AUDIO] = next_audio_us
        self._emit(closing, at_us, next_pts)

    def _finish_all(self) -> None:
        if self._closing is not None:
            self._closing.end()
        self._finish_closing(None)
        if self._open is not None:
            self._emit(self._open, None, {})
            self._open = None

    def _emit(self, done: OpenSegment, end_us: int | None, next_pts: dict[Medium, int]) -> None:
        segment = done.close(end_us, next_pts)
        if segment is not None:
            self._last_k = done.k
            self._resumed = True
            self._ended_us = segment.end_us
            self._out.append(segment)
