"""Reads an MPEG-2 transport stream: packets and PES packets. Source: ISO/IEC 13818-1."""

from dataclasses import dataclass

from everreel.errors import SourceEnded, SourceError, SourceMalformed, SourceUnsupported
from everreel.media import psi
from everreel.media.access_unit import Codec, Medium, SourceEvent
from everreel.media.psi import PACKET, ElementaryStream
from everreel.protocols.ts_programmes import Programmes
from everreel.protocols.ts_streams import (
    MAX_UNIT,
    AdtsParser,
    ElementaryParser,
    OpusParser,
    VideoParser,
)

MAX_UNSYNCED = 64 << 10
"""Bytes without packet framing after which the input is given up."""

_SYNC = 0x47
_HEADER = 19
"""Bytes of a PES header up to the end of its time stamps."""
_SYNCED_PACKETS = 3
_SCRAMBLED_LIMIT = 1000


@dataclass(slots=True)
class TsCounts:
    """What was not as it should be.

    Attributes:
        unsynced: bytes passed over to find packet framing again.
        lost: breaks in the continuity counters.
        damaged: PES packets dropped because a part of them was missing or scrambled.
    """

    unsynced: int = 0
    lost: int = 0
    damaged: int = 0


class _Flow:
    """One followed packet id: puts its PES packets together."""

    __slots__ = ("bounded", "cc", "chunks", "left", "medium", "parser", "stream")

    def __init__(self, medium: Medium, stream: ElementaryStream, parser: ElementaryParser) -> None:
        self.medium = medium
        self.stream = stream
        self.parser = parser
        self.cc = -1
        self.chunks: list[bytes] = []
        self.left = 0  # bytes still to come; 0 while no PES packet is under way
        self.bounded = False

    def lose(self) -> bool:
        """Drop what is under way; tell whether anything was."""
        dropped = bool(self.chunks)
        self.chunks = []
        self.left = 0
        self.parser.lose()
        return dropped


