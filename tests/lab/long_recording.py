"""A recording of days in a minute: laps publish as they do in a function, and all of it is counted.

Everything from a packaged segment on is the real thing: commit, playlists and their take-up by the
next lap, events, beats. Only the media are small (a video of 2.5 pictures a second), and no time
passes.
"""

import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass, replace
from types import FrameType
from typing import Any

from everreel.clock import ManualClock
from everreel.events.ports import Event
from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream import h264
from everreel.media.index import Container, InitRow, SegmentRow
from everreel.media.names import Folder
from everreel.media.segment import Sample, Segment
from everreel.recorder.package import Packager
from everreel.recorder.publish import Publisher
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Orders, Ticket
from everreel.state.recording import (
    Lap,
    LapOrder,
    Mode,
    Options,
    Progress,
    Reason,
    Recording,
)
from everreel.state.status import Status
from everreel.store.memory import MemoryStore

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
HOUR, DAY, WEEK = 600, 14_400, 100_800
"""Segments of 6 s."""
LAP = 136
"""Segments of a lap: 13 min 35 s."""
SEGMENT_US = 6_000_000
PICTURE_US = 400_000

_VIDEO = TrackFormat(
    Codec.H264,
    90_000,
    0,
    h264.avcc(
        [bytes.fromhex("6742c01ed900a02ff97011000003000100000300320f162e48")],
        [bytes.fromhex("68cb83cb20")],
    ),
    width=640,
    height=360,
)


@dataclass
class Cost:
    """What publishing cost: sums of everything that left the recorder, and its work.

    Attributes:
        lines: of Python that ran, where they were counted: work as a number that no other process
            on the machine changes.
    """

    puts: int = 0
    put_bytes: int = 0
    gets: int = 0
    got_bytes: int = 0
    index_puts: int = 0
    index_bytes: int = 0
    table_calls: int = 0
    rows_read: int = 0
    events: int = 0
    cpu_s: float = 0.0
    lines: int = 0

    @property
    def requests(self) -> int:
        """Calls of the store and the table together."""
        return self.puts + self.gets + self.table_calls

    def __sub__(self, other: "Cost") -> "Cost":
        mine, theirs = astuple(self), astuple(other)
        return Cost(*(a - b for a, b in zip(mine, theirs, strict=True)))


@dataclass(frozen=True)
class Samples:
    """What some stretches of a recording cost, each of so many segments."""

    costs: Sequence[Cost]
    segments: int

    def each(self, name: str) -> float:
        """Tell what one segment cost of a field of `Cost`."""
        total: float = sum(getattr(cost, name) for cost in self.costs)
        return total / (len(self.costs) * self.segments)


class CountingStore(MemoryStore):
    """Counts requests and bytes; the full playlist apart."""

    def __init__(self, cost: Cost, clock: ManualClock) -> None:
        super().__init__(clock)
        self._cost = cost

    def put_new(self, key: str, body: bytes, content_type: str) -> None:
        """Count a request."""
        self._count(key, body)
        super().put_new(key, body, content_type)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Count a request."""
        self._count(key, body)
        super().put(key, body, content_type)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Count a request."""
        body = super().get(key, start, length)
        self._cost.gets += 1
        self._cost.got_bytes += len(body)
        return body

    def _count(self, key: str, body: bytes) -> None:
        self._cost.puts += 1
        self._cost.put_bytes += len(body)
        if key.endswith("/index.m3u8"):
            self._cost.index_puts += 1
            self._cost.index_bytes += len(body)


class CountingRecordings(MemoryRecordings):
    """Counts calls, and the rows that queries bring."""

    def __init__(self, cost: Cost) -> None:
        super().__init__()
        self._cost = cost

    def segments(self, sid: str, *, after: int = -1) -> Iterator[SegmentRow]:
        """Count a query and each row that is taken from it."""
        self._cost.table_calls += 1
        for row in super().segments(sid, after=after):
            self._cost.rows_read += 1
            yield row

    def laps(self, sid: str) -> list[Lap]:
        """Count a query and its rows."""
        found = list(super().laps(sid))
        self._cost.table_calls += 1
        self._cost.rows_read += len(found)
        return found

    def lap(self, sid: str, lane: str, lap: int) -> Lap | None:
        """Count a read."""
        self._cost.table_calls += 1
        self._cost.rows_read += 1
        return super().lap(sid, lane, lap)

    def inits(self, sid: str) -> list[InitRow]:
        """Count a query and its rows."""
        found = list(super().inits(sid))
        self._cost.table_calls += 1
        self._cost.rows_read += len(found)
        return found

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        """Count a transaction."""
        self._cost.table_calls += 1
        return super().commit(sid, row, fence)

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        """Count a write."""
        self._cost.table_calls += 1
        return super().beat(sid, lane, lap, progress, utc_us)


