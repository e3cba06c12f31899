"""The promises of `state.notices.Notices`, held by every adapter."""

import random
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from everreel.clock import MICROSECONDS, ManualClock
from everreel.state import rows
from everreel.state.dynamodb_notices import DynamoNotices
from everreel.state.notices import NOTICE_KEPT_S, MemoryNotices, Notice, Notices, weight
from everreel.wiring import Wiring, rewired
from ingest_notice.handler import handler
from tests.contract.cloud import dynamodb, make_table, pretended_cloud
from tests.unit.doors.memory import Context
from tests.unit.events.lives import LIVES, PASSING, TASKS, again, events_of, nobody_waits

T0 = 1_767_225_600_000_000
RACERS = 8
NUMBERS = count()
NOTICE = Notice("agora", "task", 31, "101", "s000000000003", "lobby", T0, '{"status":0}', "id-1")


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    with pretended_cloud():
        yield dynamodb()


@pytest.fixture(params=["memory", "dynamodb"])
def notices(request: pytest.FixtureRequest) -> Generator[Notices]:
    if request.param == "memory":
        yield MemoryNotices()
        return
    client = request.getfixturevalue("client")
    table = f"notices-{next(NUMBERS)}"
    make_table(client, table)
    yield DynamoNotices(table, client, ManualClock(T0))
    client.delete_table(TableName=table)


def test_notice_when_new_then_is_kept(notices: Notices) -> None:
    assert notices.remember(NOTICE, T0)
    assert list(notices.of_task("agora", "task")) == [NOTICE]


def test_notice_when_it_comes_again_then_is_known(notices: Notices) -> None:
    assert notices.remember(NOTICE, T0)
    assert not notices.remember(NOTICE, T0)
    assert not notices.remember(replace(NOTICE, utc_us=T0 - 1, notice_id="id-2"), T0 + 1)
    assert list(notices.of_task("agora", "task")) == [NOTICE]


REPEATS = [
    NOTICE,
    replace(NOTICE, detail='{"status":1}'),
    replace(NOTICE, notice_id="id-2"),
    replace(NOTICE, channel="other"),
    replace(NOTICE, utc_us=T0 - 1_000_000, detail='{"status":9}'),
    replace(NOTICE, utc_us=T0 + 1, detail="{}"),
]


@pytest.mark.parametrize("start", range(len(REPEATS)))
def test_repeats_when_they_differ_then_the_last_told_is_kept_whatever_came_first(
    notices: Notices, start: int
) -> None:
    for repeat in REPEATS[start:] + REPEATS[:start]:
        notices.remember(repeat, T0)
    assert list(notices.of_task("agora", "task")) == [max(REPEATS, key=weight)]


@pytest.mark.parametrize(
    "other",
    [
        {"vendor": "tencent"},
        {"task": "other"},
        {"event": 32},
        {"uid": "102"},
        {"mark": "s000000000004"},
    ],
    ids=str,
)
def test_notice_when_it_is_another_one_then_both_are_kept(
    notices: Notices, other: dict[str, Any]
) -> None:
    another = replace(NOTICE, **other)
    assert notices.remember(NOTICE, T0)
    assert notices.remember(another, T0)
    assert another in notices.of_task(another.vendor, another.task)


def test_notices_when_they_come_in_any_order_then_are_listed_in_one(notices: Notices) -> None:
    several = [replace(NOTICE, event=event, mark=f"s{n:012d}") for event in (3, 11) for n in (2, 1)]
    for each in several:
        notices.remember(each, T0)
    listed = list(notices.of_task("agora", "task"))
    assert [(each.event, each.mark[-1]) for each in listed] == [
        (3, "1"), (3, "2"), (11, "1"), (11, "2"),
    ]  # fmt: skip


def test_task_when_nothing_was_told_of_it_then_has_no_notices(notices: Notices) -> None:
    notices.remember(NOTICE, T0)
    assert list(notices.of_task("agora", "tas")) == []


def test_notice_when_racing_with_its_repeats_then_one_is_new(notices: Notices) -> None:
    together = threading.Barrier(RACERS)

    def run(number: int) -> bool:
        together.wait()
        return notices.remember(replace(NOTICE, notice_id=f"id-{number}"), T0)

    with ThreadPoolExecutor(RACERS) as pool:
        assert sorted(pool.map(run, range(RACERS))) == [False] * (RACERS - 1) + [True]
    [kept] = notices.of_task("agora", "task")
    assert kept.notice_id == f"id-{RACERS - 1}"


