"""A recorder killed at any moment leaves a recording that plays and an index that is true."""

import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from everreel.clock import SystemClock
from everreel.events.memory import MemoryBus
from everreel.media.index import SegmentRow
from everreel.media.names import Folder
from everreel.sealing.seal import seal
from everreel.state.recording import Failure, LapState, Reason
from everreel.state.status import Status
from everreel.store.disk import DiskStore
from tests.fault.recorder_child import KeptRecordings, load
from tests.lab import clips, validate
from tests.lab.compare import compare
from tests.lab.digests import load as read
from tests.lab.digests import playlist_parts, units_in_playlist
from tests.lab.process import Child, wait_until
from tests.lab.publisher import Publisher
from tests.lab.servers import NodeMediaServer
from tests.servers.harness import check_rows
from tests.servers.started import LANE, LAP

SEED = 20260719
KILLS = 12
ROOT = Path(__file__).resolve().parents[2]
CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Killed:
    """What a killed recorder left behind."""

    after_s: float
    recordings: KeptRecordings
    sid: str
    folder: Path
    store: DiskStore
    publisher: Publisher

    @property
    def rows(self) -> list[SegmentRow]:
        return list(self.recordings.segments(self.sid))


@pytest.fixture(scope="module")
def killed() -> Iterator[list[Killed]]:
    """Kill a dozen recorders of one stream, each at another moment."""
    chance = random.Random(SEED)
    root = Path(tempfile.mkdtemp(prefix="fault-kill-"))
    left: list[Killed] = []
    with NodeMediaServer() as server, Publisher(clips.MAIN, server.rtmp_url()) as publisher:
        time.sleep(2.2)
        moments = sorted(chance.uniform(0.2, 7.0) for _ in range(KILLS))
        children: list[Child] = []
        for number in range(KILLS):
            folder = root / str(number)
            folder.mkdir()
            url = server.flv_url() if number % 2 else server.rtmp_url()
            argv = [sys.executable, "-m", "tests.fault.recorder_child", url, str(folder / "store"),
                    str(folder / "state"), str(1 + number % 2)]  # fmt: skip
            path = os.pathsep.join((str(ROOT), str(ROOT / "functions")))
            children.append(Child(argv, folder / "log", cwd=ROOT, env={"PYTHONPATH": path}))
        states = [root / str(number) / "state" for number in range(KILLS)]
        wait_until("all recorders have begun", lambda: all(map(Path.exists, states)), 60)
        began = time.monotonic()
        for number, (child, moment) in enumerate(zip(children, moments, strict=True)):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            assert child.running, child.tail()
            child.kill()
            folder = root / str(number)
            recordings = load(folder / "state")
            (sid,) = recordings._sessions
            store = DiskStore(folder / "store")
            whole = folder / "store" / Folder("", "room", sid).path
            left.append(Killed(moment, recordings, sid, whole, store, publisher))
        yield left
    shutil.rmtree(root)


def test_recorders_when_killed_then_most_had_committed_something(killed: list[Killed]):
    assert len(killed) == KILLS
    assert sum(len(one.rows) > 0 for one in killed) >= 8


def test_recorder_when_killed_then_every_indexed_object_is_there_and_whole(killed: list[Killed]):
    for one in killed:
        check_rows(one.rows)
        for row in one.rows:
            body = (one.folder / row.key).read_bytes()
            assert (len(body), hashlib.sha256(body).hexdigest()) == (row.size, row.sha256)


def test_recorder_when_killed_then_at_most_one_object_has_no_row(killed: list[Killed]):
    for one in killed:
        known = {row.key for row in one.rows}
        segments = {f"segments/{path.name}" for path in (one.folder / "segments").glob("*")}
        assert known <= segments
        assert len(segments - known) <= 1, one.after_s


def test_recorder_when_killed_then_its_last_playlist_names_only_what_is_there(
    killed: list[Killed],
):
    for one in killed:
        for name in ("index.m3u8", "live.m3u8"):
            path = one.folder / name
            if not path.exists():
                assert len(one.rows) <= 1
                continue
            parts, _ended = playlist_parts(path.read_text(), str(path))
            assert len(one.rows) - len(parts) in {0, 1} or name == "live.m3u8"
            for part in parts:
                assert read(part.uri)
                assert part.init_uri is not None
                assert read(part.init_uri)


def test_recorder_when_killed_then_the_seal_makes_a_recording_of_every_committed_unit(
    killed: list[Killed],
):
    for one in killed:
        failure = Failure("recorder_died", "service", "the recorder stopped beating")
        (lap,) = one.recordings.laps(one.sid)
        dead = one.recordings.declare_dead(
            one.sid, LANE, LAP, failure, CLOCK.utc_us(), lap.beat_utc_us
        )
        report = seal(
            one.sid,
            recordings=one.recordings,
            store=one.store,
            bus=MemoryBus(),
            clock=CLOCK,
            poster=None,
        )
        recording = one.recordings.find(one.sid)

        assert dead
        assert report.sealed
        assert report.segments == len(one.rows)
        assert one.recordings.laps(one.sid)[0].state is LapState.DEAD
        assert recording.status is Status.ABNORMAL
        assert recording.reason is Reason.RECORDER_DIED
        if not one.rows:
            continue
        playlist = one.folder / "index.m3u8"
        assert playlist.read_text().endswith("#EXT-X-ENDLIST\n")
        publisher = one.publisher
        verdict = compare(
            publisher.units, units_in_playlist(playlist), looped_every_us=publisher.round_us
        )
        assert verdict.exact, (one.after_s, verdict)
        for decoded in validate.decode_playlist(playlist):
            assert not decoded.errors, decoded.messages
