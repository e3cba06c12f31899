"""How a lap takes up a recording that runs: it finds its place, then tells its predecessor.

The place comes from landmarks that both received; if the predecessor is gone, from the source's own
clock as the predecessor read it; and only if that is another clock now, from the wall clock.
"""

import logging
from collections import deque
from collections.abc import Sequence

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError
from everreel.media.access_unit import Medium
from everreel.media.index import SegmentRow
from everreel.media.landmarks import Landmarks, find_origin, of
from everreel.media.segment import Break, FormatChange, Place, Sample, TimelineEvent
from everreel.state.ports import Recordings
from everreel.state.recording import Lap, LapOrder, LapState, parse_lap

log = logging.getLogger(__name__)

HELD_US = 20_000_000
"""Media held while the place is sought; older media goes: the predecessor has it."""

HELD_BYTES = 32 * 1024 * 1024
"""The same bound in bytes."""

POLL_S = 1.0
"""Between looks at the predecessor's row, which its beats change every three seconds."""

LOST_S = 10.0
"""A predecessor whose last beat is older than three of them is not waited for."""

SETTLE_US = 1_000_000
"""Media received before the wall clock is believed: servers send the last pictures in a burst."""

OWN_CLOCK_US = 2_000_000
"""The source's clock is the one the predecessor read if it agrees with the wall clock so far."""

PATIENCE_US = 20_000_000
"""Media without a common landmark after which the source's clock is believed."""

SOUND_US = 4_000_000
"""How long audio is given to find its own place after video has found its."""

APART_US = 500_000
"""Zeros of video and audio farther apart than this are a coincidence of content."""


