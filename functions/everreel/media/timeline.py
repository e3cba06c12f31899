"""One clock out of many: raw source ticks in, one timeline out, broken where it must break.

Every repair of time is made here and nowhere else: 24-, 32- and 33-bit wraps, tracks that start at
random offsets (RTP), jumps forwards and backwards, duplicate decode times, an outage that a server
compressed away, and the clock of a source that was opened again. See docs/time.md for the model.

The output clock is the source's own clock in microseconds plus a shift that changes only at a
break. The segmenter moves it to the recording timeline, whose zero is the first keyframe kept.
"""

from collections import Counter
from collections.abc import Sequence

from everreel.media.access_unit import (
    AccessUnit,
    ClockReference,
    ClockReset,
    Medium,
    SourceEvent,
    TrackFormat,
)
from everreel.media.alignment import Alignment
from everreel.media.held_units import HeldUnits
from everreel.media.recent_units import RecentUnits
from everreel.media.segment import Break, Cause, FormatChange, Sample, TimelineEvent
from everreel.media.tolerances import (
    APART_US,
    CATCH_UP_US,
    DRIFT_PPM,
    FRAME_US,
    GAP_US,
    GATHERED_US,
    JUMP_AHEAD_US,
    JUMP_BACK_US,
    NUDGE_US,
    PROBATION_US,
    SILENCE_US,
    STEP_US,
)
from everreel.media.track_clock import SourceClock, TrackClock

Events = list[TimelineEvent]
Times = tuple[int, int]
"""Decode and presentation time of a unit on the output clock, microseconds."""


