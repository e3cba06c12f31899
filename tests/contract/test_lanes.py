"""The promises of `state.lanes.Lanes`, held by every adapter."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from everreel.clock import ManualClock
from everreel.state.dynamodb_lanes import KEPT_S, DynamoLanes
from everreel.state.lanes import Hold, Lanes, MemoryLanes
from everreel.state.rows import EXPIRES, attributes, lane_key, values
from tests.contract.cloud import dynamodb, make_table, pretended_cloud

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
OTHER = "0" * 32
NUMBERS = count()
T0 = 1_767_225_600_000_000


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    with pretended_cloud():
        yield dynamodb()


@pytest.fixture(params=["memory", "dynamodb"])
def lanes(request: pytest.FixtureRequest) -> Lanes:
    if request.param == "memory":
        return MemoryLanes()
    client = request.getfixturevalue("client")
    table = f"lanes-{next(NUMBERS)}"
    make_table(client, table)
    return DynamoLanes(table, client, ManualClock(T0))


def test_lane_when_nobody_ever_took_it_then_none(lanes: Lanes) -> None:
    assert lanes.held(SID, "a") is None
    assert not lanes.hold(SID, "a", Hold("first", 1, "token")), "only who took it may hold it"
    assert lanes.held(SID, "a") is None


def test_lane_when_taken_then_its_owner_notes_the_task_it_waits_for(lanes: Lanes) -> None:
    lanes.take(SID, "a", "first")
    assert lanes.held(SID, "a") == Hold("first")
    for hold in (Hold("first", 1, "token-1"), Hold("first", 1, "token-2"), Hold("first", 2, "t")):
        assert lanes.hold(SID, "a", hold)
        assert lanes.held(SID, "a") == hold


def test_lane_when_another_execution_takes_it_then_the_former_learns_it(lanes: Lanes) -> None:
    lanes.take(SID, "a", "first")
    lanes.hold(SID, "a", Hold("first", 3, "token"))
    lanes.take(SID, "a", "second")
    assert lanes.held(SID, "a") == Hold("second")
    assert not lanes.hold(SID, "a", Hold("first", 4, "late"))
    assert lanes.hold(SID, "a", Hold("second", 4, "token"))
    assert lanes.held(SID, "a") == Hold("second", 4, "token")


def test_lanes_when_of_other_recordings_or_letters_then_apart(lanes: Lanes) -> None:
    for sid, lane in ((SID, "a"), (SID, "b"), (OTHER, "a")):
        lanes.take(sid, lane, f"{sid}-{lane}")
    assert lanes.held(SID, "b") == Hold(f"{SID}-b")
    assert lanes.held(OTHER, "a") == Hold(f"{OTHER}-a")
    assert lanes.held(OTHER, "b") is None


def test_token_when_as_long_as_the_service_makes_them_then_kept(lanes: Lanes) -> None:
    lanes.take(SID, "a", "first")
    token = "x" * 2048  # Source: API reference of SendTaskSuccess, `taskToken`
    assert lanes.hold(SID, "a", Hold("first", 1, token))
    held = lanes.held(SID, "a")
    assert held is not None
    assert held.token == token


def test_lane_when_executions_race_for_it_then_the_last_one_owns_it_alone(lanes: Lanes) -> None:
    together = threading.Barrier(8)

    def racer(number: int) -> None:
        together.wait()
        lanes.take(SID, "a", f"execution-{number}")
        lanes.hold(SID, "a", Hold(f"execution-{number}", 1, f"token-{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(racer, range(8)))
    held = lanes.held(SID, "a")
    assert held is not None
    number = held.owner.rpartition("-")[2]
    assert held.token in {"", f"token-{number}"}, "nobody's token under another's name"


def test_row_when_written_then_expires_long_after_the_last_lap(client: Any) -> None:
    table = f"lanes-{next(NUMBERS)}"
    make_table(client, table)
    clock = ManualClock(T0)
    lanes = DynamoLanes(table, client, clock)
    lanes.take(SID, "a", "first")
    clock.advance(100.0)
    lanes.hold(SID, "a", Hold("first", 1, "token"))
    row = values(client.get_item(TableName=table, Key=attributes(lane_key(SID, "a")))["Item"])
    assert row[EXPIRES] == T0 // 1_000_000 + 100 + KEPT_S
