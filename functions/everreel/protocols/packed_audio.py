"""Reads HLS packed audio: AAC frames behind an ID3 tag that says when the first one is played.

Source: RFC 8216 §3.4; ID3v2.4 §3.1.
"""

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.media.access_unit import SourceEvent
from everreel.protocols.ts_streams import AdtsParser

_OWNER = b"com.apple.streaming.transportStreamTimestamp\0"


def is_packed(segment: bytes) -> bool:
    """Tell whether a segment is packed audio."""
    return segment.startswith(b"ID3") or _is_adts(segment)


def read(segment: bytes, parser: AdtsParser) -> list[SourceEvent]:
    """Return the frames of a whole segment.

    Units: ticks of 90 kHz, as in MPEG-TS.
    Raises: SourceMalformed if no time is given, SourceUnsupported for audio other than AAC.
    """
    if not segment.startswith(b"ID3") or len(segment) < 10:
        raise SourceMalformed("a packed audio segment of the HLS source does not say its time")
    size = 0
    for octet in segment[6:10]:
        size = size << 7 | octet & 0x7F
    tag, frames = segment[10 : 10 + size], segment[10 + size :]
    at = tag.find(_OWNER)
    if at < 0 or len(tag) < at + len(_OWNER) + 8:
        raise SourceMalformed("a packed audio segment of the HLS source does not say its time")
    if not _is_adts(frames):
        raise SourceUnsupported("the HLS source's packed audio is not AAC", field="source")
    ticks = int.from_bytes(tag[at + len(_OWNER) : at + len(_OWNER) + 8], "big") & (2**33 - 1)
    events: list[SourceEvent] = []
    parser.feed(frames, (ticks, ticks), events)
    parser.flush(events)
    return events


def _is_adts(data: bytes) -> bool:
    """Tell whether an ADTS frame begins here: sync word, layer 0 (ISO/IEC 13818-7 §6.2.1)."""
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
