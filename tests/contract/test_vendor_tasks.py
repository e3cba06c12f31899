"""The promises of `state.vendor.VendorTasks`, held by every adapter."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from everreel.clock import MICROSECONDS, ManualClock
from everreel.state import rows
from everreel.state.dynamodb_vendor import DAY_S, DynamoVendorTasks
from everreel.state.recording import ProviderName
from everreel.state.vendor import (
    LIVE_KEPT_S,
    Attempt,
    Call,
    Layout,
    MemoryVendorTasks,
    VendorOrder,
    VendorTask,
    VendorTasks,
    VendorWatch,
)
from tests.contract.cloud import dynamodb, make_table, pretended_cloud

T0 = 1_767_225_600_000_000
RACERS = 8
NUMBERS = count()
ORDER = VendorOrder(
    "app",
    "lobby",
    ("101", "102"),
    layout=Layout.INDIVIDUAL,
    max_idle_s=60,
    request={"recordingConfig": {"x_axis": 0.25}, "storageConfig": {"secretKey": "hunter2"}},
    tokens={"101": "token-1"},
    restarts=2,
)
AGORA = ProviderName.AGORA


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    with pretended_cloud():
        yield dynamodb()


@pytest.fixture(params=["memory", "dynamodb"])
def tasks(request: pytest.FixtureRequest) -> Generator[VendorTasks]:
    if request.param == "memory":
        yield MemoryVendorTasks()
        return
    client = request.getfixturevalue("client")
    table = f"vendor-{next(NUMBERS)}"
    make_table(client, table)
    yield DynamoVendorTasks(table, client, ManualClock(T0))
    client.delete_table(TableName=table)


def sid_of(number: int) -> str:
    return f"{number:032x}"


def a_task(number: int = 1, **changes: Any) -> VendorTask:
    sid = sid_of(number)
    wanted = VendorTask(sid, AGORA, ORDER, VendorWatch(sid), created_utc_us=T0 + number)
    return replace(wanted, **changes)


def saved(tasks: VendorTasks, task: VendorTask) -> VendorTask:
    found = tasks.save(task)
    assert found is not None
    return found


def test_task_when_kept_then_is_found_as_it_was(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    assert tasks.find(sid_of(1)) == a_task()
    assert tasks.find(sid_of(2)) is None


def test_task_when_put_again_then_the_first_stays_and_counts_once(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    tasks.put(a_task(order=replace(ORDER, channel="attic"), created_utc_us=T0 + 99))
    assert tasks.find(sid_of(1)) == a_task()
    assert tasks.live(AGORA, "app") == [sid_of(1)]


def test_save_when_nobody_was_faster_then_is_found_as_it_was_written(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    watch = VendorWatch(sid_of(1), Call.QUERY, task="task", starts=1, running_utc_us=T0 + 5)
    wanted = a_task(
        watch=watch,
        due_utc_us=T0 + 60,
        busy_utc_us=T0 + 30,
        first_running_utc_us=T0 + 5,
        note="running",
        attempts=(Attempt("101", "task-0", T0 + 4, "lost"),),
    )
    written = saved(tasks, wanted)
    assert written == replace(wanted, revision=1)
    assert tasks.find(sid_of(1)) == written


def test_save_when_somebody_was_faster_then_writes_nothing(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    first = saved(tasks, a_task(note="first"))
    assert tasks.save(a_task(note="second")) is None
    assert tasks.find(sid_of(1)) == first


def test_save_when_many_race_then_one_of_them_writes(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    ready = threading.Barrier(RACERS)

    def race(number: int) -> bool:
        ready.wait()
        return tasks.save(a_task(note=f"racer {number}")) is not None

    with ThreadPoolExecutor(RACERS) as pool:
        assert sum(pool.map(race, range(RACERS))) == 1


def test_save_when_it_ends_then_holds_no_credential_and_counts_no_more(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    tasks.put(a_task(2))
    closed = saved(tasks, a_task(ending="stopped"))
    assert closed.order == replace(ORDER, request={}, tokens={})
    assert tasks.find(sid_of(1)) == closed
    assert tasks.live(AGORA, "app") == [sid_of(2)]


def test_save_when_it_ends_and_somebody_was_faster_then_still_counts(tasks: VendorTasks) -> None:
    tasks.put(a_task())
    saved(tasks, a_task(note="first"))
    assert tasks.save(a_task(ending="stopped")) is None
    assert tasks.live(AGORA, "app") == [sid_of(1)]


def test_live_when_several_then_oldest_first_and_apart_by_application(tasks: VendorTasks) -> None:
    for number in (3, 1, 2):
        tasks.put(a_task(number))
    tasks.put(a_task(4, order=replace(ORDER, app="other")))
    tasks.put(a_task(5, provider=ProviderName.AGORA_TRANSCODER))
    assert tasks.live(AGORA, "app") == [sid_of(1), sid_of(2), sid_of(3)]
    assert tasks.live(AGORA, "other") == [sid_of(4)]
    assert tasks.live(AGORA, "nobody") == []


def test_save_when_there_is_no_such_task_then_makes_none(tasks: VendorTasks) -> None:
    assert tasks.save(a_task()) is None
    assert tasks.find(sid_of(1)) is None


def test_rows_when_a_task_lives_and_ends_then_expire_as_they_should(client: Any) -> None:
    table = f"vendor-{next(NUMBERS)}"
    make_table(client, table)
    tasks = DynamoVendorTasks(table, client, ManualClock(T0), retention_days=7)
    tasks.put(a_task())

    def expiries() -> dict[str, int | None]:
        items = [rows.values(item) for item in client.scan(TableName=table)["Items"]]
        return {row["PK"]: row.get("expires_at") for row in items}

    own, live = f"REC#{sid_of(1)}", "VENDOR#agora#app"
    assert expiries() == {own: None, live: T0 // MICROSECONDS + LIVE_KEPT_S}
    tasks.save(a_task(ending="stopped"))
    assert expiries() == {own: T0 // MICROSECONDS + 7 * DAY_S}
    assert "hunter2" not in str(client.scan(TableName=table))


def test_repr_when_a_task_is_printed_then_shows_no_credential() -> None:
    assert "hunter2" not in repr(a_task())
    assert "token-1" not in repr(a_task())
