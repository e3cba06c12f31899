"""The commit protocol: an object first, then the index row that makes it part of the recording."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from everreel.errors import DestinationError, FenceLost, ObjectExists
from everreel.media.index import SegmentRow
from everreel.state.ports import Recordings
from everreel.store.ports import ObjectStore

STEPS = ("begun", "stored", "indexed", "cleaned")
"""Names given to `reached`, in order; "cleaned" only by a loser."""


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of a segment.

    Attributes:
        mine: it is part of the recording; otherwise the bucket belongs to somebody else.
        row: our row, with size and digest, committed if `mine`.
        orphan: key of our losing object if it could not be removed, else "".
    """

    mine: bool
    row: SegmentRow
    orphan: str = ""


class Committer:
    """Commits the segments of one lap; a repeat after any failure goes on where it broke off.

    Whatever happens in between, the index names only objects that are there and whole, and what
    is left behind is at most an object that no row names. The caller decides about threads and
    about trying again.
    """

    def __init__(
        self,
        store: ObjectStore,
        recordings: Recordings,
        *,
        folder: str,
        sid: str,
        lane: str,
        lap: int,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Commit to `folder` of `store` as lap `lap` of `lane`, whose number is its fence.

        `reached` is called with each name of `STEPS` when that step is done.
        """
        self._store = store
        self._recordings = recordings
        self._folder = folder.rstrip("/")
        self._sid = sid
        self._lane = lane
        self._lap = lap
        self._reached = reached

    def commit(self, body: bytes, row: SegmentRow, content_type: str) -> CommitResult:
        """Store `body` under `row.key`, which is ours alone (it holds the fence), and index it.

        Size, digest, lane and lap of `row` are set here.
        Raises: FenceLost if a newer lap owns the lane, after removing the object; StoreUnavailable
            and StateUnavailable, after which the same call may be made again; StoreDenied;
            ObjectExists if the key holds other bytes than `body`.
        """
        digest = hashlib.sha256(body).hexdigest()
        row = replace(row, size=len(body), sha256=digest, lane=self._lane, lap=self._lap)
        key = f"{self._folder}/{row.key}" if self._folder else row.key
        self._reached("begun")
        self._store_once(key, body, content_type)
        self._reached("stored")
        try:
            mine = self._recordings.commit(self._sid, row, self._lap)
        except FenceLost as lost:
            self._clean_up(key, row, lost)
            raise
        self._reached("indexed")
        if mine:
            return CommitResult(mine=True, row=row)
        orphan = self._remove(key)
        self._reached("cleaned")
        return CommitResult(mine=False, row=row, orphan=key if orphan else "")

    def _store_once(self, key: str, body: bytes, content_type: str) -> None:
        try:
            self._store.put_new(key, body, content_type)
        except ObjectExists as error:
            # Our own, if an earlier call got this far; nobody else writes below our fence.
            if self._store.size(key) == len(body) and self._store.get(key) == body:
                return
            raise ObjectExists(
                f"object {key} holds other bytes than the segment that belongs there; two writers"
                " use the same lane and lap"
            ) from error

    def _clean_up(self, key: str, row: SegmentRow, lost: FenceLost) -> None:
        """Remove our object unless an earlier call of ours indexed it."""
        holder = next(self._recordings.segments(self._sid, after=row.k - 1), None)
        if holder is not None and holder.key == row.key:
            return
        failed = self._remove(key)
        if failed is not None:
            lost.add_note(f"object {key} is left over: {failed.message}")

    def _remove(self, key: str) -> DestinationError | None:
        """Delete an object that no row names; return why if that fails: nothing depends on it."""
        try:
            self._store.delete(key)
        except DestinationError as error:
            return error
        return None
