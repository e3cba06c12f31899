"""Judges a recording by every access unit that was published. Pure: digests in, findings out.

What is lost between the first and the last recorded unit must lie inside a gap that the manifest
declares, and a declared gap must be one: where nothing was published, or something is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from everreel.media.segment import Cause
from tests.lab.compare import compare
from tests.lab.digests import Medium, PlaylistPart, UnitDigest, of_medium

MEDIA: tuple[Medium, ...] = ("video", "audio")

EDGE_US = 600_000
"""A gap may begin and end so far from the hole of one medium: media do not end at one instant."""

SMALL_US = 700_000
"""A shorter hole is declared by a discontinuity alone: `media.tolerances.GAP_US` counts from the
medium that lasts longest, and sound may end a fifth of a second before the picture."""

LENGTH_US = 1_500_000
"""A gap's length is measured by arrival where clocks break; it may be off by so much."""

DRIFT_US = 3_000
"""Timestamps of one stretch keep their distance to those published; RTMP counts milliseconds."""

LEAP_US = 100_000
"""Where the source's clock leaps in mid-stream, media goes on behind the end of all its tracks."""

STALL_US = 1_000_000
"""The same on a busy machine: nothing tells a pause at the leap from a moment of standing still."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one start of the publisher sends: a round of units, over and over.

    Two starts must not share a payload, or nobody can tell them apart.
    """

    units: Sequence[UnitDigest]
    round_us: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without media as the recording declares it. Units: its own timeline, microseconds."""

    start_us: int
    duration_us: int
    cause: str = ""

    @property
    def end_us(self) -> int:
        """Where media go on."""
        return self.start_us + self.duration_us

    def __str__(self) -> str:
        return (
            f"gap of {self.duration_us / 1e6:.3f} s at {self.start_us / 1e6:.3f} s ({self.cause})"
        )


@dataclass(frozen=True, slots=True)
class Hole:
    """Published units between two recorded ones that are missing, or an encoder's restart.

    Attributes:
        units: how many are missing.
        missing_us: how long they would last.
        start_us, end_us: on the recording's timeline, end of the unit before and start of the next.
        broken: the playlist says `EXT-X-DISCONTINUITY` before the unit after it.
        restart: the publisher was started anew in it, so that time without media passed as well.
    """

    medium: Medium
    units: int
    missing_us: int
    start_us: int
    end_us: int
    broken: bool
    restart: bool = False

    def __str__(self) -> str:
        place = f"{self.start_us / 1e6:.3f}..{self.end_us / 1e6:.3f} s"
        restart = ", a restart" if self.restart else ""
        return f"{self.units} {self.medium} units lost at {place}{restart}"

    def inside(self, gap: Gap) -> bool:
        """Tell whether a gap covers it."""
        return gap.start_us - EDGE_US <= self.start_us and self.end_us <= gap.end_us + EDGE_US

    def declared(self, gaps: Iterable[Gap]) -> bool:
        """Tell whether the recording owns up to it."""
        if not self.units or (self.missing_us < SMALL_US and self.broken):
            return True
        return any(self.inside(gap) for gap in gaps)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of the units of one recording.

    Attributes:
        recorded: units in the playlist.
        lost: published between the first and the last recorded unit of a medium, and missing.
        doubled, reordered, foreign: recorded twice, after a later one, or never published.
        holes: where units are missing.
        undeclared: holes of which the recording says nothing.
        invented: gaps it declares where nothing is missing.
        stretched: gaps whose declared length is not that of what is missing.
        drift_us: how far the distance to the published times wanders within a stretch.
        steady_us: how far it may.
        gaps: declared.
    """

    recorded: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    foreign: int = 0
    holes: tuple[Hole, ...] = ()
    undeclared: tuple[Hole, ...] = ()
    invented: tuple[Gap, ...] = ()
    stretched: tuple[Gap, ...] = ()
    drift_us: int = 0
    steady_us: int = DRIFT_US
    gaps: tuple[Gap, ...] = ()

    @property
    def missing_s(self) -> list[float]:
        """Length of each hole: the longest of what it lacks of any medium. Units: seconds."""
        lengths: list[tuple[int, int, int]] = []
        for hole in sorted((h for h in self.holes if h.units), key=lambda h: h.start_us):
            if lengths and hole.start_us <= lengths[-1][1] + EDGE_US:
                start_us, end_us, missing_us = lengths.pop()
                end_us, missing_us = max(end_us, hole.end_us), max(missing_us, hole.missing_us)
                lengths.append((start_us, end_us, missing_us))
            else:
                lengths.append((hole.start_us, hole.end_us, hole.missing_us))
        return [missing_us / 1e6 for _start, _end, missing_us in lengths]

    @property
    def notes(self) -> list[str]:
        """Every hole and every declared gap, one phrase each, in order of time."""
        found = [(hole.start_us, str(hole)) for hole in self.holes]
        found += [(gap.start_us, str(gap)) for gap in self.gaps]
        return [text for _at, text in sorted(found)]

    @property
    def faults(self) -> list[str]:
        """Every invariant that does not hold, one sentence each."""
        found = [
            f"{count} units {what}"
            for what, count in (
                ("doubled", self.doubled),
                ("reordered", self.reordered),
                ("that nobody published", self.foreign),
            )
            if count
        ]
        found += [f"{hole}, undeclared" for hole in self.undeclared]
        found += [f"{gap} declared and nothing missing" for gap in self.invented]
        found += [f"{gap} declared, its length is wrong" for gap in self.stretched]
        if self.drift_us > self.steady_us:
            found.append(f"timestamps wander by {self.drift_us} us")
        if not self.recorded:
            found.append("nothing recorded")
        return found


