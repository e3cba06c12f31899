"""Init segments: what a player loads before the first fragment."""

import struct
from collections.abc import Sequence

from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.isobmff.boxes import box, full_box
from everreel.media.isobmff.tracks import (
    movie_header,
    sample_descriptions,
    timescale,
    track_box,
    track_id,
)

__all__ = ["init_segment", "timescale", "track_id"]

SYNC = 0x0200_0000
"""Sample flags of a sample that depends on no other (ISO/IEC 14496-12 §8.8.3.1)."""

NON_SYNC = 0x0101_0000
"""Sample flags of a sample that depends on others and where decoding cannot start."""


def init_segment(formats: Sequence[TrackFormat]) -> bytes:
    """Build the init segment of the tracks `formats`: ftyp and a moov without samples.

    Source: ISO/IEC 14496-12 §8.16, ISO/IEC 23000-19 §7.3.1.
    """
    empty_tables = (
        full_box(b"stts", 0, 0, bytes(4))
        + full_box(b"stsc", 0, 0, bytes(4))
        + full_box(b"stsz", 0, 0, bytes(8))
        + full_box(b"stco", 0, 0, bytes(4))
    )
    traks = [track_box(f, sample_descriptions([f]) + empty_tables) for f in formats]
    extends = [_track_extends(f) for f in formats]
    ids = [track_id(f.medium) for f in formats]
    return box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41") + box(
        b"moov", movie_header(0, max(ids) + 1), *traks, box(b"mvex", *extends)
    )


def _track_extends(track: TrackFormat) -> bytes:
    flags = NON_SYNC if track.medium is Medium.VIDEO else SYNC
    return full_box(b"trex", 0, 0, struct.pack(">IIIII", track_id(track.medium), 1, 0, 0, flags))
