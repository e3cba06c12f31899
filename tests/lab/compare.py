"""Finds a recording inside what was published; names every unit lost, doubled or misplaced."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.lab.digests import Medium, UnitDigest, of_medium


@dataclass(frozen=True, slots=True)
class Run:
    """How the recorded units of one medium lie in the published ones.

    Positions count published units from the start of round 0 and go on through later rounds, so
    position `n` of a clip with `n` units per round is the first unit of round 1. Offsets are
    recorded minus published time; their spread tells how faithful the timestamps are.

    Attributes:
        places: position of each recorded unit, -1 for a foreign one.

    Units: `offset_min_us`, `offset_max_us` microseconds.
    """

    first: int
    last: int
    count: int
    lost: tuple[int, ...]
    doubled: tuple[int, ...]
    reordered: tuple[int, ...]
    foreign: tuple[int, ...]  # indexes into the recorded units: payloads that nobody published
    offset_min_us: int
    offset_max_us: int
    places: tuple[int, ...] = field(repr=False)

    @property
    def exact(self) -> bool:
        """Whether every unit from first to last is there once and in order."""
        return not (self.lost or self.doubled or self.reordered or self.foreign)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict over a whole recording, by medium."""

    runs: dict[Medium, Run] = field(default_factory=dict)

    def _all(self, name: str) -> list[tuple[Medium, int]]:
        return [(medium, at) for medium, run in self.runs.items() for at in getattr(run, name)]

    @property
    def lost(self) -> list[tuple[Medium, int]]:
        """Published units between first and last that were not recorded."""
        return self._all("lost")

    @property
    def doubled(self) -> list[tuple[Medium, int]]:
        """Units recorded more than once."""
        return self._all("doubled")

    @property
    def reordered(self) -> list[tuple[Medium, int]]:
        """Units recorded after one that was published later."""
        return self._all("reordered")

    @property
    def foreign(self) -> list[tuple[Medium, int]]:
        """Recorded units whose payload nobody published."""
        return self._all("foreign")

    @property
    def first(self) -> dict[Medium, int]:
        """Position of the first recorded unit."""
        return {medium: run.first for medium, run in self.runs.items()}

    @property
    def last(self) -> dict[Medium, int]:
        """Position of the last recorded unit."""
        return {medium: run.last for medium, run in self.runs.items()}

    @property
    def exact(self) -> bool:
        """Whether nothing is lost, doubled, reordered or foreign, in any medium."""
        return bool(self.runs) and all(run.exact for run in self.runs.values())

    def __str__(self) -> str:
        """Say it in a line per medium, for assertion messages."""
        lines = []
        for medium, run in self.runs.items():
            faults = ", ".join(
                f"{name} {len(found)}: {list(found[:8])}"
                for name in ("lost", "doubled", "reordered", "foreign")
                if (found := getattr(run, name))
            )
            lines.append(
                f"{medium}: {run.count} units at {run.first}..{run.last}, "
                f"offset {run.offset_min_us}..{run.offset_max_us} us; {faults or 'exact'}"
            )
        return "\n".join(lines) or "nothing recorded"


def compare(
    published: Iterable[UnitDigest],
    recorded: Iterable[UnitDigest],
    *,
    looped_every_us: int | None = None,
) -> Comparison:
    """Place a recording in a published sequence, each medium by itself.

    Args:
        published: one round of the source, in sending order.
        recorded: the recording's units, in stored order.
        looped_every_us: length of a round when the source goes round and round; None for a
            source that is sent once. A hole longer than half a round cannot be told from a
            shorter one: use a clip longer than twice the outage.

    Raises:
        ValueError: a medium was recorded that was never published.
    """
    published, recorded = list(published), list(recorded)
    runs: dict[Medium, Run] = {}
    media: tuple[Medium, ...] = ("video", "audio")
    for medium in media:
        theirs, ours = of_medium(published, medium), of_medium(recorded, medium)
        if ours and not theirs:
            raise ValueError(f"{medium} was recorded but never published")
        if ours:
            runs[medium] = _run(theirs, ours, looped_every_us)
    return Comparison(runs)


def _run(theirs: Sequence[UnitDigest], ours: Sequence[UnitDigest], round_us: int | None) -> Run:
    places: dict[str, list[int]] = {}
    for at, unit in enumerate(theirs):
        places.setdefault(unit.sha, []).append(at)
    per_round = len(theirs)
    head: int | None = None
    seen: set[int] = set()
    doubled: list[int] = []
    reordered: list[int] = []
    foreign: list[int] = []
    offsets: list[int] = []
    taken: list[int] = []
    for index, unit in enumerate(ours):
        found = places.get(unit.sha)
        if found is None:
            foreign.append(index)
            taken.append(-1)
            continue
        if head is None:
            at = _start(found, theirs, ours[index:], looped=round_us is not None)
        else:
            at = _nearest(found, head + 1, per_round if round_us is not None else None)
        if at in seen:
            doubled.append(at)
        elif head is not None and at < head:
            reordered.append(at)
        seen.add(at)
        taken.append(at)
        head = at if head is None else max(head, at)
        rounds, within = divmod(at, per_round)
        offsets.append(unit.pts_us - theirs[within].pts_us - rounds * (round_us or 0))
    first, last = (min(seen), max(seen)) if seen else (0, -1)
    lost = tuple(at for at in range(first, last + 1) if at not in seen)
    return Run(
        first=first,
        last=last,
        count=len(ours),
        lost=lost,
        doubled=tuple(doubled),
        reordered=tuple(reordered),
        foreign=tuple(foreign),
        offset_min_us=min(offsets, default=0),
        offset_max_us=max(offsets, default=0),
        places=tuple(taken),
    )


def _start(
    found: Sequence[int], theirs: Sequence[UnitDigest], ours: Sequence[UnitDigest], *, looped: bool
) -> int:
    """Where equal payloads repeat, start where the longest stretch of followers agrees."""

    def agreeing(at: int) -> int:
        for step, unit in enumerate(ours):
            place = at + step
            if not looped and place >= len(theirs):
                return step
            if theirs[place % len(theirs)].sha != unit.sha:
                return step
        return len(ours)

    return found[0] if len(found) == 1 else max(found, key=agreeing)


def _nearest(found: Sequence[int], expected: int, per_round: int | None) -> int:
    """Of all places with this payload, in any round, take the one nearest to the expected place."""
    if per_round is None:
        candidates = list(found)
    else:
        rounds = expected // per_round
        candidates = [at + (rounds + turn) * per_round for turn in (-1, 0, 1) for at in found]
        candidates.sort()
    right = bisect_left(candidates, expected)
    around = [candidates[i] for i in (right, right - 1) if 0 <= i < len(candidates)]
    return min(around, key=lambda at: abs(at - expected))