@dataclass(frozen=True, slots=True)
class _Placed:
    """A recorded unit that was found in what was published.

    Attributes:
        turn: which start of the publisher.
        at: position, counted through all rounds.
        offset_us: recorded less published time.
    """

    turn: int
    at: int
    pts_us: int
    offset_us: int
    broken: bool


def judge(
    parts: Sequence[tuple[PlaylistPart, Sequence[UnitDigest]]],
    sent: Sequence[Sent],
    gaps: Sequence[Gap],
    *,
    leap_us: int = 0,
) -> Judgement:
    """Judge a recording.

    Args:
        parts: the segments of its playlist with their units, in order.
        sent: what each start of the publisher sent, in order.
        gaps: declared by its manifest.
        leap_us: how far the seam may be off where the source's clock leapt in mid-stream.
    """
    total = {"recorded": 0, "lost": 0, "doubled": 0, "reordered": 0, "foreign": 0}
    holes: list[Hole] = []
    drift_us = 0
    for medium in MEDIA:
        units = [(unit, part) for part, found in parts for unit in of_medium(found, medium)]
        total["recorded"] += len(units)
        placed = _placed(medium, units, sent, total)
        holes += _holes(medium, placed, sent)
        drift_us = max(drift_us, _drift_us(placed))
    total["lost"] += sum(hole.units for hole in holes)
    return Judgement(
        **total,
        holes=tuple(holes),
        undeclared=tuple(hole for hole in holes if not hole.declared(gaps)),
        invented=tuple(gap for gap in gaps if not _meant(gap, holes, leap_us)),
        stretched=tuple(gap for gap in gaps if _stretched(gap, holes)),
        drift_us=drift_us,
        steady_us=max(DRIFT_US, leap_us),
        gaps=tuple(gaps),
    )


def _placed(
    medium: Medium,
    units: Sequence[tuple[UnitDigest, PlaylistPart]],
    sent: Sequence[Sent],
    total: dict[str, int],
) -> list[_Placed]:
    """Find every unit in what was sent; count what is foreign, doubled or out of order."""
    owners = {u.sha: turn for turn, each in enumerate(sent) for u in of_medium(each.units, medium)}
    by_turn: dict[int, list[int]] = {}
    newest, part_before = 0, None
    broken = [False] * len(units)
    for index, (unit, part) in enumerate(units):
        # Several media, one discontinuity: each medium has its own first unit after it.
        broken[index] = part is not part_before and part.discontinuity
        part_before = part
        turn = owners.get(unit.sha)
        if turn is None:
            total["foreign"] += 1
            continue
        if turn < newest:
            total["reordered"] += 1
        newest = max(newest, turn)
        by_turn.setdefault(turn, []).append(index)
    found: list[tuple[int, _Placed]] = []
    for turn, indexes in by_turn.items():
        theirs = of_medium(sent[turn].units, medium)
        round_us = sent[turn].round_us
        run = compare(
            theirs, [units[index][0] for index in indexes], looped_every_us=round_us
        ).runs[medium]
        total["doubled"] += len(run.doubled)
        total["reordered"] += len(run.reordered)
        for index, at in zip(indexes, run.places, strict=True):
            rounds, within = divmod(at, len(theirs))
            pts_us = units[index][0].pts_us
            offset_us = pts_us - theirs[within].pts_us - rounds * round_us
            found.append((index, _Placed(turn, at, pts_us, offset_us, broken[index])))
    return [placed for _index, placed in sorted(found, key=lambda pair: pair[0])]


def _holes(medium: Medium, placed: Sequence[_Placed], sent: Sequence[Sent]) -> list[Hole]:
    holes: list[Hole] = []
    for index, (before, after) in enumerate(pairwise(placed), 1):
        each = sent[after.turn]
        unit_us = each.round_us // max(1, len(of_medium(each.units, medium)))
        restart = after.turn > before.turn
        missing = after.at if restart else after.at - before.at - 1
        if missing <= 0 and not restart:
            continue
        # Pictures are stored in decode order: the last one shown may be a few before the last.
        end_us = max(p.pts_us for p in placed[max(0, index - 8) : index]) + unit_us
        start_us = min(p.pts_us for p in placed[index : index + 8])
        holes.append(
            Hole(
                medium, missing, missing * unit_us, end_us, max(start_us, end_us), after.broken,
                restart,
            )
        )  # fmt: skip
    return holes


def _drift_us(placed: Sequence[_Placed]) -> int:
    """Measure how far offsets spread where no unit is missing."""
    worst = 0
    low = high = placed[0].offset_us if placed else 0
    for before, after in pairwise(placed):
        if after.broken or after.turn != before.turn or after.at != before.at + 1:
            low = high = after.offset_us
        low, high = min(low, after.offset_us), max(high, after.offset_us)
        worst = max(worst, high - low)
    return worst


def _meets(hole: Hole, gap: Gap) -> bool:
    return hole.start_us <= gap.end_us + EDGE_US and gap.start_us - EDGE_US <= hole.end_us


def _meant(gap: Gap, holes: Sequence[Hole], leap_us: int) -> bool:
    """Tell whether something is missing in a gap, or it is the pause at a leap."""
    seam = gap.cause == Cause.JUMP and gap.duration_us <= leap_us
    return seam or any(_meets(hole, gap) for hole in holes)


def _stretched(gap: Gap, holes: Sequence[Hole]) -> bool:
    """Tell whether a gap is far longer or shorter than what is missing in it."""
    within = [hole for hole in holes if _meets(hole, gap)]
    if not within or any(hole.restart for hole in within):
        return False  # time without media passed too, and nobody published a measure of it
    missing_us = max(
        sum(hole.missing_us for hole in within if hole.medium == medium) for medium in MEDIA
    )
    return abs(gap.duration_us - missing_us) > LENGTH_US
