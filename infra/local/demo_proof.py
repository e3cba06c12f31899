"""Compares what was recorded with what was published, access unit by access unit."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from infra.local.publisher_stream import PublishedUnit

TOLERANCE_MS = 5.0
"""How far a time may differ: FLV's whole milliseconds, and a timeline that evens them out."""

MEDIA = ("video", "audio")


@dataclass(frozen=True, slots=True)
class RecordedUnit:
    """One access unit of the recording, on the recording timeline; `sha` as when published."""

    medium: str
    pts_us: int
    keyframe: bool
    sha: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How a recording lies in what was published.

    Attributes:
        pictures, sounds: recorded access units of video and audio.
        lost: published between the first and the last recorded keyframe and not recorded.
        doubled: recorded more than once.
        foreign: recorded and not published, or not then.
        skew_ms: by how much a time differs at most from the published one, relative to the first
            keyframe.
    """

    pictures: int
    sounds: int
    lost: int
    doubled: int
    foreign: int
    skew_ms: float

    @property
    def exact(self) -> bool:
        """Whether the recording is what was sent, and nothing else."""
        return bool(self.pictures) and not (self.lost or self.doubled or self.foreign)

    def __str__(self) -> str:
        """Say it in a line."""
        strange = f", {self.foreign} never published" if self.foreign else ""
        return (
            f"{self.pictures:,} pictures and {self.sounds:,} audio frames: "
            f"{self.lost} lost, {self.doubled} doubled{strange}"
        )


def prove(published: Sequence[PublishedUnit], recorded: Sequence[RecordedUnit]) -> Proof:
    """Place a recording in the published stream by its first keyframe, then look for each unit.

    Equal payloads are told apart by their times.
    """
    keyframes = [unit for unit in recorded if unit.medium == "video" and unit.keyframe]
    pictures = sum(unit.medium == "video" for unit in recorded)
    if not keyframes:
        return Proof(pictures, len(recorded) - pictures, 0, 0, len(recorded), 0.0)
    anchor = _anchor(published, keyframes[0])
    if anchor is None:
        return Proof(pictures, len(recorded) - pictures, 0, 0, len(recorded), 0.0)
    offset_ms = anchor - keyframes[0].pts_us / 1000
    first_ms, last_ms = (unit.pts_us / 1000 + offset_ms for unit in (keyframes[0], keyframes[-1]))
    lost = doubled = foreign = 0
    skew_ms = 0.0
    for medium in MEDIA:
        sent = sorted((unit.pts_ms, unit.sha) for unit in published if unit.medium == medium)
        times = [pts_ms for pts_ms, _ in sent]
        found: set[int] = set()
        for unit in recorded:
            if unit.medium != medium:
                continue
            at_ms = unit.pts_us / 1000 + offset_ms
            place = _place(sent, times, at_ms, unit.sha)
            if place is None:
                foreign += 1
            elif place in found:
                doubled += 1
            else:
                found.add(place)
                skew_ms = max(skew_ms, abs(times[place] - at_ms))
        window = range(bisect_left(times, first_ms - 0.5), bisect_right(times, last_ms + 0.5))
        lost += sum(place not in found for place in window)
    return Proof(pictures, len(recorded) - pictures, lost, doubled, foreign, skew_ms)


def _anchor(published: Sequence[PublishedUnit], keyframe: RecordedUnit) -> int | None:
    """Find when the first recorded keyframe was published. The clock makes each picture unique."""
    for unit in published:
        if unit.medium == "video" and unit.sha == keyframe.sha:
            return unit.pts_ms
    return None


def _place(
    sent: Sequence[tuple[int, str]], times: Sequence[int], at_ms: float, sha: str
) -> int | None:
    """Find the published unit with this payload and this time, the nearest if there are several."""
    low, high = at_ms - TOLERANCE_MS, at_ms + TOLERANCE_MS
    near = range(bisect_left(times, low), bisect_right(times, high))
    same = [place for place in near if sent[place][1] == sha]
    return min(same, key=lambda place: abs(times[place] - at_ms), default=None)