def test_lives_when_told_by_many_at_once_in_disorder_then_each_thing_is_new_once(
    notices: Notices,
) -> None:
    events = [*events_of(again(told, variant) for variant in range(3) for told in LIVES)]
    expected = MemoryNotices()
    with rewired(Wiring(notices=expected, clock=ManualClock(T0), **nobody_waits())):
        for event in events:
            handler(event, Context())  # type: ignore[arg-type]
    random.Random(20260101).shuffle(events)

    with (
        rewired(Wiring(notices=notices, clock=ManualClock(T0), **nobody_waits())),
        ThreadPoolExecutor(RACERS) as pool,
    ):
        new = sum(answer["new"] for answer in pool.map(lambda e: handler(e, Context()), events))  # type: ignore[arg-type]

    assert new == len(LIVES) - PASSING
    for task in TASKS:
        assert list(notices.of_task(*task)) == list(expected.of_task(*task))


def test_repeats_when_they_race_and_differ_then_the_last_told_is_kept(notices: Notices) -> None:
    together = threading.Barrier(RACERS)
    told = [replace(NOTICE, utc_us=T0 + n, detail=f'{{"n":{n}}}') for n in range(RACERS)]

    def run(notice: Notice) -> bool:
        together.wait()
        return notices.remember(notice, T0)

    with ThreadPoolExecutor(RACERS) as pool:
        for _ in range(5):
            assert sum(pool.map(run, told)) <= 1
    assert list(notices.of_task("agora", "task")) == [told[-1]]


def test_row_when_written_then_expires_after_the_longest_task(client: Any) -> None:
    table = f"notices-{next(NUMBERS)}"
    make_table(client, table)
    DynamoNotices(table, client, ManualClock(T0)).remember(NOTICE, T0)
    [row] = client.scan(TableName=table)["Items"]
    assert row["PK"]["S"] == "NOTICE#agora#task"
    assert row["SK"]["S"] == "000031#101#s000000000003"
    assert int(row[rows.EXPIRES]["N"]) == T0 // MICROSECONDS + NOTICE_KEPT_S


def test_row_when_a_later_telling_replaces_it_then_lives_as_long_as_that(client: Any) -> None:
    table = f"notices-{next(NUMBERS)}"
    make_table(client, table)
    notices = DynamoNotices(table, client, ManualClock(T0))
    notices.remember(NOTICE, T0)
    notices.remember(replace(NOTICE, utc_us=T0 + 1), T0 + 60 * MICROSECONDS)
    [row] = client.scan(TableName=table)["Items"]
    assert int(row[rows.EXPIRES]["N"]) == T0 // MICROSECONDS + 60 + NOTICE_KEPT_S


class Meanwhile:
    """A client before whose every put somebody else does something."""

    def __init__(self, client: Any, *others: Callable[[], object]) -> None:
        self._client = client
        self._others = list(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, **request: Any) -> Any:
        if self._others:
            self._others.pop(0)()
        return self._client.put_item(**request)


def test_row_when_others_replace_or_remove_it_meanwhile_then_the_last_told_is_kept(
    client: Any,
) -> None:
    table = f"notices-{next(NUMBERS)}"
    make_table(client, table)
    other = DynamoNotices(table, client, ManualClock(T0))

    def telling(n: int) -> Notice:
        return replace(NOTICE, utc_us=T0 + n)

    def expire() -> None:
        [row] = client.scan(TableName=table)["Items"]
        client.delete_item(TableName=table, Key={"PK": row["PK"], "SK": row["SK"]})

    # Ours is the fifth: three others come between its reads and its writes, then the row expires.
    others = [lambda n=n: other.remember(telling(n), T0) for n in (1, 2, 3)]
    racing = DynamoNotices(table, Meanwhile(client, *others, expire), ManualClock(T0))
    assert not racing.remember(telling(5), T0)
    assert list(other.of_task("agora", "task")) == [telling(5)]
    late = DynamoNotices(table, Meanwhile(client, *others), ManualClock(T0))
    assert not late.remember(telling(4), T0)
    assert list(other.of_task("agora", "task")) == [telling(5)]
