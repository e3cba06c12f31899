"""The loop of a lap: keeps the source open, feeds what it sends, and drains at the end."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import (
    Blame,
    EverreelError,
    FenceLost,
    Retry,
    SourceEnded,
    SourceError,
    StoreTooSlow,
)
from everreel.media.access_unit import AccessUnit, Medium, SourceEvent
from everreel.media.segment import Segment
from everreel.media.timeline import Timeline
from everreel.protocols.ports import Source
from everreel.recorder.cutting import Cutting
from everreel.recorder.heartbeat import Heartbeat
from everreel.recorder.orders import LapSettings, Outcome
from everreel.recorder.package import Packaged, Packager
from everreel.recorder.publish import Publisher
from everreel.recorder.resync import ENDS_ALL
from everreel.recorder.task import LapTask
from everreel.recorder.uploads import UploadQueue
from everreel.state.ports import Recordings
from everreel.state.recording import (
    Failure,
    LapOrder,
    Progress,
    Reason,
    Recording,
    Subscribe,
    parse_lap,
)
from everreel.state.status import Status

log = logging.getLogger(__name__)

POLL_S = 0.25
"""Longest wait for media before stop, deadline and idle time are looked at again."""

REOPEN_S = (0.2, 0.5, 1.0, 2.0, 3.0)
"""Pauses between tries to open the source; the last one repeats until the idle time is up."""

LONGEST_BURST_S = 20
"""A segment of an HLS source is hardly ever longer; its next one comes within this."""

SPARE_S = 5.0
"""Kept of a function's time to write down how the lap ended."""

LOOKS_PER_S = 1.6
"""Of the time to drain, looks half a second apart take four fifths: the rest is for the store."""

LONGEST_DRAIN_S = 120.0
"""How long a store that does not answer is waited for at the end, if the function has the time."""

LEAST_LISTEN_S = 10.0
"""However long the silence before it, a lap listens for so long before it calls a source idle."""

IN_TURN_S = 0.7
"""Head start of each lane over the next with every bucket, where several record side by side."""

DUE = 8
"""Segments that wait for the store of which the others are told: the newest are in question."""

LONGEST_DEBT_S = 15.0
"""After a stop a lap completes what its successor relies on: a segment and a group of pictures."""

OpenSource = Callable[[str, threading.Event], Source]
"""Opens a URL through the guard; gives up when the event is set."""


