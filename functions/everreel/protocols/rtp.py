"""Receives the RTP packets of one track: order, loss, sender changes, clock. Source: RFC 3550."""

from dataclasses import dataclass
from typing import Protocol

from everreel.media.access_unit import ClockReference, Medium, SourceEvent, TrackFormat

WRAP = 1 << 32
"""Modulus of RTP time stamps."""

_RESTART = 3000
"""A sequence number this far away is a sender that started anew (RFC 3550 A.1 MAX_DROPOUT)."""
_SENDER_REPORT, _RECEIVER_REPORT, _SOURCE_DESCRIPTION = 200, 201, 202
_CNAME = b"everreel"


@dataclass(slots=True)
class RtpCounts:
    """What the network and the sender did to a track.

    Attributes:
        packets: taken, of the track's payload type.
        lost: sequence numbers given up.
        late: packets that came twice or after they were given up.
        damaged: access units dropped because a part of them was missing or broken.
        skipped: whole pictures dropped because decoding could not start or go on at them.
        restarts: changes of the sender (SSRC or sequence).
    """

    packets: int = 0
    lost: int = 0
    late: int = 0
    damaged: int = 0
    skipped: int = 0
    restarts: int = 0


class Depacketiser(Protocol):
    """Turns the payloads of one track, in sequence, into events. Pure, bounded memory."""

    @property
    def medium(self) -> Medium:
        """Tell which track it makes."""
        ...

    def begin(self) -> list[SourceEvent]:
        """Return the format if the session description has told it."""
        ...

    def packet(self, ticks: int, marker: bool, payload: bytes, out: list[SourceEvent], /) -> None:
        """Take the next payload; append the units it completes.

        Raises: SourceMalformed, SourceUnsupported.
        """
        ...

    def lose(self) -> None:
        """Packets are missing here: drop the unit they belong to."""
        ...


