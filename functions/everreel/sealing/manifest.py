"""`recording.json`: everything there is to know about a sealed recording, and the proof of it.

Each segment's entry carries a link of a digest chain: link k = SHA-256(link k-1 || SHA-256 of the
object), link -1 = SHA-256 of the sid. Whoever holds the last link can tell whether any segment was
changed, left out or put in.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from everreel import redact
from everreel.clock import MICROSECONDS, iso
from everreel.media.index import InitRow, SegmentRow
from everreel.media.segment import Cause, Gap
from everreel.state.recording import Lap, Recording

VERSION = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What the index adds up to, from its first segment to its last one. Units: µs, bytes."""

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


def add_up(rows: Sequence[SegmentRow], end_us: int = 0) -> Facts:
    """Add up an index in ascending order of k.

    Args:
        rows: the segments that are there.
        end_us: up to which there were segments once, on the recording timeline.
    """
    if not rows:
        return Facts(0, 0, 0, 0, 0, ())
    gaps = [row.gap for row in rows if row.gap is not None]
    last_us = rows[-1].start_us + rows[-1].duration_us
    if end_us > last_us:
        gaps.append(Gap(Cause.MISSING, last_us, end_us - last_us))
    begin_us = min([rows[0].start_us, *(gap.start_us for gap in gaps[:1])])
    return Facts(
        segments=len(rows),
        media_us=sum(row.media_us for row in rows),
        span_us=max(last_us, end_us) - begin_us,
        gap_us=sum(gap.duration_us for gap in gaps),
        bytes=sum(row.size for row in rows),
        gaps=tuple(
            {
                "cause": gap.cause.value,
                "startSeconds": gap.start_us / MICROSECONDS,
                "durationSeconds": gap.duration_us / MICROSECONDS,
            }
            for gap in gaps
        ),
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
    facts: Facts,
    missing: Sequence[str],
    omitted: Mapping[str, str],
) -> bytes:
    """Write the manifest.

    Args:
        recording: its row; the source appears redacted.
        rows: the segments that are part of it, ascending.
        inits: its init segments.
        laps: its laps.
        files: name of each other object, by what it is.
        facts: what they add up to.
        missing: keys that the index names but the store does not hold.
        omitted: why a file that was asked for could not be made, by what it is.
    """
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
    # Rows are the truth: what a lap told of itself ends with its last beat.
    wrote = Counter((row.lane, row.lap) for row in rows)
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
        "laps": [_lap(lap, wrote[lap.lane, lap.lap]) for lap in laps],
        "files": files,
        "omitted": dict(omitted),
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


def _lap(lap: Lap, segments: int) -> dict[str, Any]:
    return {
        "lane": lap.lane,
        "lap": lap.lap,
        "requestId": lap.request_id,
        "startTime": iso(lap.invoked_utc_us),
        "segments": segments,
        "why": lap.origin.why,
        "follows": lap.origin.follows or None,
        "reconnects": lap.progress.reconnects,
        "state": lap.state.value,
        "reason": lap.reason.value if lap.reason else None,
    }
