"""Turns a stored MPEG-TS segment back into the fragment that it would have been as fMP4."""

from everreel.media.access_unit import AccessUnit, Medium, TrackFormat
from everreel.media.index import SegmentRow
from everreel.media.isobmff.fragment import PackagedSegment, media_segment
from everreel.media.segment import Sample, Segment
from everreel.media.ts_writer import OFFSET_US
from everreel.protocols.mpegts import MpegTs

_WRAP = 2**33


def repackage(row: SegmentRow, body: bytes) -> tuple[Segment, PackagedSegment]:
    """Read an MPEG-TS segment that everreel wrote; return its samples and its fMP4 form.

    Raises: SourceError if it is not MPEG-TS; ServiceFault if it holds nothing.
    """
    parser = MpegTs()
    events = [*parser.receive(body), *parser.flush()]
    formats: dict[Medium, TrackFormat] = {}
    samples: dict[Medium, list[Sample]] = {}
    for event in events:
        if isinstance(event, TrackFormat):
            formats[event.medium] = event
        elif isinstance(event, AccessUnit):
            pts_us = _timeline_us(event.pts, row.start_us)
            dts_us = pts_us if event.dts is None else _timeline_us(event.dts, row.start_us)
            samples.setdefault(event.medium, []).append(
                Sample(event.medium, pts_us, dts_us, event.keyframe, event.data)
            )
    order = [medium for medium in Medium if medium in formats]
    segment = Segment(
        k=row.k,
        start_us=row.start_us,
        end_us=row.start_us + row.duration_us,
        formats=tuple(formats[medium] for medium in order),
        samples=samples,
    )
    return segment, media_segment(segment)


def _timeline_us(ticks: int, near_us: int) -> int:
    """Take a 33-bit stamp back to the recording timeline, near the start of its segment."""
    near = (near_us + OFFSET_US) * 9 // 100
    unwrapped = near + (ticks - near + _WRAP // 2) % _WRAP - _WRAP // 2
    return (unwrapped * 100 + 4) // 9 - OFFSET_US
