"""Media segments: a pure function of the samples, so that two recorders write the same bytes."""

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from everreel.errors import ServiceFault
from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream.describe import frame_samples
from everreel.media.isobmff.boxes import box, full_box
from everreel.media.isobmff.init import NON_SYNC, SYNC
from everreel.media.isobmff.tracks import VIDEO_TIMESCALE, timescale, to_ticks, track_id
from everreel.media.segment import Sample, Segment, TrackRange

_DEFAULT_BASE_IS_MOOF = 0x02_0000
_DEFAULT_FLAGS = 0x20
_TRUN_OFFSET, _TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION = (
    0x1, 0x100, 0x200, 0x400, 0x800,
)  # fmt: skip
_MFHD_SIZE, _MDAT_HEADER = 16, 8
_MOOF_WITHOUT_SAMPLES = 8 + _MFHD_SIZE + 8 + 20 + 20 + 20
_ROW_SIZES = {Medium.VIDEO: 16, Medium.AUDIO: 8}
_STYP = box(b"styp", b"msdh", bytes(4), b"msdhcmfs")


@dataclass(frozen=True, slots=True)
class PackagedSegment:
    """The bytes of a segment object and where each track lies in them."""

    body: bytes
    tracks: tuple[TrackRange, ...]


def media_segment(segment: Segment) -> PackagedSegment:
    """Package a segment: styp, then a moof and mdat for each track that has samples.

    Presentation times are those of the samples; the first picture is decoded when it is presented
    and none later than that. The last sample of a track lasts until the track goes on in the next
    segment.

    Source: ISO/IEC 14496-12 §8.8, ISO/IEC 23000-19 §7.3.2.

    Raises:
        ServiceFault: the segment has no samples at all.
    """
    parts = [_STYP]
    tracks: list[TrackRange] = []
    offset = len(_STYP)
    for track in segment.formats:
        samples = [s for s in segment.samples.get(track.medium, ()) if s.data]
        if not samples:
            continue
        moof, payload_size = _movie_fragment(segment, track, samples)
        mdat = struct.pack(">I4s", _MDAT_HEADER + payload_size, b"mdat")
        parts += (moof, mdat, *(s.data for s in samples))
        length = len(moof) + _MDAT_HEADER + payload_size
        tracks.append(TrackRange(track.medium.value, offset, length, len(samples)))
        offset += length
    if not tracks:
        raise ServiceFault(f"segment {segment.k} has no samples: nothing to package")
    return PackagedSegment(b"".join(parts), tuple(tracks))


def head_size(place: TrackRange) -> int:
    """Tell how many bytes of a track's range come before its payload: moof and the mdat header."""
    return _MOOF_WITHOUT_SAMPLES + place.units * _ROW_SIZES[Medium(place.medium)] + _MDAT_HEADER


def _movie_fragment(
    segment: Segment, track: TrackFormat, samples: Sequence[Sample]
) -> tuple[bytes, int]:
    """Build the moof of one track; return it and the size of the payload that must follow."""
    sizes = [len(s.data) for s in samples]
    if track.medium is Medium.VIDEO:
        columns, start = _video_columns(segment, samples, sizes)
        flags = _TRUN_OFFSET | _TRUN_DURATION | _TRUN_SIZE | _TRUN_FLAGS | _TRUN_COMPOSITION
    else:
        columns, start = _audio_columns(segment, track, samples, sizes)
        flags = _TRUN_OFFSET | _TRUN_DURATION | _TRUN_SIZE
    default = NON_SYNC if track.medium is Medium.VIDEO else SYNC
    header = full_box(
        b"tfhd",
        0,
        _DEFAULT_BASE_IS_MOOF | _DEFAULT_FLAGS,
        struct.pack(">II", track_id(track.medium), default),
    ) + full_box(b"tfdt", 1, 0, struct.pack(">Q", start))
    table = _interleave(columns)
    moof_size = _MOOF_WITHOUT_SAMPLES + len(table)
    run = struct.pack(">Ii", len(samples), moof_size + _MDAT_HEADER)
    moof = box(
        b"moof",
        full_box(b"mfhd", 0, 0, struct.pack(">I", segment.k)),
        box(b"traf", header, full_box(b"trun", 1, flags, run, table)),
    )
    return moof, sum(sizes)


