"""Elementary streams of a transport stream: PES payloads in, access units out."""

from typing import Protocol

from everreel.errors import SourceMalformed
from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.media.bitstream import aac, describe, opus
from everreel.media.bitstream.nal import split_annexb
from everreel.media.psi import CLOCK, WRAP
from everreel.protocols.video_units import VideoUnits, begins_unit, is_coded

MAX_UNIT = 8 << 20
"""Bytes of one access unit. A 4K intra picture at 100 Mbit/s and 25 fps has 0.5 MB."""

_START = b"\x00\x00\x01"
_DEFAULT_STEP = CLOCK // 25
_MAX_STEP = 10 * CLOCK


class ElementaryParser(Protocol):
    """Takes the payloads of one packet id in order."""

    def begin(self, head: bytes, dts: int, out: list[SourceEvent], /) -> None:
        """Look at the first bytes of a PES packet with a time stamp: what it follows may be over.

        Args:
            head: the payload as far as the first transport packet has it.
            dts: its decode time. Units: 90 kHz ticks.
            out: completed units are appended to it.
        """
        ...

    def feed(self, payload: bytes, times: tuple[int, int] | None, out: list[SourceEvent]) -> None:
        """Take a whole PES payload; `times` are its PTS and DTS, None if it has none."""
        ...

    def lose(self) -> None:
        """Forget the unit under way: bytes are missing."""
        ...

    def flush(self, out: list[SourceEvent], /) -> None:
        """Give out the last unit: nothing follows."""
        ...


class VideoParser:
    """H.264 and H.265 byte streams.

    A time stamp belongs to the first access unit that begins in its PES packet (ISO/IEC 13818-1
    §2.4.3.7). Units without one of their own (several in one PES packet, or PES packets without)
    are spread evenly from the last time stamp to the next.
    """

    __slots__ = ("_codec", "_coded", "_pending", "_step", "_times", "_units")

    def __init__(self, codec: Codec) -> None:
        """Start without parameter sets; `codec` is H264 or H265."""
        self._codec = codec
        self._units = VideoUnits(codec, CLOCK, WRAP)
        self._pending = bytearray()
        self._coded = False
        self._times = (0, 0)
        self._step = _DEFAULT_STEP

    def begin(self, head: bytes, dts: int, out: list[SourceEvent]) -> None:
        """Complete the pending units if the new PES packet begins with an access unit."""
        if not self._pending:
            return
        at = head.find(_START, 0, 8)
        if at < 0 or at + 6 > len(head) or head[:at].strip(b"\x00"):
            return
        if begins_unit(self._codec, head[at + 3 : at + 6], self._coded):
            self._complete(dts, out)

    def feed(self, payload: bytes, times: tuple[int, int] | None, out: list[SourceEvent]) -> None:
        """Take a PES payload, which may begin anywhere in a unit."""
        if self._pending and self._pending[-1] < 2:
            # A NAL unit never ends in a zero: this is a start code, or the beginning of one.
            tail = bytes(self._pending[-8:])
            kept = tail.removesuffix(_START).rstrip(b"\x00")
            if tail[-1] == 0 or tail.endswith(_START):
                del self._pending[len(self._pending) - len(tail) + len(kept) :]
                payload = tail[len(kept) :] + payload
        at = -1 if times is None else self._first_unit(payload)
        if times is None or at < 0:
            if self._pending:
                self._append(payload)
            return
        if self._pending:
            self._append(payload[:at])
            if self._coded:
                self._complete(times[1], out)
        self._append(payload[at:])
        self._times = times

    def lose(self) -> None:
        """Forget the pending units."""
        self._pending.clear()
        self._coded = False

    def flush(self, out: list[SourceEvent]) -> None:
        """Complete the pending units."""
        if self._pending:
            self._complete(None, out)
        self.lose()

    def _append(self, data: bytes) -> None:
        self._pending += data
        self._coded = self._coded or self._holds_picture(data)
        if len(self._pending) > MAX_UNIT:
            self.lose()

    def _complete(self, next_dts: int | None, out: list[SourceEvent]) -> None:
        """Split the pending bytes into access units and give them their times."""
        nals = split_annexb(bytes(self._pending))
        self.lose()
        pts, dts = self._times
        groups, rest = self._group(nals)
        self._pending += b"".join(_START + nal for nal in rest)
        count = len(groups)
        span = 0 if next_dts is None else (next_dts - dts) % WRAP
        if not 0 < span <= _MAX_STEP * count:
            span = self._step * count
        elif count:
            self._step = span // count
        for index, group in enumerate(groups):
            shift = span * index // count
            self._units.picture(group, (pts + shift) % WRAP, (dts + shift) % WRAP, out)

    def _group(self, nals: list[bytes]) -> tuple[list[list[bytes]], list[bytes]]:
        """Put NAL units together that make up one access unit; return apart what begins another."""
        groups: list[list[bytes]] = []
        group: list[bytes] = []
        coded = False
        codec = self._codec
        for nal in nals:
            if coded and begins_unit(codec, nal, True):
                groups.append(group)
                group = []
                coded = False
            group.append(nal)
            coded = coded or is_coded(codec, nal)
        if coded:
            groups.append(group)
            group = []
        return groups, group

    def _holds_picture(self, data: bytes) -> bool:
        at = data.find(_START)
        while 0 <= at < len(data) - 3:
            if is_coded(self._codec, data[at + 3 : at + 4]):
                return True
            at = data.find(_START, at + 3)
        return False

    def _first_unit(self, payload: bytes) -> int:
        """Find where the first access unit of a payload begins, -1 if none does."""
        coded = self._coded or not self._pending
        at = payload.find(_START)
        while at >= 0:
            nal = payload[at + 3 : at + 6]
            if nal and begins_unit(self._codec, nal, coded):
                return at
            coded = coded or (nal != b"" and is_coded(self._codec, nal))
            at = payload.find(_START, at + 3)
        return -1


