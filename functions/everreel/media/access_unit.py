"""The records that flow from every source to the timeline: formats, access units, clock references.

A parser emits them in the order of the transport and repairs nothing: timestamps are the raw ticks
of the source. The timeline is the one place that makes sense of them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Medium(StrEnum):
    """What a track carries."""

    VIDEO = "video"
    AUDIO = "audio"


class Codec(StrEnum):
    """Codecs of the copy path."""

    H264 = "h264"
    H265 = "h265"
    AAC = "aac"
    OPUS = "opus"

    @property
    def medium(self) -> Medium:
        """Tell which medium the codec codes."""
        return Medium.VIDEO if self in (Codec.H264, Codec.H265) else Medium.AUDIO


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """Everything a decoder must know before the first access unit of a track.

    Emitted by a parser before the first unit of a track and again whenever it changes. Two equal
    formats describe the same decoder set-up, so a repeat is not a change.

    Attributes:
        codec: the codec.
        timescale: source ticks per second of the `dts` and `pts` that follow.
        wrap: modulus of those ticks (FLV and RTP 2**32, MPEG-TS 2**33), 0 if they never wrap.
        config: decoder configuration, the payload of the ISO BMFF box of the codec:
            avcC (ISO/IEC 14496-15 §5.3.3.1), hvcC (§8.3.3.1), AudioSpecificConfig
            (ISO/IEC 14496-3 §1.6.2.1), dOps (Opus in ISOBMFF §4.3.2).
        width, height: coded picture size after cropping, pixels; 0 for audio.
        sample_rate: audio samples per second (the AAC core rate; 48000 for Opus); 0 for video.
        channels: audio channels; 0 for video.
    """

    codec: Codec
    timescale: int
    wrap: int
    config: bytes
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0

    @property
    def medium(self) -> Medium:
        """Tell which medium this is a format of."""
        return self.codec.medium


@dataclass(slots=True)
class AccessUnit:
    """One coded picture or one audio frame, as the source sent it.

    Attributes:
        medium: which track of the uid it belongs to.
        pts: presentation time, raw source ticks of the track's format.
        dts: decode time, raw source ticks; None if the transport carries none (RTP).
        keyframe: decoding can start here (IDR; every audio frame).
        data: payload. Video: NAL units each prefixed by a 4-byte big-endian length, without access
            unit delimiters, filler and parameter sets. Audio: one raw AAC frame (no ADTS header) or
            one Opus packet. Never empty.
    """

    medium: Medium
    pts: int
    dts: int | None
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class ClockReference:
    """Ties a track's own ticks to a clock that all tracks of the source share.

    RTP tracks start at random offsets; an RTCP sender report (RFC 3550 §6.4.1) says which NTP
    instant a tick stands for. Sources whose tracks share one clock never emit this.

    Attributes:
        medium: the track.
        ticks: raw source ticks of the track.
        common_us: the same instant on the shared clock, microseconds from an arbitrary origin.
        promised: the server said so before it sent anything of the track.
    """

    medium: Medium
    ticks: int
    common_us: int
    promised: bool = False


@dataclass(frozen=True, slots=True)
class ClockReset:
    """The source set its clock: a step ahead that follows is no time that passed.

    Attributes:
        medium: the track that shows it first; the others of the source follow.
    """

    medium: Medium


SourceEvent = TrackFormat | AccessUnit | ClockReference | ClockReset
