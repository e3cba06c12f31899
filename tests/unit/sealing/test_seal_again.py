"""A seal may be killed at any call, or any call may fail: the next one makes the same recording."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from everreel.clock import ManualClock
from everreel.errors import EverreelError, ObjectMissing, StateUnavailable, StoreUnavailable
from everreel.events.ports import Happening
from everreel.media.index import Container
from everreel.sealing import seal as sealing
from everreel.sealing.seal import AFTER_MP4_S, seal
from everreel.sealing.verify import verify
from everreel.state.recording import Progress, Reason
from everreel.state.status import Status
from everreel.store.memory import MemoryStore
from everreel.store.ports import ObjectInfo
from tests.unit.sealing import test_seal
from tests.unit.sealing.test_seal import House


class Killed(BaseException):
    """The process is gone: nothing handles it."""


class Calls:
    """Passes calls of a port on and notes them; one of them fails, before or after its work."""

    def __init__(
        self, inner: object, made: list[str], at: int, failure: BaseException, *, late: bool
    ) -> None:
        self._inner, self._made, self._at = inner, made, at
        self._failure, self._late = failure, late

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **options: Any) -> Any:
            self._made.append(name)
            now = len(self._made) == self._at
            if now and not self._late:
                raise self._failure
            answer = method(*args, **options)
            if now:
                raise self._failure
            return answer

        return call


class Lossy(MemoryStore):
    """Loses an object as soon as it was listed."""

    lost = ""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = list(super().list(prefix))
        self.delete(self.lost)
        yield from found


class Slow(MemoryStore):
    """Takes its time for each read."""

    each_s = 10.0

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._time = clock

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self._time.advance(self.each_s)
        return super().get(key, start, length)


def run(
    house: House, at: int = 0, made: list[str] | None = None, *, kill: bool = True, late: bool
) -> None:
    """Seal; call `at` to store or table, counted from 1, fails."""
    made = [] if made is None else made
    table, bucket = (Killed(), Killed()) if kill else (StateUnavailable("x"), StoreUnavailable("x"))
    recordings: Any = Calls(house.recordings, made, at, table, late=late)
    store: Any = Calls(house.store, made, at, bucket, late=late)
    seal(
        house.sid,
        recordings=recordings,
        store=store,
        bus=house.bus,
        clock=house.clock,
        poster=lambda media: b"jpeg",
    )


def contents(house: House) -> dict[str, bytes]:
    return {name: house.read(name) for name in sorted(house.objects())}


@pytest.fixture(autouse=True)
def _one_sid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every house records the same recording, so that their bytes can be compared."""
    monkeypatch.setattr(test_seal, "new_sid", lambda: "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716")


def ended(container: Container, reason: Reason = Reason.STOPPED) -> House:
    house = House(container=container)
    told = Progress(Status.IN_PROGRESS, segments=3)
    house.recordings.end_lap(house.sid, "a", 1, reason, None, told, house.clock.utc_us())
    return house


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
@pytest.mark.parametrize("container", list(Container))
def test_seal_when_it_is_cut_off_at_any_call_then_the_next_one_makes_the_same_objects(
    container: Container, kill: bool, late: bool
) -> None:
    calls: list[str] = []
    whole = ended(container)
    run(whole, made=calls, late=False)
    expected = contents(whole)
    assert calls[0] == "find"
    assert calls[-1] == "mark_sealed"
    for at in range(1, len(calls) + 1):
        house = ended(container)
        with pytest.raises(Killed if kill else EverreelError):
            run(house, at, kill=kill, late=late)
        assert house.seal().sealed
        assert contents(house) == expected, (at, calls[at - 1])
        recording = house.recordings.find(house.sid)
        assert recording is not None
        assert recording.status is Status.EXITED
        told = [event for event in house.bus.published if event.kind is Happening.SEALED]
        # Killed after the status moved, the first could not tell and the second has nothing to.
        assert len(told) == (0 if late and at == len(calls) else 1)


