"""Tells from the first bytes of an HTTP body what it carries."""

from enum import StrEnum

from everreel.errors import SourceUnsupported

TS_PACKET = 188
# Three sync bytes one packet apart, wherever in a packet the server starts.
SNIFF_BYTES = 3 * TS_PACKET
_BOM = b"\xef\xbb\xbf"


class Carried(StrEnum):
    """What an HTTP body can carry that we record."""

    FLV = "flv"
    TS = "mpegts"
    HLS = "hls"


# (offset, bytes, what it is), longest and most telling first.
_NOT_LIVE = (
    (0, b"ID3", "an audio file (MP3 or AAC)"),
    (0, b"RIFF", "a file (WAV or AVI)"),
    (4, b"ftyp", "a file (MP4)"),
    (4, b"styp", "a bare fMP4 stream: give the address of its HLS playlist"),
    (4, b"moof", "a bare fMP4 stream: give the address of its HLS playlist"),
    (0, b"OggS", "an Ogg stream"),
    (0, b"fLaC", "an audio file (FLAC)"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (0, b"\x30\x26\xb2\x75", "an ASF file"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xff\xd8\xff", "a picture (JPEG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (0, b"\x1f\x8b", "compressed data"),
)


def carried(head: bytes, *, complete: bool) -> Carried | None:
    """Tell what the body is from its first bytes; None if more are needed.

    Args:
        head: all that has arrived.
        complete: no more will come.

    Raises: SourceUnsupported with a text that says what it is instead of a live stream.
    """
    if head.startswith(b"FLV"):
        return Carried.FLV
    if head.removeprefix(_BOM).startswith(b"#EXTM3U"):
        return Carried.HLS
    if _is_ts(head):
        return Carried.TS
    for offset, magic, what in _NOT_LIVE:
        if head[offset : offset + len(magic)] == magic:
            raise _unsupported(what)
    if len(head) < SNIFF_BYTES and not complete:
        return None
    raise _unsupported(_by_looks(head))


def _is_ts(head: bytes) -> bool:
    if len(head) < SNIFF_BYTES:
        return False
    return any(
        head[at] == head[at + TS_PACKET] == head[at + 2 * TS_PACKET] == 0x47
        for at in range(TS_PACKET)
    )


def _by_looks(head: bytes) -> str:
    text = head.removeprefix(_BOM).lstrip()[:256].lower()
    if not text:
        return "empty"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if b"<mpd" in text:
        return "a DASH manifest: give the address of the HLS playlist"
    if text.startswith((b"{", b"[")):
        return "a JSON document"
    if head[0] == 0xFF and head[1:2] and head[1] & 0xE0 == 0xE0:
        return "audio only (MP3 or AAC)"
    return "neither FLV, MPEG-TS nor an HLS playlist"


def _unsupported(what: str) -> SourceUnsupported:
    return SourceUnsupported(
        f"the source is {what}, not a live stream that can be recorded", field="source"
    )
