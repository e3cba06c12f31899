"""A store that fails for a while loses nothing; one that fails for good ends the lap, loudly."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from everreel.recorder.orders import LapSettings
from everreel.state.recording import LapState, Reason
from everreel.state.status import Status
from everreel.store.disk import DiskStore
from tests.fault.faulty_store import Denied, DownFor, FaultyStore, Hanging, Slow, Throttled
from tests.lab import clips, validate
from tests.lab.process import program
from tests.lab.publisher import Publisher
from tests.lab.servers import NodeMediaServer
from tests.servers.harness import Lap

SEED = 7
RECORD_S = 12.0


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[str, Publisher]]:
    with NodeMediaServer() as server, Publisher(clips.MAIN, server.rtmp_url()) as publisher:
        time.sleep(2.2)
        yield server.flv_url(), publisher


@pytest.fixture(scope="module")
def survived(stage: tuple[str, Publisher]) -> Iterator[dict[str, Lap]]:
    """Laps whose store fails for a while, all at once."""
    root = Path(tempfile.mkdtemp(prefix="fault-store-"))
    url, _publisher = stage
    stores: dict[str, FaultyStore] = {
        "throttled": Throttled(DiskStore(root / "throttled"), SEED, 0.4),
        "down for five seconds": DownFor(DiskStore(root / "down for five seconds"), 5.0),
        "slow": Slow(DiskStore(root / "slow"), 0.3),
    }
    with ExitStack() as stack:
        laps = {
            name: stack.enter_context(Lap(url, root / name, store=store))
            for name, store in stores.items()
        }
        time.sleep(RECORD_S)
        for lap in laps.values():
            lap.recordings.request_stop(lap.sid, 1)
        for lap in laps.values():
            lap.wait(60)
    yield laps
    shutil.rmtree(root)


@pytest.mark.parametrize("name", ["throttled", "down for five seconds", "slow"])
def test_store_when_it_fails_for_a_while_then_nothing_is_lost(
    name: str, survived: dict[str, Lap], stage: tuple[str, Publisher]
):
    lap = survived[name]
    verdict = lap.compared(stage[1])

    assert lap.outcome.reason is Reason.STOPPED
    assert lap.outcome.failure is None
    assert verdict.exact, verdict
    assert verdict.runs["video"].count >= 25 * (RECORD_S - 2)
    assert not lap.holes
    if name != "slow":
        assert isinstance(lap.store, FaultyStore)
        assert lap.store.failures > 3
    lap.check_index()
    assert not any(decoded.errors for decoded in validate.decode_playlist(lap.playlist))


def test_store_when_it_fails_for_a_while_then_the_progress_says_what_is_waited_for(
    stage: tuple[str, Publisher], tmp_path: Path
):
    store = DownFor(DiskStore(tmp_path), 4.0)
    with Lap(stage[0], tmp_path, segment_s=1, store=store) as lap:
        lap.wait_segments(1)
        time.sleep(2.5)
        note = lap.progress.note

    assert "500 InternalError" in note


def test_store_when_it_refuses_then_the_lap_ends_at_once_and_says_so(
    stage: tuple[str, Publisher], tmp_path: Path
):
    began = time.monotonic()
    lap = Lap(stage[0], tmp_path, segment_s=1, store=Denied(DiskStore(tmp_path))).start()
    outcome = lap.wait(15)

    assert outcome.reason is Reason.DESTINATION_FAILED
    assert outcome.failure.code == "store_denied"
    assert outcome.failure.blame == "destination"
    assert time.monotonic() - began < 6
    assert not lap.rows
    assert not lap.objects
    assert lap.lap_state is LapState.ENDED
    assert lap.status is Status.ABNORMAL


def test_store_when_it_hangs_and_the_queue_is_full_then_the_lap_ends_loudly(
    stage: tuple[str, Publisher], tmp_path: Path
):
    store = Hanging(DiskStore(tmp_path), after=2)
    settings = LapSettings(beat_s=0.3, queue_bytes=300_000, full_wait_s=1.0, drain_s=6.0)
    with Lap(stage[0], tmp_path, segment_s=1, store=store, settings=settings, deadline_s=14) as lap:
        outcome = lap.wait(60)
        store.released.set()

    assert outcome.reason is Reason.DESTINATION_FAILED
    assert outcome.failure.code == "store_too_slow"
    assert "check the bucket's health" in outcome.failure.message
    assert lap.status is Status.ABNORMAL
    assert len(lap.rows) == 2
    lap.check_index()


def test_store_when_it_hangs_and_a_stop_is_asked_for_then_what_it_did_not_take_is_told(
    stage: tuple[str, Publisher], tmp_path: Path
):
    store = Hanging(DiskStore(tmp_path), after=1)
    settings = LapSettings(beat_s=0.3, drain_s=6.0)
    lap = Lap(
        stage[0], tmp_path, segment_s=1, store=store, settings=settings, deadline_s=12
    ).start()
    lap.wait_segments(1)
    time.sleep(2)
    outcome = lap.stop(30)
    store.released.set()

    assert outcome.reason is Reason.DESTINATION_FAILED
    assert outcome.failure.code == "store_too_slow"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one megabyte."""
    if os.geteuid() != 0:
        pytest.fail("mounting a small tmpfs needs root, as `make test` has in CI")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        [program("mount"), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.fail(f"mount refused: {mounted.stderr}")
    yield place
    subprocess.run([program("umount"), "-l", str(place)], check=True)


def test_disk_when_it_is_full_then_the_lap_says_so_and_keeps_what_it_had(
    stage: tuple[str, Publisher], small_disk: Path
):
    settings = LapSettings(beat_s=0.3, queue_bytes=500_000, full_wait_s=1.0, drain_s=6.0)
    lap = Lap(stage[0], small_disk, segment_s=1, settings=settings, deadline_s=19).start()
    outcome = lap.wait(60)

    assert outcome.reason is Reason.DESTINATION_FAILED
    assert outcome.failure.code == "store_too_slow"
    assert "no room left" in outcome.failure.message
    assert lap.rows
    for row in lap.rows:
        assert (lap.folder / row.key).stat().st_size == row.size
    with suppress(OSError):
        (lap.folder / "live.m3u8").unlink()  # room for the playlist of this test
    (lap.folder / "index.m3u8").unlink()
    verdict = lap.compared(stage[1])
    assert verdict.exact, verdict


def test_disk_when_room_is_made_then_the_lap_goes_on_and_nothing_is_lost(
    stage: tuple[str, Publisher], small_disk: Path
):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(800_000))
    with Lap(stage[0], small_disk, segment_s=1) as lap:
        lap.wait_received(5)
        assert "no room left" in lap.progress.note
        filler.unlink()
        subprocess.run([program("mount"), "-o", "remount,size=64m", str(small_disk)], check=True)
        time.sleep(3)

    verdict = lap.compared(stage[1])
    assert lap.outcome.reason is Reason.STOPPED
    assert verdict.exact, verdict
    assert not lap.holes


