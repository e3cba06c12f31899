"""`recording.json`: everything there is to know about a sealed recording, and the proof of it.

Each segment's entry carries a link of a digest chain: link k = SHA-256(link k-1 || SHA-256 of the
object), link -1 = SHA-256 of the sid. Whoever holds the last link can tell whether any segment was
changed, left out or put in.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from everreel import redact
from everreel.clock import MICROSECONDS, iso
from everreel.media.index import InitRow, SegmentRow
from everreel.state.recording import Lap, Recording

VERSION = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What the index adds up to. Units: microseconds, bytes."""

    segments: int
    media_us: int
    span_us: int
    gap_us: int
    bytes: int
    gaps: tuple[dict[str, Any], ...]

    @property
    def coverage(self) -> float:
        """Part of the time from the first to the last unit that holds media, 0 to 1."""
        return 0.0 if not self.span_us else round((self.span_us - self.gap_us) / self.span_us, 6)


def add_up(rows: Sequence[SegmentRow]) -> Facts:
    """Add up an index in ascending order of k."""
    if not rows:
        return Facts(0, 0, 0, 0, 0, ())
    gaps = tuple(
        {
            "cause": row.gap.cause.value,
            "startSeconds": row.gap.start_us / MICROSECONDS,
            "durationSeconds": row.gap.duration_us / MICROSECONDS,
        }
        for row in rows
        if row.gap is not None
    )
    last = rows[-1]
    span_us = last.start_us + last.duration_us - rows[0].start_us
    gap_us = sum(row.gap.duration_us for row in rows if row.gap is not None)
    return Facts(
        segments=len(rows),
        media_us=sum(row.media_us for row in rows),
        span_us=span_us,
        gap_us=gap_us,
        bytes=sum(row.size for row in rows),
        gaps=gaps,
    )


def chain(sid: str, digests: Iterable[str]) -> Iterable[str]:
    """Yield the link of each segment from the hex SHA-256 of the objects, in order."""
    link = hashlib.sha256(sid.encode()).digest()
    for digest in digests:
        link = hashlib.sha256(link + bytes.fromhex(digest)).digest()
        yield link.hex()


def manifest(
    recording: Recording,
    rows: Sequence[SegmentRow],
    inits: Sequence[InitRow],
    laps: Sequence[Lap],
    *,
    files: dict[str, str],
    missing: Sequence[str],
) -> bytes:
    """Write the manifest.

    Args:
        recording: its row; the source appears redacted.
        rows: the segments that are part of it, ascending.
        inits: its init segments.
        laps: its laps.
        files: name of each other object, by what it is.
        missing: keys that the index names but the store does not hold.
    """
    facts = add_up(rows)
    links = chain(recording.sid, (row.sha256 for row in rows))
    segments = [
        {
            "k": row.k,
            "key": row.key,
            "init": row.init,
            "startSeconds": row.start_us / MICROSECONDS,
            "durationSeconds": row.duration_us / MICROSECONDS,
            "startTime": iso(row.utc_us),
            "size": row.size,
            "sha256": row.sha256,
            "chain": link,
            "units": {track.medium: track.units for track in row.tracks},
            "discontinuity": row.discontinuity,
            "lane": row.lane,
            "lap": row.lap,
        }
        for row, link in zip(rows, links, strict=True)
    ]
    document = {
        "version": VERSION,
        "sid": recording.sid,
        "app": recording.app,
        "channel": recording.channel,
        "uid": recording.uid,
        "mode": recording.mode.value,
        "source": redact.url(recording.source),
        "container": recording.options.container.value,
        "segmentSeconds": recording.options.segment_s,
        "reason": recording.reason.value if recording.reason else None,
        "startTime": iso(recording.origin_utc_us) if recording.origin_utc_us else None,
        "recordedSeconds": facts.media_us / MICROSECONDS,
        "spanSeconds": facts.span_us / MICROSECONDS,
        "coverage": facts.coverage,
        "gaps": list(facts.gaps),
        "missing": list(missing),
        "bytes": facts.bytes,
        "chain": segments[-1]["chain"] if segments else None,
        "tracks": [_init(row) for row in inits],
        "laps": [_lap(lap) for lap in laps],
        "files": files,
        "segments": segments,
    }
    if recording.failure is not None:
        failure = recording.failure
        document["error"] = {
            "code": failure.code,
            "blame": failure.blame,
            "message": failure.message,
        }
    return json.dumps(document, indent=1, sort_keys=False).encode()


def _init(row: InitRow) -> dict[str, Any]:
    return {
        "init": row.number,
        "keys": row.keys,
        "tracks": [
            {
                "medium": track.medium,
                "codec": track.codec,
                **(
                    {"width": track.width, "height": track.height}
                    if track.width
                    else {"sampleRate": track.sample_rate, "channels": track.channels}
                ),
            }
            for track in row.tracks
        ],
    }


def _lap(lap: Lap) -> dict[str, Any]:
    return {
        "lane": lap.lane,
        "lap": lap.lap,
        "requestId": lap.request_id,
        "startTime": iso(lap.invoked_utc_us),
        "segments": lap.progress.segments,
        "reconnects": lap.progress.reconnects,
        "state": lap.state.value,
        "reason": lap.reason.value if lap.reason else None,
    }
