"""Reads and writes AMF0, the notation of RTMP commands."""

import struct
from typing import TypeAlias

from everreel.errors import SourceMalformed

AmfValue: TypeAlias = "bool | float | str | list[AmfValue] | dict[str, AmfValue] | None"

MAX_BYTES = 65536
"""A command longer than this is no command."""
MAX_DEPTH = 16

_NUMBER, _BOOLEAN, _STRING, _OBJECT = 0, 1, 2, 3
_NULL, _UNDEFINED, _REFERENCE, _ECMA_ARRAY = 5, 6, 7, 8
_OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING = 9, 10, 11, 12
_UNSUPPORTED, _XML, _TYPED_OBJECT = 13, 15, 16


def encode(*values: AmfValue) -> bytes:
    """Write values one after the other. Source: AMF0 specification §2."""
    return b"".join(_encode(value) for value in values)


def decode(data: bytes) -> list[AmfValue]:
    """Read all values of a command; references and dates come out as None and their number.

    Raises: SourceMalformed if it is cut short, nested deeper than `MAX_DEPTH` or longer than
        `MAX_BYTES`.
    Source: AMF0 specification §2.
    """
    if len(data) > MAX_BYTES:
        raise SourceMalformed(f"RTMP command of {len(data)} bytes, at most {MAX_BYTES} are read")
    reader = _Reader(data)
    values: list[AmfValue] = []
    while reader.at < len(data):
        values.append(reader.value(0))
    return values


def _encode(value: AmfValue) -> bytes:
    if value is None:
        return b"\x05"
    if isinstance(value, bool):
        return bytes([_BOOLEAN, value])
    if isinstance(value, int | float):
        return struct.pack(">Bd", _NUMBER, value)
    if isinstance(value, str):
        raw = value.encode()
        if len(raw) > 0xFFFF:
            return struct.pack(">BI", _LONG_STRING, len(raw)) + raw
        return struct.pack(">BH", _STRING, len(raw)) + raw
    if isinstance(value, list):
        return struct.pack(">BI", _STRICT_ARRAY, len(value)) + encode(*value)
    parts = [b"\x03"]
    for name, member in value.items():
        raw = name.encode()
        parts += (len(raw).to_bytes(2, "big"), raw, _encode(member))
    parts.append(b"\x00\x00\x09")
    return b"".join(parts)


class _Reader:
    """A cursor over AMF0 values."""

    __slots__ = ("_data", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def value(self, depth: int) -> AmfValue:
        """Read one value."""
        if depth > MAX_DEPTH:
            raise SourceMalformed(f"RTMP command is nested deeper than {MAX_DEPTH}")
        marker = self._take(1)[0]
        if marker in {_NUMBER, _DATE}:
            number: float = struct.unpack(">d", self._take(8))[0]
            if marker == _DATE:
                self._take(2)
            return number
        if marker == _BOOLEAN:
            return self._take(1) != b"\x00"
        if marker == _STRING:
            return self._text(2)
        if marker in {_LONG_STRING, _XML}:
            return self._text(4)
        if marker in {_NULL, _UNDEFINED, _UNSUPPORTED}:
            return None
        if marker == _REFERENCE:
            self._take(2)
            return None
        return self._compound(marker, depth)

    def _compound(self, marker: int, depth: int) -> AmfValue:
        if marker == _STRICT_ARRAY:
            count = int.from_bytes(self._take(4), "big")
            if count > MAX_BYTES:
                raise SourceMalformed(f"AMF0 array says {count} elements, more than it has bytes")
            return [self.value(depth + 1) for _ in range(count)]
        if marker == _TYPED_OBJECT:
            self._text(2)
        elif marker == _ECMA_ARRAY:
            self._take(4)  # the count is a hint; the end marker decides
        elif marker != _OBJECT:
            raise SourceMalformed(f"AMF0 has no type {marker}")
        members: dict[str, AmfValue] = {}
        while True:
            name = self._text(2)
            if not name and self._data[self.at : self.at + 1] == bytes([_OBJECT_END]):
                self.at += 1
                return members
            members[name] = self.value(depth + 1)

    def _text(self, length_size: int) -> str:
        length = int.from_bytes(self._take(length_size), "big")
        return self._take(length).decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise SourceMalformed("RTMP command is shorter than its values say")
        taken = self._data[self.at : end]
        self.at = end
        return taken
