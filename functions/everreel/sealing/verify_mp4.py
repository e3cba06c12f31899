"""Holds `recording.mp4` against the segments, sample by sample and byte by byte."""

import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Self

from everreel.errors import SourceError
from everreel.media import names
from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream import h264, h265
from everreel.media.bitstream.nal import join_length_prefixed
from everreel.media.isobmff.boxes import Box, child, require, walk
from everreel.sealing.verify_claims import Malformed, SegmentClaim
from everreel.sealing.verify_media import Media
from everreel.sealing.verify_report import Report, Trouble
from everreel.store.ports import ObjectStore

_IDS = {1: Medium.VIDEO, 2: Medium.AUDIO}
_LARGEST_MOOV = 1 << 30
_MOST_FINDINGS = 10


@dataclass(slots=True)
class Samples:
    """The sample table of a track: sizes, and where its chunks lie; how far they were compared."""

    sizes: "array[int]"
    chunks: "array[int]"
    next_sample: int = 0
    next_chunk: int = 0


class Mp4Comparison:
    """Reads the media of `recording.mp4` beside the segments it was made of; little memory."""

    def __init__(
        self, store: ObjectStore, key: str, tracks: dict[Medium, Samples], media: tuple[int, int]
    ) -> None:
        """Compare `tracks`, whose payload lies in `media`, the first byte and the one after."""
        self._store = store
        self._key = key
        self._tracks = tracks
        self._at, self._end = media
        self._findings = 0

    @classmethod
    def open(cls, store: ObjectStore, key: str, size: int) -> Self:
        """Read the tables of an MP4. Raises: Malformed, ObjectMissing."""
        at = 0
        moov: bytes | None = None
        while at + 8 <= size:
            head = store.get(key, at, 16)
            length, header = int.from_bytes(head[:4], "big"), 8
            if length == 1:
                length, header = int.from_bytes(head[8:16], "big"), 16
            if length < header or at + length > size:
                raise Malformed(f"the box at {at} does not fit: {length} bytes of {size}")
            if head[4:8] == b"moov":
                if length > _LARGEST_MOOV:
                    raise Malformed(f"its tables have {length} bytes")
                moov = store.get(key, at, length)
            elif head[4:8] == b"mdat":
                if moov is None:
                    raise Malformed("its media come before its tables")
                if at + length != size:
                    raise Malformed(f"{size - at - length} bytes follow its media")
                return cls(store, key, _read_tables(moov), (at + header, at + length))
            at += length
        raise Malformed("it has no mdat")

    def compare(
        self,
        claim: SegmentClaim,
        media: Sequence[Media],
        sets: Mapping[Medium, bytes],
        report: Report,
    ) -> None:
        """Hold the next part of the file against a segment.

        Args:
            claim: the segment.
            media: its tracks in their order.
            sets: the parameter sets of a video track, which the file may repeat before keyframes.
            report: where findings go.
        """
        for each in media:
            samples = self._tracks.get(each.medium)
            if samples is None:
                self._find(report, claim, f"it has no {each.medium.value} track")
                continue
            expected = self._expected(samples, each, sets.get(each.medium, b""))
            if expected is None:
                self._find(report, claim, f"its {each.medium.value} samples have other sizes")
                expected = each.body[each.offset : each.offset + sum(each.sizes)]
            elif samples.chunks[samples.next_chunk : samples.next_chunk + 1] != array(
                "Q", [self._at]
            ):
                self._find(report, claim, f"its table places {each.medium.value} elsewhere")
            samples.next_sample += len(each.sizes)
            samples.next_chunk += 1
            if self._store.get(self._key, self._at, len(expected)) != expected:
                self._find(report, claim, f"its {each.medium.value} is not that of the segment")
            self._at += len(expected)

    def finish(self, report: Report) -> None:
        """Tell of what is left over."""
        for medium, samples in self._tracks.items():
            if samples.next_sample != len(samples.sizes):
                report.problem(
                    Trouble.CONTRADICTION,
                    names.MP4,
                    f"{len(samples.sizes)} {medium.value} samples, the segments have "
                    f"{samples.next_sample}",
                )
        if self._at != self._end:
            text = f"{self._end - self._at} bytes of media more than the segments have"
            report.problem(Trouble.CONTRADICTION, names.MP4, text)

    def _expected(self, samples: Samples, media: Media, sets: bytes) -> bytes | None:
        """Build the payload as the file has it; None if its samples have other sizes."""
        stored = samples.sizes[samples.next_sample : samples.next_sample + len(media.sizes)]
        plain = media.body[media.offset : media.offset + sum(media.sizes)]
        if stored.tolist() == media.sizes:
            return plain
        begins = accumulate(media.sizes, initial=0)
        parts: list[bytes] = []
        for begin, size, sync, there in zip(begins, media.sizes, media.sync, stored, strict=False):
            if sync and there == size + len(sets):
                parts.append(sets)
            elif there != size:
                return None
            parts.append(plain[begin : begin + size])
        return b"".join(parts) if len(stored) == len(media.sizes) else None

    def _find(self, report: Report, claim: SegmentClaim, text: str) -> None:
        """Note a finding; after a shift every later segment would be one more."""
        self._findings += 1
        if self._findings <= _MOST_FINDINGS:
            report.problem(Trouble.CONTRADICTION, names.MP4, text, claim.k)


