"""Takes audio frames out of RTP payloads: AAC (RFC 3640) and Opus (RFC 7587)."""

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent
from everreel.media.bitstream import aac, describe, opus
from everreel.media.bitstream.bits import Bits
from everreel.protocols.rtp import WRAP, RtpCounts
from everreel.protocols.sdp import PayloadFormat

_MAX_FRAME = 1 << 16
_OPUS_CHANNELS = 2
"""A decoder set up for two channels plays one as well, and any packet may have either."""


class AacDepacketiser:
    """`mpeg4-generic` in its modes AAC-hbr and AAC-lbr: whole frames or fragments of one.

    Frames of a packet follow each other at the frame length; with an index that skips some
    (interleaving) each still has its own time.
    """

    __slots__ = (
        "_counts", "_duration", "_expected", "_extra", "_format", "_index", "_index_delta",
        "_parts", "_size", "_ticks",
    )  # fmt: skip

    def __init__(self, payload: PayloadFormat, counts: RtpCounts) -> None:
        """Start with the configuration of the session description.

        Raises: SourceMalformed if it lacks or garbles it, SourceUnsupported for other layouts.
        """
        said = payload.parameters
        try:
            config = bytes.fromhex(said.get("config", ""))
            self._size = int(said.get("sizelength", "0"))
            self._index = int(said.get("indexlength", "0"))
            self._index_delta = int(said.get("indexdeltalength", "0"))
            others = ("ctsdeltalength", "dtsdeltalength", "randomaccessindication")
            self._extra = any(int(said.get(name, "0")) for name in others)
            auxiliary = int(said.get("auxiliarydatasizelength", "0"))
            auxiliary += int(said.get("streamstateindication", "0"))
        except ValueError as error:
            raise SourceMalformed("fmtp of mpeg4-generic: config or a length is garbled") from error
        widths = (self._size, self._index, self._index_delta)
        if not config:
            raise SourceMalformed("fmtp of mpeg4-generic lacks config")
        if not 1 <= self._size <= 16 or max(widths) > 16 or min(widths) < 0:
            raise SourceUnsupported("fmtp of mpeg4-generic: sizeLength must be 1 to 16 bits")
        if self._extra or auxiliary:
            raise SourceUnsupported("mpeg4-generic with more than AU sizes cannot be recorded")
        self._format = describe.track_format(Codec.AAC, config, payload.clock_rate, WRAP)
        said_aac = aac.parse_config(config)
        # With SBR the RTP clock may run at the output rate: ticks are counted, not samples.
        self._duration = said_aac.frame_samples * payload.clock_rate // said_aac.sample_rate
        self._counts = counts
        self._parts: list[bytes] = []
        self._expected = 0
        self._ticks = 0

    @property
    def medium(self) -> Medium:
        """Tell that it makes sound."""
        return Medium.AUDIO

    def begin(self) -> list[SourceEvent]:
        """Return the format."""
        return [self._format]

    def packet(self, ticks: int, _marker: bool, payload: bytes, out: list[SourceEvent]) -> None:
        """Take a payload; append its frames. Source: RFC 3640 §3.2, §3.3.6."""
        rows, at = self._headers(payload)
        if len(rows) == 1 and rows[0][1] > len(payload) - at:
            self._fragment(ticks, rows[0][1], payload[at:], out)
            return
        if self._parts:
            if len(rows) == 1:
                self._fragment(ticks, rows[0][1], payload[at:], out)
                return
            self.lose()
        for index, size in rows:
            data = payload[at : at + size]
            at += size
            if not size or at > len(payload):
                self._counts.damaged += 1
                return
            pts = (ticks + index * self._duration) % WRAP
            out.append(AccessUnit(Medium.AUDIO, pts, None, True, data))

    def lose(self) -> None:
        """Drop the frame under way."""
        if self._parts:
            self._counts.damaged += 1
        self._parts = []

    def _headers(self, payload: bytes) -> tuple[list[tuple[int, int]], int]:
        """Read the AU headers: index and size of each frame, and where the first begins."""
        count = int.from_bytes(payload[:2], "big")
        at = 2 + (count + 7) // 8
        if not count or at > len(payload):
            self._counts.damaged += 1
            return [], at
        rows: list[tuple[int, int]] = []
        bits = Bits(payload[2:at], "AU headers")
        bits_after = bits.left - count
        index = -1
        while bits.left - bits_after >= self._size + (self._index_delta if rows else self._index):
            size = bits.u(self._size)
            index += 1 + (bits.u(self._index_delta) if rows else 0)
            if not rows:
                bits.skip(self._index)
            rows.append((index, size))
        return rows, at

    def _fragment(self, ticks: int, size: int, data: bytes, out: list[SourceEvent]) -> None:
        """Take a piece of a frame that is longer than a packet; each piece says the whole size."""
        if self._parts and (size, ticks) != (self._expected, self._ticks):
            self.lose()
        self._expected, self._ticks = size, ticks
        self._parts.append(data)
        have = sum(map(len, self._parts))
        if have == size:
            out.append(AccessUnit(Medium.AUDIO, ticks, None, True, b"".join(self._parts)))
            self._parts = []
        elif have > min(size, _MAX_FRAME) or not data:
            self.lose()


class OpusDepacketiser:
    """One Opus packet per RTP packet."""

    __slots__ = ("_counts", "_format")

    def __init__(self, payload: PayloadFormat, counts: RtpCounts) -> None:
        """Start; the session description has nothing a decoder needs.

        Raises: SourceMalformed for a clock other than 48 kHz.
        """
        if payload.clock_rate != opus.SAMPLE_RATE:
            raise SourceMalformed("rtpmap of Opus must say 48000/2 (RFC 7587 §4.1)")
        config = opus.dops_for_channels(_OPUS_CHANNELS)
        self._format = describe.track_format(Codec.OPUS, config, opus.SAMPLE_RATE, WRAP)
        self._counts = counts

    @property
    def medium(self) -> Medium:
        """Tell that it makes sound."""
        return Medium.AUDIO

    def begin(self) -> list[SourceEvent]:
        """Return the format."""
        return [self._format]

    def packet(self, ticks: int, _marker: bool, payload: bytes, out: list[SourceEvent]) -> None:
        """Take a payload; one that cannot be an Opus packet is dropped."""
        try:
            opus.packet_samples(payload)
        except SourceMalformed:
            self._counts.damaged += 1
            return
        out.append(AccessUnit(Medium.AUDIO, ticks, None, True, payload))

    def lose(self) -> None:
        """Packets stand alone: nothing is under way."""
