import hashlib
from collections.abc import Callable
from contextlib import suppress

import pytest

from everreel.errors import FenceLost, ObjectExists, StateUnavailable, StoreUnavailable
from everreel.media.index import SegmentRow
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import Mode, Options, Recording
from everreel.state.status import Status
from everreel.store.commit import STEPS, Committer
from everreel.store.memory import MemoryStore

T0 = 1_767_225_600_000_000
SID = "0" * 32
FOLDER = f"p/room/{SID}"
BODY = b"a whole segment"
TYPE = "video/mp4"


class Killed(BaseException):
    """The process ends here."""


class BrokenStore(MemoryStore):
    """A store whose deletes fail."""

    def delete(self, key: str) -> None:
        raise StoreUnavailable(f"cannot delete {key}")


class LostAnswer(MemoryRecordings):
    """A table that does what it is told, but whose first answer to a commit is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.answers_lost = 1

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        mine = super().commit(sid, row, fence)
        if self.answers_lost:
            self.answers_lost -= 1
            raise StateUnavailable("no answer")
        return mine


def prepared(recordings: MemoryRecordings) -> MemoryRecordings:
    """Give a table with a recording on which laps A1 and B1 run."""
    recordings.put_ticket(Ticket("t", "live", "room", "rec", T0 + 1))
    recordings.create(
        Recording(
            SID,
            "live",
            "room",
            "u",
            "rec",
            "t",
            "rtmp://x/y",
            Mode.INDIVIDUAL,
            Options(),
            Status.STARTING,
            T0,
        )
    )
    for lane in "AB":
        recordings.claim(SID, lane, 1, f"request-{lane}", T0)
    return recordings


def a_row(lane: str = "A", lap: int = 1) -> SegmentRow:
    return SegmentRow(
        4,
        f"segments/4-{lane}{lap}.m4s",
        1,
        24_000_000,
        6_000_000,
        T0,
        0,
        "",
        (),
        False,
        None,
        True,
        "",
        0,
    )


def committer(
    store: MemoryStore,
    recordings: MemoryRecordings,
    lane: str = "A",
    lap: int = 1,
    reached: Callable[[str], None] = lambda _: None,
) -> Committer:
    return Committer(store, recordings, folder=FOLDER, sid=SID, lane=lane, lap=lap, reached=reached)


def keys(store: MemoryStore) -> list[str]:
    return [info.key.removeprefix(f"{FOLDER}/") for info in store.list("")]


def check_index(store: MemoryStore, recordings: MemoryRecordings) -> None:
    """Every row names an object that is there and whole."""
    for row in recordings.segments(SID):
        body = store.get(f"{FOLDER}/{row.key}")
        assert (len(body), hashlib.sha256(body).hexdigest()) == (row.size, row.sha256)


def test_commit_when_first_then_object_and_row_agree() -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())
    result = committer(store, recordings).commit(BODY, a_row(), TYPE)
    assert result.mine
    assert list(recordings.segments(SID)) == [result.row]
    assert (result.row.size, result.row.lane, result.row.lap) == (len(BODY), "A", 1)
    check_index(store, recordings)


def test_commit_when_bucket_is_taken_then_removes_its_object_and_says_so() -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())
    committer(store, recordings).commit(BODY, a_row(), TYPE)
    result = committer(store, recordings, "B").commit(BODY, a_row("B"), TYPE)
    assert (result.mine, result.orphan) == (False, "")
    assert keys(store) == ["segments/4-A1.m4s"]
    check_index(store, recordings)


def test_commit_when_the_losing_object_cannot_be_removed_then_names_the_orphan() -> None:
    store, recordings = BrokenStore(), prepared(MemoryRecordings())
    committer(store, recordings).commit(BODY, a_row(), TYPE)
    result = committer(store, recordings, "B").commit(BODY, a_row("B"), TYPE)
    assert (result.mine, result.orphan) == (False, f"{FOLDER}/segments/4-B1.m4s")


def test_commit_when_the_fence_is_lost_then_removes_its_object_and_raises() -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())
    recordings.claim(SID, "A", 2, "request-2", T0)
    with pytest.raises(FenceLost):
        committer(store, recordings).commit(BODY, a_row(), TYPE)
    assert (keys(store), list(recordings.segments(SID))) == ([], [])


def test_commit_when_the_fence_is_lost_and_the_object_stays_then_the_error_notes_it() -> None:
    store, recordings = BrokenStore(), prepared(MemoryRecordings())
    recordings.claim(SID, "A", 2, "request-2", T0)
    with pytest.raises(FenceLost) as caught:
        committer(store, recordings).commit(BODY, a_row(), TYPE)
    assert "segments/4-A1.m4s is left over" in caught.value.__notes__[0]


def test_commit_when_repeated_after_a_lost_answer_then_is_mine() -> None:
    store, recordings = MemoryStore(), prepared(LostAnswer())
    ours = committer(store, recordings)
    with pytest.raises(StateUnavailable):
        ours.commit(BODY, a_row(), TYPE)
    assert ours.commit(BODY, a_row(), TYPE).mine
    check_index(store, recordings)


def test_commit_when_repeated_after_a_lost_answer_and_a_takeover_then_keeps_its_object() -> None:
    store, recordings = MemoryStore(), prepared(LostAnswer())
    ours = committer(store, recordings)
    with pytest.raises(StateUnavailable):
        ours.commit(BODY, a_row(), TYPE)
    recordings.claim(SID, "A", 2, "request-2", T0)
    assert ours.commit(BODY, a_row(), TYPE).mine
    check_index(store, recordings)


def test_commit_when_the_key_holds_other_bytes_then_object_exists_and_nothing_is_indexed() -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())
    store.put(f"{FOLDER}/segments/4-A1.m4s", b"a whole SEGMENT", TYPE)
    with pytest.raises(ObjectExists, match="other bytes"):
        committer(store, recordings).commit(BODY, a_row(), TYPE)
    assert list(recordings.segments(SID)) == []


def test_commit_when_folder_is_empty_then_key_is_the_rows() -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())
    Committer(store, recordings, folder="", sid=SID, lane="A", lap=1).commit(BODY, a_row(), TYPE)
    assert [info.key for info in store.list("")] == [a_row().key]


@pytest.mark.parametrize("loses", [False, True], ids=["winner", "loser"])
@pytest.mark.parametrize("point", STEPS)
def test_commit_when_killed_at_any_point_and_repeated_then_ends_as_if_it_was_not(
    point: str, loses: bool
) -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())
    if loses:
        committer(store, recordings, "B").commit(BODY, a_row("B"), TYPE)

    def kill(name: str) -> None:
        if name == point:
            raise Killed

    try:
        committer(store, recordings, reached=kill).commit(BODY, a_row(), TYPE)
    except Killed:
        check_index(store, recordings)
        assert len(keys(store)) - len(list(recordings.segments(SID))) in {0, 1}
    result = committer(store, recordings).commit(BODY, a_row(), TYPE)
    assert result.mine is not loses
    check_index(store, recordings)
    assert keys(store) == [row.key for row in recordings.segments(SID)]


@pytest.mark.parametrize("point", STEPS)
def test_commit_when_killed_at_any_point_and_taken_over_then_at_most_an_orphan_is_left(
    point: str,
) -> None:
    store, recordings = MemoryStore(), prepared(MemoryRecordings())

    def kill(name: str) -> None:
        if name == point:
            raise Killed

    with suppress(Killed):
        committer(store, recordings, reached=kill).commit(BODY, a_row(), TYPE)
    recordings.claim(SID, "A", 2, "request-2", T0)
    second = committer(store, recordings, lap=2).commit(BODY, a_row(lap=2), TYPE)
    check_index(store, recordings)
    (row,) = recordings.segments(SID)
    assert (row == second.row) is second.mine
    orphans = set(keys(store)) - {row.key}
    assert orphans == ({a_row().key} if point == "stored" else set())
    if second.mine:
        with pytest.raises(FenceLost):
            committer(store, recordings).commit(BODY, a_row(), TYPE)
        assert keys(store) == [row.key]
