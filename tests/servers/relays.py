"""Runs many laps of one recording against a real server: hand-overs, laps side by side, deaths.

Every lap is a thread that runs `run_lap` as a function would; they share a table and a store. A
killed lap vanishes: nothing that it does from then on reaches anybody.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from everreel.errors import FenceLost, StateUnavailable
from everreel.events.memory import MemoryBus
from everreel.media.continuity import settled
from everreel.media.hls import entry, media_playlist
from everreel.media.index import SegmentRow
from everreel.media.names import Folder
from everreel.recorder.lap import OpenSource, run_lap
from everreel.recorder.orders import LapSettings, Outcome
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Orders
from everreel.state.recording import Failure, LapOrder, Options, Progress, parse_lap
from everreel.store.disk import DiskStore
from tests.lab.compare import Comparison, compare
from tests.lab.digests import units_in_playlist
from tests.lab.process import LabError, wait_until
from tests.lab.publisher import Publisher
from tests.servers.harness import SEALED, check_rows
from tests.servers.started import CLOCK, new_recording, open_here

LANES = "abc"
FIRST = "a1"
BURY_S = 1.0
"""From a death to the moment at which everybody knows of it."""

END_S = 45.0


class MortalRecordings(MemoryRecordings):
    """A state table that hears nothing more of a lap once it was killed."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: set[tuple[str, int]] = set()

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        if (lane, lap) in self.killed:
            raise StateUnavailable("killed")
        return super().beat(sid, lane, lap, progress, utc_us)

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        if (row.lane, row.lap) in self.killed:
            raise FenceLost("killed")
        return super().commit(sid, row, fence)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a recording.

    Attributes:
        seed: of the phases, to run it again.
        compared: where the recorded units lie in what was published.
        rows: the index, settled.
        outcomes: how each lap ended that was not killed.
        behind_us: media between the newest recorded unit and the stop.
    """

    seed: int
    compared: Comparison
    rows: tuple[SegmentRow, ...]
    outcomes: dict[str, Outcome]
    behind_us: int

    @property
    def writers(self) -> list[str]:
        """Who wrote, each once, in the order of their first segments."""
        return list(dict.fromkeys(f"{row.lane}{row.lap}" for row in self.rows))

    @property
    def breaks(self) -> list[int]:
        """Numbers of the segments before which a player has to begin anew."""
        return [row.k for row in self.rows if row.discontinuity]

    @property
    def gap_us(self) -> int:
        """Time that the index declares to hold no media."""
        return sum(row.gap.duration_us for row in self.rows if row.gap is not None)

    @property
    def seamless(self) -> bool:
        """Whether nothing is lost, doubled, reordered or broken."""
        meets = all(
            after.start_us == before.start_us + before.duration_us
            for before, after in pairwise(self.rows)
        )
        return self.compared.exact and meets and not self.breaks and not self.gap_us

    def __str__(self) -> str:
        """Say it, for assertion messages and tables."""
        return (
            f"seed {self.seed}, {len(self.rows)} segments by {self.writers}, "
            f"breaks before {self.breaks}, gaps {self.gap_us} us, {self.behind_us} us behind\n"
            f"{self.compared}"
        )


@dataclass
class Relay:
    """One recording and its laps.

    Attributes:
        source: URL to record.
        root: folder of the store.
        crashed: exceptions that left `run_lap`, which none ever should.
    """

    source: str
    root: Path
    segment_s: int = 2
    idle_s: int = 30
    open_with: OpenSource = open_here
    crashed: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recordings = MortalRecordings()
        self.store = DiskStore(self.root)
        self.bus = MemoryBus()
        self.outcomes: dict[str, Outcome] = {}
        options = Options(segment_s=self.segment_s, max_idle_s=self.idle_s)
        self.recording = new_recording(self.recordings, self.source, options)
        self.sid = self.recording.sid
        self._threads: dict[str, threading.Thread] = {}
        self._cut: dict[str, threading.Event] = {}
        self._stopped_utc_us = 0

    # ------------------------------------------------------------------ laps

    def start(self, name: str, follows: str = "", *, relieves: bool = False) -> None:
        """Start a lap."""
        lane, number = parse_lap(name)
        if name != FIRST:
            self.recordings.invoked(self.sid, lane, number, name, CLOCK.utc_us())
        order = LapOrder(self.sid, lane, number, follows, relieves)
        thread = threading.Thread(target=self._run, args=(order,), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def _run(self, order: LapOrder) -> None:
        try:
            self.outcomes[order.name] = run_lap(
                order,
                open_source=self.open_with,
                store=self.store,
                recordings=self.recordings,
                bus=self.bus,
                clock=CLOCK,
                settings=LapSettings(beat_s=0.3),
                deadline_s=CLOCK.monotonic() + 600.0,
                request_id="request-1" if order.name == FIRST else order.name,
            )
        except BaseException as error:  # noqa: BLE001 - what a test is to see
            self.crashed.append(error)

    def kill(self, name: str) -> None:
        """Let a lap vanish."""
        self.recordings.killed.add(parse_lap(name))

    def bury(self, name: str) -> None:
        """Let everybody know that a lap has died."""
        lane, number = parse_lap(name)
        lap = self.recordings.lap(self.sid, lane, number)
        assert lap is not None
        failure = Failure("recorder_died", "service", "killed by a test")
        self.recordings.declare_dead(
            self.sid, lane, number, failure, CLOCK.utc_us(), lap.beat_utc_us
        )

    def committed(self, name: str) -> int:
        """How many segments a lap has in the index."""
        rows = self.recordings.segments(self.sid)
        return sum(f"{row.lane}{row.lap}" == name for row in rows)

    def wait_committed(self, name: str, count: int = 1, timeout_s: float = 60.0) -> None:
        """Wait until a lap has so many segments in the index."""

        def reached() -> bool:
            if self.committed(name) < count and not self._threads[name].is_alive():
                raise LabError(f"{name} ended before its segment {count}: {self.outcomes}")
            return self.committed(name) >= count

        wait_until(f"{count} segments by {name} of {self.source}", reached, timeout_s)

    def stop(self) -> None:
        """Ask for the end as a user does, and wait for every lap."""
        self._stopped_utc_us = CLOCK.utc_us()
        self.recordings.request_stop(self.sid, self._stopped_utc_us)
        for name, thread in self._threads.items():
            thread.join(END_S)
            if thread.is_alive():
                raise LabError(f"{name} still runs {END_S} s after the stop")
        if self.crashed:
            raise LabError("an exception left a lap") from self.crashed[0]

    # ------------------------------------------------------------------ what came of it

    @property
    def rows(self) -> list[SegmentRow]:
        """The index, settled."""
        return list(settled(self.recordings.segments(self.sid)))

    @property
    def playlist(self) -> Path:
        """The closed playlist of everything committed, written anew."""
        inits = {row.number: row for row in self.recordings.inits(self.sid)}
        entries = [entry(row, inits) for row in self.rows]
        path = self.root / Folder("", "room", self.sid).path / SEALED
        path.write_text(media_playlist(entries, target_s=self.segment_s, kind="vod", ended=True))
        return path

    def result(self, publisher: Publisher, seed: int = 0) -> Result:
        """Compare what was recorded with what was published."""
        rows = self.rows
        check_rows(rows)
        recorded = units_in_playlist(self.playlist)
        verdict = compare(publisher.units, recorded, looped_every_us=publisher.round_us)
        outcomes = {
            name: outcome
            for name, outcome in self.outcomes.items()
            if parse_lap(name) not in self.recordings.killed
        }
        return Result(seed, verdict, tuple(rows), outcomes, self._behind_us(publisher, verdict))

    def _behind_us(self, publisher: Publisher, verdict: Comparison) -> int:
        """Tell how old the newest recorded unit was when the stop was asked for."""
        newest_us = 0
        for medium, run in verdict.runs.items():
            units = [unit for unit in publisher.units if unit.medium == medium]
            rounds, within = divmod(run.last, len(units))
            newest_us = max(newest_us, units[within].pts_us + rounds * publisher.round_us)
        return self._stopped_utc_us - publisher.first_unit_utc_us - newest_us


def names(count: int) -> list[str]:
    """Names of laps that follow each other, each on the next lane."""
    return [f"{LANES[i % len(LANES)]}{i // len(LANES) + 1}" for i in range(count)]


def phases(count: int, seed: int, from_s: float = 8.0, to_s: float = 12.0) -> list[float]:
    """Seconds between the starts of laps, at random so that every phase of a stream is met."""
    chance = random.Random(seed)
    return [chance.uniform(from_s, to_s) for _ in range(count)]


def hand_over(
    source: str,
    publisher: Publisher,
    root: Path,
    waits_s: Sequence[float],
    *,
    seed: int = 0,
) -> Result:
    """Record with a planned hand-over after each of `waits_s` seconds.

    Args:
        source: URL to record.
        publisher: what sends there.
        root: folder of the store, a new one.
        waits_s: seconds between the starts of laps.
        seed: told in the result.
    """
    relay = Relay(source, root)
    laps = names(len(waits_s) + 1)
    relay.start(laps[0])
    relay.wait_committed(laps[0])
    for wait_s, (before, name) in zip(waits_s, pairwise(laps), strict=True):
        time.sleep(wait_s)
        relay.start(name, before, relieves=True)
    relay.wait_committed(laps[-1], 2)
    relay.stop()
    return relay.result(publisher, seed)


def side_by_side(
    source: str, publisher: Publisher, root: Path, kills_s: Sequence[float], *, seed: int = 0
) -> Result:
    """Record with two laps at any time; one of them, either at random, dies after each wait.

    The dead one is replaced on its lane, as the relay does it, by a lap that joins the survivor.
    """
    chance = random.Random(seed)
    relay = Relay(source, root)
    running = names(2)
    relay.start(running[0])
    relay.wait_committed(running[0])
    relay.start(running[1], running[0])
    for wait_s in kills_s:
        _wait_in_step(relay, running[1])
        time.sleep(wait_s)
        dead = running.pop(chance.randrange(2))
        relay.kill(dead)
        time.sleep(BURY_S)
        relay.bury(dead)
        lane, number = parse_lap(dead)
        running.append(f"{lane}{number + 1}")
        relay.start(running[1], running[0])
    _wait_in_step(relay, running[1])
    time.sleep(2 * relay.segment_s)
    relay.stop()
    return relay.result(publisher, seed)


def _wait_in_step(relay: Relay, name: str) -> None:
    """Wait until a lap builds whatever is not committed yet: from then on the other may die."""
    first: list[int] = []

    def in_step() -> bool:
        lap = relay.recordings.lap(relay.sid, *parse_lap(name))
        if not first and lap is not None and lap.progress.open_k >= 0:
            first.append(lap.progress.open_k)
        newest = relay.recordings.newest(relay.sid, 1)
        return bool(first) and newest[0].k >= first[0] - 1

    wait_until(f"{name} in step on {relay.source}", in_step, 60.0)


def take_over(
    source: str,
    publisher: Publisher,
    root: Path,
    kills_s: Sequence[float],
    *,
    seed: int = 0,
    away_s: float = BURY_S,
) -> Result:
    """Record with one lap that dies after each wait; the next one starts `away_s` later."""
    relay = Relay(source, root)
    laps = names(len(kills_s) + 1)
    relay.start(laps[0])
    relay.wait_committed(laps[0])
    for wait_s, (before, name) in zip(kills_s, pairwise(laps), strict=True):
        time.sleep(wait_s)
        relay.kill(before)
        time.sleep(away_s)
        relay.start(name, before)
        relay.bury(before)
        relay.wait_committed(name)
    relay.wait_committed(laps[-1], 2)
    relay.stop()
    return relay.result(publisher, seed)
