"""Boxes of the ISO base media file format: build them, and walk them in bytes not to be trusted."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from everreel.errors import SourceMalformed

MAX_BOXES = 4096
"""Boxes that one walk visits at most: real files hold tens, a hostile one could hold millions."""

IDENTITY_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
"""The transformation that leaves a picture as it is (ISO/IEC 14496-12 §6.2.2)."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """Build a box of `kind` (four characters) around the concatenated `parts`."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """Build a box that starts with a version and 24 bits of flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies in the bytes it was found in.

    Attributes:
        kind: four characters.
        start, end: offsets of its first byte and of the byte after its last.
        body: offset of what follows its header.
    """

    kind: bytes
    start: int
    body: int
    end: int


def walk(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes that lie side by side in `data[start:end]`.

    Source: ISO/IEC 14496-12 §4.2.

    Raises:
        SourceMalformed: a box is cut off, smaller than its header, or there are too many.
    """
    limit = len(data) if end is None else end
    for _ in range(MAX_BOXES):
        if start == limit:
            return
        if limit - start < 8:
            raise SourceMalformed(f"MP4: {limit - start} bytes at {start} are no box")
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            if limit - body < 8:
                raise SourceMalformed(f"MP4: the header of the box at {start} is cut off")
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = limit - start
        if start + size < body or start + size > limit:
            raise SourceMalformed(f"MP4: the box at {start} does not fit: size {size}")
        yield Box(kind, start, body, start + size)
        start += size
    raise SourceMalformed(f"MP4: more than {MAX_BOXES} boxes side by side")


def child(data: bytes, parent: Box, kind: bytes) -> Box | None:
    """Find the first box of `kind` directly inside `parent`, or None."""
    return next((b for b in walk(data, parent.body, parent.end) if b.kind == kind), None)


def require(data: bytes, parent: Box, kind: bytes) -> Box:
    """Find the first box of `kind` directly inside `parent`.

    Raises:
        SourceMalformed: there is none.
    """
    found = child(data, parent, kind)
    if found is None:
        raise SourceMalformed(f"MP4: {name(parent.kind)} holds no {name(kind)}")
    return found


def version_and_flags(data: bytes, place: Box) -> tuple[int, int]:
    """Read the version and flags with which a full box starts.

    Raises:
        SourceMalformed: the box is too small to have them.
    """
    if place.end - place.body < 4:
        raise SourceMalformed(f"MP4: {name(place.kind)} is cut off")
    (word,) = struct.unpack_from(">I", data, place.body)
    return word >> 24, word & 0xFFFFFF


def name(kind: bytes) -> str:
    """Write a box type for a message, whatever bytes it is made of."""
    return kind.decode("ascii", "backslashreplace")