class CountingBus:
    """Counts events and keeps none."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    def publish(self, *events: Event) -> None:
        """Count events."""
        self._cost.events += len(events)


class LongRecording:
    """One recording in the making.

    Attributes:
        cost: everything so far.
        laps: that have begun.
        k: number of the segment that comes next.
    """

    def __init__(self, *, skip: Callable[[int], bool] = lambda _: False, **options: Any) -> None:
        """Begin; segments for which `skip` says so never come: the stream was away."""
        self.cost = Cost()
        self.clock = ManualClock()
        self.store = CountingStore(self.cost, self.clock)
        self.recordings = CountingRecordings(self.cost)
        self.bus = CountingBus(self.cost)
        self.laps = 0
        self.k = 0
        self._skip = skip
        self._packager = Packager(Container.FMP4)
        self._publisher: Publisher | None = None
        self._order = LapOrder(SID, "", 0)
        now_us = self.clock.utc_us()
        self.recordings.put_ticket(Ticket("r", "app", "room", "1", now_us + SEGMENT_US))
        self.recordings.create(
            Recording(
                sid=SID,
                app="app",
                channel="room",
                uid="1",
                recorder_uid="1",
                resource_id="r",
                source="rtmp://media.example/live/x",
                mode=Mode.INDIVIDUAL,
                options=replace(Options(), **options),
                status=Status.STARTING,
                created_utc_us=now_us,
            )
        )
        self.folder = Folder("", "room", SID)

    def record(self, segments: int, *, count_lines: bool = False) -> Cost:
        """Publish so many segments more; return what they cost. Counting lines takes time."""
        gc.freeze()  # a real lap has no rows and objects of others for the collector to go through
        before, began_s = replace(self.cost), time.process_time()
        with _counted_lines(self.cost) if count_lines else nullcontext():
            self._record(segments)
        self.cost.cpu_s += time.process_time() - began_s
        return self.cost - before

    def _record(self, segments: int) -> None:
        for _ in range(segments):
            if self.k % LAP == 0:
                self._next_lap()
            elif not self._skip(self.k):
                self._publish()
            self.k += 1
            self.clock.advance(SEGMENT_US / 1e6)

    def lap_memory(self) -> int:
        """Publish one lap more, and the full playlist; return the bytes it held at most.

        Includes what the fakes keep of it, which is the same for every lap.
        """
        assert self.k % LAP == 0
        tracemalloc.start()
        try:
            self.record(LAP)
            self._must_publish().finish()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def end(self) -> None:
        """Let the last lap end."""
        publisher = self._must_publish()
        publisher.finish()
        self._end_lap(self._order, publisher, Reason.STOPPED)

    def _next_lap(self) -> None:
        before, old = self._order, self._publisher
        lane, number = "ab"[self.laps % 2], self.laps // 2 + 1
        self._order = LapOrder(SID, lane, number, follows=before.name if self.laps else "")
        self.laps += 1
        now_us = self.clock.utc_us()
        self.recordings.invoked(SID, lane, number, "request", now_us)
        recording = self.recordings.claim(SID, lane, number, "request", now_us)
        self._publisher = Publisher(
            recording, self._order, store=self.store, recordings=self.recordings, bus=self.bus
        )
        if old is None:
            self._publisher.origin_utc_us = now_us
        self._publish()
        if old is not None:  # in the overlap both have a bucket: the leaver loses
            old.publish(self._packager.package(segment(self.k)))
            self._end_lap(before, old, Reason.HANDED_OVER)

    def _publish(self) -> None:
        publisher = self._must_publish()
        publisher.publish(self._packager.package(segment(self.k)))
        order = self._order
        self.recordings.beat(SID, order.lane, order.lap, told(publisher), self.clock.utc_us())

    def _end_lap(self, order: LapOrder, publisher: Publisher, reason: Reason) -> None:
        self.recordings.end_lap(
            SID, order.lane, order.lap, reason, None, told(publisher), self.clock.utc_us()
        )

    def _must_publish(self) -> Publisher:
        assert self._publisher is not None, "nothing was recorded yet"
        return self._publisher


@contextmanager
def _counted_lines(cost: Cost) -> Iterator[None]:
    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        cost.lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def told(publisher: Publisher) -> Progress:
    """What a lap tells with a beat."""
    return Progress(
        Status.IN_PROGRESS,
        segments=publisher.segments,
        bytes=publisher.bytes,
        media_us=publisher.media_us,
        received_us=publisher.media_us,
        recorded_us=publisher.recorded_us,
        shown=publisher.playlists.shown,
    )


def segment(k: int) -> Segment:
    """Make segment `k`: 15 small pictures that no other segment has."""
    start_us = k * SEGMENT_US
    samples = []
    for number in range(SEGMENT_US // PICTURE_US):
        at_us = start_us + number * PICTURE_US
        payload = (b"\x41" if number else b"\x65") + b"%08d.%02d" % (k, number)
        data = len(payload).to_bytes(4, "big") + payload
        samples.append(Sample(Medium.VIDEO, at_us, at_us, not number, data))
    return Segment(
        k,
        start_us,
        start_us + SEGMENT_US,
        (_VIDEO,),
        {Medium.VIDEO: samples},
        next_pts_us={Medium.VIDEO: start_us + SEGMENT_US},
    )
