"""Reads what a movie fragment says of its samples: times, sizes, flags and where they lie."""

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from everreel.errors import SourceMalformed
from everreel.media.isobmff.boxes import Box, child, name, require, version_and_flags, walk

MAX_SAMPLES = 100_000
"""Samples of one fragment; a minute at 240 pictures a second has 14,400."""

_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_RUN_OFFSET, _RUN_FIRST_FLAGS = 0x1, 0x4
_SAMPLE_DURATION, _SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_COMPOSITION = 0x100, 0x200, 0x400, 0x800
_NON_SYNC = 0x1_0000


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a sample if the fragment does not say (trex). Units: ticks, bytes."""

    duration: int = 0
    size: int = 0
    flags: int = 0


@dataclass(slots=True)
class FragmentTable:
    """The samples of one track in one fragment, in decode order.

    Attributes:
        track_id: as in the init segment.
        start: decode time of the first sample, ticks of the track.
        durations, sizes: ticks and bytes of each sample.
        compositions: presentation minus decode time, ticks.
        sync: whether decoding can start at the sample.
        runs: (offset, bytes) of the payload of each run, from the start of the data that was read.
        counts: samples of each run.
    """

    track_id: int
    start: int
    durations: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    compositions: list[int] = field(default_factory=list)
    sync: list[bool] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


def read_defaults(data: bytes, moov: Box) -> dict[int, Defaults]:
    """Read the trex boxes of an init segment by track id.

    Raises:
        SourceMalformed: one is cut off.
    """
    extends = child(data, moov, b"mvex")
    found: dict[int, Defaults] = {}
    for place in walk(data, extends.body, extends.end) if extends else ():
        if place.kind == b"trex":
            track_id, _, duration, size, flags = _unpack(">IIIII", data, place, 4)
            found[track_id] = Defaults(duration, size, flags)
    return found


def read_tables(
    data: bytes, moof: Box, defaults: Mapping[int, Defaults]
) -> Iterator[FragmentTable]:
    """Yield the sample tables of a movie fragment, one for each track fragment.

    Args:
        data: the bytes `moof` was found in, from the start of a segment.
        moof: the movie fragment box.
        defaults: of the tracks by id; a track without any has zeros.

    Source: ISO/IEC 14496-12 §8.8.

    Raises:
        SourceMalformed: something is cut off, missing or out of range.
    """
    following = moof.start
    for traf in walk(data, moof.body, moof.end):
        if traf.kind == b"traf":
            table, following = _read_traf(data, moof, traf, defaults, following)
            yield table


def _read_traf(
    data: bytes, moof: Box, traf: Box, defaults: Mapping[int, Defaults], following: int
) -> tuple[FragmentTable, int]:
    """Read a track fragment; return its table and where the payload after it would begin."""
    tfhd = require(data, traf, b"tfhd")
    _, flags = version_and_flags(data, tfhd)
    (track_id,) = _unpack(">I", data, tfhd, 4)
    own = defaults.get(track_id, Defaults())
    values = [moof.start if flags & 0x2_0000 else following, 0, own.duration, own.size, own.flags]
    at = 8
    for i, bit in enumerate((_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS)):
        if flags & bit:
            layout = ">Q" if bit == _BASE_OFFSET else ">I"
            (values[i],) = _unpack(layout, data, tfhd, at)
            at += struct.calcsize(layout)
    base, _, duration, size, sample_flags = values

    tfdt = require(data, traf, b"tfdt")
    wide = version_and_flags(data, tfdt)[0] == 1
    (start,) = _unpack(">Q" if wide else ">I", data, tfdt, 4)

    table = FragmentTable(track_id, start)
    following = base
    for trun in walk(data, traf.body, traf.end):
        if trun.kind == b"trun":
            inherited = Defaults(duration, size, sample_flags)
            following = _read_run(data, trun, inherited, base, following, table)
    return table, following


def _read_run(
    data: bytes, trun: Box, own: Defaults, base: int, following: int, table: FragmentTable
) -> int:
    """Append the samples of a run to `table`; return where its payload ends."""
    _, flags = version_and_flags(data, trun)
    (count,) = _unpack(">I", data, trun, 4)
    at = 8
    if flags & _RUN_OFFSET:
        (offset,) = _unpack(">i", data, trun, at)
        following = base + offset
        at += 4
    first_flags: int | None = None
    if flags & _RUN_FIRST_FLAGS:
        (first_flags,) = _unpack(">I", data, trun, at)
        at += 4
    if count + len(table.sizes) > MAX_SAMPLES:
        raise SourceMalformed(f"MP4: a fragment of more than {MAX_SAMPLES} samples")

    bits = [b for b in (_SAMPLE_DURATION, _SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_COMPOSITION)
            if flags & b]  # fmt: skip
    end = trun.body + at + 4 * count * len(bits)
    if end > trun.end:
        raise SourceMalformed(f"MP4: trun is too short for its {count} samples")
    words = array("I", data[trun.body + at : end])
    if sys.byteorder == "little":
        words.byteswap()
    columns = {bit: words[i :: len(bits)] for i, bit in enumerate(bits)}

    def column(bit: int, default: int) -> list[int]:
        found = columns.get(bit)
        return [default] * count if found is None else found.tolist()

    sizes = column(_SAMPLE_SIZE, own.size)
    sync = [not word & _NON_SYNC for word in column(_SAMPLE_FLAGS, own.flags)]
    if first_flags is not None and count:
        sync[0] = not first_flags & _NON_SYNC
    compositions = columns.get(_SAMPLE_COMPOSITION)
    table.durations += column(_SAMPLE_DURATION, own.duration)
    table.sizes += sizes
    table.sync += sync
    # Signed whatever the version says: an offset of six hours does not exist, a wrong version does.
    table.compositions += (
        [0] * count if compositions is None else array("i", compositions.tobytes()).tolist()
    )
    table.runs.append((following, sum(sizes)))
    table.counts.append(count)
    return following + sum(sizes)


def _unpack(layout: str, data: bytes, place: Box, at: int) -> tuple[int, ...]:
    """Unpack numbers `at` bytes into a box."""
    if place.body + at + struct.calcsize(layout) > place.end:
        raise SourceMalformed(f"MP4: {name(place.kind)} is cut off")
    return struct.unpack_from(layout, data, place.body + at)
