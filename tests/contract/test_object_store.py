"""The promises of `store.ports.ObjectStore`, held by every adapter."""

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from everreel.clock import ManualClock
from everreel.errors import ObjectExists, ObjectMissing, StoreDenied
from everreel.store.disk import DiskStore
from everreel.store.memory import MemoryStore
from everreel.store.ports import ObjectStore
from everreel.store.s3 import PART, S3Store
from tests.contract.cloud import pretended_cloud, s3

RACERS = 8
NUMBERS = count()
TYPE = "video/mp4"


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    with pretended_cloud():
        yield s3()


@pytest.fixture(params=["memory", "disk", "s3"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ObjectStore]:
    """Give a function that opens the same store anew, as another process would."""
    if request.param == "memory":
        only = MemoryStore()
        return lambda: only
    if request.param == "disk":
        return lambda: DiskStore(tmp_path / "root")
    client = request.getfixturevalue("client")
    bucket = f"bucket-{next(NUMBERS)}"
    client.create_bucket(Bucket=bucket)
    return lambda: S3Store(bucket, "some/prefix", client=client, clock=ManualClock())


@pytest.fixture
def store(open_store: Callable[[], ObjectStore]) -> ObjectStore:
    return open_store()


def race(racer: Callable[[int], object]) -> list[object]:
    together = threading.Barrier(RACERS)

    def run(number: int) -> object:
        together.wait()
        try:
            return racer(number)
        except ObjectExists as error:
            return error

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(run, range(RACERS)))


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_write_when_it_returned_then_every_reader_sees_it(
    open_store: Callable[[], ObjectStore],
) -> None:
    open_store().put_new("a/new", b"1", TYPE)
    open_store().put("a/put", b"22", TYPE)
    open_store().put_stream("a/stream", [b"3", b"33"], TYPE)
    reader = open_store()
    assert [reader.get(key) for key in ("a/new", "a/put", "a/stream")] == [b"1", b"22", b"333"]
    assert [info.size for info in reader.list("a/")] == [1, 2, 3]


def test_put_new_when_key_is_taken_then_object_exists_and_the_first_stays(
    store: ObjectStore,
) -> None:
    store.put_new("a/b", b"first", TYPE)
    with pytest.raises(ObjectExists, match="a/b"):
        store.put_new("a/b", b"second", TYPE)
    assert store.get("a/b") == b"first"


def test_put_new_when_many_race_then_one_wins_whole(store: ObjectStore) -> None:
    bodies = [bytes([number]) * 50_000 for number in range(RACERS)]
    answers = race(lambda number: store.put_new("a/b", bodies[number], TYPE))
    winners = [number for number, answer in enumerate(answers) if answer is None]
    assert len(winners) == 1
    assert store.get("a/b") == bodies[winners[0]]
    assert keys(store) == ["a/b"], "the losers left something behind"


def test_put_new_when_the_object_was_deleted_then_creates_it_again(store: ObjectStore) -> None:
    store.put_new("a", b"1", TYPE)
    store.delete("a")
    store.put_new("a", b"2", TYPE)
    assert store.get("a") == b"2"


def test_put_when_key_is_taken_then_replaces_it(store: ObjectStore) -> None:
    store.put("a/b", b"longer than the next", TYPE)
    store.put("a/b", b"short", TYPE)
    assert (store.get("a/b"), store.size("a/b")) == (b"short", 5)


def test_put_when_somebody_reads_then_sees_the_old_or_the_new_object(store: ObjectStore) -> None:
    old, new = b"o" * 200_000, b"n" * 100_000
    store.put("a", old, TYPE)
    stop = threading.Event()

    def read() -> set[bytes]:
        seen = set()
        while not stop.is_set():
            seen.add(store.get("a"))
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for _ in range(20):
            store.put("a", new, TYPE)
            store.put("a", old, TYPE)
        stop.set()
        assert reading.result() <= {old, new}


@pytest.mark.parametrize(
    ("start", "length", "wanted"),
    [
        (0, None, b"0123456789"),
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (9, 1, b"9"),
        (7, None, b"789"),
        (7, 99, b"789"),
        (10, 5, b""),
        (99, None, b""),
        (4, 0, b""),
    ],
)
def test_get_when_part_is_asked_then_returns_exactly_that(
    store: ObjectStore, start: int, length: int | None, wanted: bytes
) -> None:
    store.put("a", b"0123456789", TYPE)
    assert store.get("a", start, length) == wanted


def test_get_when_object_is_empty_then_returns_nothing(store: ObjectStore) -> None:
    store.put("a", b"", TYPE)
    assert (store.get("a"), store.size("a")) == (b"", 0)


