"""A whole recording as one MP4 with its tables in front, streamed without holding the media.

First pass: `Mp4Plan.add` takes the head of each track's fragment (`fragment.head_size` bytes) of
each segment. Second pass: `header`, then the bytes that `payloads` names, in order.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

from everreel.errors import ServiceFault, SourceMalformed
from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream import h264, h265
from everreel.media.bitstream.nal import join_length_prefixed
from everreel.media.isobmff.boxes import Box, box
from everreel.media.isobmff.fragment import head_size
from everreel.media.isobmff.fragment_table import FragmentTable, read_tables
from everreel.media.isobmff.track_plan import TrackPlan
from everreel.media.isobmff.tracks import MOVIE_TIMESCALE, movie_header, timescale, track_id
from everreel.media.segment import TrackRange

_LARGEST_32 = 2**32 - 1
_FTYP = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")


@dataclass(frozen=True, slots=True)
class Part:
    """One track of one segment: its format, its place in the object, and the head of that place."""

    format: TrackFormat
    place: TrackRange
    head: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes of a segment object that go into the file as they are, after a few of our own.

    Attributes:
        segment: position of the segment in the order of `Mp4Plan.add`, from 0.
        offset, length: inside the object.
        prefix: what comes before them in the file; mostly nothing.
    """

    segment: int
    offset: int
    length: int
    prefix: bytes


