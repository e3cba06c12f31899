"""Makes a packaged segment part of the recording: init segment, commit, playlists, event.

Runs on the upload thread, one segment at a time. Every step may be repeated after an error: what is
there already is recognised, so a retry changes nothing.
"""

import logging
from typing import TYPE_CHECKING

from everreel.clock import iso
from everreel.errors import EverreelError, ObjectExists
from everreel.events.ports import Event, EventBus, Happening
from everreel.media import names
from everreel.media.access_unit import Medium
from everreel.media.index import InitRow, SegmentRow, TrackDescription
from everreel.recorder.package import Packaged
from everreel.recorder.playlists import Playlists
from everreel.state.ports import Recordings
from everreel.state.recording import LapOrder, Recording
from everreel.store.commit import Committer
from everreel.store.ports import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from everreel.media.segment import Segment

log = logging.getLogger(__name__)


class Publisher:
    """Publishes the segments of one lap.

    Attributes:
        origin_utc_us: UTC of recording timeline 0: the lap's own estimate until the first commit,
            then the one the recording holds.
        segments, bytes: committed by this lap.
        passed_k: newest bucket of ours that has an owner now, whoever it is; -1 before.
        media_us: recording timeline position up to which this lap committed.
        recorded_us: media committed by this lap.
        on_first_commit: called once something can be played.
        give_way: called with each segment before it is committed; may wait.
        is_over: tells of each segment whether the recording has ended before it.
        playlists: what players are shown.
    """

    def __init__(
        self,
        recording: Recording,
        order: LapOrder,
        *,
        store: ObjectStore,
        recordings: Recordings,
        bus: EventBus,
    ) -> None:
        """Publish for lap `order` of `recording`."""
        options = recording.options
        self.origin_utc_us = recording.origin_utc_us
        self.segments = 0
        self.bytes = 0
        self.passed_k = -1
        self.media_us = 0
        self.recorded_us = 0
        self.on_first_commit: Callable[[], None] = lambda: None
        self.give_way: Callable[[Segment], None] = lambda _: None
        self.is_over: Callable[[Segment], bool] = lambda _: False
        self._sid = recording.sid
        self._order = order
        self._store = store
        self._recordings = recordings
        self._bus = bus
        self._container = options.container
        self._folder = names.Folder(options.prefix, recording.channel, recording.sid)
        self._committer = Committer(
            store,
            recordings,
            folder=self._folder.path,
            sid=recording.sid,
            lane=order.lane,
            lap=order.lap,
        )
        self._origin_fixed = recording.origin_utc_us != 0
        # Of laps side by side one would pay for an object that loses: a look at the row is cheaper.
        self._stands_by = recording.options.reliability.width > 1
        self._inits: dict[int, InitRow] | None = None
        self.playlists = Playlists(
            recording, order, store=store, recordings=recordings, folder=self._folder
        )

    def publish(self, item: Packaged) -> None:
        """Store a segment and commit it; then show it to players and to the bus.

        Raises: FenceLost, StateUnavailable and what `ObjectStore` raises. Playlists and events that
            fail are logged and made good with the next segment.
        """
        if not self._origin_fixed:
            self.origin_utc_us = self._recordings.set_origin(self._sid, self.origin_utc_us)
            self._origin_fixed = True
        if self._is_taken(item.segment):
            return
        self.give_way(item.segment)
        if self._is_taken(item.segment):
            return
        if self.is_over(item.segment):
            log.info("segment %d lies behind the end of the recording", item.segment.k)
            return
        wish = self._row(item, self._init_number(item))
        result = self._committer.commit(item.body, wish, names.content_type(wish.key))
        row = result.row
        if not result.mine:
            self._pass(row.k)
            return
        self.passed_k = row.k
        self.segments += 1
        self.bytes += row.size
        self.media_us = row.start_us + row.duration_us
        self.recorded_us += row.media_us
        if self.segments == 1:
            self.on_first_commit()
        self._show(row)

    def _is_taken(self, segment: "Segment") -> bool:
        """Tell whether a lap beside us had a bucket first; then there is nothing to store."""
        beside = self._stands_by or segment.stand_in
        row = self._recordings.segment(self._sid, segment.k) if beside else None
        if row is None or (row.lane, row.lap) == (self._order.lane, self._order.lap):
            return False  # our own is there if the answer to a commit was lost: that goes on
        self._pass(segment.k)
        return True

    def _pass(self, k: int) -> None:
        """Leave a bucket to the lap that had it first."""
        self.passed_k = k
        log.info("segment %d was committed by another lap", k)

    def finish(self) -> None:
        """Bring the full playlist up to date: this lap adds nothing more."""
        try:
            self.playlists.finish()
        except EverreelError as error:
            log.warning("playlist not written, the seal brings it: %s", error.message)

    def _row(self, item: Packaged, init: int) -> SegmentRow:
        segment = item.segment
        writer = f"{self._order.lane}{self._order.lap}"
        return SegmentRow(
            k=segment.k,
            key=names.segment_name(segment.k, writer, self._container),
            init=init,
            start_us=segment.start_us,
            duration_us=segment.duration_us,
            utc_us=self.origin_utc_us + segment.start_us,
            size=len(item.body),
            sha256="",  # the committer knows
            tracks=item.tracks,
            discontinuity=segment.discontinuity,
            gap=segment.gap,
            independent=segment.independent,
            lane=self._order.lane,
            lap=self._order.lap,
            whole=segment.whole,
        )

    # ------------------------------------------------------------------ init segments

    def _init_number(self, item: Packaged) -> int:
        """Return the number of the init segment that the item needs, making it if it is new."""
        if not item.inits:
            return 0
        known = self._known_init(item.descriptions)
        if known is None:
            rows = self._recordings.inits(self._sid)
            self._inits = {row.number: row for row in rows}
            known = self._known_init(item.descriptions)
        if known is None:
            number = max(self._inits or {}, default=0) + 1
            while (known := self._new_init(number, item)) is None:
                number += 1  # another lap took that number for other tracks
            self._inits = {**(self._inits or {}), known.number: known}
        return known.number

    def _known_init(self, tracks: tuple[TrackDescription, ...]) -> InitRow | None:
        rows = (self._inits or {}).values()
        return next((row for row in rows if row.tracks == tracks), None)

    def _new_init(self, number: int, item: Packaged) -> InitRow | None:
        """Store init segment `number`; None if somebody else's lies there."""
        keys: dict[str, str] = {}
        for kind, body in item.inits.items():
            name = names.init_name(number, None if kind == "all" else Medium(kind))
            key = self._folder.key(name)
            try:
                self._store.put_new(key, body, names.content_type(name))
            except ObjectExists:
                if self._store.get(key) != body:
                    return None
                log.info("init segment %s is there already", name)
            keys[kind] = name
        row = InitRow(number, item.descriptions, keys)
        self._recordings.put_init(self._sid, row)
        return row

    # ------------------------------------------------------------------ playlists and events

    def _show(self, row: SegmentRow) -> None:
        try:
            self.playlists.show()
        except EverreelError as error:
            log.warning("playlist not written, the next segment brings it: %s", error.message)
        try:
            self._bus.publish(*self._events(row))
        except EverreelError as error:
            log.warning("event not published: %s", error.message)

    def _events(self, row: SegmentRow) -> list[Event]:
        committed = Event(
            Happening.SEGMENT,
            self._sid,
            {
                "k": row.k,
                "key": self._folder.key(row.key),
                "startTime": iso(row.utc_us),
                "durationSeconds": row.duration_us / 1_000_000,
                "size": row.size,
                "lane": row.lane,
                "lap": row.lap,
            },
        )
        first = not self._order.follows or self.playlists.count == 1
        if self.segments > 1 or not first:
            return [committed]
        started = Event(
            Happening.STARTED,
            self._sid,
            {"startTime": iso(self.origin_utc_us), "playlist": self._folder.index},
        )
        return [started, committed]
