"""Programme tables of an MPEG-2 transport stream: reads and writes PAT and PMT sections."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from everreel.errors import SourceMalformed, SourceUnsupported

PACKET = 188
"""Bytes of a transport packet."""

CLOCK = 90_000
"""Ticks per second of PTS and DTS."""

WRAP = 1 << 33
"""Modulus of PTS and DTS."""

PAT_PID = 0
PAT_ID, PMT_ID = 0, 2

AAC_ADTS, AAC_LATM, H264, H265, PRIVATE = 0x0F, 0x11, 0x1B, 0x24, 0x06
"""Values of stream_type. Source: ISO/IEC 13818-1 table 2-34."""

NAMES = {
    0x01: "MPEG-1 video", 0x02: "MPEG-2 video", 0x03: "MPEG-1 audio (MP2/MP3)",
    0x04: "MPEG-2 audio (MP2/MP3)", 0x06: "private data", 0x0F: "AAC", 0x10: "MPEG-4 video",
    0x11: "AAC in LATM", 0x1B: "H.264", 0x1C: "raw MPEG-4 audio", 0x21: "JPEG 2000",
    0x24: "H.265", 0x33: "H.266", 0x42: "AVS video", 0x80: "LPCM audio", 0x81: "AC-3",
    0x82: "DTS", 0x84: "E-AC-3", 0x87: "E-AC-3", 0xCF: "encrypted AAC", 0xC1: "encrypted AC-3",
    0xC2: "encrypted E-AC-3", 0xD1: "Dirac", 0xDB: "encrypted H.264", 0xEA: "VC-1",
}  # fmt: skip
"""What a stream_type is called in messages; those not listed carry neither picture nor sound."""

_REGISTRATION, _EXTENSION, _OPUS_AUDIO = 0x05, 0x7F, 0x80
_OPUS = b"Opus"
_MAX_SECTION = 1024
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class ElementaryStream:
    """One row of a PMT: `stream_type`, packet id and the bytes of its descriptors."""

    stream_type: int
    pid: int
    descriptors: bytes = b""


@dataclass(frozen=True, slots=True)
class ProgrammeMap:
    """What a PMT section says of its programme; `streams` in its order."""

    number: int
    pcr_pid: int
    streams: tuple[ElementaryStream, ...]


class SectionReader:
    """Puts together the sections of one packet id; holds at most one, of 1 KiB."""

    __slots__ = ("_buffer", "_last")

    def __init__(self) -> None:
        self._buffer: bytes | None = None
        self._last = b""

    def read(self, payload: bytes, starts: bool) -> list[bytes]:
        """Take the payload of one packet; return the sections it completes whose CRC is right.

        Source: ISO/IEC 13818-1 §2.4.4.1.
        """
        found: list[bytes] = []
        if starts:
            begin = 1 + payload[0]
            if self._buffer is not None:
                self._cut(self._buffer + payload[1:begin], found)
            self._buffer = self._cut(payload[begin:], found)
        elif self._buffer is not None:
            self._buffer = self._cut(self._buffer + payload, found)
        return found

    def lose(self) -> None:
        """Forget the section under way: a packet is missing."""
        self._buffer = None

    def _cut(self, data: bytes, found: list[bytes]) -> bytes | None:
        """Cut whole sections off the front; return what is left to wait for more."""
        while len(data) >= 3 and data[0] != 0xFF:
            size = 3 + ((data[1] & 0x0F) << 8 | data[2])
            if size > _MAX_SECTION:
                return None
            if len(data) < size:
                return data
            section, data = data[:size], data[size:]
            if section == self._last or crc(section) == 0:
                self._last = section
                found.append(section)
        return None if data[:1] in {b"", b"\xff"} else data


def crc(data: bytes) -> int:
    """Compute CRC_32; over a whole section with its CRC it is 0.

    zlib has the same polynomial with all bits mirrored. Source: ISO/IEC 13818-1 Annex A.
    """
    mirrored = zlib.crc32(data.translate(_MIRRORED)) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def parse_pat(section: bytes) -> list[tuple[int, int]]:
    """List programme numbers and the packet ids of their PMTs, without the network table.

    Raises: SourceMalformed if it is cut short.
    Source: ISO/IEC 13818-1 §2.4.4.3.
    """
    if len(section) < 12:
        raise SourceMalformed("PAT section is too short")
    rows = (section[at : at + 4] for at in range(8, len(section) - 7, 4))
    return [
        (row[0] << 8 | row[1], (row[2] & 0x1F) << 8 | row[3]) for row in rows if row[:2] != b"\0\0"
    ]


def parse_pmt(section: bytes) -> ProgrammeMap:
    """Read a PMT section.

    Raises: SourceMalformed if a length leads past its end.
    Source: ISO/IEC 13818-1 §2.4.4.8.
    """
    end = len(section) - 4
    if end < 12:
        raise SourceMalformed("PMT section is too short")
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    streams: list[ElementaryStream] = []
    while at + 5 <= end:
        size = (section[at + 3] & 0x0F) << 8 | section[at + 4]
        after = at + 5 + size
        if after > end:
            raise SourceMalformed("PMT descriptors lead past the end of the section")
        pid = (section[at + 1] & 0x1F) << 8 | section[at + 2]
        streams.append(ElementaryStream(section[at], pid, section[at + 5 : after]))
        at = after
    number = section[3] << 8 | section[4]
    return ProgrammeMap(number, (section[8] & 0x1F) << 8 | section[9], tuple(streams))


def is_current(section: bytes, table_id: int) -> bool:
    """Tell whether a section is of this table and in force."""
    return len(section) >= 12 and section[0] == table_id and bool(section[5] & 1)


def opus_channels(stream: ElementaryStream) -> int | None:
    """Tell how many channels a private stream registered as Opus has; None if it is something else.

    Raises: SourceUnsupported for a channel configuration of its own making.
    Source: ETSI TS 103 491 / "Opus in MPEG-TS", channel_config_code.
    """
    registered, code = False, 2
    at, data = 0, stream.descriptors
    while at + 2 <= len(data):
        tag, body = data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
        if tag == _REGISTRATION and body[:4] == _OPUS:
            registered = True
        elif tag == _EXTENSION and len(body) >= 2 and body[0] == _OPUS_AUDIO:
            code = body[1]
    if stream.stream_type != PRIVATE or not registered:
        return None
    if not 1 <= code <= 8:
        raise SourceUnsupported(f"Opus channel configuration {code} in MPEG-TS; use 1 to 8")
    return code


def opus_descriptors(channels: int) -> bytes:
    """Write the descriptors by which `opus_channels` knows Opus."""
    return bytes([_REGISTRATION, 4]) + _OPUS + bytes([_EXTENSION, 2, _OPUS_AUDIO, channels])


def pat(programmes: Sequence[tuple[int, int]]) -> bytes:
    """Write a PAT section: programme numbers and the packet ids of their PMTs."""
    rows = b"".join(
        number.to_bytes(2, "big") + (0xE000 | pid).to_bytes(2, "big") for number, pid in programmes
    )
    return _section(PAT_ID, 1, rows)


def pmt(programme: ProgrammeMap) -> bytes:
    """Write a PMT section."""
    parts = [(0xE000 | programme.pcr_pid).to_bytes(2, "big"), b"\xf0\x00"]
    for stream in programme.streams:
        parts.append(bytes([stream.stream_type]) + (0xE000 | stream.pid).to_bytes(2, "big"))
        parts.append((0xF000 | len(stream.descriptors)).to_bytes(2, "big") + stream.descriptors)
    return _section(PMT_ID, programme.number, b"".join(parts))


def _section(table_id: int, number: int, body: bytes) -> bytes:
    head = bytes([table_id]) + (0xB000 | len(body) + 9).to_bytes(2, "big")
    section = head + number.to_bytes(2, "big") + b"\xc1\x00\x00" + body
    return section + crc(section).to_bytes(4, "big")