@pytest.mark.parametrize("container", list(Container))
@pytest.mark.parametrize("which", [0, 1, 2])
def test_seal_when_a_segment_holds_garbage_of_the_same_size_then_it_is_sealed_and_verify_tells(
    container: Container, which: int
) -> None:
    for fill in (b"\0", b"\xff", b"\x47"):
        house = ended(container)
        row = list(house.recordings.segments(house.sid))[which]
        key = f"room/{house.sid}/{row.key}"
        house.store.put(key, fill * row.size, "")
        assert house.seal().sealed
        document = json.loads(house.read("recording.json"))
        assert document["omitted"].keys() == {"mp4"}
        assert "mp4" not in document["files"]
        report = verify(house.store, f"room/{house.sid}/")
        assert [(each.trouble, each.k) for each in report.problems] == [("tampered", row.k)]


def test_seal_when_an_init_segment_is_gone_then_it_is_sealed_without_a_poster() -> None:
    house = ended(Container.FMP4)
    house.remove("init-1.mp4")
    assert house.seal().sealed
    document = json.loads(house.read("recording.json"))
    assert document["omitted"].keys() == {"poster"}
    assert document["files"]["mp4"] == "recording.mp4"


@pytest.mark.parametrize("change", ["gone", "truncated", "longer"])
@pytest.mark.parametrize("container", list(Container))
def test_seal_when_segments_changed_then_files_and_coverage_are_of_those_that_are_whole(
    container: Container, change: str
) -> None:
    house = ended(container, Reason.FAULT)
    rows = list(house.recordings.segments(house.sid))
    key = f"room/{house.sid}/{rows[1].key}"
    body = house.store.get(key)
    if change == "gone":
        house.store.delete(key)
    else:
        house.store.put(key, body[:-1] if change == "truncated" else body + b"x", "")
    house.seal()
    document = json.loads(house.read("recording.json"))
    assert document["missing"] == [rows[1].key]
    assert document["gaps"] == [{"cause": "missing", "startSeconds": 6.0, "durationSeconds": 6.0}]
    assert document["coverage"] == pytest.approx(8 / 14, abs=1e-6)
    assert document["recordedSeconds"] == 8.0
    assert house.read("index.m3u8").count(b"#EXT-X-DISCONTINUITY\n") == 1
    assert "mp4" in document["files"]


def test_seal_when_segments_vanish_while_it_runs_then_the_next_one_leaves_them_out() -> None:
    house = ended(Container.FMP4)
    store = Lossy(house.clock)
    for info in house.store.list(""):
        store.put(info.key, house.store.get(info.key), "")
    house.store = store
    row = next(iter(house.recordings.segments(house.sid)))
    store.lost = f"room/{house.sid}/{row.key}"
    with pytest.raises(ObjectMissing):
        house.seal()
    assert house.seal().segments == 2


# ------------------------------------------------------------------ what does not fit a function


def test_mp4_when_there_is_no_time_then_it_is_left_out_and_the_manifest_says_why() -> None:
    house = ended(Container.FMP4)
    report = seal(
        house.sid,
        recordings=house.recordings,
        store=house.store,
        bus=house.bus,
        clock=house.clock,
        poster=None,
        remaining_s=AFTER_MP4_S,
    )
    assert report.sealed
    assert "recording.mp4" not in house.objects()
    assert "time" in json.loads(house.read("recording.json"))["omitted"]["mp4"]
    assert verify(house.store, f"room/{house.sid}/").whole


@pytest.mark.parametrize("container", list(Container))
def test_mp4_when_time_runs_out_at_any_read_then_there_is_none_and_the_rest_is_whole(
    container: Container,
) -> None:
    made = []
    for patience in range(12):
        house = ended(container)
        slow = Slow(house.clock)
        for info in house.store.list(""):
            slow.put(info.key, house.store.get(info.key), "")
        house.store = slow
        seal(
            house.sid,
            recordings=house.recordings,
            store=slow,
            bus=house.bus,
            clock=house.clock,
            poster=None,
            remaining_s=AFTER_MP4_S + patience * Slow.each_s + 1,
        )
        made.append("recording.mp4" in house.objects())
        assert ("mp4" in json.loads(house.read("recording.json"))["files"]) == made[-1]
        assert verify(house.store, f"room/{house.sid}/").whole
    assert not made[0]
    assert made == sorted(made)


@pytest.mark.parametrize(("limit", "value"), [("LARGEST_MP4", 1000), ("MOST_MP4_UNITS", 100)])
def test_mp4_when_it_is_too_large_then_it_is_left_out_without_a_try(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(sealing, limit, value)
    house = ended(Container.FMP4)
    assert house.seal().sealed
    assert json.loads(house.read("recording.json"))["omitted"].keys() == {"mp4"}
