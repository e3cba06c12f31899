"""Reads fragmented MP4 that others wrote: init segments, and fragments into access units."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate, chain

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.media.bitstream import describe, h264, h265
from everreel.media.bitstream.nal import split_length_prefixed
from everreel.media.bitstream.parameter_sets import ParameterSets
from everreel.media.isobmff.boxes import Box, child, name, require, version_and_flags, walk
from everreel.media.isobmff.fragment_table import (
    MAX_SAMPLES,
    Defaults,
    FragmentTable,
    read_defaults,
    read_tables,
)

_VIDEO_ENTRIES = {
    b"avc1": (Codec.H264, b"avcC"),
    b"avc3": (Codec.H264, b"avcC"),
    b"hvc1": (Codec.H265, b"hvcC"),
    b"hev1": (Codec.H265, b"hvcC"),
}
_ENCRYPTED = frozenset({b"encv", b"enca"})
_AAC_OBJECT_TYPES = frozenset({0x40, 0x66, 0x67, 0x68})
_MAX_TRACKS = 16


@dataclass(slots=True)
class Track:
    """A track of an init segment and what reading its fragments takes.

    Attributes:
        track_id: as fragments name it.
        codec, timescale: of its samples.
        format: as the source promises it, with 4-byte NAL unit lengths; None while the parameter
            sets, which come in-band, are not known.
        defaults: what its fragments leave out.
        shift: ticks by which its edit list moves its samples.
        length_size: bytes of the NAL unit lengths in its samples.
        sets: the parameter sets of video.
    """

    track_id: int
    codec: Codec
    timescale: int
    format: TrackFormat | None
    defaults: Defaults
    shift: int
    length_size: int
    sets: ParameterSets | None


def read_init(data: bytes) -> list[Track]:
    """Read the tracks of an init segment that can be recorded, in their order.

    Raises:
        SourceMalformed: it is not an init segment.
        SourceUnsupported: it is encrypted, or no track has a codec that can be recorded.
    """
    moov = next((b for b in walk(data) if b.kind == b"moov"), None)
    if moov is None:
        raise SourceMalformed("MP4: the init segment has no moov")
    defaults = read_defaults(data, moov)
    traks = [b for b in walk(data, moov.body, moov.end) if b.kind == b"trak"]
    if len(traks) > _MAX_TRACKS:
        raise SourceMalformed(f"MP4: more than {_MAX_TRACKS} tracks")
    tracks: list[Track] = []
    unknown: list[str] = []
    for trak in traks:
        found = _read_trak(data, moov, trak, defaults)
        if isinstance(found, Track):
            tracks.append(found)
        else:
            unknown.append(name(found))
    if not tracks:
        raise SourceUnsupported(
            f"MP4: no track can be recorded (found: {', '.join(unknown) or 'none'}); "
            "H.264, H.265, AAC and Opus can",
            field="source",
        )
    return tracks


def _read_trak(data: bytes, moov: Box, trak: Box, defaults: dict[int, Defaults]) -> Track | bytes:
    """Read a track, or return the name of the sample entry that is none of ours."""
    mdia = require(data, trak, b"mdia")
    stbl = require(data, require(data, mdia, b"minf"), b"stbl")
    stsd = require(data, stbl, b"stsd")
    entry = next(walk(data, stsd.body + 8, stsd.end), None) if stsd.end - stsd.body > 8 else None
    if entry is None:
        raise SourceMalformed("MP4: stsd has no sample entry")
    if entry.kind in _ENCRYPTED:
        raise SourceUnsupported("MP4: the stream is encrypted", field="source")
    described = _read_entry(data, entry)
    if described is None:
        return entry.kind
    codec, config = described

    track_id = _number(data, require(data, trak, b"tkhd"), 12, 20)
    timescale = _number(data, require(data, mdia, b"mdhd"), 12, 20)
    if not timescale:
        raise SourceMalformed("MP4: a timescale of 0")
    length_size, sets = 4, None
    if codec.medium is Medium.VIDEO:
        *nals, length_size = (h264.read_avcc if codec is Codec.H264 else h265.read_hvcc)(config)
        sets = ParameterSets(codec)
        sets.update(chain.from_iterable(nals))
        config = sets.config
    return Track(
        track_id,
        codec,
        timescale,
        describe.track_format(codec, config, timescale, 0) if config or sets is None else None,
        defaults.get(track_id, Defaults()),
        _edit_shift(data, moov, trak, timescale),
        length_size,
        sets,
    )


def _read_entry(data: bytes, entry: Box) -> tuple[Codec, bytes] | None:
    """Read codec and configuration of a sample entry; None if the codec is none of ours."""
    if found := _VIDEO_ENTRIES.get(entry.kind):
        codec, kind = found
        config = _inner(data, entry, 78, kind)
        return codec, data[config.body : config.end]
    if entry.kind == b"Opus":
        config = _inner(data, entry, 28, b"dOps")
        return Codec.OPUS, data[config.body : config.end]
    if entry.kind == b"mp4a":
        esds = _inner(data, entry, 28, b"esds")
        object_type, config_bytes = _read_esds(data[esds.body + 4 : esds.end])
        return (Codec.AAC, config_bytes) if object_type in _AAC_OBJECT_TYPES else None
    return None


def _inner(data: bytes, entry: Box, header: int, kind: bytes) -> Box:
    """Find the configuration box after the fixed fields of a sample entry."""
    if entry.end - entry.body < header:
        raise SourceMalformed(f"MP4: {name(entry.kind)} is cut off")
    return require(data, Box(entry.kind, entry.start, entry.body + header, entry.end), kind)


def _read_esds(data: bytes) -> tuple[int, bytes]:
    """Read object type and AudioSpecificConfig (ISO/IEC 14496-1 §7.2.6)."""
    object_type, at = 0, 0
    while at < len(data):
        tag = data[at]
        size, at = _descriptor_size(data, at + 1)
        if tag == 3:
            flags = data[at + 2] if at + 2 < len(data) else 0
            at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
            if flags & 0x40:
                at += 1 + (data[at] if at < len(data) else 0)
        elif tag == 4:
            object_type = data[at] if at < len(data) else 0
            at += 13
        elif tag == 5:
            if at + size > len(data):
                break
            return object_type, data[at : at + size]
        else:
            at += size
    if object_type and object_type not in _AAC_OBJECT_TYPES:
        return object_type, b""
    raise SourceMalformed("MP4: esds holds no AudioSpecificConfig")


def _descriptor_size(data: bytes, at: int) -> tuple[int, int]:
    size = 0
    for _ in range(4):
        if at >= len(data):
            raise SourceMalformed("MP4: a descriptor of esds is cut off")
        byte = data[at]
        at += 1
        size = size << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    return size, at


def _number(data: bytes, place: Box, narrow: int, wide: int) -> int:
    """Unpack the number that lies behind times of 4 or, in version 1, 8 bytes."""
    at = place.body + (wide if version_and_flags(data, place)[0] == 1 else narrow)
    if at + 4 > place.end:
        raise SourceMalformed(f"MP4: {name(place.kind)} is cut off")
    return int.from_bytes(data[at : at + 4], "big")


def _edit_shift(data: bytes, moov: Box, trak: Box, timescale: int) -> int:
    """Tell by how many ticks the edit list moves a track; more than one real edit is left out.

    Writers that do not use negative composition offsets say with it how far decoding runs ahead.
    """
    edts = child(data, trak, b"edts")
    elst = child(data, edts, b"elst") if edts else None
    if elst is None:
        return 0
    wide = version_and_flags(data, elst)[0] == 1
    layout = ">Qqhh" if wide else ">Iihh"
    step = struct.calcsize(layout)
    movie_scale = _number(data, require(data, moov, b"mvhd"), 12, 20)
    shift = 0
    for at in range(elst.body + 8, elst.end - step + 1, step):
        duration, media_time, _, _ = struct.unpack_from(layout, data, at)
        if media_time >= 0:
            return shift - int(media_time)
        shift += duration * timescale // movie_scale if movie_scale else 0
    return shift


def read_fragment(data: bytes, tracks: Sequence[Track]) -> list[SourceEvent]:
    """Read a media segment: the access units of its tracks in order of decode time.

    A parameter set that came in-band and differs makes a new format before its unit.

    Raises:
        SourceMalformed: it cannot be read, or leads outside itself.
    """
    by_id = {track.track_id: track for track in tracks}
    defaults = {track.track_id: track.defaults for track in tracks}
    timed: dict[int, list[tuple[float, list[SourceEvent]]]] = {}
    found, samples, size = False, 0, 0
    for moof in walk(data):
        if moof.kind != b"moof":
            continue
        found = True
        for table in read_tables(data, moof, defaults):
            samples += len(table.sizes)
            size += sum(table.sizes)
            if samples > MAX_SAMPLES or size > len(data):
                raise SourceMalformed("MP4: a segment says it holds more than it can")
            if track := by_id.get(table.track_id):
                timed.setdefault(table.track_id, []).extend(_units(data, track, table))
    if not found:
        raise SourceMalformed("MP4: the segment has no moof")
    in_order = merge(*timed.values(), key=lambda item: item[0])
    return [event for _, events in in_order for event in events]


def _units(
    data: bytes, track: Track, table: FragmentTable
) -> list[tuple[float, list[SourceEvent]]]:
    """Cut a track fragment into units, each with its decode time in seconds."""
    ends = accumulate(table.durations, initial=table.start + track.shift)
    offsets = _offsets(table, len(data))
    result: list[tuple[float, list[SourceEvent]]] = []
    for dts, offset, size, composition in zip(
        ends, offsets, table.sizes, table.compositions, strict=False
    ):
        payload = data[offset : offset + size]
        if not payload:
            continue
        if track.codec.medium is Medium.AUDIO:
            events: list[SourceEvent] = [AccessUnit(Medium.AUDIO, dts, dts, True, payload)]
        else:
            events = _picture(track, payload, dts + composition, dts)
        result.append((dts / track.timescale, events))
    return result


def _offsets(table: FragmentTable, limit: int) -> list[int]:
    """Tell where each sample lies."""
    offsets: list[int] = []
    sizes = iter(table.sizes)
    for (start, length), count in zip(table.runs, table.counts, strict=True):
        if start < 0 or start + length > limit:
            raise SourceMalformed("MP4: samples lie outside their segment")
        ends = accumulate((next(sizes) for _ in range(count)), initial=start)
        offsets += list(ends)[:count]
    return offsets


def _picture(track: Track, payload: bytes, pts: int, dts: int) -> list[SourceEvent]:
    """Clean a picture: 4-byte lengths, no delimiters, parameter sets taken out."""
    nals = split_length_prefixed(payload, track.length_size)
    clean = h264.access_unit if track.codec is Codec.H264 else h265.access_unit
    picture = clean(nals)
    events: list[SourceEvent] = []
    sets = track.sets
    if sets is not None and picture.parameter_sets and sets.update(picture.parameter_sets):
        track.format = describe.track_format(track.codec, sets.config, track.timescale, 0)
        events.append(track.format)
    if picture.data and track.format is not None:
        events.append(AccessUnit(Medium.VIDEO, pts, dts, picture.keyframe, picture.data))
    return events
