"""The index of a recording: what its rows say of segments and init segments.

Playlists, manifests, clips and exports are made from these alone.
"""

from dataclasses import dataclass
from enum import StrEnum

from everreel.media.segment import Gap, TrackRange


class Container(StrEnum):
    """How segments are packaged."""

    FMP4 = "fmp4"
    MPEGTS = "mpegts"


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The index row that makes a segment part of the recording.

    Attributes:
        k: bucket number.
        key: object key relative to the recording's folder.
        init: number of the init segment it needs (`init-<n>.mp4`); 0 for MPEG-TS.
        start_us, duration_us: on the recording timeline.
        utc_us: UTC of start_us.
        size, sha256: of the object: bytes, lowercase hex.
        tracks: fragments inside the object.
        discontinuity: a break lies directly before it.
        gap: time without media directly before it, or inside it where a group of pictures ran on.
        independent: starts with a keyframe.
        lane, lap: who committed it.
        whole: nothing is missing at its end; see `Segment`.
    """

    k: int
    key: str
    init: int
    start_us: int
    duration_us: int
    utc_us: int
    size: int
    sha256: str
    tracks: tuple[TrackRange, ...]
    discontinuity: bool
    gap: Gap | None
    independent: bool
    lane: str
    lap: int
    whole: bool = True

    @property
    def media_us(self) -> int:
        """Its duration less the time inside it that holds no media."""
        inside = self.gap is not None and self.gap.start_us >= self.start_us
        return self.duration_us - (self.gap.duration_us if self.gap and inside else 0)


@dataclass(frozen=True, slots=True)
class TrackDescription:
    """One track of an init segment as playlists and the manifest show it.

    Attributes:
        codec: RFC 6381 string, e.g. "avc1.64001f", "mp4a.40.2".
        config: decoder configuration, as in `TrackFormat.config`.
    """

    medium: str
    codec: str
    timescale: int
    width: int
    height: int
    sample_rate: int
    channels: int
    config: bytes


@dataclass(frozen=True, slots=True)
class InitRow:
    """An init segment: number, the tracks it declares, and its objects' keys per track set.

    Attributes:
        keys: "all" → key of the init segment of all tracks, "video"/"audio" → of that track alone.
    """

    number: int
    tracks: tuple[TrackDescription, ...]
    keys: dict[str, str]
