"""Verification on request: what it finds, how it tells of itself, what becomes of a broken one."""

import json
import threading
from typing import Any
from xml.etree import ElementTree

import pytest

from everreel.clock import ManualClock
from everreel.errors import RecordingLive, RecordingNotFound, ServiceUnavailable, StoreUnavailable
from everreel.events.memory import MemoryBus
from everreel.lifecycle.memory import MemoryRunner
from everreel.sealing.seal import seal
from everreel.sealing.verification import LEAVE_S, MOST_LISTED, SILENT_S, TELL_S, Verifications
from everreel.sealing.verify import verify
from tests.lab.long_recording import LAP, SID, Cost, CountingStore, LongRecording

AMPLE_S = 900.0


class Slow(CountingStore):
    """Takes half a second for each segment, and remembers every report that was put."""

    def __init__(self, cost: Cost, clock: ManualClock) -> None:
        super().__init__(cost, clock)
        self.reports: list[bytes] = []
        self._time = clock

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if "/segments/" in key:
            self._time.advance(0.5)
        return super().get(key, start, length)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        if key.endswith("/verify.json"):
            self.reports.append(body)
        super().put(key, body, content_type)


class World:
    """A recording of three laps on two lanes with an absence in the second one, and its bucket."""

    def __init__(self, segments: int = 2 * LAP + 20) -> None:
        self.made = LongRecording(skip=lambda k: k in {200, 201}, mp4=False)
        self.clock = self.made.clock
        self.runner = MemoryRunner()
        self.made.record(segments)
        self.store = Slow(self.made.cost, self.clock)
        self.verifications = Verifications(
            self.made.recordings, self.store, self.clock, lambda: self.runner
        )

    def end(self) -> "World":
        self.made.end()
        for info in self.made.store.list(""):
            self.store.put(info.key, self.made.store.get(info.key), "")
        seal(
            SID,
            recordings=self.made.recordings,
            store=self.store,
            bus=MemoryBus(),
            clock=self.clock,
            poster=None,
        )
        return self

    def key(self, name: str) -> str:
        return self.made.folder.key(name)


@pytest.fixture
def world() -> World:
    return World().end()


def test_verification_when_nobody_asked_then_there_is_none(world: World) -> None:
    assert world.verifications.report(SID)["status"] == "none"
    with pytest.raises(RecordingNotFound):
        world.verifications.report("0" * 32)


def test_verification_when_the_recording_runs_then_it_is_refused() -> None:
    world = World(5)
    with pytest.raises(RecordingLive, match="after its end"):
        world.verifications.request(SID)
    assert world.runner.verified == []
    assert world.store.size(world.key("verify.json")) is None


def test_verification_when_asked_for_then_it_is_queued_once_and_its_report_replaces_that(
    world: World,
) -> None:
    state = world.verifications.request(SID)
    assert (state["status"], state["progress"], state["report"]) == ("queued", 0, None)
    assert world.verifications.request(SID) == state
    assert world.runner.verified == [SID]
    asked_at = state["requestedAt"]
    world.verifications.run(SID, remaining_s=AMPLE_S)
    state = world.verifications.report(SID)
    assert (state["status"], state["progress"]) == ("done", 100)
    assert state["complete"]
    assert state["whole"]
    assert state["requestedAt"] == asked_at
    assert state["files"] == [world.key("verify.json"), world.key("timeline.svg")]
    drawn = ElementTree.fromstring(world.store.get(world.key("timeline.svg")))
    assert drawn.tag.endswith("svg")
    assert world.verifications.request(SID)["status"] == "queued"
    assert len(world.runner.verified) == 2


def test_verification_when_done_then_it_tells_lanes_laps_and_gaps_as_the_command_does(
    world: World,
) -> None:
    report = world.verifications.run(SID, remaining_s=AMPLE_S)["report"]
    command = verify(world.store, world.made.folder.path).document()
    assert report == command
    laps = [(each["lane"], each["lap"], each["segments"]) for each in report["laps"]]
    assert laps == [("a", 1, LAP), ("a", 2, 20), ("b", 1, LAP - 2)]
    assert [each["before"] + each["after"] for each in report["changes"]] == ["a1b1", "b1a2"]
    [gap] = report["gaps"]
    assert (gap["cause"], gap["startSeconds"], gap["durationSeconds"]) == ("loss", 1200.0, 12.0)
    picture = world.store.get(world.key("timeline.svg")).decode()
    for words in ("lane a", "lane b", "lap 2", "loss, 12.0 s", "a1 hands over to b1"):
        assert words in picture


@pytest.mark.parametrize(
    ("k", "change", "trouble"),
    [
        (0, lambda body: body[:-1], "truncated"),
        (LAP - 1, lambda body: body[:40] + bytes([body[40] ^ 1]) + body[41:], "tampered"),
        (LAP, lambda body: None, "missing"),
        (2 * LAP, lambda body: body + b"x", "tampered"),
        (2 * LAP + 19, lambda body: b"", "truncated"),
    ],
)
def test_verification_when_a_segment_of_any_lap_was_changed_then_it_is_named(
    world: World, k: int, change: Any, trouble: str
) -> None:
    row = next(iter(world.made.recordings.segments(SID, after=k - 1)))
    assert row.k == k
    body = change(world.store.get(world.key(row.key)))
    if body is None:
        world.store.delete(world.key(row.key))
    else:
        world.store.put(world.key(row.key), body, "")
    state = world.verifications.run(SID, remaining_s=AMPLE_S)
    assert state["complete"]
    assert not state["whole"]
    found = {(p["trouble"], p["object"], p["k"]) for p in state["report"]["problems"]}
    assert found == {(trouble, row.key, k)}