class RtpReceiver:
    """One track from RTP packets to events.

    Packets are put in order within `window` of them; a hole older than that is a loss. The
    transport calls `receive` for RTP and `control` for RTCP packets.

    A `ClockReference` always comes after the track's first format. A track without one (its server
    sends no reports) has ticks that start anywhere: who reads the events holds both tracks until
    each has its reference, or aligns them by arrival.

    Attributes:
        counts: what happened on the way.
        ssrc: the sender, None before the first packet.
        last_ticks: time stamp of the last packet in sequence, None before the first.
    """

    def __init__(
        self, depacketiser: Depacketiser, counts: RtpCounts, payload_type: int, window: int = 32
    ) -> None:
        """Receive into `depacketiser`; `counts` is shared with it.

        Args:
            depacketiser: of the track's codec.
            counts: where to count.
            payload_type: packets of another type are ignored.
            window: packets held back while one before them is missing.
        """
        self.counts = counts
        self.ssrc: int | None = None
        self.last_ticks: int | None = None
        self._depacketiser = depacketiser
        self._payload_type = payload_type
        self._window = window
        self._next = 0
        self._held: dict[int, tuple[int, bool, bytes]] = {}
        self._cycles = 0
        self._first = 0
        self._reported = (0, 0)
        self._heard = (0, 0.0)
        self._announced = False
        self._reference: ClockReference | None = None

    def begin(self) -> list[SourceEvent]:
        """Return the format if it is known before any packet."""
        return self._ordered(self._depacketiser.begin())

    def receive(self, packet: bytes) -> list[SourceEvent]:
        """Take one RTP packet; a packet that is none is ignored.

        Raises: SourceMalformed, SourceUnsupported from its payload.
        Source: RFC 3550 §5.1.
        """
        size = len(packet)
        if size < 12 or packet[0] & 0xC0 != 0x80 or packet[1] & 0x7F != self._payload_type:
            return []
        first = packet[0]
        begin = 12 + 4 * (first & 15)
        if first & 0x10:
            begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
        if first & 0x20:
            size -= packet[-1]
        if begin > size:
            return []
        sequence = packet[2] << 8 | packet[3]
        ticks = int.from_bytes(packet[4:8], "big")
        ssrc = int.from_bytes(packet[8:12], "big")
        entry = (ticks, packet[1] >= 0x80, packet[begin:size])
        out: list[SourceEvent] = []
        self.counts.packets += 1
        ahead = (sequence - self._next) & 0xFFFF
        if ssrc != self.ssrc or _RESTART < ahead < 0x10000 - _RESTART:
            self._restart(ssrc, sequence, out)
            ahead = 0
        if ahead > 0x7FFF or sequence in self._held:
            self.counts.late += 1
        elif ahead or self._held:
            self._held[sequence] = entry
            self._drain(out, self._window)
        else:
            self._take(entry, out)
        return self._ordered(out)

    def control(self, packet: bytes, now_s: float) -> tuple[int, int] | None:
        """Take a compound RTCP packet; return the ticks and NTP time of its sender report, if any.

        The caller gives them back through `reference` on the clock it keeps for all tracks.

        Units: RTP ticks, microseconds of the sender's NTP clock; `now_s` monotonic seconds.
        Source: RFC 3550 §6.1, §6.4.1.
        """
        found: tuple[int, int] | None = None
        at = 0
        while at + 8 <= len(packet) and packet[at] & 0xC0 == 0x80:
            after = at + 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
            if packet[at + 1] == _SENDER_REPORT and at + 20 <= min(after, len(packet)):
                ssrc = int.from_bytes(packet[at + 4 : at + 8], "big")
                ntp = int.from_bytes(packet[at + 8 : at + 16], "big")
                if ntp and self.ssrc in {None, ssrc}:
                    ticks = int.from_bytes(packet[at + 16 : at + 20], "big")
                    self._heard = (ntp >> 16 & 0xFFFFFFFF, now_s)
                    found = (ticks, (ntp * 1_000_000 + (1 << 31)) >> 32)
            at = after
        return found

    def reference(self, ticks: int, common_us: int, *, promised: bool = False) -> list[SourceEvent]:
        """Say which instant a tick stands for; it is emitted once the format is known."""
        medium = self._depacketiser.medium
        return self._ordered([ClockReference(medium, ticks, common_us, promised)])

    def report(self, own_ssrc: int, now_s: float) -> bytes:
        """Write a receiver report with our name, empty before the first packet.

        Jitter is reported as 0: it says nothing on the streams this is used for (TCP).
        Source: RFC 3550 §6.4.2, §6.5.
        """
        if self.ssrc is None:
            return b""
        highest = (self._cycles << 16 | self._next) - 1
        expected = highest - self._first + 1
        lost = self.counts.lost
        span, gone = expected - self._reported[0], lost - self._reported[1]
        self._reported = (expected, lost)
        fraction = min(255, 256 * gone // span) if span > 0 and gone > 0 else 0
        heard, at_s = self._heard
        delay = min(0xFFFFFFFF, int((now_s - at_s) * 65536)) if heard else 0
        block = b"".join(
            (
                self.ssrc.to_bytes(4, "big"),
                bytes([fraction]),
                min(lost, 0x7FFFFF).to_bytes(3, "big"),
                (highest & 0xFFFFFFFF).to_bytes(4, "big"),
                bytes(4),
                heard.to_bytes(4, "big"),
                delay.to_bytes(4, "big"),
            )
        )
        own = own_ssrc.to_bytes(4, "big")
        name = own + bytes([1, len(_CNAME)]) + _CNAME
        name += bytes(4 - len(name) % 4)
        return b"".join(
            (
                bytes([0x81, _RECEIVER_REPORT, 0, 7]) + own + block,
                bytes([0x81, _SOURCE_DESCRIPTION]) + (len(name) // 4).to_bytes(2, "big") + name,
            )
        )

    def flush(self) -> list[SourceEvent]:
        """Give out what is held back: no more packets come."""
        out: list[SourceEvent] = []
        self._drain(out, 0)
        return self._ordered(out)

    def _restart(self, ssrc: int, sequence: int, out: list[SourceEvent]) -> None:
        """Begin with a new sender: neither order nor a unit goes on across it."""
        if self.ssrc is not None:
            self._drain(out, 0)
            self._depacketiser.lose()
            self.counts.restarts += 1
        self.ssrc = ssrc
        self._next = self._first = sequence
        self._cycles = 0
        self._reported = (0, self.counts.lost)
        self._heard = (0, 0.0)

    def _take(self, entry: tuple[int, bool, bytes], out: list[SourceEvent]) -> None:
        self._next += 1
        if self._next > 0xFFFF:
            self._next = 0
            self._cycles += 1
        ticks, marker, payload = entry
        self.last_ticks = ticks
        self._depacketiser.packet(ticks, marker, payload, out)

    def _drain(self, out: list[SourceEvent], window: int) -> None:
        """Take what is in sequence; skip holes as long as more than `window` packets are held."""
        held = self._held
        while held:
            entry = held.pop(self._next, None)
            if entry is not None:
                self._take(entry, out)
                continue
            if len(held) <= window:
                return
            gap = min((sequence - self._next) & 0xFFFF for sequence in held)
            self.counts.lost += gap
            self._depacketiser.lose()
            self._next += gap
            self._cycles += self._next >> 16
            self._next &= 0xFFFF

    def _ordered(self, events: list[SourceEvent]) -> list[SourceEvent]:
        """Hold clock references back until the first format: they are about a known track."""
        if self._announced:
            return events
        out: list[SourceEvent] = []
        for event in events:
            if isinstance(event, ClockReference):
                self._reference = event
                continue
            out.append(event)
            if isinstance(event, TrackFormat) and not self._announced:
                self._announced = True
                if self._reference is not None:
                    out.append(self._reference)
        return out
