"""Closes a recording: final playlists, MPD, poster, one MP4 and the manifest, then the status.

Works from the index and the bucket alone, whatever became of the recorders; run again it changes
nothing new. The status moves last: who sees it finds everything in place.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import (
    EverreelError,
    ObjectMissing,
    RecordingNotFound,
    ServiceFault,
    SourceError,
)
from everreel.events.ports import Event, EventBus, Happening
from everreel.media import dash, names
from everreel.media.continuity import settled, without
from everreel.media.hls import IndexBuilder, LiveWindow, entry
from everreel.media.index import Container, InitRow, SegmentRow
from everreel.sealing.manifest import Facts, add_up, manifest
from everreel.state.ports import Recordings
from everreel.state.recording import Recording
from everreel.state.status import LIVE, Status
from everreel.store.ports import ObjectStore

log = logging.getLogger(__name__)

LARGEST_MP4 = 24 * 1024**3
"""Bytes beyond which one function has not the time to copy a recording into one file."""

MOST_MP4_UNITS = 120_000_000
"""Access units beyond which its sample tables, 8.5 bytes each, do not fit 1 GiB: 18 days."""

AFTER_MP4_S = 90.0
"""Kept of the time there is for what follows the MP4: the manifest, the status, the event."""

_FOREVER_S = 1e9

Poster = Callable[[bytes], bytes]
"""Makes a JPEG of the first picture of a segment that carries its init segment in front."""


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a seal found.

    Attributes:
        sealed: False if a lap may still be writing: try again later.
        status: of the recording now.
        segments, media_us: what it holds.
    """

    sealed: bool
    status: Status
    segments: int = 0
    media_us: int = 0


def seal(
    sid: str,
    *,
    recordings: Recordings,
    store: ObjectStore,
    bus: EventBus,
    clock: Clock,
    poster: Poster | None,
    remaining_s: float = _FOREVER_S,
) -> SealReport:
    """Seal a recording that has ended.

    Args:
        sid: which one.
        recordings: the state table.
        store: the bucket.
        bus: where `RecordingSealed` goes.
        clock: time.
        poster: makes a picture, None for none.
        remaining_s: seconds until the function is killed. An MP4 that is not ready in time is left
            out; the rest takes a few seconds for a day of recording.

    Raises: RecordingNotFound, StateUnavailable and what `ObjectStore` raises: try again.
    """
    recording = recordings.find(sid)
    if recording is None:
        raise RecordingNotFound(f"there is no recording {sid}", field="sid")
    if recording.status in LIVE:
        return SealReport(sealed=False, status=recording.status)
    until_s = clock.monotonic() + remaining_s - AFTER_MP4_S
    rows = list(settled(recordings.segments(sid)))
    facts = add_up(rows)
    if recording.sealed_utc_us:
        return SealReport(True, recording.status, facts.segments, facts.media_us)
    if rows:
        in_time = lambda: clock.monotonic() < until_s  # noqa: E731
        facts = _Sealing(recording, recordings, store, poster, in_time).write(rows)
    recording = recordings.mark_sealed(sid, clock.utc_us())
    log.info("sealed %s: %d segments, status %d", sid, facts.segments, recording.status)
    _tell(recording, facts, bus)
    return SealReport(True, recording.status, facts.segments, facts.media_us)


class _Late(Exception):
    """There is no time left to finish a file."""