def test_verification_when_segments_of_two_laps_are_exchanged_then_both_are_named(
    world: World,
) -> None:
    rows = {row.k: row for row in world.made.recordings.segments(SID)}
    one, two = (world.key(rows[k].key) for k in (10, LAP + 10))
    body = world.store.get(one)
    world.store.put(one, world.store.get(two), "")
    world.store.put(two, body, "")
    problems = world.verifications.run(SID, remaining_s=AMPLE_S)["report"]["problems"]
    assert [each["k"] for each in problems] == [10, LAP + 10]


def test_verification_when_it_runs_then_it_tells_how_far_it_is(world: World) -> None:
    world.verifications.request(SID)
    world.verifications.run(SID, remaining_s=AMPLE_S)
    queued, *running, done = map(json.loads, world.store.reports)
    assert queued["status"] == "queued"
    assert {each["status"] for each in running} == {"running"}
    percents = [each["progress"] for each in running]
    assert percents == sorted(percents)
    assert len(set(percents)) > 10
    assert percents[-1] < 100
    assert done["status"] == "done"
    # No more often than it must: each is a request.
    assert len(running) <= 0.5 * done["segments"] / TELL_S + 2


def test_verification_when_there_is_no_time_for_all_then_it_says_how_far_it_came(
    world: World,
) -> None:
    state = world.verifications.run(SID, remaining_s=LEAVE_S + 30)
    assert state["status"] == "done"
    assert not state["complete"]
    assert not state["whole"]
    assert state["report"]["problems"] == []
    assert 50 <= state["read"] <= 70
    assert state["progress"] == 100 * state["read"] // state["segments"]
    assert state["report"]["segmentsRead"] == state["read"]
    assert f"{state['read']} of {state['segments']} segments" in state["report"]["checked"][0]
    assert state["report"]["coverage"] == 1.0, "of what was read"


@pytest.mark.parametrize("remaining_s", [0.0, LEAVE_S - 1, -5.0])
def test_verification_when_there_is_no_time_at_all_then_it_ends_all_the_same(
    world: World, remaining_s: float
) -> None:
    state = world.verifications.run(SID, remaining_s=remaining_s)
    assert (state["status"], state["complete"], state["read"]) == ("done", False, 1)


@pytest.mark.parametrize("status", ["queued", "running"])
def test_verification_when_it_fell_silent_then_it_is_interrupted_and_can_be_asked_for_again(
    world: World, status: str
) -> None:
    world.verifications.request(SID)
    if status == "running":
        state = json.loads(world.store.get(world.key("verify.json")))
        world.store.put(
            world.key("verify.json"), json.dumps({**state, "status": status}).encode(), ""
        )
    world.clock.advance(SILENT_S[status] - 1)
    assert world.verifications.report(SID)["status"] == status
    world.clock.advance(2)
    assert world.verifications.report(SID)["status"] == "interrupted"
    assert world.verifications.request(SID)["status"] == "queued"
    assert world.runner.verified == [SID, SID]


def test_verification_when_it_cannot_be_queued_then_the_caller_is_told_and_may_ask_again(
    world: World,
) -> None:
    world.runner.failures.append(ServiceUnavailable("Lambda is busy"))
    with pytest.raises(ServiceUnavailable):
        world.verifications.request(SID)
    assert world.verifications.report(SID)["status"] == "interrupted"
    assert world.verifications.request(SID)["status"] == "queued"
    assert world.runner.verified == [SID]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"updatedAt": "yesterday"}', b"\xff\0"])
def test_verification_when_its_report_is_garbage_then_it_can_be_asked_for_again(
    world: World, body: bytes
) -> None:
    world.store.put(world.key("verify.json"), body, "")
    assert world.verifications.report(SID)["status"] == "interrupted"
    assert world.verifications.request(SID)["status"] == "queued"


def test_verification_when_the_store_fails_half_way_then_the_repeat_of_lambda_makes_it(
    world: World,
) -> None:
    class Failing(Slow):
        left = 100

        def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            self.left -= 1
            if not self.left:
                raise StoreUnavailable("503")
            return super().get(key, start, length)

    store = Failing(world.made.cost, world.clock)
    for info in world.store.list(""):
        store.put(info.key, world.store.get(info.key), "")
    verifications = Verifications(world.made.recordings, store, world.clock, lambda: world.runner)
    with pytest.raises(StoreUnavailable):
        verifications.run(SID, remaining_s=AMPLE_S)
    assert verifications.report(SID)["status"] == "running"
    assert verifications.run(SID, remaining_s=AMPLE_S)["whole"]


def test_verification_when_two_run_at_once_then_both_find_the_same(world: World) -> None:
    found: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: found.append(world.verifications.run(SID, remaining_s=1e9)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [each["whole"] for each in found] == [True, True]
    assert world.verifications.report(SID)["whole"]


def test_verification_when_everything_is_gone_then_lists_end_and_counts_tell_of_all() -> None:
    world = World(MOST_LISTED + 100).end()
    for info in list(world.store.list(world.key("segments/"))):
        world.store.delete(info.key)
    state = world.verifications.run(SID, remaining_s=1e9)
    report = state["report"]
    assert len(report["problems"]) == MOST_LISTED
    assert report["counts"]["problems"] == MOST_LISTED + 98
    assert report["coverage"] == 0.0


def test_verification_when_nothing_was_recorded_then_it_says_so(world: World) -> None:
    for info in list(world.store.list("")):
        world.store.delete(info.key)
    state = world.verifications.run(SID, remaining_s=AMPLE_S)
    assert (state["status"], state["whole"]) == ("done", False)
    assert state["error"]["code"] == "recording_not_found"
