"""What a function writes to the state table is what its row of the registry lets it write.

The engine of the other suites asks nobody for permission; here a client refuses the rest.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everreel.clock import ManualClock
from everreel.events.memory import MemoryBus
from everreel.state.dynamodb import DynamoRecordings
from everreel.state.dynamodb_lanes import DynamoLanes
from everreel.state.dynamodb_vendor import DynamoVendorTasks
from everreel.state.lanes import Hold
from everreel.state.recording import LapState, Reason
from everreel.state.status import Status
from everreel.supervisor.bury import bury, give_up
from everreel.supervisor.vendor import Ending
from infra.registry import API, LOOK, RECORDER, RELAY, SEALER, STARTER, FunctionRow
from tests.contract.cloud import dynamodb, make_table, pretended_cloud
from tests.contract.test_recordings import (
    RELAYED,
    SECOND,
    STARTING,
    T0,
    a_segment,
    created,
    end,
    found,
    running,
)
from tests.contract.test_vendor_tasks import a_task

NUMBERS = count()


class Granted:
    """A client that may do what the row of a function lists, and nothing else."""

    def __init__(self, client: Any, row: FunctionRow) -> None:
        self._client = client
        self._actions = {
            action.removeprefix("dynamodb:")
            for grant in row.grants
            if grant.on in {"table", "index", "unsealed"}
            for action in grant.actions
        }

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**request: Any) -> Any:
            wanted = {"".join(word.capitalize() for word in name.split("_"))}
            if name == "transact_write_items":
                # A transaction needs the permission of each of its items, and no other.
                wanted = {f"{kind}Item" for item in request["TransactItems"] for kind in item}
            if not wanted <= self._actions:
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, name)
            return method(**request)

        return call


class Tables:
    """One state table, seen with every permission and with those of one function."""

    def __init__(self, client: Any, row: FunctionRow) -> None:
        self.name = f"grants-{next(NUMBERS)}"
        self.client = client
        make_table(client, self.name)
        self.clock = ManualClock(T0)
        self.all = DynamoRecordings(self.name, client, self.clock)
        self.granted = DynamoRecordings(self.name, Granted(client, row), self.clock)
        self.lanes = DynamoLanes(self.name, Granted(client, row), self.clock)
        self.tasks = DynamoVendorTasks(self.name, Granted(client, row), self.clock)


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    with pretended_cloud():
        yield dynamodb()


@pytest.fixture
def tables(client: Any) -> Callable[[FunctionRow], Tables]:
    return lambda row: Tables(client, row)


@pytest.mark.parametrize("row", [API, STARTER], ids=lambda row: row.name)
def test_start_when_made_by_a_door_then_it_may(
    tables: Callable[[FunctionRow], Tables], row: FunctionRow
) -> None:
    one = tables(row)
    sid = created(one.granted)
    one.granted.invoked(sid, "A", 1, "request-1", T0)
    one.tasks.put(a_task())
    assert found(one.granted, sid).fence == {"A": 1}


@pytest.mark.parametrize("between", [False, True], ids=["recording", "between-two-laps"])
def test_stop_when_asked_for_through_the_api_then_it_may(
    tables: Callable[[FunctionRow], Tables], between: bool
) -> None:
    one = tables(API)
    sid = running(one.all, options=RELAYED)
    if between:
        end(one.all, sid, Reason.LAP_LIMIT)
    status = one.granted.request_stop(sid, T0 + 20 * SECOND).status
    assert status is (Status.STOPPED if between else Status.STOP_REQUESTED)


@pytest.mark.parametrize("row", [LOOK, RELAY], ids=lambda row: row.name)
def test_burial_when_the_lap_committed_after_its_last_beat_then_it_may(
    tables: Callable[[FunctionRow], Tables], row: FunctionRow
) -> None:
    one = tables(row)
    sid = running(one.all)
    assert one.all.commit(sid, a_segment(0), 1)
    bus = MemoryBus()
    died = bury(sid, ("A", 1, T0), "test", recordings=one.granted, bus=bus, clock=one.clock)
    (lap,) = one.all.laps(sid)
    assert died
    assert (lap.state, lap.progress.segments) == (LapState.DEAD, 1)
    assert len(bus.published) == 2


def test_end_when_nobody_records_then_the_look_may_write_it(
    tables: Callable[[FunctionRow], Tables],
) -> None:
    one = tables(LOOK)
    sid = created(one.all, options=RELAYED)
    laps = one.granted.laps(sid)
    assert give_up(sid, "test", laps, recordings=one.granted, bus=MemoryBus(), clock=one.clock)


def test_task_at_a_vendor_when_it_ends_then_the_look_may_write_it(
    tables: Callable[[FunctionRow], Tables],
) -> None:
    one = tables(LOOK)
    DynamoVendorTasks(one.name, one.client, one.clock).put(a_task())
    task = one.tasks.find(a_task().sid)
    assert task is not None
    assert one.tasks.save(replace(task, ending=Ending.STOPPED.value)) is not None


def test_lap_when_it_records_then_the_recorder_may(
    tables: Callable[[FunctionRow], Tables],
) -> None:
    one = tables(RECORDER)
    sid = created(one.all, options=RELAYED)
    one.granted.claim(sid, "A", 1, "request-1", T0)
    one.granted.beat(sid, "A", 1, STARTING, T0 + SECOND)
    one.granted.set_origin(sid, T0)
    assert one.granted.commit(sid, a_segment(0), 1)
    one.granted.claim(sid, "A", 2, "request-2", T0 + SECOND)
    one.granted.inherit(sid, "A", 2, 5, relieve=True)
    one.granted.end_lap(sid, "A", 2, Reason.STOPPED, None, STARTING, T0 + 2 * SECOND)


def test_lane_when_it_is_run_then_the_relay_may(
    tables: Callable[[FunctionRow], Tables],
) -> None:
    one = tables(RELAY)
    sid = created(one.all, options=RELAYED)
    one.lanes.take(sid, "A", "owner")
    assert one.lanes.hold(sid, "A", Hold("owner"))
    one.granted.invoked(sid, "A", 1, "request-1", T0)


def test_seal_when_noted_then_the_sealer_may(tables: Callable[[FunctionRow], Tables]) -> None:
    one = tables(SEALER)
    sid = running(one.all)
    end(one.all, sid, Reason.STOPPED)
    assert one.granted.mark_sealed(sid, T0 + 30 * SECOND).sealed_utc_us
