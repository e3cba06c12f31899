"""The state table in DynamoDB.

What it costs (write units; a unit is 1 KB, and twice that inside a transaction):

* A beat is one UpdateItem on the lap's own row: 1 unit each 3 s. The orders (stop, fenced) are
  written into that row by whoever gives them, so a beat reads nothing else; and the recording's
  row, which every commit checks, stands still between status changes, so that beats and commits
  never conflict. `told` in the lap's row is the status the recording is known to have reached:
  only a beat that tells more touches the recording, in a transaction, at most four times per lap.
* A commit is a transaction of the segment's row and a check of the recording's: 2 units for the
  row (about 0.4 KB) and 2 per KB of the recording (under 1 KB unless its source URL is long).
* Everything else happens a few times per recording: it reads the recording and the lap, asks
  `state.moves` and writes what it answers if `revision` is unchanged.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from everreel.clock import MICROSECONDS, Clock, SystemClock
from everreel.errors import FenceLost, ServiceFault, StateUnavailable
from everreel.state import dynamodb_writes as writes
from everreel.state import moves, rows
from everreel.state.dynamodb_table import ABSENT, Table, Write, connect
from everreel.state.ports import Orders, Page, Ticket
from everreel.state.recording import UNKNOWN, LapState
from everreel.state.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from everreel.media.index import InitRow, SegmentRow
    from everreel.patience import Patience
    from everreel.state.moves import Session, Step
    from everreel.state.recording import (
        Failure,
        Lap,
        LapOrigin,
        Progress,
        Reason,
        Recording,
    )

_ROUNDS = 20
_AFTER_ALL = "~"
"""Sorts behind every lane, number and bucket."""

Answer = TypeVar("Answer")


class DynamoRecordings:
    """Keeps recordings in one DynamoDB table, laid out as `state.rows` says; safe for threads.

    `list` reads an index that follows the table within a moment; everything else reads the table.
    """

    def __init__(
        self,
        table_name: str,
        client: Any = None,
        clock: Clock | None = None,
        *,
        retention_days: int = 0,
        patience: Patience | None = None,
    ) -> None:
        """Use the table through `client`, or through a client of the environment's credentials.

        With `retention_days` a recording's rows expire that long after it ended; 0 keeps them.
        """
        self._clock = clock or SystemClock()
        self._table = Table(table_name, client or connect(), self._clock, patience)
        self._retention_s = retention_days * writes.DAY_S

    def put_ticket(self, ticket: Ticket) -> None:
        """Keep a ticket until it expires; putting the same one again changes nothing."""
        self._table.write(writes.new_ticket(ticket))

    def ticket(self, resource_id: str) -> Ticket | None:
        """Return a ticket, used or not; None if unknown or long expired."""
        row = self._table.get(rows.ticket_key(resource_id))
        return None if row is None else rows.read_ticket(row)

    def create(self, recording: Recording) -> Recording:
        """Start a recording. Raises: TicketExpired, RecordingConflict."""
        session = moves.started(recording)

        def attempt() -> Recording | None:
            if self._table.transact(writes.start(session)).done:
                return session.recording
            ticket = self.ticket(recording.resource_id)
            if ticket is not None and ticket.used_by:
                return self._recording(ticket.used_by)
            holder = self._table.get(rows.live_key(recording))
            refused = moves.refusal(ticket, holder["sid"] if holder else "", recording)
            if refused is not None:
                raise refused
            if self.find(recording.sid) is not None:
                raise ServiceFault(f"sid {recording.sid} was given out twice; make a new one")
            return None

        return self._insist(attempt, recording.sid)

    def find(self, sid: str) -> Recording | None:
        """Return a recording, None if there is no such sid."""
        row = self._table.get(rows.recording_key(sid))
        return None if row is None else rows.read_session(row).recording

    def list(self, app: str, *, limit: int, token: str = "") -> Page:
        """List an app's recordings, newest first. Raises: InvalidRequest."""
        moves.check_limit(limit)
        after = None
        if token:
            created, sid = rows.read_page_token(token, app)
            after = {**rows.recording_key(sid), **rows.index_key(app, created, sid)}
        partition = (rows.INDEX_PARTITION_KEY, rows.index_key(app, 0, "")[rows.INDEX_PARTITION_KEY])
        found = self._table.newest(rows.INDEX, partition, limit + 1, after)
        page = [rows.read_session(row).recording for row in islice(found, limit + 1)]
        more = len(page) > limit
        page = page[:limit]
        return Page(page, rows.page_token(page[-1]) if more else "")

    def invoked(
        self,
        sid: str,
        lane: str,
        lap: int,
        request_id: str,
        utc_us: int,
        origin: LapOrigin = UNKNOWN,
    ) -> None:
        """Note that a lap was invoked and give it the fence. Raises: FenceLost."""
        self._move_lap(
            (sid, lane, lap),
            lambda session, known: moves.invoked(
                session, known, lane, lap, request_id, utc_us, origin
            ),
        )

    def claim(self, sid: str, lane: str, lap: int, request_id: str, utc_us: int) -> Recording:
        """Let an invocation take its lap. Raises: FenceLost."""
        step = self._move_lap(
            (sid, lane, lap),
            lambda session, known: moves.claimed(session, known, lane, lap, request_id, utc_us),
        )
        if step is None:
            raise ServiceFault(f"claim of lap {lane}{lap} of {sid} decided nothing")
        return step.session.recording

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        """Write a lap's progress, move the recording's status forward, learn orders."""
        moves.check_told(progress)
        place = (sid, lane, lap)
        outcome = self._table.write(writes.pulse(place, progress, utc_us, tell=False))
        row = outcome.rows[0] or {}
        if not outcome.done and _may_beat(row):
            row = self._tell(place, progress, utc_us)
        return Orders(
            bool(row.get("stop")),
            fenced=not _may_beat(row),
            heir_k=row.get("heir_k", -1),
            relieved=bool(row.get("relieved")),
        )

    def set_origin(self, sid: str, origin_utc_us: int) -> int:
        """Fix the UTC of recording timeline 0, first wins; return the one that holds."""
        outcome = self._table.write(writes.origin(sid, origin_utc_us))
        return origin_utc_us if outcome.done else self._recording(sid).origin_utc_us

    def put_init(self, sid: str, row: InitRow) -> None:
        """Keep an init segment's description; the same number again changes nothing."""
        stored = {**rows.init_values(row), **self._expiry()}
        key = rows.init_key(sid, row.number)
        self._table.write(Write("Put", key, row=stored, condition=ABSENT))

    def inits(self, sid: str) -> Sequence[InitRow]:
        """Return the init segments of a recording by number."""
        return [rows.read_init(row) for row in self._rows_of(sid, "INIT#", f"INIT#{_AFTER_ALL}")]

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        """Make a segment part of the recording. Raises: FenceLost."""
        outcome = self._table.transact(writes.segment(sid, row, fence, self._expiry()))
        if outcome.done:
            return True
        holder, recording = outcome.rows
        if holder is not None and holder.get("o") == row.key:
            return True
        if recording is None:
            return False
        if not recording:
            raise moves.not_found(sid)
        raise FenceLost(f"lap {row.lane}{fence} may not write to {sid} any more")

    def segments(self, sid: str, *, after: int = -1) -> Iterator[SegmentRow]:
        """Return the index in ascending order of k, from the first k greater than `after`."""
        first = rows.segment_key(sid, after + 1)[rows.SORT_KEY]
        for row in self._rows_of(sid, first, f"SEG#{_AFTER_ALL}"):
            yield rows.read_segment(row)

    def segment(self, sid: str, k: int) -> SegmentRow | None:
        """Return the row of bucket `k`, None while it has no owner."""
        row = self._table.get(rows.segment_key(sid, k))
        return None if row is None else rows.read_segment(row)

    def newest(self, sid: str, count: int) -> Sequence[SegmentRow]:
        """Return the last `count` rows of the index, or all if there are fewer; ascending."""
        partition = rows.recording_key(sid)[rows.PARTITION_KEY]
        found = self._table.last(partition, "SEG#", f"SEG#{_AFTER_ALL}", count)
        return [rows.read_segment(row) for row in found]

    def inherit(self, sid: str, lane: str, lap: int, heir_k: int, *, relieve: bool) -> None:
        """Tell a running lap that its successor builds `heir_k` and all after it."""
        self._table.write(writes.inheritance((sid, lane, lap), heir_k, relieve=relieve))

    def end_lap(
        self,
        sid: str,
        lane: str,
        lap: int,
        reason: Reason,
        failure: Failure | None,
        progress: Progress,
        utc_us: int,
    ) -> None:
        """Close a lap; with the last one, the recording. Raises: FenceLost."""
        moves.check_told(progress)
        self._move_lap(
            (sid, lane, lap),
            lambda session, known: moves.ended(session, known, reason, failure, progress, utc_us),
        )

    def declare_dead(
        self, sid: str, lane: str, lap: int, failure: Failure, utc_us: int, unchanged_since: int
    ) -> bool:
        """Close a lap that no longer beats; False if it moved meanwhile."""
        step = self._move_lap(
            (sid, lane, lap),
            lambda session, known: moves.dead(
                session, known, lane, lap, failure, utc_us, unchanged_since
            ),
            same_beat=True,
        )
        return step is not None

    def lap(self, sid: str, lane: str, lap: int) -> Lap | None:
        """Return one lap, None if it was never noted nor claimed."""
        row = self._table.get(rows.lap_key(sid, lane, lap))
        return None if row is None else rows.read_lap(row)

    def laps(self, sid: str) -> Sequence[Lap]:
        """Return the laps of a recording, oldest first."""
        found = [rows.read_lap(row) for row in self._rows_of(sid, "LAP#", f"LAP#{_AFTER_ALL}")]
        return moves.oldest_first(found)

    def recent_laps(self, sid: str) -> Sequence[Lap]:
        """Return the newest laps of each lane, two at least, oldest first."""
        recording = self._recording(sid)
        found = [self.lap(sid, *place) for place in moves.recent_places(recording)]
        return moves.oldest_first([lap for lap in found if lap is not None])

    def give_up(self, sid: str, reason: Reason, failure: Failure | None, utc_us: int) -> bool:
        """End a live recording that no lap has open; False if it cannot be ended so."""
        step = self._move(sid, lambda session: moves.given_up(session, reason, failure, utc_us))
        return step is not None

    def unsealed(self) -> Iterator[Recording]:
        """Return every recording that is not sealed, oldest first."""
        for row in self._table.of_index(rows.UNSEALED_INDEX, (rows.UNSEALED_KEY, rows.UNSEALED)):
            yield rows.read_session(row).recording

    def request_stop(self, sid: str, utc_us: int) -> Recording:
        """Ask a live recording to stop. Raises: RecordingNotFound, AlreadyEnded."""
        step = self._move(sid, lambda session: moves.stop_requested(session, utc_us))
        return self._recording(sid) if step is None else step.session.recording

    def advance(self, sid: str, status: Status) -> Recording:
        """Move the status of a recording that runs elsewhere forward. Raises: RecordingNotFound."""
        step = self._move(sid, lambda session: moves.advanced(session, status))
        return self._recording(sid) if step is None else step.session.recording

    def mark_sealed(self, sid: str, utc_us: int) -> Recording:
        """Note that the recording is sealed. Raises: RecordingNotFound, ServiceFault."""
        step = self._move(sid, lambda session: moves.sealed(session, utc_us))
        return self._recording(sid) if step is None else step.session.recording

    def _tell(self, place: tuple[str, str, int], progress: Progress, utc_us: int) -> rows.Values:
        """Beat with a status the recording may not have reached yet; return the lap's row."""
        pulse = writes.pulse(place, progress, utc_us, tell=True)

        def attempt() -> rows.Values | None:
            session, revision = self._session(place[0])
            further = moves.told(session, progress.status)
            if further is None:
                return self._table.write(pulse).rows[0]
            change = writes.changed(further, revision, {})
            outcome = self._table.transact([pulse, change])
            if outcome.done:  # the recording was not asked to stop, or it would not have moved
                return {"state": LapState.RUNNING}
            return outcome.rows[0]  # None if only the recording moved meanwhile

        return self._insist(attempt, place[0])

    def _move(self, sid: str, rule: Callable[[Session], Step | None]) -> Step | None:
        """Change a recording by a rule and tell its laps; None if there is nothing to change."""

        def attempt() -> tuple[Step | None] | None:
            session, revision = self._session(sid)
            step = rule(session)
            if step is None:
                return (None,)
            change = writes.moved(step, revision, None, self._expiry(), same_beat=False)
            stop = step.session.recording.status is Status.STOP_REQUESTED
            told = writes.stops(step.session) if stop else []
            return (step,) if self._table.transact([*change, *told]).done else None

        return self._insist(attempt, sid)[0]

    def _move_lap(
        self,
        place: tuple[str, str, int],
        rule: Callable[[Session, Lap | None], Step | None],
        *,
        same_beat: bool = False,
    ) -> Step | None:
        """Change a recording and a lap by a rule; None if the rule has nothing to change."""
        sid, lane, number = place

        def attempt() -> tuple[Step | None] | None:
            session, revision = self._session(sid)
            row = self._table.get(rows.lap_key(sid, lane, number))
            step = rule(session, None if row is None else rows.read_lap(row))
            if step is None:
                return (None,)
            change = writes.moved(step, revision, row, self._expiry(), same_beat=same_beat)
            return (step,) if self._table.transact(change).done else None

        return self._insist(attempt, sid)[0]

    def _session(self, sid: str) -> tuple[Session, int]:
        row = self._table.get(rows.recording_key(sid))
        if row is None:
            raise moves.not_found(sid)
        return rows.read_session(row), row["revision"]

    def _recording(self, sid: str) -> Recording:
        return self._session(sid)[0].recording

    def _rows_of(self, sid: str, first: str, last: str) -> Iterator[rows.Values]:
        return self._table.rows(rows.recording_key(sid)[rows.PARTITION_KEY], first, last)

    def _expiry(self) -> rows.Values:
        if not self._retention_s:
            return {}
        return {rows.EXPIRES: self._clock.utc_us() // MICROSECONDS + self._retention_s}

    def _insist(self, attempt: Callable[[], Answer | None], sid: str) -> Answer:
        """Try again while others move the same recording."""
        for _ in range(_ROUNDS):
            answer = attempt()
            if answer is not None:
                return answer
        raise StateUnavailable(f"recording {sid} is being changed by too many at once; try again")


def _may_beat(row: rows.Values) -> bool:
    """Tell whether the lap of this row still owns its lane."""
    return row.get("state") == LapState.RUNNING and not row.get("fenced")