@pytest.mark.parametrize(("start", "length"), [(0, None), (5, 3), (0, 0)])
def test_get_when_missing_then_object_missing(
    store: ObjectStore, start: int, length: int | None
) -> None:
    store.put("a/b", b"x", TYPE)
    for key in ("none", "a"):
        with pytest.raises(ObjectMissing, match=key):
            store.get(key, start, length)


def test_size_when_missing_then_none(store: ObjectStore) -> None:
    store.put("a/b", b"x", TYPE)
    assert (store.size("none"), store.size("a"), store.size("a/b/c")) == (None, None, None)


def test_list_when_asked_then_ascends_by_whole_key_and_holds_the_prefix(
    store: ObjectStore,
) -> None:
    wanted = ["a-b", "a/b", "a/b/c-2", "a/b/c/1", "a0", "b", "bä", "b~"]
    made = [key for key in wanted if key != "a/b"]  # a file system cannot hold "a/b" and "a/b/c"
    for key in reversed(made):
        store.put(key, key.encode(), TYPE)
    assert keys(store) == sorted(made)
    assert keys(store, "a/") == ["a/b/c-2", "a/b/c/1"]
    assert keys(store, "a/b/c") == ["a/b/c-2", "a/b/c/1"]
    assert keys(store, "a") == ["a-b", "a/b/c-2", "a/b/c/1", "a0"]
    assert keys(store, "nothing/here") == []


def test_list_when_there_are_more_than_a_page_then_gives_all(store: ObjectStore) -> None:
    pages = 1001 if isinstance(store, S3Store) else 50
    wanted = [f"many/{number:05d}" for number in range(pages)]
    for key in wanted:
        store.put(key, b"", TYPE)
    assert keys(store, "many/") == wanted


def test_list_when_asked_then_tells_size_and_a_recent_time(store: ObjectStore) -> None:
    store.put("a", b"123", TYPE)
    (info,) = store.list("")
    assert info.size == 3
    assert 1_600_000_000_000_000 < info.modified_utc_us < 5_000_000_000_000_000


def test_delete_when_missing_then_is_no_error(store: ObjectStore) -> None:
    store.put("a/b", b"x", TYPE)
    store.delete("none")
    store.delete("a/c")
    store.delete("a/b/c")
    assert keys(store) == ["a/b"]


def test_delete_when_there_then_is_gone(store: ObjectStore) -> None:
    store.put("a/b", b"x", TYPE)
    store.delete("a/b")
    assert (store.size("a/b"), keys(store)) == (None, [])


@pytest.mark.parametrize("sizes", [[], [0], [3, 0, 4], [PART], [PART - 1, 2], [PART // 2] * 5])
def test_put_stream_when_chunks_have_any_size_then_makes_the_whole_object(
    store: ObjectStore, sizes: list[int]
) -> None:
    chunks = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    store.put("a/b", b"what was there", TYPE)
    assert store.put_stream("a/b", iter(chunks), TYPE) == sum(sizes)
    assert store.get("a/b") == b"".join(chunks)


@pytest.mark.parametrize("before", [1, PART * 2 + 5])
@pytest.mark.parametrize("error", [OSError("their disk"), ValueError("their bug")], ids=repr)
def test_put_stream_when_chunks_raise_then_there_is_no_object(
    store: ObjectStore, before: int, error: Exception
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * before
        raise error

    with pytest.raises(type(error), match="their") as caught:
        store.put_stream("a/b", chunks(), TYPE)
    assert caught.value is error
    assert (store.size("a/b"), keys(store)) == (None, [])


def test_put_stream_when_chunks_raise_then_the_old_object_stays(store: ObjectStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * (PART + 1)
        raise ValueError("their bug")

    store.put("a", b"old", TYPE)
    with pytest.raises(ValueError, match="their"):
        store.put_stream("a", chunks(), TYPE)
    assert store.get("a") == b"old"


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "../a", "a/../../b", "./a", "a/.", "a\\b", "a\0b", "a\nb"]
)
def test_key_when_it_is_no_relative_path_then_store_denied(store: ObjectStore, key: str) -> None:
    uses: list[Callable[[], object]] = [
        lambda: store.put_new(key, b"x", TYPE),
        lambda: store.put(key, b"x", TYPE),
        lambda: store.put_stream(key, [b"x"], TYPE),
        lambda: store.get(key),
        lambda: store.size(key),
        lambda: store.delete(key),
    ]
    for use in uses:
        with pytest.raises(StoreDenied):
            use()


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//b", "a\0"])
def test_list_when_prefix_is_no_start_of_a_key_then_store_denied(
    store: ObjectStore, prefix: str
) -> None:
    with pytest.raises(StoreDenied):
        list(store.list(prefix))
