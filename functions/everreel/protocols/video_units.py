"""Turns the NAL units of one picture into what a source promises: formats and access units."""

from collections.abc import Iterable, Sequence

from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.media.bitstream import describe, h264, h265
from everreel.media.bitstream.parameter_sets import ParameterSets

_H264_CODED = frozenset({1, 2, 3, 4, 5})
# SEI, SPS, PPS, prefix, subset SPS, depth and reserved: the first of them after a slice begins a
# new access unit (ISO/IEC 14496-10 §7.4.1.2.3).
_H264_LEADING = frozenset({6, 7, 8, 14, 15, 16, 17, 18})
# VPS, SPS, PPS, prefix SEI, reserved and unspecified (ISO/IEC 23008-2 §7.4.2.4.4).
_H265_LEADING = frozenset({32, 33, 34, 39, 41, 42, 43, 44, *range(48, 56)})


class VideoUnits:
    """Knows the current format of one video track.

    Attributes:
        format: the last format emitted, None before the first.
    """

    __slots__ = ("_clean", "_codec", "_sets", "_timescale", "_wrap", "format")

    def __init__(self, codec: Codec, timescale: int, wrap: int) -> None:
        """Start without parameter sets. Units: `timescale` and `wrap` as in `TrackFormat`."""
        self._codec = codec
        self._timescale = timescale
        self._wrap = wrap
        self._sets = ParameterSets(codec)
        self._clean = h264.access_unit if codec is Codec.H264 else h265.access_unit
        self.format: TrackFormat | None = None

    def parameter_sets(self, nals: Iterable[bytes], out: list[SourceEvent]) -> None:
        """Take parameter sets; append the new format if they make one.

        Raises: SourceMalformed if one cannot be read.
        """
        if not self._sets.update(nals):
            return
        new = describe.track_format(self._codec, self._sets.config, self._timescale, self._wrap)
        if new != self.format:
            self.format = new
            out.append(new)

    def picture(
        self,
        nals: Sequence[bytes],
        pts: int,
        dts: int | None,
        out: list[SourceEvent],
        *,
        only_keyframe: bool = False,
    ) -> AccessUnit | None:
        """Append the access unit of these NAL units, a changed format before it.

        Returns the unit; None if the NAL units hold no picture, no format is known yet, or the
        picture is not the keyframe asked for.

        Raises: SourceMalformed if a parameter set cannot be read.
        """
        cleaned = self._clean(nals)
        if cleaned.parameter_sets:
            self.parameter_sets(cleaned.parameter_sets, out)
        if not cleaned.data or self.format is None or (only_keyframe and not cleaned.keyframe):
            return None
        unit = AccessUnit(Medium.VIDEO, pts, dts, cleaned.keyframe, cleaned.data)
        out.append(unit)
        return unit


def is_coded(codec: Codec, nal: bytes) -> bool:
    """Tell whether a NAL unit is part of a picture."""
    if codec is Codec.H264:
        return nal[0] & 31 in _H264_CODED
    return nal[0] & 0x7E < 64


def begins_unit(codec: Codec, nal: bytes, after_picture: bool) -> bool:
    """Tell whether an access unit begins with this NAL unit (three bytes of it are enough).

    Args:
        codec: H264 or H265.
        nal: the NAL unit.
        after_picture: the access unit so far has a slice.

    A slice begins one if it is the first of its picture: arbitrary slice order is not understood.
    """
    if codec is Codec.H264:
        kind = nal[0] & 31
        if kind == h264.AUD:
            return True
        if kind in {1, 2, 5}:
            return after_picture and len(nal) > 1 and nal[1] & 0x80 != 0
        return after_picture and kind in _H264_LEADING
    kind = nal[0] >> 1 & 63
    if kind == h265.AUD:
        return True
    if kind < 32:
        return after_picture and len(nal) > 2 and nal[2] & 0x80 != 0
    return after_picture and kind in _H265_LEADING
