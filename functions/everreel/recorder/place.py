"""Finds where in the recording a lap's media belongs, by what another lap tells of itself.

By landmarks that both received; else by the source's own clock as the other lap read it, where that
is still the same clock; and about where it must be, by the wall clock.
"""

from dataclasses import replace

from everreel.clock import MICROSECONDS, Clock
from everreel.media.access_unit import Medium
from everreel.media.index import SegmentRow
from everreel.media.landmarks import Landmarks, find_origin, of
from everreel.media.segment import Place
from everreel.media.timeline import Timeline
from everreel.media.tolerances import TOGETHER_US
from everreel.state.ports import Recordings
from everreel.state.recording import Lap, LapOrder, LapState, Progress

LOST_S = 10.0
"""A lap whose last beat is older than three of them is not waited for."""

OWN_CLOCK_US = 2_000_000
"""The source's clock is the one the other lap read if it agrees with the wall clock so far."""

BURST_CLOCK_US = 60_000_000
"""The same where media of the last minute may come at once (HLS)."""

STARTING_S = 25.0
"""A lap that was invoked so long ago and has not begun is not waited for."""

SOUND_US = 4_000_000
"""How long audio is given to find its own place after video has found its."""

APART_US = 2 * TOGETHER_US
"""Each recorder lays the tracks' clocks together as exactly as arrival bears out, so the zeros of
video and audio may differ by twice that; farther apart they are a coincidence of content."""

Zeros = tuple[int, int]
"""Where the recording's zero lies on the clock of our samples: for video and for audio."""


