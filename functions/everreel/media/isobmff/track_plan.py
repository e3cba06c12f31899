"""The sample tables of one track of an MP4, collected fragment by fragment."""

import struct
from array import array
from collections.abc import Iterator
from itertools import accumulate, pairwise
from operator import add

from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.isobmff.boxes import Box, box, full_box, walk
from everreel.media.isobmff.fragment_table import FragmentTable
from everreel.media.isobmff.sample_runs import Runs, table_head, write_column
from everreel.media.isobmff.tracks import sample_descriptions, timescale, track_box

_LONGEST = 2**32 - 1
"""Ticks that a sample can last at most: 13 hours of video."""


class TrackPlan:
    """Collects the samples of a track; some 4 bytes for a frame of audio, 16 for a picture.

    Attributes:
        scale: ticks per second in which the track is written.
        start, end: presentation times between which it plays, ticks.
    """

    __slots__ = (
        "_chunks", "_compositions", "_durations", "_first_at", "_formats", "_last", "_last_at",
        "_pictures", "_sizes", "_sync", "end", "scale", "start",
    )  # fmt: skip

    def __init__(self, scale: int) -> None:
        """Start without samples. Units: `scale` ticks per second."""
        self.scale = scale
        self.start = 0
        self.end = 0
        self._first_at = 0
        self._formats: list[TrackFormat] = []
        self._sizes = array("I")
        self._durations = Runs()
        self._compositions = Runs()
        self._sync = array("I")
        self._pictures = 0
        self._chunks = array("I")
        # The last sample lasts until the next fragment begins, however long that takes.
        self._last = 0
        self._last_at = 0

    def add(self, track: TrackFormat, table: FragmentTable) -> None:
        """Append the samples of a fragment as one chunk."""
        own = timescale(track)
        times = list(accumulate(table.durations, initial=table.start))
        compositions = table.compositions
        if own != self.scale:
            times = [(time * self.scale + own // 2) // own for time in times]
            compositions = [(c * self.scale + own // 2) // own for c in compositions]
        durations = [b - a for a, b in pairwise(times)]
        late = 0
        if not self._sizes:
            self._first_at = times[0]
            self.start = times[0] + compositions[0]
        else:
            lasts = min(max(times[0] - self._last_at, 1), _LONGEST)
            self._durations.extend([lasts])
            late = self._last_at + lasts - times[0]
        ends = map(add, times[1:], compositions)
        self.end = max(self.end, *ends) if track.medium is Medium.VIDEO else times[-1] + late
        self._last = durations.pop()
        self._last_at = times[-2] + late
        self._durations.extend(durations)
        if track.medium is Medium.VIDEO:
            self._compositions.extend([c - late for c in compositions])
            first = len(self._sizes) + 1
            self._sync.extend(number for number, sync in enumerate(table.sync, first) if sync)
            self._pictures += len(table.sync)
        self._sizes.extend(table.sizes)
        self._chunks.extend((len(table.sizes), self._entry(track)))

    def _entry(self, track: TrackFormat) -> int:
        """Tell the number of the sample entry that describes a format."""
        if track not in self._formats:
            self._formats.append(track)
        return self._formats.index(track) + 1

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self._sizes)

    @property
    def duration(self) -> int:
        """Length of all samples on the decode clock, ticks."""
        return self._last_at + self._last - self._first_at

    def head(self, start: int, end: int, *, wide: bool) -> bytes:
        """Build trak up to the end of stsd; its boxes say the size they have with all tables.

        Args:
            start: when the track begins in the movie, ticks of the movie.
            end: when it ends there.
            wide: chunk offsets have 64 bits.
        """
        edits = [struct.pack(">QqHH", start, -1, 1, 0)] if start else []
        # Offsets are written without a sign; where the first picture is presented, play begins.
        shown = self.start - self._first_at - self._compositions.least
        edits.append(struct.pack(">QqHH", end - start, shown, 1, 0))
        elst = full_box(b"elst", 1, 0, struct.pack(">I", len(edits)), *edits)
        head = track_box(
            max(self._formats, key=lambda one: one.width * one.height),
            sample_descriptions(self._formats),
            movie_duration=end,
            media_duration=self.duration,
            media_timescale=self.scale,
            edits=box(b"edts", elst),
        )
        return _enlarge(head, sum(size for size, _ in self._tables(array("Q"), wide)))

    def tables(self, chunk_offsets: "array[int]", *, wide: bool) -> Iterator[bytes]:
        """Yield the boxes that follow stsd, a part at a time."""
        for _, parts in self._tables(chunk_offsets, wide):
            yield from parts

    def _tables(
        self, chunk_offsets: "array[int]", wide: bool
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield size and parts of each box; sizes do not depend on `chunk_offsets`."""
        runs = len(self._durations) + 1
        yield 16 + 8 * runs, self._time_to_sample(runs)
        if not self._compositions.all_zero:
            runs = len(self._compositions)
            yield 16 + 8 * runs, self._composition_offsets(runs)
        if len(self._sync) < self._pictures:
            yield 16 + 4 * len(self._sync), _column(b"stss", self._sync)
        to_chunk = self._sample_to_chunk()
        yield len(to_chunk), iter((to_chunk,))
        yield 20 + 4 * self.samples, _column(b"stsz", self._sizes, bytes(4))
        chunks = len(self._chunks) // 2
        if wide:
            yield 16 + 8 * chunks, _column(b"co64", chunk_offsets)
        else:
            yield 16 + 4 * chunks, _column(b"stco", array("I", chunk_offsets))

    def _time_to_sample(self, runs: int) -> Iterator[bytes]:
        yield table_head(b"stts", runs, 8)
        yield from self._durations.write()
        yield struct.pack(">II", 1, self._last)

    def _composition_offsets(self, runs: int) -> Iterator[bytes]:
        yield table_head(b"ctts", runs, 8)
        yield from self._compositions.write(-self._compositions.least)

    def _sample_to_chunk(self) -> bytes:
        entries: list[bytes] = []
        previous: tuple[int, int] | None = None
        counts, kinds = self._chunks[0::2], self._chunks[1::2]
        for number, chunk in enumerate(zip(counts, kinds, strict=True), 1):
            if chunk != previous:
                entries.append(struct.pack(">III", number, *chunk))
                previous = chunk
        return table_head(b"stsc", len(entries), 12) + b"".join(entries)


def _column(kind: bytes, column: "array[int]", fixed: bytes = b"") -> Iterator[bytes]:
    yield table_head(kind, len(column), column.itemsize, fixed)
    yield from write_column(column)


def _enlarge(trak: bytes, missing: int) -> bytes:
    """Make trak and the boxes at its end, down to stbl, say that `missing` bytes will follow."""
    patched = bytearray(trak)
    place = Box(b"", 0, 0, len(trak))
    for kind in (b"trak", b"mdia", b"minf", b"stbl"):
        place = next(b for b in walk(trak, place.body, place.end) if b.kind == kind)
        size = place.end - place.start + missing
        patched[place.start : place.start + 4] = size.to_bytes(4, "big")
    return bytes(patched)