class _Sealing:
    """One seal under way."""

    def __init__(
        self,
        recording: Recording,
        recordings: Recordings,
        store: ObjectStore,
        poster: Poster | None,
        in_time: Callable[[], bool],
    ) -> None:
        self._recording = recording
        self._store = store
        self._poster = poster
        self._in_time = in_time
        self._omitted: dict[str, str] = {}
        self._inits: list[InitRow] = list(recordings.inits(recording.sid))
        self._laps = recordings.laps(recording.sid)
        options = recording.options
        self._folder = names.Folder(options.prefix, recording.channel, recording.sid)

    def write(self, rows: Sequence[SegmentRow]) -> Facts:
        """Write every final object; return what the recording adds up to."""
        kept, missing = self._present(rows)
        files = self._playable(kept) if kept else {}
        facts = add_up(kept, rows[-1].start_us + rows[-1].duration_us)
        document = manifest(
            self._recording,
            kept,
            self._inits,
            self._laps,
            files=files,
            facts=facts,
            missing=missing,
            omitted=self._omitted,
        )
        self._put(names.MANIFEST, document)
        return facts

    def _playable(self, kept: Sequence[SegmentRow]) -> dict[str, str]:
        """Write what plays the segments; return the names by kind."""
        self._playlists(kept)
        files = {"index": names.INDEX, "live": names.LIVE}
        if self._recording.options.container is Container.FMP4:
            self._put(names.MPD, self._mpd(kept).encode())
            files["mpd"] = names.MPD
        if self._make_poster(kept):
            files["poster"] = names.POSTER
        if self._make_mp4(kept):
            files["mp4"] = names.MP4
        return files

    def _present(self, rows: Sequence[SegmentRow]) -> tuple[list[SegmentRow], list[str]]:
        """Part the index into segments that the bucket holds whole and keys that it does not."""
        prefix = self._folder.key("segments/")
        sizes = {info.key[len(self._folder.path) :]: info.size for info in self._store.list(prefix)}

        def gone(row: SegmentRow) -> bool:
            return sizes.get(row.key) != row.size

        kept = list(without(rows, gone))
        missing = [row.key for row in rows if gone(row)]
        if missing:
            log.error("%d segments are missing or truncated, first %s", len(missing), missing[0])
        return kept, missing

    def _playlists(self, rows: Sequence[SegmentRow]) -> None:
        options = self._recording.options
        index = IndexBuilder(options.segment_s)
        live = LiveWindow(options.segment_s)
        inits = {row.number: row for row in self._inits}
        for row in rows:
            shown = entry(row, inits)
            index.add(shown)
            live.add(shown)
        self._put(names.INDEX, index.render("event", ended=True))
        self._put(names.LIVE, live.render(ended=True).encode())

    def _mpd(self, rows: Sequence[SegmentRow]) -> str:
        return dash.manifest(
            rows,
            {row.number: row for row in self._inits},
            origin_utc_us=self._recording.origin_utc_us,
            live=False,
            duration_us=rows[-1].start_us + rows[-1].duration_us,
        )

    def _make_poster(self, rows: Sequence[SegmentRow]) -> bool:
        """A picture is a courtesy: a recording without one is whole."""
        first = rows[0]
        if self._poster is None or not any(track.medium == "video" for track in first.tracks):
            return False
        try:
            body = self._store.get(self._folder.key(first.key))
            if first.init:
                init = next(row for row in self._inits if row.number == first.init)
                body = self._store.get(self._folder.key(init.keys["all"])) + body
            self._put(names.POSTER, self._poster(body))
        except (SourceError, ObjectMissing) as error:
            return self._omit("poster", error.message)
        return True

    def _make_mp4(self, rows: Sequence[SegmentRow]) -> bool:
        if not self._recording.options.mp4:
            return False
        size = sum(row.size for row in rows)
        units = sum(track.units for row in rows for track in row.tracks)
        if size > LARGEST_MP4:
            return self._omit("mp4", f"{size} bytes are more than one function can copy")
        if units > MOST_MP4_UNITS:
            return self._omit("mp4", f"the tables of {units} access units do not fit its memory")
        from everreel.sealing.export import export_mp4  # noqa: PLC0415 - 8 ms if nobody asked

        try:
            chunks = export_mp4(self._store, self._folder, rows, self._inits, self._check_time)
            self._store.put_stream(self._folder.mp4, chunks, names.content_type(names.MP4))
        except _Late:
            return self._omit("mp4", f"the function had not the time to copy {size} bytes")
        except (SourceError, ServiceFault) as error:  # a segment is not what its row tells
            return self._omit("mp4", error.message)
        return True

    def _check_time(self) -> None:
        if not self._in_time():
            raise _Late

    def _omit(self, what: str, why: str) -> Literal[False]:
        """Seal without a file: that a recording is sealed matters more than any of them."""
        log.warning("no %s: %s", what, why)
        self._omitted[what] = why
        return False

    def _put(self, name: str, body: bytes) -> None:
        self._store.put(self._folder.key(name), body, names.content_type(name))


def _tell(recording: Recording, facts: Facts, bus: EventBus) -> None:
    options = recording.options
    folder = names.Folder(options.prefix, recording.channel, recording.sid)
    detail: dict[str, object] = {
        "status": recording.status.value,
        "reason": recording.reason.value if recording.reason else None,
        "segments": facts.segments,
        "recordedSeconds": facts.media_us / MICROSECONDS,
        "coverage": facts.coverage,
        "manifest": folder.manifest if facts.segments else None,
    }
    try:
        bus.publish(Event(Happening.SEALED, recording.sid, detail))
    except EverreelError as error:
        log.warning("RecordingSealed not published, the status tells it: %s", error.message)