class Finder:
    """Finds the recording's zero on the clock of one timeline."""

    def __init__(
        self,
        landmarks: Landmarks,
        timeline: Timeline,
        clock: Clock,
        *,
        shared_clock: bool,
    ) -> None:
        """Find by these landmarks.

        Args:
            landmarks: of what the timeline gives out.
            timeline: knows how its clock lies to the source's own.
            clock: time.
            shared_clock: the source's tracks share one clock, so that one place serves both.
        """
        self._landmarks = landmarks
        self._timeline = timeline
        self._clock = clock
        self._shared_clock = shared_clock
        self._video_found_us: int | None = None

    def forget(self) -> None:
        """Begin anew: our clock has changed."""
        self._video_found_us = None

    def lives(self, lap: Lap) -> bool:
        """Tell whether a lap runs, as far as its beats tell."""
        age_s = (self._clock.utc_us() - lap.beat_utc_us) / MICROSECONDS
        return lap.state is LapState.RUNNING and age_s < LOST_S

    def starts(self, lap: Lap) -> bool:
        """Tell whether a lap was invoked a moment ago and is about to begin."""
        age_s = (self._clock.utc_us() - lap.invoked_utc_us) / MICROSECONDS
        return lap.state is LapState.INVOKED and age_s < STARTING_S

    def by_landmarks(self, told: Progress, near_us: int, newest_us: int) -> Zeros | None:
        """Return the zeros that common landmarks tell, None if they do not tell yet.

        Args:
            told: the other lap's.
            near_us: about where the zero is.
            newest_us: our newest sample.
        """
        video = of(Medium.VIDEO, told.marks)
        heard = of(Medium.AUDIO, told.marks)
        main = Medium.VIDEO if video else Medium.AUDIO
        found_us = find_origin(video or heard, self._landmarks.all(main), near_us)
        if found_us is None or main is Medium.AUDIO or self._shared_clock:
            return None if found_us is None else (found_us, found_us)
        own = self.by_source_clock(told, found_us)
        if own is not None and own[0] == found_us:
            return own  # the server hands out one clock to everybody
        audio_us = find_origin(heard, self._landmarks.all(Medium.AUDIO), found_us)
        if audio_us is not None and abs(audio_us - found_us) <= APART_US:
            return found_us, audio_us
        if self._video_found_us is None:
            self._video_found_us = newest_us
        if heard and newest_us - self._video_found_us < SOUND_US:
            return None
        return found_us, found_us

    def by_source_clock(self, told: Progress, near_us: int) -> Zeros | None:
        """Return the zeros if the source's clock still is the one that the other lap read."""
        video_us = self._on_ours(told.zero_us, Medium.VIDEO, near_us)
        about_us = OWN_CLOCK_US if self._timeline.paced else BURST_CLOCK_US
        if video_us is None or abs(video_us - near_us) > about_us:
            return None
        audio_us = self._on_ours(told.audio_zero_us, Medium.AUDIO, video_us)
        if self._shared_clock or audio_us is None or abs(audio_us - video_us) > APART_US:
            audio_us = video_us
        return video_us, audio_us

    def _on_ours(self, zero_us: int | None, medium: Medium, near_us: int) -> int | None:
        """Put a zero of the source's clock onto ours, in the round of its clock that is nearest."""
        if zero_us is None:
            return None
        moved_us, wrap_us = self._timeline.source(medium)
        rounds = round((near_us - moved_us - zero_us) / wrap_us) if wrap_us else 0
        return zero_us + moved_us + rounds * wrap_us

    def behind(self, last: SegmentRow, lap: Lap | None, newest_us: int) -> Place:
        """Tell where to go on behind the newest segment that is stored, as exactly as can be told.

        Args:
            last: the segment.
            lap: one that recorded it, if anything is known of such a one; it records no more.
            newest_us: our newest sample.
        """
        near_us = self.near_us(newest_us, lap, last)
        zeros, shift_k = None, 0
        if lap is not None:
            shift_k = lap.progress.shift_k
            zeros = self.by_landmarks(lap.progress, near_us, newest_us)
            zeros = zeros or self.by_source_clock(lap.progress, near_us)
        exact = zeros is not None
        place = beside(zeros or (near_us, near_us), last, shift_k)
        return replace(place, alone=True, exact=exact)

    def near_us(self, newest_us: int, lap: Lap | None, last: SegmentRow | None = None) -> int:
        """Tell about where on our clock the recording's zero is, by the wall clock.

        The other lap's newest beat says where the recording stood when; unlike the recording's
        start it lies so near that drifting clocks do not matter. A lap that drains beats on and
        receives nothing more, so its idle time counts.
        """
        now_us = self._clock.utc_us()
        if lap is not None and lap.progress.received_us and lap.beat_utc_us:
            told = lap.progress
            age_us = max(0, now_us - lap.beat_utc_us)
            position_us = told.received_us + told.idle_us + age_us
        elif last is not None:
            position_us = last.start_us + (now_us - last.utc_us)
        else:
            position_us = 0
        return newest_us - position_us


def newest_row(recordings: Recordings, sid: str) -> SegmentRow | None:
    """Return the newest segment that is stored, whoever wrote it. Raises: StateUnavailable."""
    return next(iter(recordings.newest(sid, 1)), None)


def beside(zeros: Zeros, last: SegmentRow | None, shift_k: int) -> Place:
    """Tell where to record beside others; `last` is the newest segment that is stored."""
    if last is None:
        return Place(*zeros, after_k=-1, shift_k=shift_k)
    return Place(*zeros, last.k, last.start_us + last.duration_us, shift_k)


def placed(finder: Finder, recordings: Recordings, order: LapOrder) -> list[Lap]:
    """Return the other laps that live and know where in the recording they are, oldest first.

    Raises: StateUnavailable.
    """
    return [
        lap
        for lap in recordings.recent_laps(order.sid)
        if (lap.lane, lap.lap) != (order.lane, order.lap)
        and lap.progress.zero_us is not None
        and finder.lives(lap)
    ]


def goes_first(finder: Finder, recordings: Recordings, order: LapOrder) -> bool:
    """Tell whether an older lap is about to find its place too: ours is where it finds its.

    Two that start when all have died would reckon by the wall clock, each a little differently.
    Raises: StateUnavailable.
    """
    for lap in recordings.recent_laps(order.sid):
        if (lap.lane, lap.lap) == (order.lane, order.lap):
            return False
        seeks = finder.lives(lap) and lap.progress.zero_us is None
        if seeks or finder.starts(lap):
            return True
    return False