class Joining:
    """Holds what the timeline gives out until it is known where in the recording it belongs."""

    def __init__(
        self,
        order: LapOrder,
        landmarks: Landmarks,
        *,
        recordings: Recordings,
        clock: Clock,
        shared_clock: bool,
    ) -> None:
        """Join after `order.follows`.

        Args:
            order: which lap we are.
            landmarks: of all that is given to `take`.
            recordings: the state table.
            clock: time.
            shared_clock: the source's tracks share one clock, so that one place serves both.
        """
        self._sid = order.sid
        self._before = parse_lap(order.follows)
        self._landmarks = landmarks
        self._recordings = recordings
        self._clock = clock
        self._shared_clock = shared_clock
        self._formats: dict[Medium, FormatChange] = {}
        self._held: deque[FormatChange | Sample] = deque()
        self._bytes = 0
        self._first_us: int | None = None
        self._newest_us = 0
        self._polled_s: float | None = None
        self._video_found_us: int | None = None
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
        if self._polled_s is not None and now_s - self._polled_s < POLL_S:
            return None
        self._polled_s = now_s
        try:
            found = self._look()
        except EverreelError as error:
            log.warning("the predecessor's row cannot be read: %s", error.message)
            return None
        if not found:
            return None
        log.info("joined after %s%d: %s", *self._before, self.place)
        return [*self._formats.values(), *self._held]

    def _hold(self, event: TimelineEvent) -> None:
        held = self._held
        if isinstance(event, Break):
            self._formats.update(
                {each.format.medium: each for each in held if isinstance(each, FormatChange)}
            )
            held.clear()
            self._bytes = 0
            self._first_us = self._video_found_us = None
            return
        held.append(event)
        if isinstance(event, FormatChange):
            return
        if self._first_us is None:
            self._first_us = self._newest_us = event.pts_us
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
        last = next(iter(self._recordings.newest(self._sid, 1)), None)
        if lap is None or not self._lives(lap):
            return self._take_over(lap, last)
        near_us = self._near_us(lap)
        zeros = self._by_landmarks(lap, near_us)
        if zeros is None:
            zero_us = lap.progress.zero_us
            if zero_us is None or self._waited_us() < PATIENCE_US:
                return False
            if abs(zero_us - near_us) > OWN_CLOCK_US:
                return False  # no exact place while somebody records: wait for the end of that
            zeros = zero_us, zero_us
        after_k = max(lap.progress.open_k, -1 if last is None else last.k)
        self.place = Place(*zeros, after_k, lap.progress.shift_k)
        return True

    def _take_over(self, lap: Lap | None, last: SegmentRow | None) -> bool:
        """Nobody records: begin with the next keyframe, as exactly as can be told where."""
        if last is None:
            return True
        if self._waited_us() < SETTLE_US:
            return False
        end_us = last.start_us + last.duration_us
        near_us = self._near_us(lap, last)
        zeros = None if lap is None else self._by_landmarks(lap, near_us)
        zero_us = None if lap is None else lap.progress.zero_us
        exact = True
        if zeros is None and zero_us is not None and abs(zero_us - near_us) <= OWN_CLOCK_US:
            zeros = zero_us, zero_us
        if zeros is None:
            zeros, exact = (near_us, near_us), False
        shift_k = 0 if lap is None else lap.progress.shift_k
        self.place = Place(*zeros, last.k, shift_k, end_us, exact)
        return True

    def _by_landmarks(self, lap: Lap, near_us: int) -> tuple[int, int] | None:
        """Return the recording's zero for video and for audio, None if it cannot be told yet."""
        known = lap.progress.marks
        video = of(Medium.VIDEO, known)
        main = Medium.VIDEO if video else Medium.AUDIO
        own = self._landmarks.all(main)
        found_us = find_origin(video or of(Medium.AUDIO, known), own, near_us)
        if found_us is None or main is Medium.AUDIO or self._shared_clock:
            return None if found_us is None else (found_us, found_us)
        heard = of(Medium.AUDIO, known)
        audio_us = find_origin(heard, self._landmarks.all(Medium.AUDIO), found_us)
        if audio_us is not None and abs(audio_us - found_us) <= APART_US:
            return found_us, audio_us
        if self._video_found_us is None:
            self._video_found_us = self._newest_us
        if heard and self._newest_us - self._video_found_us < SOUND_US:
            return None
        return found_us, found_us

    def _near_us(self, lap: Lap | None, last: SegmentRow | None = None) -> int:
        """Tell about where on our clock the recording's zero is, by the wall clock.

        The predecessor's newest beat says where the recording stood when; unlike the recording's
        start it lies so near that drifting clocks do not matter.
        """
        now_us = self._clock.utc_us()
        if lap is not None and lap.progress.received_us and lap.beat_utc_us:
            position_us = lap.progress.received_us + max(0, now_us - lap.beat_utc_us)
        elif last is not None:
            position_us = last.start_us + (now_us - last.utc_us)
        else:
            position_us = 0
        return self._newest_us - position_us

    def _lives(self, lap: Lap) -> bool:
        age_s = (self._clock.utc_us() - lap.beat_utc_us) / MICROSECONDS
        return lap.state is LapState.RUNNING and age_s < LOST_S

    def _waited_us(self) -> int:
        return self._newest_us - (self._first_us or 0)


class Succession:
    """Tells the predecessor first what its successor builds, then that it may leave."""

    def __init__(self, order: LapOrder, recordings: Recordings) -> None:
        """Succeed `order.follows`."""
        self._sid = order.sid
        self._before = parse_lap(order.follows)
        self._recordings = recordings
        self._announced = False
        self._relieved = False

    def tend(self, first_k: int, committed: int) -> None:
        """Tell what is new: the first bucket begun (-1 if none is), the segments committed."""
        if first_k < 0 or self._relieved or (self._announced and not committed):
            return
        relieve = committed > 0
        try:
            self._recordings.inherit(self._sid, *self._before, first_k, relieve=relieve)
        except EverreelError as error:
            log.warning("the predecessor does not know yet: %s", error.message)
            return
        self._announced, self._relieved = True, relieve