class _AudioClock:
    """Counts samples from the last time stamp, so that rounding never adds up.

    Unit n of a PES packet gets PTS + round(samples before it * 90000 / rate), to nearest: exact for
    48, 32, 16 and 8 kHz, within half a tick of the truth otherwise.
    """

    __slots__ = ("_anchor", "_samples")

    def __init__(self) -> None:
        self._anchor: int | None = None
        self._samples = 0

    def set(self, pts: int) -> None:
        self._anchor = pts
        self._samples = 0

    def lose(self) -> None:
        self._anchor = None

    def next(self, samples: int, rate: int) -> int | None:
        """Return the time of a unit of so many samples, None while no time stamp is known."""
        if self._anchor is None:
            return None
        pts = (self._anchor + (self._samples * CLOCK + rate // 2) // rate) % WRAP
        self._samples += samples
        return pts


class AdtsParser:
    """AAC in ADTS; frames may lie across PES packets."""

    __slots__ = ("_clock", "_format", "_rest")

    def __init__(self) -> None:
        """Start without a format: the first frame tells it."""
        self._rest = b""
        self._clock = _AudioClock()
        self._format: TrackFormat | None = None

    def begin(self, _head: bytes, _dts: int, _out: list[SourceEvent]) -> None:
        """Audio frames tell their own end."""

    def feed(self, payload: bytes, times: tuple[int, int] | None, out: list[SourceEvent]) -> None:
        """Take a PES payload; its time stamp is that of the first frame that begins in it."""
        carried = bool(self._rest)
        frames, used = aac.split_adts(self._rest + payload)
        self._rest = (self._rest + payload)[used:]
        if times is not None and not carried:
            self._clock.set(times[0])
            times = None
        for frame in frames:
            track = self._format
            if track is None or track.config != frame.config:
                track = describe.track_format(Codec.AAC, frame.config, CLOCK, WRAP)
                self._format = track
                out.append(track)
            pts = self._clock.next(1024, track.sample_rate)
            if pts is not None and frame.data:
                out.append(AccessUnit(Medium.AUDIO, pts, pts, True, frame.data))
            if times is not None:
                self._clock.set(times[0])
                times = None

    def lose(self) -> None:
        """Forget the frame under way and the time."""
        self._rest = b""
        self._clock.lose()

    def flush(self, _out: list[SourceEvent]) -> None:
        """Nothing complete is ever held back; a partial frame stays partial."""
        self.lose()


class OpusParser:
    """Opus packets, each behind a control header. Source: ETSI TS 103 491."""

    __slots__ = ("_announced", "_clock", "_format")

    def __init__(self, channels: int) -> None:
        """Start with the channels that the PMT says."""
        config = opus.dops_for_channels(channels)
        self._format = describe.track_format(Codec.OPUS, config, CLOCK, WRAP)
        self._announced = False
        self._clock = _AudioClock()

    def begin(self, _head: bytes, _dts: int, _out: list[SourceEvent]) -> None:
        """Opus packets tell their own end."""

    def feed(self, payload: bytes, times: tuple[int, int] | None, out: list[SourceEvent]) -> None:
        """Take a PES payload of whole Opus packets; damaged ones are dropped."""
        if times is not None:
            self._clock.set(times[0])
        at = 0
        while at < len(payload):
            begin, size = _opus_control(payload, at)
            at = begin + size
            if not size or at > len(payload):
                break
            packet = payload[begin:at]
            try:
                samples = opus.packet_samples(packet)
            except SourceMalformed:
                break
            pts = self._clock.next(samples, opus.SAMPLE_RATE)
            if pts is None:
                continue
            if not self._announced:
                self._announced = True
                out.append(self._format)
            out.append(AccessUnit(Medium.AUDIO, pts, pts, True, packet))

    def lose(self) -> None:
        """Forget the time."""
        self._clock.lose()

    def flush(self, _out: list[SourceEvent]) -> None:
        """Nothing is held back."""


def _opus_control(data: bytes, at: int) -> tuple[int, int]:
    """Read an opus_control_header; return where its packet begins and its size, 0 if damaged."""
    end = len(data)
    if at + 3 > end or data[at] != 0x7F or data[at + 1] & 0xE0 != 0xE0:
        return at, 0
    flags = data[at + 1]
    at += 2
    size = 0
    while at < end and data[at] == 255:
        size += 255
        at += 1
    if at >= end:
        return at, 0
    size += data[at]
    at += 1
    at += 2 * (flags >> 4 & 1) + 2 * (flags >> 3 & 1)
    if flags & 0x04:
        if at >= end:
            return at, 0
        at += 1 + data[at]
    return at, size
