"""A live HLS source: follows its playlists and parses its segments, one after the other.

A segment is fetched whole before it is parsed, so that one that breaks off can be fetched again
without a doubled access unit. Nothing is skipped silently: what could not be had is in `missed`.
Timestamps are those of the segments; a discontinuity shows in them and is the timeline's business,
which is told where the stamps step ahead and the playlist does not.

Encrypted segments are refused before their key is fetched: no AES is at hand in the runtime.

Source: RFC 8216.
"""

import logging
import threading
import time
from collections.abc import Generator, Sequence

from everreel import redact
from everreel.clock import Clock, SystemClock
from everreel.errors import (
    Retry,
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceNotFound,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import Medium, SourceEvent
from everreel.protocols.hls_clock import SegmentClock
from everreel.protocols.hls_cursor import Cause, Cursor, Missed
from everreel.protocols.hls_interleave import Interleave
from everreel.protocols.hls_playlist import MasterPlaylist, MediaPlaylist, Part, Segment, parse
from everreel.protocols.hls_segments import SegmentReader
from everreel.protocols.http_client import HttpClient, HttpStream, Limits
from everreel.protocols.ports import Source

PLAYLIST_LIMITS = Limits(body=16 << 20, total_s=15.0)
SEGMENT_MAX = 64 << 20
_ATTEMPTS = 3
_FAILURES_MAX = 3
_GRACE_TARGETS = 3
_GRACE_MIN_S = 10.0
_RETRY_PAUSE_MAX_S = 2.0

_log = logging.getLogger(__name__)

# A step of the script yields what arrived; an empty step means that time is up for this read.
_Steps = Generator[Sequence[SourceEvent], None, None]


class _Rendition:
    """One media playlist that is followed."""

    def __init__(self, url: str, only: Medium | None, backfill_s: float) -> None:
        self.url = url
        self.only = only
        self.cursor = Cursor(backfill_s)
        self.reader = SegmentReader()
        self.clock = SegmentClock()
        self.position_s = 0.0
        self.failing_since: float | None = None
        self.failures = 0


class HlsSource:
    """A `Source` of the segments of an HLS stream.

    Promises: those of the `Source` port. Delivers segments in order of their media sequence,
    alternate audio beside the video it belongs to, access unit by access unit.

    Attributes:
        missed: segments that could not be had, oldest first, the last 1000.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        *,
        clock: Clock | None = None,
        opened: tuple[HttpStream, bytes] | None = None,
    ) -> None:
        """Begin to follow `url`; nothing is fetched before the first `read`.

        Args:
            client: makes the GETs; closed by `close`.
            url: a master or media playlist.
            clock: tells when to reload.
            opened: a GET of `url` under way, and what it has brought.
        """
        self.missed: list[Missed] = []
        self._client = client
        self._url = url
        self._backfill_s = 0.0
        self._clock = clock or SystemClock()
        self._opened = opened
        self._renditions: list[_Rendition] = []
        self._before: list[_Rendition] = []
        self._interleave = Interleave()
        self._live = False
        self._until = 0.0
        self._closing = threading.Event()
        self._failure: SourceError | None = None
        self._script = self._run()

    @property
    def in_bursts(self) -> bool:
        """Tell that media comes a segment at a time."""
        return True

    def reach_back(self, back_s: float) -> None:
        """Begin at least so long before the live edge, as far as the playlists list it.

        Somebody has recorded it before: a playlist that has ended meanwhile may go on.
        """
        self._backfill_s = back_s
        self._live = back_s > 0

    def resume(self, previous: Source) -> None:
        """Go on with the segment that `previous` could not get, if it is listed still."""
        if isinstance(previous, HlsSource):
            self._live = self._live or previous._live  # noqa: SLF001 - one of us
            self._before = previous._renditions or previous._before  # noqa: SLF001 - one of us

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        """Return the events that arrived, empty if none did within `wait_s` seconds.

        Raises: SourceError of any kind; the source is then finished and must be reopened.
        """
        if self._failure is not None:
            raise self._failure
        self._until = time.monotonic() + wait_s
        try:
            while True:
                events = next(self._script)
                if events or time.monotonic() >= self._until:
                    return events
        except SourceError as error:
            self._failure = error
            self._client.close()
            raise

    def close(self) -> None:
        """Close all sockets at once, from any thread, as often as one likes."""
        self._closing.set()
        self._client.close()

    # ------------------------------------------------------------------ the script

    def _run(self) -> _Steps:
        try:
            yield from self._read_on()
        except SourceError:
            yield self._interleave.rest()
            raise

    def _read_on(self) -> _Steps:
        """Follow the playlists; raises at the end of one that was finished from the start."""
        yield from self._open()
        while True:
            for rendition in self._renditions:
                if self._is_due(rendition):
                    yield from self._reload(rendition)
            waiting = [r for r in self._renditions if r.cursor.waiting]
            if waiting:
                behind = min(waiting, key=lambda r: r.position_s)
                segment = behind.cursor.head
                yield from self._segment(behind, segment)
                behind.position_s += segment.duration_s
                behind.cursor.pop()  # not before: if the server is away, it is still to be had
            elif all(r.cursor.done for r in self._renditions) and not self._live:
                ended = SourceEnded(
                    f"{redact.url(self._url)} is finished (EXT-X-ENDLIST): it is no live stream"
                )
                ended.retry = Retry.NEVER  # it would only be played once more
                raise ended
            else:
                # One that was live and has ended may go on: its publisher comes back.
                due = [r.cursor.reload_at for r in self._renditions if self._goes_on(r)]
                yield from self._pause_until(min(due))

    def _open(self) -> _Steps:
        """Load the first playlist and, behind a master playlist, those it leads to."""
        stream, head = self._opened or (self._client.get(self._url, PLAYLIST_LIMITS), b"")
        stream.restrict(PLAYLIST_LIMITS)
        asked_at = self._clock.monotonic()
        playlist = yield from self._playlist(stream, head)
        if isinstance(playlist, MediaPlaylist):
            self._renditions = self._follow({None: stream.url})
            self._update(self._renditions[0], playlist, asked_at)
            return
        video, audio = playlist.best()
        if audio is None:
            self._renditions = self._follow({None: video})
        else:
            self._renditions = self._follow({Medium.VIDEO: video, Medium.AUDIO: audio})
        for rendition in self._renditions:
            yield from self._load(rendition)

    def _follow(self, urls: dict[Medium | None, str]) -> list[_Rendition]:
        """Begin with playlists, or go on with them where a source before us stopped."""
        if [each.only for each in self._before] != list(urls):
            return [_Rendition(url, only, self._backfill_s) for only, url in urls.items()]
        for rendition in self._before:
            rendition.url = urls[rendition.only]
            rendition.failures, rendition.failing_since = 0, None
            rendition.cursor.rewind()
            rendition.reader = SegmentReader()
        return self._before

    def _load(self, rendition: _Rendition) -> _Steps:
        asked_at = self._clock.monotonic()
        stream = self._client.get(rendition.url, PLAYLIST_LIMITS)
        playlist = yield from self._playlist(stream, b"")
        if isinstance(playlist, MasterPlaylist):
            raise SourceUnsupported(
                "the HLS master playlist leads to another master playlist", field="source"
            )
        self._update(rendition, playlist, asked_at)

    def _update(self, rendition: _Rendition, playlist: MediaPlaylist, asked_at: float) -> None:
        missed = rendition.cursor.update(playlist, asked_at)
        self._live = self._live or not playlist.ended
        if missed is not None:
            self._declare(rendition, missed)

    def _goes_on(self, rendition: _Rendition) -> bool:
        return self._live or not rendition.cursor.ended

    def _is_due(self, rendition: _Rendition) -> bool:
        return self._goes_on(rendition) and self._clock.monotonic() >= rendition.cursor.reload_at

    def _reload(self, rendition: _Rendition) -> _Steps:
        """Load a playlist again; failures are borne for a few target durations."""
        try:
            yield from self._load(rendition)
        except SourceError as error:
            now = self._clock.monotonic()
            since = rendition.failing_since if rendition.failing_since is not None else now
            rendition.failing_since = since
            if _is_final(error) or now - since > _grace_s(rendition.cursor.target_s):
                raise
            rendition.cursor.failed(now)
            _log.warning("hls: playlist not reloaded: %s", error.message)
        else:
            rendition.failing_since = None

    def _segment(self, rendition: _Rendition, segment: Segment) -> _Steps:
        """Fetch and parse one segment, or declare it missed."""
        if segment.encrypted:
            raise SourceUnsupported(
                f"the HLS source is encrypted ({segment.encrypted[:20]}): offer it in the clear",
                field="source",
            )
        if segment.gap:
            missed = Missed(segment.sequence, 1, segment.duration_s, Cause.GAP_TAG)
            self._declare(rendition, missed)
            return
        if rendition.only is not None:
            yield self._interleave.begin(rendition.only)
        try:
            if segment.discontinuity:  # an init section of the same name may be another
                rendition.reader.init = None
            if segment.init is not None and segment.init != rendition.reader.init:
                init = yield from self._fetch_again(segment.init, rendition.cursor.target_s)
                yield self._due(rendition, rendition.reader.start(segment.init, init))
            body = yield from self._fetch_again(segment.media, rendition.cursor.target_s)
            empty = True
            rendition.clock.begin(segment.duration_s)
            for events in rendition.reader.read(body, segment.init):
                empty = empty and not events
                yield self._due(rendition, events)
            if empty:
                raise SourceMalformed("a segment of the HLS source holds neither picture nor sound")
        except SourceError as error:
            rendition.failures += 1
            if _is_final(error) or rendition.failures >= _FAILURES_MAX:
                raise
            if isinstance(error, SourceUnreachable):
                yield from self._load(rendition)  # or is it the server? Then nothing is missed yet
            cause = Cause.NOT_FOUND if isinstance(error, SourceNotFound) else Cause.FAILED
            self._declare(rendition, Missed(segment.sequence, 1, segment.duration_s, cause))
        else:
            rendition.failures = 0

    # ------------------------------------------------------------------ fetching and waiting

    def _playlist(
        self, stream: HttpStream, head: bytes
    ) -> Generator[Sequence[SourceEvent], None, MediaPlaylist | MasterPlaylist]:
        body = yield from self._body(stream, head)
        return parse(body, stream.url)

    def _fetch_again(
        self, part: Part, target_s: float
    ) -> Generator[Sequence[SourceEvent], None, bytes]:
        """Fetch a segment, again if it fails: it may appear late or the connection may break."""
        limits = Limits(body=SEGMENT_MAX, total_s=max(3 * target_s, 15.0))
        until_s = self._clock.monotonic() + _grace_s(target_s)
        attempt = 0
        while True:
            attempt += 1
            try:
                stream = self._client.get(part.url, limits, part.byte_range)
                return (yield from self._body(stream, b""))
            except SourceError as error:
                now_s = self._clock.monotonic()
                away = isinstance(error, SourceUnreachable) and now_s < until_s
                if _is_final(error) or (attempt >= _ATTEMPTS and not away):
                    raise
                _log.warning("hls: attempt %d for a segment failed: %s", attempt, error.message)
            yield from self._pause_until(now_s + min(target_s / 2, _RETRY_PAUSE_MAX_S))

    def _body(
        self, stream: HttpStream, head: bytes
    ) -> Generator[Sequence[SourceEvent], None, bytes]:
        pieces = [head]
        while True:
            data = stream.recv(self._left_s())
            if data is None:
                yield ()
            elif data:
                pieces.append(data)
            else:
                return b"".join(pieces)

    def _pause_until(self, due: float) -> _Steps:
        while True:
            if self._client.over():
                raise SourceEnded(f"{redact.url(self._url)} was closed on our side")
            left_s = due - self._clock.monotonic()
            if left_s <= 0:
                return
            self._closing.wait(min(left_s, self._left_s(), 0.2))
            yield ()

    def _left_s(self) -> float:
        return max(self._until - time.monotonic(), 0.0)

    # ------------------------------------------------------------------ what is delivered

    def _due(self, rendition: _Rendition, events: list[SourceEvent]) -> list[SourceEvent]:
        """Tell what is due; of sound that the playlist offers apart, what is there alone."""
        only = rendition.only
        if only is None:
            return rendition.clock.watch(events)
        own = rendition.clock.watch([event for event in events if event.medium is only])
        return self._interleave.add(only, own)

    def _declare(self, rendition: _Rendition, missed: Missed) -> None:
        rendition.clock.forget()
        if missed.cause in {Cause.RESTARTED, Cause.FAILED}:
            rendition.reader = SegmentReader()  # what comes now may be another stream
        self.missed.append(missed)
        del self.missed[:-1000]
        _log.warning(
            "hls: %d segments from %d on are missing: %s", missed.count, missed.first, missed.cause
        )


def _grace_s(target_s: float) -> float:
    """Tell how long a server may be away before it is opened anew: it keeps what it lists."""
    return max(_GRACE_TARGETS * target_s, _GRACE_MIN_S)


def _is_final(error: SourceError) -> bool:
    """Tell whether another attempt is of no use; stores refuse (403) what they do not have yet."""
    if isinstance(error, SourceDenied):
        return False
    return error.retry is Retry.NEVER or isinstance(error, SourceEnded)
