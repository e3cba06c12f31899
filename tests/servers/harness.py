"""Runs a lap as the function does, in a thread: real sockets, clock and disk; index in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from everreel.clock import SystemClock
from everreel.events.memory import MemoryBus
from everreel.media.access_unit import AccessUnit, SourceEvent
from everreel.media.hls import entry, media_playlist
from everreel.media.index import SegmentRow
from everreel.media.names import Folder
from everreel.media.segment import Gap
from everreel.protocols.ports import Source
from everreel.recorder.lap import OpenSource, run_lap
from everreel.recorder.orders import LapSettings, Outcome
from everreel.state.memory import MemoryRecordings
from everreel.state.recording import LapOrder, LapState, Options, Progress
from everreel.state.status import Status
from everreel.store.disk import DiskStore
from everreel.store.ports import ObjectStore
from tests.lab.compare import Comparison, compare
from tests.lab.digests import UnitDigest, digest, units_by_part, units_in_playlist
from tests.lab.process import LabError, wait_until
from tests.lab.publisher import Publisher
from tests.servers.started import LANE, LAP, new_recording, open_here

CLOCK = SystemClock()
SEALED = "sealed.m3u8"


class Noted:
    """A source of which the first unit of each medium is kept in `first`."""

    def __init__(self, source: Source, first: dict[str, bytes]) -> None:
        self._source = source
        self._first = first

    @property
    def in_bursts(self) -> bool:
        """As the source says."""
        return self._source.in_bursts

    def reach_back(self, back_s: float) -> None:
        """Pass on."""
        self._source.reach_back(back_s)

    def resume(self, previous: Source) -> None:
        """Pass on."""
        self._source.resume(previous._source if isinstance(previous, Noted) else previous)

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        """Read, and note what is the first of its medium."""
        events = self._source.read(wait_s)
        for event in events:
            if isinstance(event, AccessUnit):
                self._first.setdefault(event.medium.value, event.data)
        return events

    def close(self) -> None:
        """Pass on."""
        self._source.close()


@dataclass(frozen=True, slots=True)
class Hole:
    """A gap that the index declares before (or in) segment `k`. Units: microseconds."""

    k: int
    gap: Gap


class Lap:
    """One lap of one recording.

    Args:
        source: URL to record.
        root: folder of the store.
        segment_s: target duration of a segment.
        idle_s: leave after so many silent seconds.
        store: another store than the disk.
        recordings: another state table than a new one in memory.
        open_with: how sources are opened.
        deadline_s: seconds until the function is killed.
        settings: the deployment's choices; beats are quick so that tests are.
        options: what else the caller chose.

    Attributes:
        outcome: how it ended, once it has.
        crashed: the exception that left `run_lap`, which none ever should.
        first: the first access unit that came of each medium.
    """

    def __init__(
        self,
        source: str,
        root: Path,
        *,
        segment_s: int = 2,
        idle_s: int = 30,
        store: ObjectStore | None = None,
        recordings: MemoryRecordings | None = None,
        open_with: OpenSource = open_here,
        deadline_s: float = 600.0,
        settings: LapSettings | None = None,
        **options: object,
    ) -> None:
        self.root = root
        self.bus = MemoryBus()
        self.recordings = recordings or MemoryRecordings()
        self.store = store or DiskStore(root)
        chosen = Options(segment_s=segment_s, max_idle_s=idle_s, **options)  # type: ignore[arg-type]
        self.recording = new_recording(self.recordings, source, chosen)
        self.sid = self.recording.sid
        self.folder = root / Folder("", "room", self.sid).path
        self.request_id = "request-1"
        self.outcome: Outcome | None = None
        self.crashed: BaseException | None = None
        self.first: dict[str, bytes] = {}
        self.began_utc_us = self.stopped_utc_us = 0
        self._settings = settings or LapSettings(beat_s=0.3)
        self._open_with = open_with
        self._deadline_s = deadline_s
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Self:
        """Begin to record."""
        self.began_utc_us = CLOCK.utc_us()
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.outcome = run_lap(
                LapOrder(self.sid, LANE, LAP),
                open_source=self._open,
                store=self.store,
                recordings=self.recordings,
                bus=self.bus,
                clock=CLOCK,
                settings=self._settings,
                deadline_s=CLOCK.monotonic() + self._deadline_s,
                request_id=self.request_id,
            )
        except BaseException as error:  # noqa: BLE001 - what a test is to see
            self.crashed = error

    def _open(self, url: str, cancel: threading.Event) -> Source:
        return Noted(self._open_with(url, cancel), self.first)

    @property
    def running(self) -> bool:
        """Whether the lap has not ended."""
        return self._thread.is_alive()

    def stop(self, timeout_s: float = 30.0) -> Outcome:
        """Ask for a stop as a user does, and wait for the end."""
        self.stopped_utc_us = CLOCK.utc_us()
        self.recordings.request_stop(self.sid, self.stopped_utc_us)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 60.0) -> Outcome:
        """Wait until the lap ends by itself.

        Raises:
            LabError: it still runs, or an exception left it.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise LabError(f"the lap still runs after {timeout_s} s: {self.progress}")
        if self.outcome is None:
            raise LabError("an exception left the lap") from self.crashed
        return self.outcome

    def wait_segments(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until so many segments are committed."""
        self._wait(f"{count} segments", lambda: len(self.rows) >= count, timeout_s)

    def wait_status(self, status: Status, timeout_s: float = 30.0) -> None:
        """Wait until the recording has come so far."""
        self._wait(f"status {status}", lambda: self.status >= status, timeout_s)

    def wait_received(self, seconds: float, timeout_s: float = 30.0) -> None:
        """Wait until the lap tells that it has received so much media."""
        self._wait(
            f"{seconds} s received",
            lambda: self.progress.received_us >= seconds * 1_000_000,
            timeout_s,
        )

    def _wait(self, what: str, ready: object, timeout_s: float) -> None:
        def check() -> bool:
            if ready():  # type: ignore[operator]
                return True
            if not self.running:
                raise LabError(f"the lap ended before {what}: {self.outcome}") from self.crashed
            return False

        wait_until(f"{what} ({self.recording.source})", check, timeout_s)

    @property
    def status(self) -> Status:
        """Status of the recording."""
        recording = self.recordings.find(self.sid)
        assert recording is not None
        return recording.status

    @property
    def progress(self) -> Progress:
        """What the lap told last."""
        return self.recordings.laps(self.sid)[-1].progress

    @property
    def lap_state(self) -> LapState:
        """State of the lap's row."""
        return self.recordings.laps(self.sid)[-1].state

    @property
    def rows(self) -> list[SegmentRow]:
        """The index."""
        return list(self.recordings.segments(self.sid))

    @property
    def objects(self) -> list[str]:
        """Keys of everything in the store."""
        return [info.key for info in self.store.list("")]

    @property
    def holes(self) -> list[Hole]:
        """Gaps that the index declares."""
        return [Hole(row.k, row.gap) for row in self.rows if row.gap is not None]

    @property
    def playlist(self) -> Path:
        """The closed playlist of everything committed, written anew."""
        inits = {row.number: row for row in self.recordings.inits(self.sid)}
        entries = [entry(row, inits) for row in self.rows]
        path = self.folder / SEALED
        path.write_text(
            media_playlist(
                entries,
                target_s=self.recording.options.segment_s,
                kind="vod",
                ended=True,
            )
        )
        return path

    @property
    def units(self) -> list[UnitDigest]:
        """Every recorded access unit, read by FFmpeg."""
        return units_in_playlist(self.playlist)

    def whole_units(self, published: Sequence[UnitDigest]) -> list[UnitDigest]:
        """Every recorded access unit but a first picture that came to us in part.

        An RTSP server lets players in between any two packets: what it sent of a keyframe before
        its first slice, such as the encoder's message, may not have been for us.
        """
        units = self.units
        first = next((unit for unit in units if unit.medium == "video"), None)
        if first is None or not self.recording.source.startswith("rtsp"):
            return units
        came = digest("video", 0, True, self.first["video"])
        known = {unit.sha for unit in published}
        return [u for u in units if u is not first] if came.sha == first.sha not in known else units

    def compared(self, publisher: Publisher, *, once: bool = False) -> Comparison:
        """Place the recording in what was published."""
        round_us = None if once else publisher.round_us
        published = publisher.units
        return compare(published, self.whole_units(published), looped_every_us=round_us)

    def check_index(self) -> None:
        """Hold index, objects and media to each other."""
        check_rows(self.rows)
        for row in self.rows:
            assert self.store.size(f"{self._path}{row.key}") == row.size
        for row, (_part, units) in zip(self.rows, units_by_part(self.playlist), strict=True):
            counted = {t.medium: t.units for t in row.tracks}
            found = {m: sum(u.medium == m for u in units) for m in counted}
            assert counted == found, row.k

    @property
    def _path(self) -> str:
        return Folder("", "room", self.sid).path

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.stop()


def check_rows(rows: Sequence[SegmentRow]) -> None:
    """Hold an index to what every reader relies on: ascending, no overlap, gaps written down."""
    for before, after in pairwise(rows):
        assert before.k < after.k
        end_us = before.start_us + before.duration_us
        assert after.start_us >= end_us - 1, (before.k, after.k)
        hole_us = after.start_us - end_us
        if hole_us > 500_000:
            assert after.gap is not None, f"undeclared hole of {hole_us} us before {after.k}"
            assert after.discontinuity
    assert all(row.duration_us > 0 for row in rows)
