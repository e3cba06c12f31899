"""Columns of sample tables, compact in memory and written big-endian a part at a time."""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby

_SLICE = 1 << 16


class Runs:
    """A column as runs of equal values, the form of stts and ctts: 8 bytes a run.

    Attributes:
        least: the smallest value so far, 0 if none is negative.
    """

    __slots__ = ("_words", "least")

    def __init__(self) -> None:
        """Start without values."""
        self._words = array("I")
        self.least = 0

    def __len__(self) -> int:
        return len(self._words) // 2

    @property
    def all_zero(self) -> bool:
        """Tell whether there is no value but 0."""
        return not any(self._words[1::2])

    def extend(self, values: Iterable[int]) -> None:
        """Append values of 32 bits, signed or not."""
        words = self._words
        for value, group in groupby(values):
            count = sum(1 for _ in group)
            word = value & 0xFFFF_FFFF
            if words and words[-1] == word:
                words[-2] += count
            else:
                words.append(count)
                words.append(word)
                self.least = min(self.least, value)

    def write(self, shift: int = 0) -> Iterator[bytes]:
        """Yield pairs of count and value, `shift` added to each value."""
        for at in range(0, len(self._words), _SLICE):
            part = self._words[at : at + _SLICE]
            if shift:
                part[1::2] = array("I", [(word + shift) & 0xFFFF_FFFF for word in part[1::2]])
            yield _big_endian(part)


def write_column(column: "array[int]") -> Iterator[bytes]:
    """Yield a column big-endian, a part at a time."""
    for at in range(0, len(column), _SLICE):
        yield _big_endian(column[at : at + _SLICE])


def table_head(kind: bytes, count: int, entry_size: int, fixed: bytes = b"") -> bytes:
    """Build what comes before the entries of a table box: header, version 0, `fixed`, count."""
    size = 16 + len(fixed) + count * entry_size
    return struct.pack(">I4sI", size, kind, 0) + fixed + struct.pack(">I", count)


def _big_endian(column: "array[int]") -> bytes:
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()
