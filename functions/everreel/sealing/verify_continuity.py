"""Follows every track through the segments: nothing overlaps, nothing is missing unsaid."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from everreel.clock import MICROSECONDS
from everreel.media.access_unit import Medium
from everreel.media.bounds import EARLY_US
from everreel.media.segment import Cause
from everreel.media.tolerances import GAP_US
from everreel.sealing.verify_claims import GapClaim, SegmentClaim
from everreel.sealing.verify_media import TrackTimes, shared_pauses
from everreel.sealing.verify_report import Hole, Report, Trouble

_ROUNDING_US = 100
"""Two ticks of any clock we write, so that rounding is no finding."""

LOST = "missing segment"
"""The cause of a hole where there was media once."""


@dataclass(slots=True)
class Continuity:
    """Judges segments one after another.

    Attributes:
        report: where findings go.
        gaps: those declared; None if nothing can declare them (no manifest).
        cut_by_force: segments that no decoder can start with.
    """

    report: Report
    gaps: Sequence[GapClaim] | None
    cut_by_force: list[SegmentClaim] = field(default_factory=list)
    _before: SegmentClaim | None = None
    _tracks: dict[Medium, TrackTimes] = field(default_factory=dict)
    _next_gap: int = 0

    def add(self, claim: SegmentClaim, times: Sequence[TrackTimes] | None) -> None:
        """Judge a segment.

        Args:
            claim: the segment; its start is filled in if only a playlist tells of it.
            times: of its tracks; None if its object cannot be read.
        """
        before = self._before
        if claim.start_us < 0:
            inner = min((each.shown_us for each in times), default=-1) if times else -1
            claim.start_us = inner if inner >= 0 else (before.end_us if before else 0)
        holes = self._ahead(claim) if before is None else self._between(before, claim)
        self._before = claim
        if times is None:
            self._tracks = {}
        else:
            self._inside(claim, times)
            for each in times:
                self._follow(claim, each)
            holes += shared_pauses(times)
            # A track that pauses for a whole segment goes on from where it was.
            self._tracks.update({each.medium: each for each in times})
        self._account(claim, holes)

    def lost_segment(self, claim: SegmentClaim) -> None:
        """Count the time of a segment whose object is gone."""
        self.report.holes.append(Hole(claim.start_us, claim.duration_us, LOST, declared=False))
        self.report.gap_us += claim.duration_us

    def _ahead(self, claim: SegmentClaim) -> list[tuple[int, int]]:
        """Tell what was missing before the first segment when the recording was sealed."""
        first = self.gaps[0] if self.gaps else None
        if first is None or first.cause != Cause.MISSING or first.start_us >= claim.start_us:
            return []
        return [(first.start_us, claim.start_us)]

    def _between(self, before: SegmentClaim, claim: SegmentClaim) -> list[tuple[int, int]]:
        """Judge the seam between two segments; return the time without media in it."""
        apart_us = claim.start_us - before.end_us
        # Before a break nobody knows how long the last unit lasts: it may seem to reach over.
        allowed_us = GAP_US if claim.discontinuity else _ROUNDING_US
        if apart_us < -allowed_us or claim.start_us <= before.start_us:
            self.report.problem(
                Trouble.TIMES,
                claim.key,
                f"starts {_s(-apart_us)} before the end of segment {before.k}",
                claim.k,
            )
        if apart_us <= _ROUNDING_US:
            return []
        if not claim.discontinuity:
            self.report.problem(
                Trouble.GAP,
                claim.key,
                f"starts {_s(apart_us)} after the end of segment {before.k} and is not marked as a "
                "discontinuity",
                claim.k,
            )
        return [(before.end_us, claim.start_us)]

    def _inside(self, claim: SegmentClaim, times: Sequence[TrackTimes]) -> None:
        first_us = min(each.shown_us for each in times)
        room_us = _ROUNDING_US + max(each.tick_us for each in times)
        early_us = claim.start_us - first_us  # sound may begin a little before the pictures
        if not -room_us <= early_us <= room_us + EARLY_US:
            self.report.problem(
                Trouble.TIMES,
                claim.key,
                f"its first unit is presented at {_s(first_us)}, not at {_s(claim.start_us)}",
                claim.k,
            )
        for each in times:
            if each.shown_last_us > claim.end_us + room_us:
                self.report.problem(
                    Trouble.TIMES,
                    claim.key,
                    f"{each.medium.value} reaches to {_s(each.shown_last_us)}, the segment ends at "
                    f"{_s(claim.end_us)}",
                    claim.k,
                )
            if each.medium is Medium.VIDEO and not each.keyframe:
                self.cut_by_force.append(claim)

    def _follow(self, claim: SegmentClaim, now: TrackTimes) -> None:
        """Hold the decode times of a track against those in the segment before."""
        last = self._tracks.get(now.medium)
        if last is None:
            return
        exact = last.bounded and not claim.discontinuity
        limit_us = last.end_us - _ROUNDING_US - now.tick_us if exact else last.last_us + 1
        if now.first_us < limit_us:
            self.report.problem(
                Trouble.TIMES,
                claim.key,
                f"{now.medium.value} goes on at {_s(now.first_us)}, before its end at "
                f"{_s(last.end_us)}",
                claim.k,
            )
        silent_us = now.first_us - last.end_us
        if not claim.discontinuity and silent_us > GAP_US:
            self.report.remark(
                Trouble.TIMES,
                claim.key,
                f"{now.medium.value} pauses for {_s(silent_us)} before it, other tracks go on",
                claim.k,
            )

    def _account(self, claim: SegmentClaim, holes: Sequence[tuple[int, int]]) -> None:
        """Hold the time without media before and inside a segment against what is declared."""
        measured_us = sum(end - start for start, end in holes)
        self.report.gap_us += measured_us
        declared = self._declared(claim)
        cause = " and ".join(dict.fromkeys(gap.cause for gap in declared))
        told_us = sum(gap.duration_us for gap in declared)
        silent_us = measured_us - told_us
        unsaid = self.gaps is not None and silent_us > GAP_US
        if unsaid:
            known = f"; {_s(told_us)} of it are declared ({cause})" if declared else ""
            self.report.problem(
                Trouble.GAP,
                claim.key,
                f"{_s(measured_us)} without media from {_s(holes[0][0])} on{known}",
                claim.k,
            )
        if told_us - measured_us > GAP_US:
            self.report.problem(
                Trouble.CONTRADICTION,
                "recording.json",
                f"declares {_s(told_us)} without media ({cause}), found are {_s(measured_us)}",
                claim.k,
            )
        self.report.holes += [
            Hole(start, end - start, cause, declared=not unsaid)
            for start, end in holes
            if end - start > GAP_US or declared
        ]

    def _declared(self, claim: SegmentClaim) -> list[GapClaim]:
        """Take the gaps that end before the end of a segment and belong to none before."""
        found: list[GapClaim] = []
        gaps = self.gaps or ()
        while self._next_gap < len(gaps):
            gap = gaps[self._next_gap]
            if gap.start_us + gap.duration_us > claim.end_us + _ROUNDING_US:
                break
            found.append(gap)
            self._next_gap += 1
        return found

    def finish(self) -> None:
        """Tell of declared gaps that lie behind the last segment: only missing ones can."""
        for gap in (self.gaps or ())[self._next_gap :]:
            if self._before and gap.cause == Cause.MISSING and gap.start_us == self._before.end_us:
                hole = Hole(gap.start_us, gap.duration_us, gap.cause, declared=True)
                self.report.holes.append(hole)
                self.report.gap_us += gap.duration_us
                continue
            self.report.problem(
                Trouble.CONTRADICTION,
                "recording.json",
                f"declares a gap at {_s(gap.start_us)}, after the last segment ({gap.cause})",
            )


def _s(us: int) -> str:
    return f"{us / MICROSECONDS:.3f} s"
