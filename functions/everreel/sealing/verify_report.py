"""What a verification found: the words in which `everreel verify` and the API tell it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from everreel.clock import MICROSECONDS, iso


class Trouble(StrEnum):
    """What is wrong with an object of a recording."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    TAMPERED = "tampered"
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"
    MISPLACED = "out of place"
    OMITTED = "left out"
    CONTRADICTION = "contradiction"
    CHAIN = "chain broken"
    TIMES = "times do not fit"
    GAP = "undeclared gap"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or, as a remark, one that is worth knowing.

    Attributes:
        trouble: the kind.
        object: name relative to the recording's folder.
        k: number of the segment it is about, None if it is about none.
        text: what was found and what should be.
    """

    trouble: Trouble
    object: str
    text: str
    k: int | None = None

    def __str__(self) -> str:
        segment = "" if self.k is None else f" segment {self.k}:"
        return f"{self.object}:{segment} {self.trouble.value}: {self.text}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment in the picture of the timeline. Units: microseconds on the recording timeline.

    Attributes:
        sound: nothing is wrong with its object.
    """

    k: int
    start_us: int
    duration_us: int
    lane: str
    lap: int
    sound: bool

    @property
    def end_us(self) -> int:
        """Where it ends."""
        return self.start_us + self.duration_us


@dataclass(frozen=True, slots=True)
class Hole:
    """Time without media. Units: microseconds on the recording timeline.

    Attributes:
        start_us, duration_us: as measured from the segments.
        cause: as declared; empty if no cause is known.
        declared: the manifest tells of it; always so in a recording that is not sealed, whose
            playlist has no words for it.
    """

    start_us: int
    duration_us: int
    cause: str
    declared: bool

    @property
    def end_us(self) -> int:
        """Where media goes on."""
        return self.start_us + self.duration_us


@dataclass(slots=True)
class Writer:
    """A lap and what it wrote.

    Attributes:
        first_k, last_k: the segments, of which others may own some in between.
        state, reason: as the manifest tells, empty without one.
    """

    lane: str
    lap: int
    first_k: int
    last_k: int
    segments: int = 0
    media_us: int = 0
    bytes: int = 0
    state: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """The writer of segment `k` is another than that of the segment before."""

    k: int
    at_us: int
    before: str
    after: str


@dataclass(slots=True)
class TrackFound:
    """A track of an init segment and the units that were found of it."""

    init: int
    medium: str
    codec: str
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    units: int = 0


@dataclass(slots=True)
class Report:
    """Everything a verification found.

    Attributes:
        sealed: there is a manifest; without one there is no digest to hold the segments against.
        deep: recording.mp4 was read too.
        complete: every segment was read; otherwise there was no time for those after the last one.
        origin_utc_us: UTC of recording timeline 0, 0 if it is not known.
        span_us, gap_us: from the first unit to the last; the part of it without media, measured.
        chain: last link of the digest chain, hex; empty if not sealed.
        chain_whole: every link follows from the one before.
        problems: in the order they were found; none means the recording is whole.
        remarks: what is no problem and yet worth knowing.
    """

    sid: str = ""
    channel: str = ""
    container: str = ""
    reason: str = ""
    sealed: bool = False
    deep: bool = False
    complete: bool = True
    origin_utc_us: int = 0
    segments: int = 0
    bytes: int = 0
    span_us: int = 0
    gap_us: int = 0
    declared_coverage: float | None = None
    chain: str = ""
    chain_whole: bool = False
    tracks: list[TrackFound] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """All of it was read and nothing is wrong."""
        return self.complete and not self.problems

    @property
    def begin_us(self) -> int:
        """Where the timeline begins: with the first segment, or what is missing before it."""
        first = self.pieces[0].start_us
        return min([first, *(hole.start_us for hole in self.holes[:1])])

    @property
    def end_us(self) -> int:
        """Where it ends."""
        return max([self.pieces[-1].end_us, *(hole.end_us for hole in self.holes[-1:])])

    @property
    def coverage(self) -> float:
        """Part of the time from the first to the last unit that holds media, as measured."""
        return 0.0 if not self.span_us else round(1 - self.gap_us / self.span_us, 6)

    def problem(self, trouble: Trouble, name: str, text: str, k: int | None = None) -> None:
        """Note that something is wrong."""
        self.problems.append(Problem(trouble, name, text, k))

    def remark(self, trouble: Trouble, name: str, text: str, k: int | None = None) -> None:
        """Note something that is no problem."""
        self.remarks.append(Problem(trouble, name, text, k))

    def document(self, most: int | None = None) -> dict[str, Any]:
        """Write the report as JSON has it; times in seconds, as in `recording.json`.

        With `most`, lists end after so many entries; the counts tell of all.
        """
        return {
            "whole": self.whole,
            "complete": self.complete,
            "sealed": self.sealed,
            "deep": self.deep,
            "sid": self.sid,
            "channel": self.channel,
            "container": self.container,
            "reason": self.reason,
            "startTime": iso(self.origin_utc_us) if self.origin_utc_us else None,
            "segments": self.segments,
            "segmentsRead": len(self.pieces),
            "bytes": self.bytes,
            "spanSeconds": self.span_us / MICROSECONDS,
            "gapSeconds": self.gap_us / MICROSECONDS,
            "coverage": self.coverage,
            "declaredCoverage": self.declared_coverage,
            "chain": self.chain or None,
            "chainWhole": self.chain_whole,
            "tracks": [_track(track) for track in self.tracks],
            "laps": [_writer(writer) for writer in self.writers[:most]],
            "changes": [
                {
                    "k": change.k,
                    "atSeconds": change.at_us / MICROSECONDS,
                    "before": change.before,
                    "after": change.after,
                }
                for change in self.changes[:most]
            ],
            "gaps": [
                {
                    "startSeconds": hole.start_us / MICROSECONDS,
                    "durationSeconds": hole.duration_us / MICROSECONDS,
                    "cause": hole.cause or None,
                    "declared": hole.declared,
                }
                for hole in self.holes[:most]
            ],
            "checked": self.checked,
            "counts": {
                "laps": len(self.writers),
                "changes": len(self.changes),
                "gaps": len(self.holes),
                "problems": len(self.problems),
                "remarks": len(self.remarks),
            },
            "problems": _listed(self.problems[:most]),
            "remarks": _listed(self.remarks[:most]),
        }


def _track(track: TrackFound) -> dict[str, Any]:
    shape = (
        {"width": track.width, "height": track.height}
        if track.width
        else {"sampleRate": track.sample_rate, "channels": track.channels}
    )
    return {
        "init": track.init,
        "medium": track.medium,
        "codec": track.codec,
        **shape,
        "units": track.units,
    }


def _writer(writer: Writer) -> dict[str, Any]:
    return {
        "lane": writer.lane,
        "lap": writer.lap,
        "firstSegment": writer.first_k,
        "lastSegment": writer.last_k,
        "segments": writer.segments,
        "mediaSeconds": writer.media_us / MICROSECONDS,
        "bytes": writer.bytes,
        "state": writer.state or None,
        "reason": writer.reason or None,
    }


def _listed(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [
        {"trouble": each.trouble.value, "object": each.object, "k": each.k, "text": each.text}
        for each in problems
    ]
