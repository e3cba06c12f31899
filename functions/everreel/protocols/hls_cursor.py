"""Where a recorder stands in a live HLS playlist: what is next, what was missed, when to look.

Source: RFC 8216 §6.3.3 (where to begin) and §6.3.4 (when to reload).
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from everreel.protocols.hls_playlist import MediaPlaylist, Segment

SEGMENTS_FROM_EDGE = 3
# How often in a row a playlist may be older than the last one before we believe it.
_STALE_MAX = 3
_SEEN_MAX = 64


class Cause(StrEnum):
    """Why segments of a source are missing from its recording."""

    LEFT_PLAYLIST = "left_playlist"
    GAP_TAG = "gap_tag"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Missed:
    """Segments that the source had or announced and we have not.

    Attributes:
        first: media sequence number of the first of them.
        count: how many; 0 if the server began to count anew and nobody knows.
        duration_s: what they last together, an estimate where the playlist never showed them.
        cause: why.
    """

    first: int
    count: int
    duration_s: float
    cause: Cause


class Cursor:
    """Follows one media playlist. Pure: the caller fetches and says what time it is.

    Attributes:
        ended: the playlist will not grow any more.
        target_s: its target duration.
        reload_at: when it may be asked for again, monotonic seconds.
    """

    def __init__(self, backfill_s: float = 0.0) -> None:
        """Begin three segments from the live edge, or earlier.

        Args:
            backfill_s: begin at least so long before the end of the first playlist seen, as far as
                the server still lists it.
        """
        self.ended = False
        self.target_s = 0.0
        self._backfill_s = backfill_s
        self._queue: deque[Segment] = deque()
        self._next: int | None = None
        self._seen: deque[tuple[int, str]] = deque(maxlen=_SEEN_MAX)
        self._stale = 0
        self._listed: tuple[int, int] | None = None
        self.reload_at = 0.0

    def update(self, playlist: MediaPlaylist, asked_at: float) -> Missed | None:
        """Take a playlist that was asked for at `asked_at`; return what it shows to be missed.

        Units: monotonic seconds.
        """
        listed = (playlist.first, playlist.end)
        changed = listed != self._listed or playlist.ended
        self._listed = listed
        self.target_s = playlist.target_s
        self.reload_at = asked_at + (playlist.target_s if changed else playlist.target_s / 2)
        missed: Missed | None = None
        if self._next is None:
            if not playlist.segments:
                return None
            self._next = playlist.first + self._begin(playlist)
        elif playlist.end < self._next:
            if not playlist.segments or self._is_stale(playlist):
                return None
            missed = Missed(playlist.first, 0, 0.0, Cause.RESTARTED)
            self._next = playlist.first
        elif playlist.first > self._next:
            count = playlist.first - self._next
            missed = Missed(self._next, count, count * playlist.target_s, Cause.LEFT_PLAYLIST)
            self._next = playlist.first
        new = playlist.segments[self._next - playlist.first :]
        self._queue.extend(new)
        self._next = playlist.end
        self._seen.extend(_identity(segment) for segment in new)
        self._stale = 0
        self.ended = playlist.ended
        return missed

    @property
    def head(self) -> Segment:
        """The next segment to fetch; there is one if `waiting`."""
        return self._queue[0]

    def pop(self) -> Segment | None:
        """Take the next segment off: it has been fetched, or given up."""
        return self._queue.popleft() if self._queue else None

    def rewind(self) -> None:
        """Expect what is waiting to be listed anew: its addresses may hold no longer."""
        if self._queue:
            self._next = self._queue[0].sequence
            self._queue.clear()

    @property
    def waiting(self) -> bool:
        """Whether segments are known that have not been fetched."""
        return bool(self._queue)

    @property
    def done(self) -> bool:
        """Whether the last segment of an ended playlist was taken."""
        return self.ended and not self._queue

    def failed(self, now: float) -> None:
        """Put off the reload after one that failed. Units: monotonic seconds."""
        self.reload_at = now + max(self.target_s / 2, 1.0)

    def _begin(self, playlist: MediaPlaylist) -> int:
        """Return the index of the first segment to record."""
        if playlist.ended:
            return 0
        index = max(len(playlist.segments) - SEGMENTS_FROM_EDGE, 0)
        seconds = sum(segment.duration_s for segment in playlist.segments[index:])
        while index > 0 and seconds < self._backfill_s:
            index -= 1
            seconds += playlist.segments[index].duration_s
        return index

    def _is_stale(self, playlist: MediaPlaylist) -> bool:
        """Tell an old copy (a cache that lags) from a server that began to count anew."""
        self._stale += 1
        return self._stale <= _STALE_MAX and _identity(playlist.segments[-1]) in self._seen


def _identity(segment: Segment) -> tuple[int, str]:
    """Name a segment; tokens in its query may change with every reload."""
    return segment.sequence, urlsplit(segment.media.url).path