def test_lap_when_its_invocation_is_repeated_then_the_second_leaves_without_a_trace(
    stage: tuple[str, Publisher], tmp_path: Path
):
    with Lap(stage[0], tmp_path, segment_s=1) as lap:
        lap.wait_segments(2)
        before = lap.recordings.laps(lap.sid)[-1].request_id
        again = run_again(lap)
        late = lap.recordings.laps(lap.sid)[-1]
        lap.wait_segments(4)

    assert again.fenced
    assert late.request_id == before
    assert late.state is LapState.RUNNING
    assert lap.outcome.reason is Reason.STOPPED
    assert not lap.outcome.fenced
    assert lap.compared(stage[1]).exact
    lap.check_index()


def test_lap_when_its_invocation_comes_after_the_end_then_it_leaves_without_a_trace(
    stage: tuple[str, Publisher], tmp_path: Path
):
    with Lap(stage[0], tmp_path, segment_s=1) as lap:
        lap.wait_segments(1)
    objects, row = lap.objects, lap.recordings.laps(lap.sid)[-1]
    again = run_again(lap)

    assert again.fenced
    assert lap.objects == objects
    assert lap.recordings.laps(lap.sid) == [row]
    assert lap.status is Status.STOPPED


def run_again(lap: Lap):
    """Run the same lap once more, as an invocation that was delivered twice."""
    twin = object.__new__(Lap)
    twin.__dict__.update(lap.__dict__)
    twin.outcome = None
    twin.request_id = "request-2"
    twin._run()
    return twin.outcome
