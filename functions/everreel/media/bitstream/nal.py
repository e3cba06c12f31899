"""Splits and joins NAL units in their two framings: start codes and length prefixes."""

from collections.abc import Iterable

from everreel.errors import SourceMalformed

MAX_NALS = 8192
"""NAL units in one access unit; H.264 level 6.2 allows some hundred slices."""

_START = b"\x00\x00\x01"


def split_annexb(data: bytes) -> list[bytes]:
    """Split a byte stream with start codes into NAL units.

    Bytes before the first start code and zeros around NAL units are dropped: a NAL unit never ends
    in a zero byte.

    Raises: SourceMalformed if there are more than `MAX_NALS`.
    Source: ISO/IEC 14496-10 Annex B.
    """
    nals: list[bytes] = []
    at = data.find(_START)
    while at >= 0:
        begin = at + 3
        at = data.find(_START, begin)
        nal = (data[begin:at] if at >= 0 else data[begin:]).rstrip(b"\x00")
        if nal:
            nals.append(nal)
            if len(nals) > MAX_NALS:
                raise SourceMalformed(f"access unit holds more than {MAX_NALS} NAL units")
    return nals


def split_length_prefixed(data: bytes, length_size: int = 4, at: int = 0) -> list[bytes]:
    """Split NAL units, from `at` on, each preceded by its length; empty ones are dropped.

    Raises: SourceMalformed if a length leads past the end or there are more than `MAX_NALS`.
    Source: ISO/IEC 14496-15 §5.3.4.2.
    """
    nals: list[bytes] = []
    end = len(data)
    while at < end:
        begin = at + length_size
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > end or begin > end:
            raise SourceMalformed("NAL unit length leads past the end of its access unit")
        if at > begin:
            nals.append(data[begin:at])
            if len(nals) > MAX_NALS:
                raise SourceMalformed(f"access unit holds more than {MAX_NALS} NAL units")
    return nals


def join_length_prefixed(nals: Iterable[bytes]) -> bytes:
    """Put a 4-byte big-endian length before each NAL unit and join them."""
    parts: list[bytes] = []
    for nal in nals:
        parts.append(len(nal).to_bytes(4, "big"))
        parts.append(nal)
    return b"".join(parts)
