"""What the timeline and the segmenter hand on: timed samples, breaks, and whole segments."""

from dataclasses import dataclass, field
from enum import StrEnum

from everreel.media.access_unit import Medium, TrackFormat


@dataclass(slots=True)
class Sample:
    """An access unit placed on the recording timeline.

    Attributes:
        medium: its track.
        pts_us, dts_us: integer microseconds; inside a `Segment` on the recording timeline with
            dts_us strictly increasing within a track. A source without decode times (RTP) gives
            dts_us = pts_us until the segmenter has ordered them.
        keyframe: decoding can start here.
        data: as in `AccessUnit.data`.
    """

    medium: Medium
    pts_us: int
    dts_us: int
    keyframe: bool
    data: bytes


class Cause(StrEnum):
    """Why the timeline broke, or why time holds no media."""

    RECONNECT = "reconnect"
    JUMP = "timestamp_jump"
    OUTAGE = "outage"
    LOSS = "loss"
    TAKEOVER = "takeover"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Break:
    """The timeline starts anew here: nothing may compute a duration across it.

    Attributes:
        cause: why.
        at_us: position from which media goes on (>= the end before it).
        gap_us: time before `at_us` that holds no media, 0 if none is missing.
        continuous: the same connection goes on, so a decoder may keep its state: a group of
            pictures that runs on through the break is kept, not thrown away up to a keyframe.
    """

    cause: Cause
    at_us: int
    gap_us: int
    continuous: bool


@dataclass(frozen=True, slots=True)
class FormatChange:
    """The samples of this medium that follow have this format (also the first one)."""

    format: TrackFormat


TimelineEvent = Sample | Break | FormatChange


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without media, written down. Units: microseconds on the recording timeline."""

    cause: Cause
    start_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lap takes up a recording that others began.

    Attributes:
        origin_us, audio_origin_us: the recording's zero on the clock of the samples to come, for
            video and for audio: they differ where tracks have clocks of their own (RTP).
        after_k: number of the newest segment that is stored: ours must be higher.
        after_us: where it ends: nothing earlier is begun with.
        shift_k: by how much numbers run ahead of buckets, from there on.
        alone: nobody else records: begin with the first keyframe and write down what is missing.
            Otherwise others have what is not stored: begin as a stand-in for them, until the next
            bucket begins.
        exact: the zero is the source's own, so that media may go on without a seam.
    """

    origin_us: int
    audio_origin_us: int
    after_k: int
    after_us: int = 0
    shift_k: int = 0
    alone: bool = False
    exact: bool = True


@dataclass(frozen=True, slots=True)
class TrackRange:
    """Where a track's fragment lies inside a segment object and what it holds.

    Attributes:
        medium: "video" or "audio".
        offset, length: bytes of moof+mdat inside the object (whole object for MPEG-TS).
        units: access units.
    """

    medium: str
    offset: int
    length: int
    units: int


@dataclass(slots=True)
class Segment:
    """One bucket of the recording: everything from its first keyframe up to the next segment's.

    Attributes:
        k: number: floor(start_us / target duration), plus what breaks have added (docs/time.md).
        start_us: presentation time of the first sample, shared by the tracks.
        end_us: presentation time at which the next segment goes on, or the end of the last sample
            before a break or the end.
        formats: the tracks its init segment declares, video first. A track may have no samples.
        samples: per medium in decode order.
        discontinuity: a break lies directly before it (or it needs another init segment).
        gap: time without media directly before it, or inside it where a group of pictures ran on
            through an outage; None if there is none.
        independent: its first video sample is a keyframe (false only if a GOP outgrew the bound
            and was cut by force).
        whole: nothing that was sent before the next segment is missing at its end; False where a
            break or the lap's end cut it short, so that another lap may have more of it.
        stand_in: a lap that joined others within this bucket begins it late: it is worth storing
            only if none of those that have it from its beginning lives to store it.
        next_pts_us: per medium the presentation time at which its next segment begins (video: of
            the next keyframe; audio: of its next sample), absent before a break or at the end: the
            writer lets the last sample of the track last until then.
    """

    k: int
    start_us: int
    end_us: int
    formats: tuple[TrackFormat, ...]
    samples: dict[Medium, list[Sample]]
    discontinuity: bool = False
    gap: Gap | None = None
    independent: bool = True
    whole: bool = True
    stand_in: bool = False
    next_pts_us: dict[Medium, int] = field(default_factory=dict)

    @property
    def duration_us(self) -> int:
        """Length on the recording timeline, microseconds."""
        return self.end_us - self.start_us
