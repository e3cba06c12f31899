"""What `init.mp4` and a whole MP4 have in common: how a track and its samples are described."""

import struct
from collections.abc import Sequence

from everreel.errors import SourceUnsupported
from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.isobmff.boxes import IDENTITY_MATRIX, box, full_box

VIDEO_TIMESCALE = 90_000
"""Ticks per second of every video track: MPEG-TS and RTP clocks fit without rounding."""

MOVIE_TIMESCALE = 90_000
"""Ticks per second in which the movie header and edit lists count."""

_UNDETERMINED = 0x55C4  # ISO 639-2 "und", five bits a letter
_TRACK_ENABLED_IN_MOVIE = 3


def track_id(medium: Medium) -> int:
    """Tell the id under which every file of ours holds the track of `medium`."""
    return 1 if medium is Medium.VIDEO else 2


def timescale(track: TrackFormat) -> int:
    """Tell the ticks per second in which a track is written: one tick a sample for audio."""
    return VIDEO_TIMESCALE if track.medium is Medium.VIDEO else track.sample_rate


def to_ticks(us: int, scale: int) -> int:
    """Convert microseconds to ticks of `scale` per second, to the nearest tick."""
    return (us * scale + 500_000) // 1_000_000


def sample_entry(track: TrackFormat) -> bytes:
    """Build the box that tells a decoder how the samples of a track are coded.

    Source: ISO/IEC 14496-12 §12.1.3 and §12.2.3, ISO/IEC 14496-15 §5.4.2 and §8.4.1,
        ISO/IEC 14496-14 §5.6, Encapsulation of Opus in ISOBMFF §4.3.
    """
    match track.codec:
        case Codec.H264:
            return _visual_entry(b"avc1", track, box(b"avcC", track.config))
        case Codec.H265:
            return _visual_entry(b"hvc1", track, box(b"hvcC", track.config))
        case Codec.AAC:
            return _audio_entry(b"mp4a", track, _esds(track.config))
        case Codec.OPUS:
            return _audio_entry(b"Opus", track, box(b"dOps", track.config))
        case _:
            raise SourceUnsupported(f"MP4: codec {track.codec} has no sample entry here")


def _visual_entry(kind: bytes, track: TrackFormat, config: bytes) -> bytes:
    dpi_72 = 72 << 16
    return box(
        kind,
        struct.pack(
            ">6xH16xHHIIIH32xHh", 1, track.width, track.height, dpi_72, dpi_72, 0, 1, 24, -1
        ),
        config,
    )


def _audio_entry(kind: bytes, track: TrackFormat, config: bytes) -> bytes:
    # The field is 16.16 fixed point: rates it cannot hold are left to the decoder configuration.
    rate = track.sample_rate << 16 if track.sample_rate < 1 << 16 else 0
    return box(kind, struct.pack(">6xH8xHHHHI", 1, track.channels, 16, 0, 0, rate), config)


def _descriptor(tag: int, body: bytes) -> bytes:
    """Build a descriptor with its length in seven-bit groups (ISO/IEC 14496-1 §8.3.3)."""
    size = len(body)
    length = bytes([size & 0x7F])
    while size := size >> 7:
        length = bytes([0x80 | size & 0x7F]) + length
    return bytes([tag]) + length + body


def _esds(config: bytes) -> bytes:
    """Build the elementary stream descriptor of AAC (ISO/IEC 14496-1 §7.2.6.5)."""
    decoder = struct.pack(">BB3xII", 0x40, 0x15, 0, 0) + _descriptor(5, config)
    stream = struct.pack(">HB", 0, 0) + _descriptor(4, decoder) + _descriptor(6, b"\2")
    return full_box(b"esds", 0, 0, _descriptor(3, stream))


def sample_descriptions(formats: Sequence[TrackFormat]) -> bytes:
    """Build stsd: one sample entry per format that the track goes through."""
    count = struct.pack(">I", len(formats))
    return full_box(b"stsd", 0, 0, count, *map(sample_entry, formats))


def movie_header(duration: int, next_track_id: int) -> bytes:
    """Build mvhd. Units: `duration` in ticks of MOVIE_TIMESCALE."""
    times = struct.pack(">QQIQ", 0, 0, MOVIE_TIMESCALE, duration)
    rate_and_volume = struct.pack(">IH10x", 0x10000, 0x100)
    tail = struct.pack(">24xI", next_track_id)
    return full_box(b"mvhd", 1, 0, times, rate_and_volume, IDENTITY_MATRIX, tail)


def track_box(
    track: TrackFormat,
    sample_table: bytes,
    *,
    movie_duration: int = 0,
    media_duration: int = 0,
    media_timescale: int = 0,
    edits: bytes = b"",
) -> bytes:
    """Build trak around the boxes of its sample table.

    Args:
        track: a format of the track; the widest, if its size changes.
        sample_table: the boxes inside stbl.
        movie_duration: presented length, ticks of MOVIE_TIMESCALE; 0 in an init segment.
        media_duration: length of the samples, ticks of the track; 0 in an init segment.
        media_timescale: ticks per second of the track; 0 for that of its format.
        edits: an edts box, or nothing.
    """
    video = track.medium is Medium.VIDEO
    header = full_box(
        b"tkhd",
        1,
        _TRACK_ENABLED_IN_MOVIE,
        struct.pack(">QQIIQ", 0, 0, track_id(track.medium), 0, movie_duration),
        struct.pack(">8xHHHH", 0, 0, 0 if video else 0x100, 0),
        IDENTITY_MATRIX,
        struct.pack(">II", track.width << 16, track.height << 16),
    )
    media_header = full_box(
        b"mdhd",
        1,
        0,
        struct.pack(
            ">QQIQHH", 0, 0, media_timescale or timescale(track), media_duration, _UNDETERMINED, 0
        ),
    )
    handler = full_box(
        b"hdlr",
        0,
        0,
        struct.pack(">I4s12x", 0, b"vide" if video else b"soun"),
        b"Video\0" if video else b"Audio\0",
    )
    kind_header = full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4))
    same_file = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
    information = box(b"minf", kind_header, box(b"dinf", same_file), box(b"stbl", sample_table))
    return box(b"trak", header, edits, box(b"mdia", media_header, handler, information))