def parameter_sets(formats: Sequence[TrackFormat]) -> dict[Medium, bytes]:
    """Write the parameter sets of the video track as they stand in a sample."""
    found: dict[Medium, bytes] = {}
    for track in formats:
        if track.medium is Medium.VIDEO:
            read = h264.read_avcc if track.codec is Codec.H264 else h265.read_hvcc
            *lists, _ = read(track.config)
            found[Medium.VIDEO] = join_length_prefixed([nal for nals in lists for nal in nals])
    return found


def _read_tables(moov: bytes) -> dict[Medium, Samples]:
    try:
        root = next(walk(moov))
        tracks: dict[Medium, Samples] = {}
        for trak in walk(moov, root.body, root.end):
            if trak.kind != b"trak":
                continue
            header = require(moov, trak, b"tkhd")
            medium = _IDS.get(int.from_bytes(moov[header.body + 20 : header.body + 24], "big"))
            if medium is None or medium in tracks:
                raise Malformed("a track is neither its video nor its audio")
            stbl = require(moov, require(moov, require(moov, trak, b"mdia"), b"minf"), b"stbl")
            tracks[medium] = _samples(moov, stbl)
    except SourceError as error:
        raise Malformed(str(error)) from error
    return tracks


def _samples(moov: bytes, stbl: Box) -> Samples:
    stsz = require(moov, stbl, b"stsz")
    wide = child(moov, stbl, b"co64")
    chunks = wide or require(moov, stbl, b"stco")
    sizes = _column(moov, stsz.body + 8, stsz, "I")
    times = require(moov, stbl, b"stts")
    rows = _column(moov, times.body + 4, times, "Q")
    if sum(row >> 32 for row in rows) != len(sizes):
        raise Malformed(f"it tells the times of other samples than the {len(sizes)} it has")
    if not all(row & 0xFFFF_FFFF for row in rows):
        raise Malformed("a sample of it lasts nothing")
    return Samples(sizes, array("Q", _column(moov, chunks.body + 4, chunks, "Q" if wide else "I")))


def _column(data: bytes, at: int, place: Box, code: Literal["I", "Q"]) -> "array[int]":
    """Read a counted column of 32 or 64 bits, which has to fill its box."""
    count = int.from_bytes(data[at : at + 4], "big")
    column = array(code)
    if at + 4 + count * column.itemsize != place.end:
        raise Malformed(f"a table of it says {count} rows in {place.end - at - 4} bytes")
    column.frombytes(data[at + 4 : place.end])
    if sys.byteorder == "little":
        column.byteswap()
    return column