def _video_columns(
    segment: Segment, samples: Sequence[Sample], sizes: list[int]
) -> tuple[list["array[int]"], int]:
    """Compute duration, size, flags and composition offset of each picture, and the first time."""
    scale = VIDEO_TIMESCALE
    presented = [to_ticks(s.pts_us, scale) for s in samples]
    shift = presented[0] - to_ticks(samples[0].dts_us, scale)
    decoded = [to_ticks(s.dts_us, scale) + shift for s in samples]
    end_us = segment.next_pts_us.get(Medium.VIDEO)
    if end_us is not None:
        end = to_ticks(end_us, scale)
    elif len(decoded) > 1:
        # Where pictures are missing, the last step is longer than the last picture.
        step = min(decoded[-1] - decoded[-2], to_ticks(segment.end_us, scale) - decoded[-1])
        end = decoded[-1] + max(step, 1)
    else:
        end = to_ticks(segment.end_us, scale)
    _run_ahead(decoded, presented)
    if decoded[0] < 0:  # pictures shown before the first keyframe, cut off from it by force
        decoded = [d - decoded[0] for d in decoded]
    durations = _durations(decoded, end)
    offsets = [p - d for p, d in zip(presented, decoded, strict=True)]
    flags = [SYNC if s.keyframe else NON_SYNC for s in samples]
    columns = [array("I", durations), array("I", sizes), array("I", flags)]
    columns.append(array("I", array("i", offsets).tobytes()))
    return columns, decoded[0]


def _run_ahead(decoded: list[int], presented: Sequence[int]) -> None:
    """Move decode times, in place, so that no picture is presented before it is decoded.

    Negative composition offsets would be legal, but FFmpeg and whatever is made with it then shows
    every picture late by the largest of them, 40 to 120 ms. The first decode time stays that of
    the first picture, because players take a track's start from it; the few that would come
    before it are spread from there on.
    """
    ahead = max(d - p for d, p in zip(decoded, presented, strict=True))
    if ahead <= 0:
        return
    start = decoded[0]
    early = sum(1 for d in decoded if d - ahead <= start)
    room = (decoded[early] - ahead if early < len(decoded) else min(presented[1:])) - start
    for i in range(early):
        decoded[i] = start + room * i // early
    for i in range(early, len(decoded)):
        decoded[i] -= ahead


def _audio_columns(
    segment: Segment, track: TrackFormat, samples: Sequence[Sample], sizes: list[int]
) -> tuple[list["array[int]"], int]:
    """Compute duration and size of each audio frame, and the time of the first.

    Stamps of many transports are whole milliseconds: a regular grid of frames is the truth as long
    as no stamp leaves it by more than one and a half frames.
    """
    scale = timescale(track)
    stamps = [to_ticks(s.pts_us, scale) for s in samples]
    if track.codec is Codec.OPUS:
        frames = [frame_samples(track, s.data) for s in samples]
    else:
        frames = [frame_samples(track, samples[0].data)] * len(samples)
    times = list(accumulate(frames, initial=stamps[0]))
    last_frame = frames[-1]
    times.pop()
    near = max(frames) * 3 // 2
    if any(abs(stamp - at) > near for stamp, at in zip(stamps, times, strict=True)):
        times = stamps
    end_us = segment.next_pts_us.get(Medium.AUDIO)
    end = times[-1] + last_frame if end_us is None else to_ticks(end_us, scale)
    return [array("I", _durations(times, end)), array("I", sizes)], times[0]


def _durations(times: list[int], end: int) -> list[int]:
    """Turn start times into durations of at least one tick that add up to `end - times[0]`.

    Times are moved, in place, where two are equal or the last ones do not lie before `end`. If
    there are more samples than ticks, the sum is longer than it should be: no sample lasts nothing.
    """
    if len(times) > end - times[0]:
        end = times[0] + len(times)
    upper = [*times[1:], end]
    durations = [b - a for a, b in zip(times, upper, strict=True)]
    if min(durations) > 0:
        return durations
    for i in range(1, len(times)):
        times[i] = max(times[i], times[i - 1] + 1)
    upper_bound = end
    for i in range(len(times) - 1, 0, -1):
        upper_bound -= 1
        if times[i] <= upper_bound:
            break
        times[i] = upper_bound
    return [b - a for a, b in zip(times, [*times[1:], end], strict=True)]


def _interleave(columns: list["array[int]"]) -> bytes:
    """Lay 32-bit columns out row by row, big-endian."""
    table = array("I", bytes(4 * len(columns) * len(columns[0])))
    for i, column in enumerate(columns):
        table[i :: len(columns)] = column
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()
