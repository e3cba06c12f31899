"""Joins the segments of a recording into one MP4, streamed: two passes, little memory.

The first pass reads only the sample tables, so that they can stand in front of the media; the
second copies the media. Several reads are under way at a time, because each waits for the store.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from everreel.media.access_unit import Codec, TrackFormat
from everreel.media.bitstream.describe import track_format
from everreel.media.index import InitRow, SegmentRow
from everreel.media.isobmff.fragment import head_size
from everreel.media.isobmff.progressive import Mp4Plan, Part, Payload
from everreel.media.names import Folder
from everreel.sealing.repackage import repackage
from everreel.store.ports import ObjectStore

READERS = 8
"""Reads under way at a time: enough to hide the store's latency, few enough to fit memory."""

_CODECS = {
    "avc1": Codec.H264,
    "hvc1": Codec.H265,
    "hev1": Codec.H265,
    "mp4a": Codec.AAC,
    "opus": Codec.OPUS,
}

In = TypeVar("In")
Out = TypeVar("Out")


def export_mp4(
    store: ObjectStore,
    folder: Folder,
    rows: Sequence[SegmentRow],
    inits: Sequence[InitRow],
    check: Callable[[], None] = lambda: None,
) -> Iterator[bytes]:
    """Yield the bytes of one MP4 that holds everything the rows hold.

    `check` is called before each read; what it raises ends the work and comes out as it is.
    Raises: ObjectMissing, StoreUnavailable; SourceError if an MPEG-TS segment cannot be read;
        ServiceFault if a segment is not what its row tells.
    """

    def checked(items: Iterable[In]) -> Iterator[In]:
        for item in items:
            check()
            yield item

    reader = _Ts(store, folder) if rows[0].init == 0 else _Fmp4(store, folder, inits)
    with ThreadPoolExecutor(READERS) as pool:
        plan = Mp4Plan(reader.formats(checked(rows), pool))
        for parts in in_order(pool, reader.parts, checked(rows)):
            plan.add(parts)
        yield from plan.header()
        payloads = checked(plan.payloads())
        yield from in_order(pool, lambda wanted: reader.payload(rows, wanted), payloads)


class _Fmp4:
    """Reads the fragments of fMP4 segments where they lie."""

    def __init__(self, store: ObjectStore, folder: Folder, inits: Sequence[InitRow]) -> None:
        self._store = store
        self._folder = folder
        self._formats = {
            (init.number, track.medium): track_format(
                _CODECS[track.codec.partition(".")[0].lower()], track.config, track.timescale, 0
            )
            for init in inits
            for track in init.tracks
        }

    def formats(self, _rows: Iterable[SegmentRow], _pool: ThreadPoolExecutor) -> list[TrackFormat]:
        return list(dict.fromkeys(self._formats.values()))

    def parts(self, row: SegmentRow) -> list[Part]:
        key = self._folder.key(row.key)
        return [
            Part(
                self._formats[row.init, place.medium],
                place,
                self._store.get(key, place.offset, head_size(place)),
            )
            for place in row.tracks
        ]

    def payload(self, rows: Sequence[SegmentRow], wanted: Payload) -> bytes:
        key = self._folder.key(rows[wanted.segment].key)
        return wanted.prefix + self._store.get(key, wanted.offset, wanted.length)


class _Ts:
    """Reads MPEG-TS segments as the fragments they would have been."""

    def __init__(self, store: ObjectStore, folder: Folder) -> None:
        self._store = store
        self._folder = folder

    def formats(self, rows: Iterable[SegmentRow], pool: ThreadPoolExecutor) -> list[TrackFormat]:
        found: dict[TrackFormat, None] = {}
        for parts in in_order(pool, self.parts, rows):
            found.update(dict.fromkeys(part.format for part in parts))
        return list(found)

    def parts(self, row: SegmentRow) -> list[Part]:
        segment, packaged = repackage(row, self._store.get(self._folder.key(row.key)))
        formats = {track.medium.value: track for track in segment.formats}
        return [
            Part(
                formats[place.medium],
                place,
                packaged.body[place.offset : place.offset + head_size(place)],
            )
            for place in packaged.tracks
        ]

    def payload(self, rows: Sequence[SegmentRow], wanted: Payload) -> bytes:
        row = rows[wanted.segment]
        _, packaged = repackage(row, self._store.get(self._folder.key(row.key)))
        return wanted.prefix + packaged.body[wanted.offset : wanted.offset + wanted.length]


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[In], Out], items: Iterable[In]
) -> Iterator[Out]:
    """Do `work` on every item, a few at a time, and yield the results in order."""
    running: deque[Future[Out]] = deque()
    for item in items:
        running.append(pool.submit(work, item))
        if len(running) >= READERS:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
