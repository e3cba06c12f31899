"""Takes pictures out of RTP payloads: H.264 (RFC 6184) and H.265 (RFC 7798)."""

import base64
import binascii

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.media.access_unit import Codec, Medium, SourceEvent
from everreel.media.bitstream import h264, h265
from everreel.media.bitstream.nal import MAX_NALS
from everreel.protocols.rtp import WRAP, RtpCounts
from everreel.protocols.sdp import PayloadFormat
from everreel.protocols.video_units import VideoUnits, begins_unit, is_coded

MAX_UNIT = 8 << 20
"""Bytes of one access unit."""

_H264_STAP_A, _H264_FU_A = 24, 28
_H265_AP, _H265_FU, _H265_PACI = 48, 49, 50
_LEADERS = {
    Codec.H264: frozenset({h264.AUD, h264.SPS}),
    Codec.H265: frozenset({h265.AUD, h265.VPS, h265.SPS}),
}


class VideoDepacketiser:
    """A unit is all NAL units of one time stamp, ended by the marker or by the next time stamp.

    Senders exist that set the marker on every slice. Once that is noticed (a picture goes on after
    its marker), only a new time stamp ends a unit.

    After a loss, and at the start, pictures are skipped up to the next keyframe.
    """

    __slots__ = (
        "_broken", "_codec", "_counts", "_fragment", "_marker_ends", "_nals", "_size", "_ticks",
        "_unit_ticks", "_units", "_waiting",
    )  # fmt: skip

    def __init__(self, codec: Codec, payload: PayloadFormat, counts: RtpCounts) -> None:
        """Start with the parameter sets of the session description.

        Raises: SourceUnsupported for interleaved packets.
        """
        said = payload.parameters
        if said.get("packetization-mode") == "2" or said.get("sprop-max-don-diff", "0") != "0":
            raise SourceUnsupported(f"interleaved {payload.encoding} packets cannot be recorded")
        self._codec = codec
        self._counts = counts
        self._units = VideoUnits(codec, payload.clock_rate, WRAP)
        self._nals: list[bytes] = []
        self._fragment: list[bytes] | None = None
        self._size = 0
        self._ticks: int | None = None
        self._unit_ticks: int | None = None
        self._broken = False
        self._waiting = True
        self._marker_ends = True
        names = ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps")
        sets = [nal for name in names for nal in _parameter_sets(said.get(name, ""))]
        try:
            self._units.parameter_sets(sets, [])
        except SourceMalformed:
            # What the description says is a hint: the stream itself repeats or mends it.
            self._units = VideoUnits(codec, payload.clock_rate, WRAP)

    @property
    def medium(self) -> Medium:
        """Tell that it makes pictures."""
        return Medium.VIDEO

    def begin(self) -> list[SourceEvent]:
        """Return the format if the session description told it."""
        return [self._units.format] if self._units.format is not None else []

    def packet(self, ticks: int, marker: bool, payload: bytes, out: list[SourceEvent]) -> None:
        """Take a payload; append the pictures it completes."""
        if ticks != self._ticks:
            if self._ticks is not None:
                self._complete(out)
            self._ticks = ticks
        self._size += len(payload)
        if self._size > MAX_UNIT or len(self._nals) > MAX_NALS:
            self._nals.clear()
            self._fragment = None
            self._broken = True
        elif len(payload) > 2:
            if self._codec is Codec.H264:
                self._unpack_h264(payload)
            else:
                self._unpack_h265(payload)
        if marker and self._marker_ends:
            self._complete(out)
            self._ticks = None

    def lose(self) -> None:
        """Drop the picture under way; the next one is whole only if it begins as pictures do."""
        if self._nals or self._fragment is not None:
            self._counts.damaged += 1
        self._nals.clear()
        self._fragment = None
        self._size = 0
        self._ticks = None
        self._broken = True
        self._waiting = True

    def _nal(self, nal: bytes) -> None:
        """Take a whole NAL unit."""
        if not nal:
            return
        codec = self._codec
        if not self._nals:
            kind = nal[0] & 31 if codec is Codec.H264 else nal[0] >> 1 & 63
            if kind in _LEADERS[codec]:
                self._broken = False
            if (
                self._unit_ticks == self._ticks
                and is_coded(codec, nal)
                and not begins_unit(codec, nal[:3], True)
            ):
                self._marker_ends = False
                self._broken = True
        self._nals.append(nal)

    def _unpack_h264(self, payload: bytes) -> None:
        """Source: RFC 6184 §5.6, §5.7.1, §5.8."""
        kind = payload[0] & 31
        if 0 < kind < _H264_STAP_A:
            self._whole(payload)
        elif kind == _H264_FU_A:
            self._part(payload[1], bytes([payload[0] & 0xE0 | payload[1] & 31]), payload[2:])
        elif kind == _H264_STAP_A:
            self._several(payload, 1)
        elif kind < 30 and kind:
            raise SourceUnsupported("interleaved H.264 packets cannot be recorded")

    def _unpack_h265(self, payload: bytes) -> None:
        """Source: RFC 7798 §4.4."""
        kind = payload[0] >> 1 & 63
        if kind < _H265_AP:
            self._whole(payload)
        elif kind == _H265_FU:
            head = bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])
            self._part(payload[2], head, payload[3:])
        elif kind == _H265_AP:
            self._several(payload, 2)
        elif kind == _H265_PACI:
            raise SourceUnsupported("H.265 in PACI packets cannot be recorded")

    def _whole(self, nal: bytes) -> None:
        if self._fragment is not None:
            self._fragment = None
            self._broken = True
        self._nal(nal)

    def _several(self, payload: bytes, at: int) -> None:
        """Take an aggregation packet."""
        end = len(payload)
        while at + 2 <= end:
            begin = at + 2
            at = begin + (payload[at] << 8 | payload[at + 1])
            if at > end:
                self._broken = True
                return
            self._whole(payload[begin:at])

    def _part(self, flags: int, head: bytes, data: bytes) -> None:
        """Take a fragment: first, middle or last."""
        if flags & 0x80:
            if self._fragment is not None:
                self._broken = True
            self._fragment = [head, data]
        elif self._fragment is None:
            self._broken = True
        else:
            self._fragment.append(data)
        if flags & 0x40 and self._fragment is not None:
            nal = b"".join(self._fragment)
            self._fragment = None
            self._nal(nal)

    def _complete(self, out: list[SourceEvent]) -> None:
        """Emit the picture of the current time stamp unless a part of it is missing."""
        nals, ticks = self._nals, self._ticks
        broken = self._broken or self._fragment is not None
        self._nals = []
        self._fragment = None
        self._size = 0
        if ticks is None or (not nals and not broken):
            return
        self._broken = False
        if broken or (self._waiting and not self._has_its_begin(nals)):
            self._counts.damaged += 1
            self._waiting = True
            return
        unit = self._units.picture(nals, ticks, None, out, only_keyframe=self._waiting)
        if unit is not None:
            self._waiting = False
            self._unit_ticks = ticks
        elif any(is_coded(self._codec, nal) for nal in nals):
            self._counts.skipped += 1

    def _has_its_begin(self, nals: list[bytes]) -> bool:
        """Tell whether the first slice is there: servers let players in between any two packets."""
        coded = [nal for nal in nals if is_coded(self._codec, nal)]
        return not coded or begins_unit(self._codec, coded[0][:3], True)


def _parameter_sets(text: str) -> list[bytes]:
    """Decode a comma-separated list of base64; what is none is left out."""
    found: list[bytes] = []
    for part in text.split(","):
        try:
            nal = base64.b64decode(part.strip(), validate=True)
        except (binascii.Error, ValueError):
            continue
        if nal:
            found.append(nal)
    return found