class Mp4Plan:
    """Collects sample tables, then tells the bytes of the file.

    Time is the recording timeline from the first sample on: the sample before a gap lasts through
    it, and a track that starts later starts later in the file too.

    Where the video format changes, keyframes get their parameter sets in-band as well: players that
    know one sample entry only, browsers among them, go on playing.

    Attributes:
        segments: added so far.
        payload_size: bytes of all payloads so far.
    """

    __slots__ = (
        "_chunk_ids", "_chunk_sizes", "_in_band", "_lengths", "_offsets", "_prefixes", "_segments",
        "_tracks", "payload_size", "segments",
    )  # fmt: skip

    def __init__(self, formats: Iterable[TrackFormat]) -> None:
        """Plan a file; `formats` are all those the recording goes through.

        Each format gets a sample entry of its own. Sample rates that differ are written in ticks of
        the highest.
        """
        scales: dict[Medium, int] = {}
        sets: dict[bytes, bytes] = {}
        for track in formats:
            scales[track.medium] = max(scales.get(track.medium, 0), timescale(track))
            if track.medium is Medium.VIDEO:
                sets[track.config] = _parameter_sets(track)
        self._in_band = sets if len(sets) > 1 else {}
        self._tracks = {m: TrackPlan(scales[m]) for m in Medium if m in scales}
        self.segments = 0
        self.payload_size = 0
        self._segments = array("I")
        self._offsets = array("Q")
        self._lengths = array("Q")
        self._prefixes: dict[int, bytes] = {}
        self._chunk_sizes = array("Q")
        self._chunk_ids = array("B")

    def add(self, parts: Sequence[Part]) -> None:
        """Append a segment.

        Raises:
            ServiceFault: a head is not what the index says lies there.
        """
        for part in parts:
            table = _read(part)
            head = head_size(part.place)
            begins, size = part.place.offset + head, part.place.length - head
            if prefix := self._in_band.get(part.format.config):
                size += self._add_prefixed(table, begins, prefix)
            else:
                self._add_payload(begins, size)
            self._tracks[part.format.medium].add(part.format, table)
            self._chunk_sizes.append(size)
            self._chunk_ids.append(track_id(part.format.medium))
            self.payload_size += size
        self.segments += 1

    def _add_payload(self, offset: int, length: int) -> None:
        self._segments.append(self.segments)
        self._offsets.append(offset)
        self._lengths.append(length)

    def _add_prefixed(self, table: FragmentTable, offset: int, prefix: bytes) -> int:
        """Cut the payload before each keyframe to put `prefix` there; return the bytes it adds."""
        starts = list(accumulate(table.sizes, initial=offset))
        keys = [i for i, sync in enumerate(table.sync) if sync]
        for first, after in pairwise(sorted({0, *keys, len(table.sizes)})):
            if table.sync[first]:
                self._prefixes[len(self._segments)] = prefix
                table.sizes[first] += len(prefix)
            self._add_payload(starts[first], starts[after] - starts[first])
        return len(keys) * len(prefix)

    def payloads(self) -> Iterator[Payload]:
        """Yield what follows the header, in the order of the file."""
        columns = zip(self._segments, self._offsets, self._lengths, strict=True)
        for number, (segment, offset, length) in enumerate(columns):
            yield Payload(segment, offset, length, self._prefixes.get(number, b""))

    @property
    def header_size(self) -> int:
        """Bytes that `header` yields."""
        return self._layout()[0]

    def header(self) -> Iterator[bytes]:
        """Yield ftyp, moov and the header of mdat.

        Source: ISO/IEC 14496-12 §8.

        Raises:
            ServiceFault: nothing was added.
        """
        header_size, wide = self._layout()
        tracks = self._filled()
        spans = {medium: self._presented(track) for medium, track in tracks.items()}
        movie = movie_header(max(end for _, end in spans.values()), len(Medium) + 1)
        heads = {m: track.head(*spans[m], wide=wide) for m, track in tracks.items()}
        traks_size = sum(int.from_bytes(head[:4], "big") for head in heads.values())
        yield _FTYP + struct.pack(">I4s", 8 + len(movie) + traks_size, b"moov") + movie
        for medium, track in tracks.items():
            yield heads[medium]
            yield from track.tables(self._chunk_offsets(medium, header_size), wide=wide)
        yield self._mdat_header()

    def _filled(self) -> dict[Medium, TrackPlan]:
        """Give the tracks that have samples.

        Raises:
            ServiceFault: none has.
        """
        tracks = {medium: track for medium, track in self._tracks.items() if track.samples}
        if not tracks:
            raise ServiceFault("an MP4 without samples was asked for: no segment was added")
        return tracks

    def _layout(self) -> tuple[int, bool]:
        """Tell the size of the header and whether chunk offsets need 64 bits."""
        sizes: list[int] = []
        for wide in (False, True):
            size = len(_FTYP) + 8 + len(movie_header(0, 1)) + len(self._mdat_header())
            for track in self._filled().values():
                head = track.head(*self._presented(track), wide=wide)
                size += int.from_bytes(head[:4], "big")
            sizes.append(size)
        narrow, wide_size = sizes
        fits = narrow + self.payload_size <= _LARGEST_32
        return (narrow, False) if fits else (wide_size, True)

    def _mdat_header(self) -> bytes:
        if self.payload_size + 8 <= _LARGEST_32:
            return struct.pack(">I4s", self.payload_size + 8, b"mdat")
        return struct.pack(">I4sQ", 1, b"mdat", self.payload_size + 16)

    def _presented(self, track: TrackPlan) -> tuple[int, int]:
        """Tell when a track starts and ends on the movie's clock; 0 is the first start of all."""

        def movie_ticks(ticks: int, scale: int) -> int:
            return (ticks * MOVIE_TIMESCALE + scale // 2) // scale

        origin = min(movie_ticks(t.start, t.scale) for t in self._filled().values())
        start = movie_ticks(track.start, track.scale)
        return start - origin, movie_ticks(track.end, track.scale) - origin

    def _chunk_offsets(self, medium: Medium, header_size: int) -> "array[int]":
        starts = accumulate(self._chunk_sizes, initial=header_size)
        own = track_id(medium)
        chosen = zip(starts, self._chunk_ids, strict=False)
        return array("Q", [start for start, number in chosen if number == own])


def _read(part: Part) -> FragmentTable:
    """Read the only table of a head and hold it against the index."""
    expected = head_size(part.place)
    if len(part.head) < expected:
        raise ServiceFault(f"the head of a fragment has {len(part.head)} bytes, not {expected}")
    moof = Box(b"moof", 0, 8, expected - 8)
    try:
        (table,) = read_tables(part.head, moof, {})
    except (SourceMalformed, ValueError) as error:
        raise ServiceFault(f"a stored fragment cannot be read: {error}") from error
    if len(table.sizes) != part.place.units or sum(table.sizes) != part.place.length - expected:
        raise ServiceFault("a stored fragment is not the one its index row tells of")
    return table


def _parameter_sets(track: TrackFormat) -> bytes:
    """Write the parameter sets of a video format as they stand in a sample."""
    read = h264.read_avcc if track.codec is Codec.H264 else h265.read_hvcc
    *lists, _ = read(track.config)
    return join_length_prefixed(chain.from_iterable(lists))