class MpegTs:
    """A transport stream as a `SansIO`: nothing is ever sent.

    A unit with a hole (continuity counter) is dropped; units before their format is known are
    dropped. At most one PES packet and one access unit per track are held.

    Attributes:
        counts: what was damaged on the way.
        ignored: audio and video of the followed programme that cannot be recorded, by name.
    """

    def __init__(self) -> None:
        """Start out of sync, knowing no programme."""
        self.counts = TsCounts()
        self.ignored: tuple[str, ...] = ()
        self._rest = b""
        self._synced = False
        self._unsynced = 0
        self._scrambled = 0
        self._delivered = False
        self._failure: SourceError | None = None
        self._programmes = Programmes()
        self._flows: dict[int, _Flow] = {}

    # ------------------------------------------------------------------ SansIO

    def receive(self, data: bytes) -> list[SourceEvent]:
        """Take the next bytes, cut anywhere; return the events they complete.

        Raises: SourceMalformed if this is no transport stream, SourceUnsupported if nothing in it
            can be recorded.
        """
        out: list[SourceEvent] = []
        self._guarded(data, False, out)
        return out

    def data_to_send(self) -> bytes:
        """Return nothing: a transport stream only comes in."""
        return b""

    def tick(self, now_s: float) -> None:
        """Ignore time."""

    def flush(self) -> list[SourceEvent]:
        """Deliver the last units of an HLS segment; the next one may count packets anew."""
        out: list[SourceEvent] = []
        self._guarded(b"", True, out)
        if self._failure is None:
            self._drain(out)
        return out

    def end_of_input(self) -> list[SourceEvent]:
        """Deliver the last units; a unit whose last packet was cut off is dropped.

        Raises: SourceMalformed if no unit was ever delivered; on the next use SourceEnded.
        """
        if self._failure is not None:
            raise self._failure
        out: list[SourceEvent] = []
        self._guarded(b"", True, out)
        if self._failure is None:
            self._drain(out)
            if not out and not self._delivered:
                self._failure = SourceMalformed(
                    "the transport stream ended before it delivered a picture or a sound"
                )
                raise self._failure
            self._failure = SourceEnded("the transport stream has ended")
        return out

    # ------------------------------------------------------------------ packets

    def _guarded(self, data: bytes, last: bool, out: list[SourceEvent]) -> None:
        """Process; an error waits for the next call if there are events to deliver first."""
        if self._failure is not None:
            raise self._failure
        try:
            self._process(self._rest + data if self._rest else data, last, out)
        except SourceError as error:
            self._failure = error
            if not out:
                raise
        if out:
            self._delivered = True

    def _process(self, data: bytes, last: bool, out: list[SourceEvent]) -> None:
        at, end = 0, len(data)
        flows = self._flows
        while True:
            if not self._synced:
                at = self._resync(data, at, last)
                if not self._synced:
                    break
            while at + PACKET <= end:
                if data[at] != _SYNC:
                    self._synced = False
                    break
                flow = flows.get((data[at + 1] & 0x1F) << 8 | data[at + 2])
                # The most frequent packet: middle of a PES packet, payload only, in sequence.
                if (
                    flow is not None
                    and flow.left > PACKET
                    and data[at + 3] == 0x10 | flow.cc
                    and data[at + 1] < 0x40
                ):
                    flow.cc = (flow.cc + 1) & 15
                    flow.left -= 184
                    flow.chunks.append(data[at + 4 : at + PACKET])
                else:
                    self._packet(data[at : at + PACKET], flow, out)
                    flows = self._flows
                at += PACKET
            else:
                break
        self._rest = data[at:]

    def _resync(self, data: bytes, at: int, last: bool) -> int:
        """Find three sync bytes at packet distance, at the end of the input as many as there are.

        Returns where the first packet begins, or from where to look when more bytes have come.
        """
        begin, end = at, len(data)
        reach = PACKET * (_SYNCED_PACKETS - 1)
        while True:
            at = data.find(b"\x47", at)
            if at < 0:
                at = end
                break
            if at + reach >= end and not last:
                break
            if all(data[n] == _SYNC for n in range(at, min(at + reach + 1, end), PACKET)):
                self._synced = at + PACKET <= end
                break
            at += 1
        self.counts.unsynced += at - begin
        self._unsynced = 0 if self._synced else self._unsynced + at - begin
        if self._unsynced > MAX_UNSYNCED:
            raise SourceMalformed(
                f"no transport packets in {MAX_UNSYNCED >> 10} KiB: this is no MPEG-TS stream"
            )
        return at

    def _packet(self, packet: bytes, flow: _Flow | None, out: list[SourceEvent]) -> None:
        """Take any packet. Source: ISO/IEC 13818-1 §2.4.3.2."""
        starts = bool(packet[1] & 0x40)
        control = packet[3]
        begin = 5 + packet[4] if control & 0x20 else 4
        discontinuity = begin > 5 and packet[5] & 0x80 != 0
        if not control & 0x10 or begin >= PACKET:
            if flow is not None and discontinuity:
                flow.cc = -1
            return
        if flow is None:
            pid = (packet[1] & 0x1F) << 8 | packet[2]
            if not packet[1] & 0x80 and self._programmes.packet(
                pid, packet[begin:], starts, control & 15
            ):
                self._follow(out)
            return
        payload = packet[begin:]
        count = control & 15
        if packet[1] & 0x80 or control & 0xC0:
            self._unusable(flow, bool(control & 0xC0))
            return
        if flow.cc >= 0 and count != flow.cc and not discontinuity:
            if count == (flow.cc - 1) & 15 and flow.chunks and flow.chunks[-1] == payload:
                return  # a packet may be sent twice
            self.counts.lost += 1
            self.counts.damaged += flow.lose()
        flow.cc = (count + 1) & 15
        if starts:
            self._pes_begins(flow, payload, out)
        elif flow.left > 0 and len(flow.chunks[0]) < _HEADER:
            head, flow.chunks = flow.chunks[0], []
            self._pes_begins(flow, head + payload, out)
        elif flow.left > 0:
            flow.chunks.append(payload)
            flow.left -= len(payload)
        else:
            return
        if flow.left <= 0:
            self._pes_full(flow, out)

    def _unusable(self, flow: _Flow, scrambled: bool) -> None:
        """A packet that is scrambled, or that the sender marked as damaged."""
        self.counts.damaged += flow.lose()
        flow.cc = -1
        if scrambled and not self._delivered:
            self._scrambled += 1
            if self._scrambled > _SCRAMBLED_LIMIT:
                raise SourceUnsupported("the transport stream is scrambled: send it in the clear")

    # ------------------------------------------------------------------ PES packets

    def _pes_begins(self, flow: _Flow, payload: bytes, out: list[SourceEvent]) -> None:
        """Finish the PES packet under way and start the next. Source: ISO/IEC 13818-1 §2.4.3.6."""
        if flow.chunks:
            if flow.bounded:
                self.counts.damaged += flow.lose()  # shorter than it said
            else:
                self._deliver(flow, out)
        if payload[:3] != b"\x00\x00\x01"[: len(payload)]:
            flow.lose()
            return
        size = payload[4] << 8 | payload[5] if len(payload) > 5 else 0
        flow.chunks = [payload]
        flow.bounded = size > 0
        flow.left = (size + 6 if size else MAX_UNIT) - len(payload)
        if len(payload) < _HEADER:
            # The header goes on in the next packet; a small `left` keeps that off the fast way.
            flow.left = min(flow.left, PACKET)
            return
        times, body = _pes_header(payload)
        if times is not None:
            flow.parser.begin(payload[body:], times[1], out)

    def _pes_full(self, flow: _Flow, out: list[SourceEvent]) -> None:
        if flow.bounded:
            self._deliver(flow, out)
        else:
            self.counts.damaged += flow.lose()

    def _deliver(self, flow: _Flow, out: list[SourceEvent]) -> None:
        data = b"".join(flow.chunks)
        if flow.bounded and len(data) > 5:
            data = data[: 6 + (data[4] << 8 | data[5])]
        flow.chunks = []
        flow.left = 0
        times, body = _pes_header(data)
        if 0 < body < len(data):
            flow.parser.feed(data[body:], times, out)
        elif not body:
            self.counts.damaged += 1
            flow.parser.lose()

    def _drain(self, out: list[SourceEvent]) -> None:
        """Deliver what is complete or ends with the input; forget the packet counters."""
        cut = bool(self._rest)
        self._rest = b""
        self._synced = False
        for flow in self._flows.values():
            self._end_flow(flow, cut, out)
        self._programmes.lose()
        if out:
            self._delivered = True

    def _end_flow(self, flow: _Flow, cut: bool, out: list[SourceEvent]) -> None:
        if flow.chunks and not flow.bounded and not cut:
            self._deliver(flow, out)
        elif flow.chunks:
            self.counts.damaged += 1
            flow.chunks = []
            flow.left = 0
        flow.parser.flush(out)
        flow.cc = -1

    def _follow(self, out: list[SourceEvent]) -> None:
        """Bring the flows in line with the streams to record."""
        wanted = dict(self._programmes.wanted)
        self.ignored = self._programmes.ignored
        flows: dict[int, _Flow] = {}
        for flow in self._flows.values():
            found = wanted.get(flow.medium)
            if found is not None and found[0] == flow.stream:
                flows[flow.stream.pid] = flow
                del wanted[flow.medium]
            else:
                self._end_flow(flow, False, out)
        for medium, (stream, codec) in wanted.items():
            flows[stream.pid] = _Flow(medium, stream, _parser(stream, codec))
        self._flows = flows


def _parser(stream: ElementaryStream, codec: Codec) -> ElementaryParser:
    if codec is Codec.OPUS:
        return OpusParser(psi.opus_channels(stream) or 2)
    return AdtsParser() if codec is Codec.AAC else VideoParser(codec)


def _pes_header(data: bytes) -> tuple[tuple[int, int] | None, int]:
    """Read PTS and DTS, and where the payload begins: 0 if the header is damaged or scrambled."""
    if len(data) < 9 or data[6] & 0xF0 != 0x80:
        return None, 0
    body = 9 + data[8]
    flags = data[7] >> 6
    if flags < 2 or data[8] < (5 if flags == 2 else 10) or len(data) < (14 if flags == 2 else 19):
        return None, body
    pts = _timestamp(data, 9)
    return (pts, pts if flags == 2 else _timestamp(data, 14)), body


def _timestamp(data: bytes, at: int) -> int:
    """Read a 33-bit time stamp. Source: ISO/IEC 13818-1 §2.4.3.7."""
    return (
        (data[at] & 0x0E) << 29
        | data[at + 1] << 22
        | (data[at + 2] & 0xFE) << 14
        | data[at + 3] << 7
        | data[at + 4] >> 1
    )
