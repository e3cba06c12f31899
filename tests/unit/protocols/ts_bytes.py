"""Transport streams made by hand, one packet at a time."""

from collections.abc import Iterable

from everreel.media import psi
from everreel.media.access_unit import AccessUnit, Medium, SourceEvent
from everreel.media.psi import ElementaryStream, ProgrammeMap
from everreel.protocols.mpegts import MpegTs
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS

PMT_PID, VIDEO_PID, AUDIO_PID = 0x40, 0x50, 0x51
VIDEO = ElementaryStream(psi.H264, VIDEO_PID)
AUDIO = ElementaryStream(psi.AAC_ADTS, AUDIO_PID)

START = b"\x00\x00\x00\x01"
AUD = START + b"\x09\xf0"
SETS = START + H264_SPS + START + H264_PPS


def picture(content: bytes, key: bool = False, sets: bytes = b"") -> bytes:
    """An access unit in Annex B; 0x88 makes its slice the first of the picture."""
    return AUD + sets + START + (b"\x65\x88" if key else b"\x41\x88") + content


def prefixed(content: bytes, key: bool = False) -> bytes:
    nal = (b"\x65\x88" if key else b"\x41\x88") + content
    return len(nal).to_bytes(4, "big") + nal


def adts(frame: bytes, rate_index: int = 3) -> bytes:
    size = len(frame) + 7
    value = 0xFFF1 << 40 | 1 << 38 | rate_index << 34 | 2 << 30 | size << 13 | 0x7FF << 2
    return value.to_bytes(7, "big") + frame


def stamp(mark: int, ticks: int) -> bytes:
    value = mark << 36 | (ticks >> 30 & 7) << 33 | 1 << 32
    return (value | (ticks >> 15 & 0x7FFF) << 17 | 1 << 16 | (ticks & 0x7FFF) << 1 | 1).to_bytes(5)


def pes(payload: bytes, pts: int | None, dts: int | None = None, *, sized: bool = False) -> bytes:
    if pts is None:
        flags, stamps = 0, b""
    elif dts is None:
        flags, stamps = 0x80, stamp(2, pts)
    else:
        flags, stamps = 0xC0, stamp(3, pts) + stamp(1, dts)
    size = 3 + len(stamps) + len(payload) if sized else 0
    head = b"\x00\x00\x01\xe0" + size.to_bytes(2, "big") + bytes([0x80, flags, len(stamps)])
    return head + stamps + payload


class Mux:
    """Numbers packets as a multiplexer does."""

    def __init__(self) -> None:
        self.counters: dict[int, int] = {}

    def packets(self, pid: int, data: bytes) -> bytes:
        """Cut a PES packet or a section with its pointer into transport packets."""
        parts = []
        first = True
        while data:
            count = self.counters.get(pid, 0)
            self.counters[pid] = (count + 1) & 15
            body, data = data[:184], data[184:]
            head = bytes([0x47, (0x40 if first else 0) | pid >> 8, pid & 255])
            stuffing = 184 - len(body)
            if not stuffing:
                parts.append(head + bytes([0x10 | count]) + body)
            else:
                field = b"" if stuffing == 1 else b"\x00" + b"\xff" * (stuffing - 2)
                parts.append(head + bytes([0x30 | count, stuffing - 1]) + field + body)
            first = False
        return b"".join(parts)

    def tables(self, *streams: ElementaryStream, number: int = 1, pid: int = PMT_PID) -> bytes:
        return self.pat((number, pid)) + self.pmt(*streams, number=number, pid=pid)

    def pat(self, *programmes: tuple[int, int]) -> bytes:
        return self.packets(psi.PAT_PID, b"\x00" + psi.pat(programmes))

    def pmt(self, *streams: ElementaryStream, number: int = 1, pid: int = PMT_PID) -> bytes:
        return self.packets(pid, b"\x00" + psi.pmt(ProgrammeMap(number, 0x1FFF, streams)))


def small_stream(pictures: int = 6) -> bytes:
    """Video and audio, a keyframe every third picture, two frames of sound for each."""
    mux = Mux()
    parts = [mux.tables(VIDEO, AUDIO)]
    for index in range(pictures):
        key = index % 3 == 0
        content = bytes([1 + index]) * (40 + 300 * key)
        data = picture(content, key, SETS if key else b"")
        parts.append(mux.packets(VIDEO_PID, pes(data, 9000 + 3600 * index, 7200 + 3600 * index)))
        sound = adts(bytes([64 + index]) * 60) + adts(bytes([128 + index]) * 70)
        parts.append(mux.packets(AUDIO_PID, pes(sound, 9000 + 3840 * index, sized=True)))
    return b"".join(parts)


def read(data: bytes) -> list[SourceEvent]:
    """Everything a parser makes of a whole stream."""
    parser = MpegTs()
    return parser.receive(data) + parser.end_of_input()


def units(events: Iterable[SourceEvent], medium: Medium | None = None) -> list[AccessUnit]:
    return [e for e in events if isinstance(e, AccessUnit) and medium in (None, e.medium)]
