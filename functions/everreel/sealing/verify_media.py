"""Reads stored segments and init segments as a verification needs them: times, places, keyframes.

Nothing is decoded: fMP4 tells everything in its sample tables, MPEG-TS in its PES headers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from everreel.errors import ServiceFault, SourceError
from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.bitstream.describe import codec_string
from everreel.media.index import SegmentRow
from everreel.media.isobmff.boxes import Box, require, walk
from everreel.media.isobmff.fragment_table import FragmentTable, read_tables
from everreel.media.isobmff.reader import Track, read_init
from everreel.media.tolerances import GAP_US
from everreel.sealing.repackage import repackage
from everreel.sealing.verify_claims import Malformed, SegmentClaim

_TS_CLOCK = 90_000
_NEGATIVE = 1 << 31
"""A duration from here on was negative before somebody wrote it as an unsigned number."""


@dataclass(slots=True)
class TrackTimes:
    """One track of one segment. Units: microseconds on the recording timeline.

    Attributes:
        offset, length: of its fragment in the object; the whole object for MPEG-TS.
        units: access units.
        first_us, last_us, end_us: decode time of the first and last unit, and the end of the last.
        shown_us, shown_last_us: presentation time of the first unit, and the latest of all.
        pauses: stretches of more than `GAP_US` from one unit to the next.
        keyframe: decoding can start with the first unit.
        tick_us: length of a tick, rounded up: nothing can be told apart that is nearer.
        bounded: `end_us` is written, not guessed from the units before.
    """

    medium: Medium
    offset: int
    length: int
    units: int
    first_us: int
    last_us: int
    end_us: int
    shown_us: int
    shown_last_us: int
    pauses: list[tuple[int, int]]
    keyframe: bool
    tick_us: int
    bounded: bool


@dataclass(slots=True)
class Media:
    """The payload of one track, for comparison with `recording.mp4`.

    Attributes:
        medium: of the track.
        offset: of the payload in `body`.
        sizes, sync: of each sample.
    """

    medium: Medium
    body: bytes
    offset: int
    sizes: list[int]
    sync: list[bool]


@dataclass(frozen=True, slots=True)
class InitFound:
    """An init segment that was read: its tracks, and its boxes by what they are about."""

    tracks: Mapping[int, Track]
    formats: tuple[TrackFormat, ...]
    boxes: Mapping[str, bytes]


def describe(track: TrackFormat) -> dict[str, object]:
    """Describe a track in the words of the manifest."""
    shape: dict[str, object] = (
        {"width": track.width, "height": track.height}
        if track.medium is Medium.VIDEO
        else {"sampleRate": track.sample_rate, "channels": track.channels}
    )
    return {"medium": track.medium.value, "codec": codec_string(track), **shape}


def read_init_segment(body: bytes) -> InitFound:
    """Read an init segment.

    Raises: Malformed.
    """
    try:
        tracks = read_init(body)
        moov = next(box for box in walk(body) if box.kind == b"moov")
        boxes = {"ftyp": b"".join(_bytes(body, b) for b in walk(body) if b.kind != b"moov")}
        for box in walk(body, moov.body, moov.end):
            if box.kind == b"trak":
                header = require(body, box, b"tkhd")
                number = int.from_bytes(body[header.body + 20 : header.body + 24], "big")
                boxes[f"trak {number}"] = _bytes(body, box)
            elif box.kind == b"mvhd":
                # The last word is the next free track id: it depends on how many tracks there are.
                boxes["mvhd"] = body[box.start : box.end - 4]
            elif box.kind == b"mvex":
                for extends in walk(body, box.body, box.end):
                    number = int.from_bytes(body[extends.body + 4 : extends.body + 8], "big")
                    boxes[f"{extends.kind!r} {number}"] = _bytes(body, extends)
            else:
                boxes[repr(box.kind)] = _bytes(body, box)
    except (SourceError, ValueError, IndexError) as error:
        raise Malformed(str(error)) from error
    formats = tuple(track.format for track in tracks if track.format is not None)
    if len(formats) != len(tracks):
        raise Malformed("a track has no parameter sets")
    return InitFound({track.track_id: track for track in tracks}, formats, boxes)


def read_fmp4(
    body: bytes, tracks: Mapping[int, Track], claim: SegmentClaim
) -> tuple[list[TrackTimes], list[Media]]:
    """Read an fMP4 segment: styp, then a moof and an mdat for each track.

    Raises: Malformed.
    """
    try:
        boxes = list(walk(body))
        kinds = [box.kind for box in boxes]
        if kinds[:1] != [b"styp"] or kinds[1:] != [b"moof", b"mdat"] * ((len(kinds) - 1) // 2):
            raise Malformed(f"its boxes are {', '.join(map(repr, kinds[:8]))}")
        times: list[TrackTimes] = []
        media: list[Media] = []
        defaults = {number: track.defaults for number, track in tracks.items()}
        for moof, mdat in zip(boxes[1::2], boxes[2::2], strict=True):
            sequence = require(body, moof, b"mfhd")
            number = int.from_bytes(body[sequence.body + 4 : sequence.end], "big")
            if number != claim.k % (1 << 32):
                raise Malformed(f"its fragment is number {number}")
            tables = list(read_tables(body, moof, defaults))
            if len(tables) != 1 or tables[0].track_id not in tracks:
                raise Malformed("a fragment is not of one track that the init segment declares")
            _check_table(tables[0], mdat)
            track = tracks[tables[0].track_id]
            times.append(_times(tables[0], track, moof, mdat))
            media.append(
                Media(track.codec.medium, body, mdat.body, tables[0].sizes, tables[0].sync)
            )
    except (SourceError, ValueError) as error:
        raise Malformed(str(error)) from error
    if not times or len({each.medium for each in times}) != len(times):
        raise Malformed("a track has no fragment or two")
    return times, media


def _check_table(table: FragmentTable, mdat: Box) -> None:
    """Hold the sample table of a fragment against itself and its payload."""
    if not table.sizes:
        raise Malformed("a fragment without samples")
    if len(table.runs) != 1 or table.runs[0] != (mdat.body, mdat.end - mdat.body):
        raise Malformed(f"samples of {sum(table.sizes)} bytes do not fill their mdat")
    for number, duration in enumerate(table.durations):
        if not 0 < duration < _NEGATIVE:
            said = duration - (duration >= _NEGATIVE) * 2 * _NEGATIVE
            raise Malformed(f"sample {number} of track {table.track_id} lasts {said} ticks")


def _times(table: FragmentTable, track: Track, moof: Box, mdat: Box) -> TrackTimes:
    scale = track.timescale

    def us(ticks: int) -> int:
        return (ticks * 1_000_000 + scale // 2) // scale

    ends = list(accumulate(table.durations, initial=table.start))
    longest = GAP_US * scale // 1_000_000
    pauses = [
        (us(at), us(at + duration))
        for at, duration in zip(ends, table.durations, strict=False)
        if duration > longest
    ]
    shown = [at + offset for at, offset in zip(ends, table.compositions, strict=False)]
    return TrackTimes(
        medium=track.codec.medium,
        offset=moof.start,
        length=mdat.end - moof.start,
        units=len(table.sizes),
        first_us=us(ends[0]),
        last_us=us(ends[-2]),
        end_us=us(ends[-1]),
        shown_us=us(shown[0]),
        shown_last_us=us(max(shown)),
        pauses=pauses,
        keyframe=table.sync[0],
        tick_us=-(-1_000_000 // scale),
        bounded=True,
    )


def read_ts(
    body: bytes, claim: SegmentClaim
) -> tuple[list[TrackTimes], list[Media], tuple[TrackFormat, ...]]:
    """Read an MPEG-TS segment; the media are those of the fragments it would have been.

    Raises: Malformed.
    """
    if len(body) % 188 or any(body[at] != 0x47 for at in range(0, len(body), 188)):
        raise Malformed("it is not made of whole transport packets")
    try:
        segment, packaged = repackage(_row(claim), body)
        tables = _tables(packaged.body)
    except (SourceError, ServiceFault, ValueError, OverflowError) as error:
        raise Malformed(str(error)) from error
    times: list[TrackTimes] = []
    for medium, samples in segment.samples.items():
        decoded = [sample.dts_us for sample in samples]
        steps = list(pairwise(decoded))
        if any(after <= before for before, after in steps):
            raise Malformed(f"decode times of {medium.value} do not grow")
        usual = (decoded[-1] - decoded[0]) // len(steps) if steps else 0
        shown = [sample.pts_us for sample in samples]
        times.append(
            TrackTimes(
                medium=medium,
                offset=0,
                length=len(body),
                units=len(samples),
                first_us=decoded[0],
                last_us=decoded[-1],
                end_us=decoded[-1] + usual,
                shown_us=shown[0],
                shown_last_us=max(shown),
                pauses=[step for step in steps if step[1] - step[0] > GAP_US],
                keyframe=samples[0].keyframe,
                tick_us=-(-1_000_000 // _TS_CLOCK),
                bounded=False,
            )
        )
    media = [
        Media(Medium(place.medium), packaged.body, table.runs[0][0], table.sizes, table.sync)
        for place, table in zip(packaged.tracks, tables, strict=True)
    ]
    return times, media, segment.formats


def _tables(body: bytes) -> list[FragmentTable]:
    """Read the tables of all fragments of a segment, one track each."""
    return [
        table
        for moof in walk(body)
        if moof.kind == b"moof"
        for table in read_tables(body, moof, {})
    ]


def _row(claim: SegmentClaim) -> SegmentRow:
    """Make the part of an index row that reading a segment takes."""
    return SegmentRow(
        k=claim.k,
        key=claim.key,
        init=claim.init,
        start_us=max(claim.start_us, 0),
        duration_us=claim.duration_us,
        utc_us=0,
        size=0,
        sha256="",
        tracks=(),
        discontinuity=claim.discontinuity,
        gap=None,
        independent=True,
        lane=claim.lane,
        lap=claim.lap,
    )


def shared_pauses(times: Sequence[TrackTimes]) -> list[tuple[int, int]]:
    """Tell where inside a segment no track has a unit for more than `GAP_US`.

    A track that has not begun yet, or has ended, is as silent as one that pauses.
    """
    begin = min(each.first_us for each in times)
    end = max(each.end_us for each in times)
    common = [(begin, end)]
    for each in times:
        silent = [(begin, each.first_us), *each.pauses, (each.end_us, end)]
        common = [
            (max(a, c), min(b, d)) for a, b in common for c, d in silent if min(b, d) > max(a, c)
        ]
    return sorted(pause for pause in common if pause[1] - pause[0] > GAP_US)


def _bytes(body: bytes, box: Box) -> bytes:
    return body[box.start : box.end]