class Loop:
    """The state of a running lap."""

    def __init__(
        self,
        recording: Recording,
        order: LapOrder,
        open_source: OpenSource,
        publisher: Publisher,
        recordings: Recordings,
        clock: Clock,
        settings: LapSettings,
        deadline_s: float,
        task: LapTask | None,
    ) -> None:
        options = recording.options
        now_s = clock.monotonic()
        self._recording = recording
        self._order = order
        self._open_source = open_source
        self._url = recording.source_for(order.recorder_uid)
        self._publisher = publisher
        self._clock = clock
        self._settings = settings
        self._leave_s = deadline_s - settings.drain_s
        self._full_s = now_s + options.max_duration_s if options.max_duration_s else None
        if self._full_s is not None and order.follows:
            self._full_s -= (clock.utc_us() - recording.created_utc_us) / MICROSECONDS
        self._idle_s = options.max_idle_s
        self._media_at_s = now_s - self._silence_s(recordings)
        self._status = Status.STARTING
        self._note = ""
        self._reopens = 0
        self._stop_s = 0.0
        self._entered_k = -1
        self._leaving = threading.Event()
        self._stopped = False
        self._timeline = Timeline()
        self._cutting = Cutting(recording, order, recordings, clock, self._timeline)
        self._segmenter = self._cutting.segmenter
        self._packager = Packager(options.container)
        self._uploads: UploadQueue[Packaged] = UploadQueue(
            publisher.publish, limit_bytes=settings.queue_bytes, clock=clock
        )
        self._heart = Heartbeat(
            recordings,
            (order.sid, order.lane, order.lap),
            self._progress,
            every_s=settings.beat_s,
            clock=clock,
            task=task,
        )
        lanes = options.reliability.lanes
        beside = options.reliability.width > 1 and order.lane in lanes
        self._in_turn_s = IN_TURN_S * lanes.index(order.lane) if beside else 0.0
        publisher.on_first_commit = self._heart.now
        publisher.give_way = self._give_way
        publisher.is_over = self._is_over

    def _silence_s(self, recordings: Recordings) -> float:
        """Return for how long the lap before us has heard nothing: its silence goes on in ours."""
        order = self._order
        if not order.follows:
            return 0.0
        before = recordings.lap(order.sid, *parse_lap(order.follows))
        if before is None or not before.progress.idle_us:
            return 0.0
        silent_us = before.progress.idle_us + self._clock.utc_us() - before.beat_utc_us
        return max(0.0, min(silent_us / MICROSECONDS, self._idle_s - LEAST_LISTEN_S))

    def run(self) -> Outcome:
        """Record, then leave in order."""
        self._heart.start()
        try:
            reason, failure = self._record_and_drain()
        finally:
            # Whatever happens, nobody beats for a lap that has ended: a warm function would.
            self._heart.close()
            self._uploads.close(drain_s=0.0)
        fenced = self._heart.fenced.is_set()
        return Outcome(self._order.sid, reason, failure, self._progress(), fenced=fenced)

    def _record_and_drain(self) -> tuple[Reason, Failure | None]:
        failure: Failure | None = None
        try:
            reason = self._record()
        except FenceLost:
            self._heart.fenced.set()
            reason = Reason.FAULT
        except EverreelError as error:
            if isinstance(error, SourceEnded) and error.retry is Retry.NEVER:
                reason = Reason.IDLE  # all there ever was is recorded, and nobody publishes
            else:
                reason, failure = _reason_of(error), Failure.of(error)
        if self._heart.fenced.is_set():
            return reason, failure
        return self._drain(reason, failure)

    # ------------------------------------------------------------------ the loop

    def _record(self) -> Reason:
        """Keep the source open and feed what it sends; return why the lap ends."""
        tries = 0
        lost: SourceError | None = None
        before: Source | None = None
        while (ending := self._ending()) is None:
            try:
                source = self._open_source(self._url, self._heart.gone)
            except SourceError as error:
                lost = self._after(error, tries)
                tries += 1
                continue
            if self._order.follows and self._status < Status.PARTLY_READY:
                source.reach_back(self._cutting.behind_s())
            if self._reopens:
                self._timeline.reopened()
            if before is not None:
                source.resume(before)
            before = source
            try:
                while (ending := self._ending()) is None:
                    events = source.read(POLL_S)
                    if events:
                        tries, lost = 0, None
                        self._timeline.paced = not source.in_bursts
                    self._take(events)
            except SourceError as error:
                self._store(self._cutting.feed(self._timeline.flush()))
                lost = self._after(error, tries)
                tries += 1
            finally:
                source.close()
        if ending is Reason.IDLE and lost is not None and self._segmenter.origin_us is None:
            raise lost  # nothing ever came: what the server said is the better answer
        return ending

    def _after(self, error: SourceError, tries: int) -> SourceError:
        """Wait before the source is opened again. Raises: the error if no retry can help."""
        if error.retry is Retry.NEVER:
            raise error
        self._reopens += 1
        self._note = f"waiting for the source: {error.message}"
        log.warning("source lost (%s): %s", error.code, error.message)
        until_s = self._clock.monotonic() + REOPEN_S[min(tries, len(REOPEN_S) - 1)]
        while self._ending() is None and self._clock.monotonic() < until_s:
            self._heart.stop.wait(POLL_S / 2)
            self._let_go_of_the_silent()
        return error

    def _ending(self) -> Reason | None:
        """Tell what ends the lap, if anything does."""
        self._heart.turn()
        if self._heart.fenced.is_set():
            raise FenceLost("another lap has taken over")
        if self._uploads.failure is not None:
            raise self._uploads.failure
        now_s = self._clock.monotonic()
        if self._heart.stop.is_set():
            self._stop_s = self._stop_s or now_s
            if not self._owes_the_heir(self._stop_s, LONGEST_DEBT_S):
                return Reason.STOPPED
        if self._full_s is not None and now_s >= self._full_s:
            return Reason.MAX_DURATION
        if now_s >= self._leave_s and not self._owes_the_heir(
            self._leave_s, self._settings.drain_s / 2
        ):
            return Reason.LAP_LIMIT
        relieved = self._heart.relieved.is_set() and not self._segmenter.owes(self._heart.heir_k)
        if relieved and self._cutting.may_leave():
            return Reason.HANDED_OVER
        if now_s - self._media_at_s >= self._idle_s:
            return Reason.IDLE
        return None

    def _owes_the_heir(self, since_s: float, limit_s: float) -> bool:
        """Tell whether a successor relies on us for the media before its own, for a while yet."""
        heir_k = self._heart.heir_k
        late = self._clock.monotonic() - since_s > limit_s
        return heir_k >= 0 and not late and self._segmenter.owes(heir_k)

    def _take(self, events: Sequence[SourceEvent]) -> None:
        events = wanted(events, self._recording.options.subscribe)
        now_s = self._clock.monotonic()
        if events:
            self._note = ""
            if self._status < Status.PARTLY_READY:
                self._reached(Status.PARTLY_READY)
        known = self._timeline.repairs["repeated"]
        timed = self._timeline.feed(events, round(now_s * MICROSECONDS))
        # Neither a server's clock reports nor what it repeats mean that somebody publishes.
        units = sum(isinstance(event, AccessUnit) for event in events)
        if units > self._timeline.repairs["repeated"] - known:
            self._media_at_s = now_s
        segments = self._cutting.feed(timed)
        if self._status < Status.READY and self._segmenter.origin_us is not None:
            self._reached(Status.READY)
        if segments:
            self._store(segments)
        if not timed:
            self._let_go_of_the_silent()
        self._cutting.tend(self._publisher.passed_k)
        if self._entered_k != self._segmenter.entered_k:
            self._entered_k = self._segmenter.entered_k
            self._heart.now()  # the laps beside us may rely on it

    def _give_way(self, segment: Segment) -> None:
        """Let others commit a bucket first that they have as well; on the upload thread.

        Whoever has it whole, if ours is only a part; the successor, so that we may go; and of laps
        side by side the one whose turn it is, which follows from the lane alone.
        """
        heart, k = self._heart, segment.k
        if segment.stand_in or not segment.whole:
            spare_s, poll_s = self._settings.drain_s - SPARE_S, self._settings.give_way_s / 4
            looks = round(LOOKS_PER_S * spare_s)
            latest_s = self._leave_s + LOOKS_PER_S / 2 * spare_s
            self._cutting.yielding.wait(segment, self._leaving, poll_s, looks, latest_s)
        elif not self._uploads.behind and 0 <= heart.heir_k <= k:
            heart.relieved.wait(self._settings.give_way_s)
        elif not self._uploads.behind:
            self._leaving.wait(self._in_turn_s)
        if self._uploads.abandoned:
            raise StoreTooSlow("the lap ended while another one was given precedence")

    def _is_over(self, segment: Segment) -> bool:
        return self._stopped and self._cutting.yielding.is_over(segment, self._heart.fenced)

    def _let_go_of_the_silent(self) -> None:
        """Commit the open segment of a source that went silent: memory is no place to wait in.

        One that comes in bursts is silent between any two of them, and goes on where it was.
        """
        least_s = 0 if self._timeline.paced else LONGEST_BURST_S
        patience_s = max(self._recording.options.segment_s, least_s)
        if self._clock.monotonic() - self._media_at_s >= patience_s:
            self._store(self._cutting.pause(self._timeline.flush(), self._heart.heir_k))

    def _reached(self, status: Status) -> None:
        self._status = status
        self._heart.now()

    def _store(self, segments: Sequence[Segment]) -> None:
        """Queue segments for the store; the first one fixes what UTC the recording began at."""
        for segment in segments:
            self._heart.turn()  # each may wait for room in the queue
            if not self._publisher.origin_utc_us:
                self._publisher.origin_utc_us = self._origin_utc_us()
            self._uploads.put(self._packager.package(segment), wait_s=self._settings.full_wait_s)

    def _origin_utc_us(self) -> int:
        """UTC of recording timeline 0: when its first keyframe would have arrived without delay."""
        origin_us = (self._segmenter.origin_us or 0) + self._timeline.delay_us
        return self._clock.utc_us() - round(self._clock.monotonic() * MICROSECONDS) + origin_us

    # ------------------------------------------------------------------ the end

    def _drain(self, reason: Reason, failure: Failure | None) -> tuple[Reason, Failure | None]:
        """Commit what was received, with the time that is left."""
        self._stopped = reason in ENDS_ALL
        self._leaving.set()
        self._heart.turn(spare_s=LONGEST_DRAIN_S)
        try:
            heart, rest = self._heart, self._timeline.flush()
            latest_s = self._leave_s + self._settings.drain_s / 2
            self._store(self._cutting.close(rest, heart.heir_k, heart.fenced, latest_s))
            heart.now()  # laps beside us wait for our part of a bucket no longer
            left_s = self._leave_s + self._settings.drain_s - self._clock.monotonic()
            drained = self._uploads.close(drain_s=min(max(left_s - SPARE_S, 0.0), LONGEST_DRAIN_S))
            if self._uploads.failure is not None:
                raise self._uploads.failure
            if not drained:
                raise StoreTooSlow(
                    "the lap had to end before the store took all that was received "
                    f"({self._uploads.waiting_for_store or 'slow, no error'}); "
                    "check the bucket's health and its region"
                )
            if reason is not Reason.HANDED_OVER:
                self._publisher.finish()
        except FenceLost:
            self._heart.fenced.set()
        except EverreelError as error:
            if failure is None:
                return _reason_of(error), Failure.of(error)
            log.error("not everything received was stored: %s", error.message)  # noqa: TRY400
        return reason, failure

    def _progress(self) -> Progress:
        done = self._publisher
        idle_s = max(0.0, self._clock.monotonic() - self._media_at_s)
        progress = Progress(
            status=Status.IN_PROGRESS if done.segments else self._status,
            segments=done.segments,
            bytes=done.bytes,
            media_us=done.media_us,
            received_us=max(self._segmenter.received_us, done.media_us),
            idle_us=round(idle_s * MICROSECONDS) if idle_s > 2 * POLL_S else 0,
            reconnects=self._reopens,
            note=self._uploads.waiting_for_store or self._note,
            recorded_us=done.recorded_us,
            shown=done.playlists.shown,
        )
        told = self._cutting.tell(progress)
        waiting = (each.segment for each in self._uploads.waiting)  # last: what was open may be due
        due = tuple(each.k for each in waiting if each.whole and not each.stand_in)
        return replace(told, due=due[-DUE:])


def wanted(events: Sequence[SourceEvent], subscribe: Subscribe) -> Sequence[SourceEvent]:
    """Leave out the medium that nobody asked for."""
    if subscribe is Subscribe.BOTH:
        return events
    keep = Medium.VIDEO if subscribe is Subscribe.VIDEO else Medium.AUDIO
    return [event for event in events if event.medium is keep]


def _reason_of(error: EverreelError) -> Reason:
    if isinstance(error, SourceError):
        return Reason.SOURCE_FAILED
    if error.blame is Blame.DESTINATION:
        return Reason.DESTINATION_FAILED
    return Reason.FAULT
