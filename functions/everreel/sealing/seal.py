"""Closes a recording: final playlists, MPD, poster, one MP4 and the manifest, then the status.

Works from the index and the bucket alone, whatever became of the recorders; run again it changes
nothing new. The status moves last: who sees it finds everything in place.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError, RecordingNotFound, SourceError
from everreel.events.ports import Event, EventBus, Happening
from everreel.media import dash, names
from everreel.media.continuity import settled
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
) -> SealReport:
    """Seal a recording that has ended.

    Raises: RecordingNotFound, StateUnavailable and what `ObjectStore` raises: try again.
    """
    recording = recordings.find(sid)
    if recording is None:
        raise RecordingNotFound(f"there is no recording {sid}", field="sid")
    if recording.status in LIVE:
        return SealReport(sealed=False, status=recording.status)
    rows = list(recordings.segments(sid))
    facts = add_up(list(settled(rows)))
    if recording.sealed_utc_us:
        return SealReport(True, recording.status, facts.segments, facts.media_us)
    if rows:
        facts = _Sealing(recording, recordings, store, poster).write(rows)
    recording = recordings.mark_sealed(sid, clock.utc_us())
    log.info("sealed %s: %d segments, status %d", sid, facts.segments, recording.status)
    _tell(recording, facts, bus)
    return SealReport(True, recording.status, facts.segments, facts.media_us)


class _Sealing:
    """One seal under way."""

    def __init__(
        self,
        recording: Recording,
        recordings: Recordings,
        store: ObjectStore,
        poster: Poster | None,
    ) -> None:
        self._recording = recording
        self._store = store
        self._poster = poster
        self._inits: list[InitRow] = list(recordings.inits(recording.sid))
        self._laps = recordings.laps(recording.sid)
        options = recording.options
        self._folder = names.Folder(options.prefix, recording.channel, recording.sid)

    def write(self, rows: Sequence[SegmentRow]) -> Facts:
        """Write every final object; return what the recording adds up to."""
        kept, missing = self._present(list(settled(rows)))
        files = self._playable(kept) if kept else {}
        document = manifest(
            self._recording, kept, self._inits, self._laps, files=files, missing=missing
        )
        self._put(names.MANIFEST, document)
        return add_up(kept)

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
        kept = [row for row in rows if sizes.get(row.key) == row.size]
        missing = [row.key for row in rows if sizes.get(row.key) != row.size]
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
        except SourceError as error:
            log.warning("no poster: %s", error.message)
            return False
        return True

    def _make_mp4(self, rows: Sequence[SegmentRow]) -> bool:
        if not self._recording.options.mp4:
            return False
        size = sum(row.size for row in rows)
        if size > LARGEST_MP4:
            log.warning("no MP4: %d bytes are more than one function can copy", size)
            return False
        from everreel.sealing.export import export_mp4  # noqa: PLC0415 - 8 ms if nobody asked

        try:
            chunks = export_mp4(self._store, self._folder, rows, self._inits)
            self._store.put_stream(self._folder.mp4, chunks, names.content_type(names.MP4))
        except SourceError as error:
            log.warning("no MP4: %s", error.message)
            return False
        return True

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
