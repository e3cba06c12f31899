"""DASH manifests over the same objects that HLS plays: each track is a byte range of a segment."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from everreel.media.access_unit import Medium
from everreel.media.index import InitRow, SegmentRow, TrackDescription
from everreel.media.isobmff.tracks import VIDEO_TIMESCALE, to_ticks
from everreel.media.segment import TrackRange

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_CHANNEL_SCHEME = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_LAYOUTS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 11, 8: 12}
"""ChannelConfiguration of ISO/IEC 23091-3 table 1 by number of channels."""


def manifest(
    rows: Sequence[SegmentRow],
    inits: Mapping[int, InitRow],
    *,
    origin_utc_us: int,
    live: bool,
    duration_us: int,
) -> str:
    """Write the MPD of a recording packaged as fMP4.

    Its time is the recording timeline. Each stretch without a break is a period, which lasts until
    the next one starts: a gap is time at the end of a period for which there are no segments.

    Args:
        rows: every segment, in order.
        inits: init segments by number.
        origin_utc_us: UTC of recording timeline 0.
        live: more will come.
        duration_us: of the recording, gaps included; at least to the end of the last segment.

    Source: ISO/IEC 23009-1 §5.3.
    """
    newest = rows[-1].start_us + rows[-1].duration_us if rows else 0
    duration_us = max(duration_us, newest)
    longest = max((row.duration_us for row in rows), default=0)
    attributes = {
        "xmlns": "urn:mpeg:dash:schema:mpd:2011",
        "profiles": "urn:mpeg:dash:profile:full:2011",
        "minBufferTime": _duration(longest),
        "maxSegmentDuration": _duration(longest),
    }
    if live:
        attributes |= {
            "type": "dynamic",
            "availabilityStartTime": _instant(origin_utc_us),
            "publishTime": _instant(origin_utc_us + newest),
            "minimumUpdatePeriod": _duration(longest or 1_000_000),
        }
    else:
        attributes |= {"type": "static", "mediaPresentationDuration": _duration(duration_us)}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', _tag("MPD", attributes)]
    epochs = _epochs(rows)
    ends: list[int | None] = [epoch[0].start_us for epoch in epochs[1:]]
    ends.append(None if live else duration_us)
    for epoch, end in zip(epochs, ends, strict=False):
        lines += _period(epoch, inits[epoch[0].init], end)
    lines.append("</MPD>\n")
    return "\n".join(lines)


def _epochs(rows: Sequence[SegmentRow]) -> list[list[SegmentRow]]:
    """Split the rows where the timeline breaks or another init segment is needed."""
    epochs: list[list[SegmentRow]] = []
    for row in rows:
        if not epochs or row.discontinuity or row.init != epochs[-1][-1].init:
            epochs.append([])
        epochs[-1].append(row)
    return epochs


def _period(rows: Sequence[SegmentRow], init: InitRow, end_us: int | None) -> list[str]:
    start = rows[0].start_us
    attributes = {"id": str(start), "start": _duration(start)}
    if end_us is not None:
        attributes["duration"] = _duration(end_us - start)
    lines = [_tag("Period", attributes)]
    for track in init.tracks:
        present = [(row, r) for row in rows for r in row.tracks if r.medium == track.medium]
        if present:
            lines += _adaptation_set(track, init.keys[track.medium], start, present)
    return [*lines, "</Period>"]


def _adaptation_set(
    track: TrackDescription,
    init_uri: str,
    period_start_us: int,
    present: Sequence[tuple[SegmentRow, TrackRange]],
) -> list[str]:
    scale = VIDEO_TIMESCALE if track.medium == Medium.VIDEO else track.sample_rate
    bandwidth = max(r.length * 8_000_000 // max(row.duration_us, 1) for row, r in present)
    representation = {
        "id": track.medium,
        "bandwidth": str(max(bandwidth, 1)),
        "codecs": track.codec,
    }
    inside: list[str] = []
    if track.medium == Medium.VIDEO:
        representation |= {"width": str(track.width), "height": str(track.height)}
    else:
        representation["audioSamplingRate"] = str(track.sample_rate)
        if layout := _LAYOUTS.get(track.channels):
            channels = {"schemeIdUri": _CHANNEL_SCHEME, "value": str(layout)}
            inside.append(_tag("AudioChannelConfiguration", channels, close=True))
    kind = {
        "contentType": track.medium,
        "mimeType": f"{track.medium}/mp4",
        "segmentAlignment": "true",
    }
    segments = {
        "timescale": str(scale),
        "presentationTimeOffset": str(to_ticks(period_start_us, scale)),
    }
    lines = [
        _tag("AdaptationSet", kind),
        _tag("Representation", representation),
        *inside,
        _tag("SegmentList", segments),
        _tag("Initialization", {"sourceURL": init_uri}, close=True),
        "<SegmentTimeline>",
    ]
    end: int | None = None
    for row, _ in present:
        start = to_ticks(row.start_us, scale)
        # One S a segment, never @r: players pair the n-th S with the n-th SegmentURL.
        at = "" if start == end else f' t="{start}"'
        end = to_ticks(row.start_us + row.duration_us, scale)
        lines.append(f'<S{at} d="{end - start}"/>')
    lines.append("</SegmentTimeline>")
    for row, part in present:
        last = part.offset + part.length - 1
        media = {"media": row.key, "mediaRange": f"{part.offset}-{last}"}
        lines.append(_tag("SegmentURL", media, close=True))
    return [*lines, "</SegmentList>", "</Representation>", "</AdaptationSet>"]


def _tag(name: str, attributes: Mapping[str, str], *, close: bool = False) -> str:
    text = "".join(f' {key}="{value.translate(_ESCAPES)}"' for key, value in attributes.items())
    return f"<{name}{text}{'/' if close else ''}>"


def _duration(us: int) -> str:
    return f"PT{us // 1_000_000}.{us % 1_000_000:06d}S"


def _instant(utc_us: int) -> str:
    at = _EPOCH + timedelta(microseconds=utc_us)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"