class Timeline:
    """Puts the access units of one uid on one continuous clock; not thread-safe.

    Attributes:
        repairs: how often each kind of repair was made.
        paced: media comes as it happens, so lateness means that some is missing; False for HLS.
    """

    def __init__(self) -> None:
        """Start with no clock: the first unit defines it."""
        self.repairs: Counter[str] = Counter()
        self.paced = True
        self._tracks: dict[Medium, TrackClock] = {}
        self._shift_us = self._now_us = self._probation_until_us = 0
        self._end_us: int | None = None
        self._delay_us: int | None = None
        self._held = HeldUnits()
        self._alignment = Alignment(self._tracks)
        self._same_clock = self._overlaps = self._opened_anew = self._clock_set = False
        self._recent = RecentUnits()

    # ------------------------------------------------------------------ what callers use

    @property
    def delay_us(self) -> int:
        """Least distance seen between arrival and output clock, microseconds.

        Arrival clock = output clock + delay, at best: this is what ties the timeline to UTC.
        """
        return self._delay_us or 0

    def source(self, medium: Medium) -> SourceClock:
        """Tell how the output clock lies to the source's own."""
        track = self._tracks.get(medium)
        return SourceClock(self._shift_us, 0) if track is None else track.source(self._shift_us)

    def reopened(self) -> None:
        """Say that what follows comes from a new connection to the same source."""
        self._held.take()
        self._same_clock = self._overlaps = self._clock_set = False
        self._opened_anew = True
        self._alignment.forget()
        for track in self._tracks.values():
            track.joined = track.last_us is None

    def feed(self, events: Sequence[SourceEvent], now_us: int) -> Events:
        """Place what arrived at `now_us` (microseconds of a clock that never steps back).

        Returns samples, breaks and format changes in transport order. Samples are held back for up
        to `PROBATION_US` while it is decided whether time is missing, and for up to `DOUBT_WAIT_US`
        while tracks with clocks of their own are aligned.
        """
        out: Events = []
        for event in events:
            if isinstance(event, AccessUnit):
                if self._opened_anew:
                    self._follow_restamped(event)
                if self._held or self._must_hold(event, now_us):
                    self._hold(event, now_us, out)
                else:
                    self._place(event, now_us, out)
                self._now_us = now_us
            elif isinstance(event, ClockReference):
                self._alignment.reference(event)
            elif isinstance(event, ClockReset):
                self._clock_set = True
            elif self._held:
                self._held.add(now_us, event)
            else:
                self._set_format(event, out)
        if self._held:
            self._decide(now_us, out)
        return out

    def flush(self) -> Events:
        """Give out what is held back: the connection ended."""
        out: Events = []
        self._decide_now(out)
        return out

    def _hold(self, unit: AccessUnit, now_us: int, out: Events) -> None:
        """Keep a unit back, unless that would be too much to keep."""
        self._held.add(now_us, unit)
        if self._held.full:
            self._decide_now(out)

    def _decide_now(self, out: Events) -> None:
        if self._alignment.waiting:
            self._alignment.end(self._held)
        self._release(out)

    # ------------------------------------------------------------------ the ordinary way

    def _set_format(self, track_format: TrackFormat, out: Events) -> None:
        track = self._tracks.get(track_format.medium)
        if track is None:
            self._tracks[track_format.medium] = TrackClock(track_format)
        elif track.format == track_format:
            return
        else:
            track.change(track_format)
        out.append(FormatChange(track_format))

    def _place(self, unit: AccessUnit, now_us: int, out: Events) -> None:
        """Give one unit its time; the common case is a small step ahead."""
        medium = unit.medium
        track = self._tracks.get(medium)
        if track is None:
            return
        if unit.dts is None:
            dts_us = pts_us = track.to_us(track.extend(unit.pts)) + self._shift_us
        else:
            ticks = track.extend(unit.dts)
            dts_us = pts_us = track.to_us(ticks) + self._shift_us
            if unit.pts != unit.dts:
                pts_us = track.to_us(ticks + track.lead(unit.pts, unit.dts)) + self._shift_us
        last_us = track.last_us
        if last_us is None or not 0 < dts_us - last_us <= STEP_US or not track.joined:
            moved = self._look_twice(track, unit, (dts_us, pts_us), now_us, out)
            if moved is None:
                return
            dts_us += moved
            pts_us += moved
        track.last_us = track.newest_us = dts_us
        track.shown_us = max(track.shown_us, pts_us)
        track.arrived_us = now_us
        self._end_us = dts_us if self._end_us is None else max(self._end_us, dts_us)
        if self._delay_us is None or now_us - dts_us < self._delay_us:
            self._delay_us = now_us - dts_us
        self._recent.add(medium, pts_us, unit.data)
        out.append(Sample(medium, pts_us, dts_us, unit.keyframe, unit.data))

    # ------------------------------------------------------------------ the repairs

    def _look_twice(
        self, track: TrackClock, unit: AccessUnit, times_us: Times, now_us: int, out: Events
    ) -> int | None:
        """Judge an unusual step; return by how much to move the unit, None to drop it."""
        dts_us, pts_us = times_us
        if not track.joined:
            return self._rejoin(track, unit, times_us, now_us, out)
        end_us = self._end_us
        if track.last_us is None:
            falls = unit.dts is None and unit.medium is Medium.VIDEO
            left_us = track.left_us(dts_us, falls=falls)
            if left_us is not None:  # still on the clock that another track has just left
                self.repairs["stale"] += 1
                dts_us, pts_us = dts_us + left_us, pts_us + left_us
                out.append(Sample(unit.medium, pts_us, dts_us, unit.keyframe, unit.data))
                return None
            # A track that appears: on a shared clock it is near the others.
            if end_us is None or abs(dts_us - end_us) < APART_US:
                newest_us = track.newest_us
                early = newest_us is not None and dts_us <= newest_us
                return (newest_us or 0) + NUDGE_US - dts_us if early else 0
            return self._reset(unit, times_us, now_us, out, Cause.JUMP)
        step_us = dts_us - track.last_us
        if step_us < -JUMP_BACK_US:
            return self._reset(unit, times_us, now_us, out, Cause.JUMP)
        if step_us <= 0:
            if unit.dts is None and unit.medium is Medium.VIDEO:
                return 0  # presentation times step back in decode order; the segmenter sorts them
            self.repairs["nudged"] += 1
            return NUDGE_US - step_us
        ahead_us = dts_us - (end_us if end_us is not None else dts_us)
        if ahead_us > GAP_US:
            passed_us = now_us - track.arrived_us if self.paced else step_us
            if self._clock_set or step_us - passed_us > JUMP_AHEAD_US:
                return self._reset(unit, times_us, now_us, out, Cause.JUMP)
            # Every track paused and the clock went on: the time is real, the media is missing.
            out.append(Break(Cause.LOSS, dts_us, ahead_us, continuous=True))
        return 0

    def _reset(
        self, unit: AccessUnit, times_us: Times, now_us: int, out: Events, cause: Cause
    ) -> int:
        """Re-anchor the clock: media goes on where the wall clock says, or right after the end."""
        dts_us, pts_us = times_us
        end_us = self._end_us if self._end_us is not None else dts_us
        paused_us = max(0, now_us - self._arrived_us())
        if cause is Cause.JUMP and (paused_us <= GATHERED_US or not self.paced):
            paused_us = 0  # between two reads or bursts nothing arrives, and nothing is missing
        track = self._tracks[unit.medium]
        at_us = end_us + max(paused_us, FRAME_US)  # UTC stays in step
        if unit.keyframe:  # shown after all pictures before it, however late those are shown
            at_us = max(at_us, track.shown_us + FRAME_US + dts_us - pts_us)
        move_us = at_us - dts_us
        self._shift_us += move_us
        self._delay_us = now_us - at_us
        self._recent.clear()
        for other in self._tracks.values():
            other.abandon(move_us if cause is Cause.JUMP else None)
        track.stale_us = None
        self._clock_set = False
        self.repairs["reset"] += 1
        gap_us = paused_us if paused_us > GAP_US else 0
        out.append(Break(cause, at_us, gap_us, continuous=cause is Cause.JUMP))
        return move_us

    def _rejoin(
        self, track: TrackClock, unit: AccessUnit, times_us: Times, now_us: int, out: Events
    ) -> int | None:
        """Find out after a reopen whether the source still runs on the clock we know.

        It does if it repeats a unit that we have, or if it is ahead of the end by as much as the
        wall clock, in bursts also by less. Units that we have are dropped; known times with other
        content, or times far off, are a new clock.
        """
        dts_us, pts_us = times_us
        repeated = self._recent.holds(unit.medium, pts_us, unit.data)
        if repeated:
            self._same_clock = self._overlaps = True
            self.repairs["repeated"] += 1
            return None
        ahead_us = dts_us - (dts_us if self._end_us is None else self._end_us)
        early_us = ahead_us - (now_us - self._arrived_us())
        if self.paced:  # in bursts, what was sent while we were away comes too
            early_us = abs(early_us)
        if self._same_clock:
            if track.last_us is not None and dts_us <= track.last_us:
                self.repairs["repeated"] += 1  # older than what we remember
                return None
        elif repeated is False or ahead_us <= -STEP_US or early_us >= JUMP_AHEAD_US:
            return self._reset(unit, times_us, now_us, out, Cause.RECONNECT)
        self._same_clock = True
        track.joined = True
        if ahead_us > (GAP_US if self._overlaps or not self.paced else FRAME_US * 3 // 2):
            # Units are missing, so the group of pictures that runs on cannot be decoded.
            gap_us = ahead_us if ahead_us > GAP_US else 0
            out.append(Break(Cause.RECONNECT, dts_us, gap_us, continuous=False))
        if track.last_us is not None and dts_us <= track.last_us and unit.dts is not None:
            return track.last_us + NUDGE_US - dts_us
        return 0

    def _arrived_us(self) -> int:
        return max((track.arrived_us for track in self._tracks.values()), default=0)

    # ------------------------------------------------------------------ holding units back

    def _must_hold(self, unit: AccessUnit, now_us: int) -> bool:
        """Hold units while tracks lack a common clock, and after a silence."""
        if unit.dts is None:
            running = self._end_us is not None and self._all_joined()
            begins_us = now_us - self.delay_us - self._shift_us if running else None
            if self._alignment.needs_time(unit, now_us, begins_us):
                return True
        if not self.paced or self._end_us is None:
            return False
        if not self._all_joined():
            return self._may_be_another_life(unit, now_us)
        if now_us - self._now_us <= SILENCE_US:
            return False
        self._probation_until_us = now_us + PROBATION_US
        if self._delay_us is not None:
            self._delay_us += (now_us - self._now_us) * DRIFT_PPM // 1_000_000
        return True

    def _decide(self, now_us: int, out: Events) -> None:
        """Release held units once it is known what the silence before them was."""
        if self._alignment.waiting:
            if self._alignment.settle(self._held, now_us):
                self._release(out)
            return
        late_us = self._late_us(*self._held.newest)
        if late_us >= CATCH_UP_US:
            if now_us < self._probation_until_us:
                return
            if self._all_joined():
                self._insert_outage(late_us, out)
        self._release(out)

    def _all_joined(self) -> bool:
        return all(track.joined for track in self._tracks.values())

    def _follow_restamped(self, unit: AccessUnit) -> None:
        """Go on with our clock where a connection repeats what we have with stamps of its own."""
        track = self._tracks.get(unit.medium)
        if track is not None and unit.dts is not None and self.paced:
            self._opened_anew = False
            pts_us = track.to_us(track.peek(unit.pts)) + self._shift_us
            if self._recent.holds(unit.medium, pts_us, unit.data) is not True:
                self._shift_us += self._recent.moved_us(unit.medium, pts_us, unit.data)

    def _may_be_another_life(self, unit: AccessUnit, now_us: int) -> bool:
        """Hold units that we have already and that come late, on a new connection.

        Servers repeat what they keep, which ends with the present; a publisher that plays the same
        stream from its start again stays late. Only time tells.
        """
        if unit.dts is None or self._same_clock or not self._repeats_late(now_us, unit):
            return False
        self._probation_until_us = now_us + PROBATION_US
        return True

    def _repeats_late(self, arrived_us: int, unit: AccessUnit) -> bool:
        track = self._tracks.get(unit.medium)
        if track is None or self._late_us(arrived_us, unit) < CATCH_UP_US:
            return False
        pts_us = track.to_us(track.peek(unit.pts)) + self._shift_us
        return self._recent.holds(unit.medium, pts_us, unit.data) is True

    def _begin_anew(self, out: Events) -> None:
        """Reset the clock if what was repeated stays late: it is another life of the same stream.

        Also where every session's clock begins with 0 (RTP-Info): its times are the first life's.
        What a server keeps of a stream that stands still is late as well, but ends where we did.
        """
        (came_us, unit), newest = self._held.first, self._held.newest
        at_us = self._peek_us(unit)
        ended_us = (self._end_us or 0) - STEP_US
        kept = unit.dts is not None and (self._peek_us(newest[1]) or 0) > ended_us
        late = self._late_us(*newest) >= CATCH_UP_US and not kept
        if at_us is not None and late and self._repeats_late(came_us, unit):
            self._end_us = at_us + self._reset(unit, (at_us, at_us), came_us, out, Cause.RECONNECT)

    def _late_us(self, arrived_us: int, unit: AccessUnit) -> int:
        at_us = self._peek_us(unit)
        return 0 if at_us is None or self._delay_us is None else arrived_us - at_us - self._delay_us

    def _peek_us(self, unit: AccessUnit) -> int | None:
        track = self._tracks.get(unit.medium)
        if track is None:
            return None
        raw = unit.pts if unit.dts is None else unit.dts
        return track.to_us(track.peek(raw)) + self._shift_us

    def _insert_outage(self, late_us: int, out: Events) -> None:
        """Put back the time that a server took out when it ran timestamps on over an outage."""
        first_us, end_us = self._peek_us(self._held.first[1]), self._end_us
        if end_us is None or first_us is None:
            return
        if not -JUMP_BACK_US < first_us - end_us < JUMP_AHEAD_US:
            return  # a jump, which `_place` will see for itself
        at_us = first_us + late_us
        shown_us = first_us - end_us  # a part of the outage may show in the timestamps
        gap_us = late_us + (shown_us if shown_us > GAP_US else 0)
        self._shift_us += late_us
        for track in self._tracks.values():
            if track.last_us is not None:
                track.last_us += late_us
        self._end_us = max(end_us + late_us, at_us)
        self._recent.clear()
        self.repairs["outage"] += 1
        out.append(Break(Cause.OUTAGE, at_us, gap_us, continuous=True))

    def _release(self, out: Events) -> None:
        if self._held and not self._all_joined():
            self._begin_anew(out)
        for arrived_us, event in self._held.take():
            if isinstance(event, TrackFormat):
                self._set_format(event, out)
            else:
                self._place(event, arrived_us, out)
