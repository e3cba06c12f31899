"""Shows a recording to players while it runs, whichever lap wrote which segment.

A later lap goes on where its predecessors' playlists stand, from reads of the table whose size does
not depend on the recording's length; the full playlist, written at growing intervals, is taken up
from its own text.
"""

from collections import deque

from everreel.errors import ObjectMissing
from everreel.media import names
from everreel.media.continuity import settled
from everreel.media.hls import IndexBuilder, LiveWindow, PlaylistEntry, Shown, due, entry
from everreel.media.index import InitRow, SegmentRow
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Recording, parse_lap
from everreel.store.ports import ObjectStore

WINDOW = 6
"""Segments of the live playlist."""


class Playlists:
    """The live playlist of each segment and the full one at intervals.

    Attributes:
        count: segments of the recording that were shown.
    """

    def __init__(
        self,
        recording: Recording,
        order: LapOrder,
        *,
        store: ObjectStore,
        recordings: Recordings,
        folder: names.Folder,
    ) -> None:
        """Show `recording` on behalf of lap `order`."""
        self.count = 0
        self._sid = recording.sid
        self._order = order
        self._target_s = recording.options.segment_s
        self._store = store
        self._recordings = recordings
        self._folder = folder
        self._live: LiveWindow | None = None
        self._index: IndexBuilder | None = None
        self._indexed = 0
        self._last: SegmentRow | None = None
        self._buckets: deque[int] = deque(maxlen=WINDOW + 1)
        self._inits: dict[int, InitRow] = {}

    def show(self) -> None:
        """Bring the live playlist up to date with the index; the full one if it is due.

        Raises: StateUnavailable and what `ObjectStore` raises; the next call makes it good.
        """
        live = self._live if self._live is not None else self._take_up()
        after = -1 if self._last is None else self._last.k
        for row in settled(self._recordings.segments(self._sid, after=after), self._last):
            self._add(live, row)
        self._put(self._folder.live, live.render().encode())
        if due(self._indexed, self.count):
            self._write_index()

    def finish(self) -> None:
        """Bring the full playlist up to date: nothing more is added by this lap."""
        if self._last is not None and self._indexed < self.count:
            self._write_index()

    @property
    def shown(self) -> Shown | None:
        """Where the playlists stand, None before the first segment."""
        live = self._live
        if live is None or not self._buckets:
            return None
        full = len(self._buckets) > WINDOW
        return Shown(
            self._buckets[0] if full else -1,
            live.media_sequence,
            live.discontinuity_sequence,
            live.target_s,
            self._indexed,
        )

    def _take_up(self) -> LiveWindow:
        """Begin where the predecessors stand; from the first segment if nobody tells."""
        told = self._told() if self._order.follows else None
        if told is None:
            self._live = LiveWindow(self._target_s, WINDOW)
            if not self._order.follows:
                self._index = IndexBuilder(self._target_s)
            return self._live
        live = LiveWindow(
            told.target_s,
            WINDOW,
            media_sequence=told.media_sequence,
            discontinuity_sequence=told.discontinuity_sequence,
        )
        self._indexed = told.indexed
        self.count = told.media_sequence
        if told.before_k >= 0:
            rows = self._recordings.segments(self._sid, after=told.before_k - 1)
            self._last = next(iter(rows), None)
            self._buckets.append(told.before_k)
        self._live = live
        return live

    def _told(self) -> Shown | None:
        before = self._recordings.lap(self._sid, *parse_lap(self._order.follows))
        if before is not None and before.progress.shown is not None:
            return before.progress.shown
        told = [lap.progress.shown for lap in self._recordings.recent_laps(self._sid)]
        return max(
            (shown for shown in told if shown is not None),
            key=lambda shown: shown.media_sequence,
            default=None,
        )

    def _add(self, live: LiveWindow, row: SegmentRow) -> None:
        shown = self._entry(row)
        live.add(shown)
        if self._index is not None:
            self._index.add(shown)
        self._buckets.append(row.k)
        self._last = row
        self.count += 1

    def _write_index(self) -> None:
        index = self._index if self._index is not None else self._take_up_index()
        if self._last is not None and index.last_uri == self._last.key:
            self._put(self._folder.index, index.render("event"))
            self._index = index
        # Otherwise a lap beside this one is ahead: what lies there holds more than we know.
        self._indexed = index.count

    def _take_up_index(self) -> IndexBuilder:
        """Go on with the full playlist that lies there; from the first segment if none does."""
        index = IndexBuilder.resume(self._stored_index()) or IndexBuilder(self._target_s)
        name = names.parse(self._folder.key(index.last_uri))
        rows = self._recordings.segments(self._sid, after=-1 if name is None else name.number - 1)
        last = None if name is None else next(rows, None)
        if last is not None and last.key != index.last_uri:  # not made of this recording's rows
            last, index = None, IndexBuilder(self._target_s)
            rows = self._recordings.segments(self._sid)
        for row in settled(rows, last):
            if self._last is None or row.k <= self._last.k:
                index.add(self._entry(row))
        return index

    def _stored_index(self) -> bytes:
        try:
            return self._store.get(self._folder.index)
        except ObjectMissing:
            return b""

    def _entry(self, row: SegmentRow) -> PlaylistEntry:
        if row.init and row.init not in self._inits:
            self._inits = {each.number: each for each in self._recordings.inits(self._sid)}
        return entry(row, self._inits)

    def _put(self, key: str, body: bytes) -> None:
        self._store.put(key, body, names.content_type(key))
