"""The state table in this process, for tests and simulations."""

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import RLock

from everreel.errors import FenceLost, ServiceFault
from everreel.media.index import InitRow, SegmentRow
from everreel.state import moves
from everreel.state.moves import Session, Step
from everreel.state.ports import Orders, Page, Ticket
from everreel.state.recording import (
    UNKNOWN,
    Failure,
    Lap,
    LapOrigin,
    LapState,
    Progress,
    Reason,
    Recording,
)
from everreel.state.status import LIVE, Status

Name = tuple[str, str, str]


class MemoryRecordings:
    """Keeps every row in dicts under one lock; safe for threads."""

    def __init__(self) -> None:
        """Start with an empty table."""
        self._lock = RLock()
        self._tickets: dict[str, Ticket] = {}
        self._live: dict[Name, str] = {}
        self._sessions: dict[str, Session] = {}
        self._laps: dict[str, dict[tuple[str, int], Lap]] = {}
        self._inits: dict[str, dict[int, InitRow]] = {}
        self._segments: dict[str, dict[int, SegmentRow]] = {}
        self._buckets: dict[str, list[int]] = {}  # ascending, as the real table keeps its rows
        self._heirs: dict[tuple[str, str, int], tuple[int, bool]] = {}

    def put_ticket(self, ticket: Ticket) -> None:
        """Keep a ticket; putting the same one again changes nothing."""
        with self._lock:
            self._tickets.setdefault(ticket.resource_id, ticket)

    def ticket(self, resource_id: str) -> Ticket | None:
        """Return a ticket, used or not; None if unknown."""
        with self._lock:
            return self._tickets.get(resource_id)

    def create(self, recording: Recording) -> Recording:
        """Start a recording. Raises: TicketExpired, RecordingConflict."""
        with self._lock:
            ticket = self._tickets.get(recording.resource_id)
            if ticket is not None and ticket.used_by:
                return self._sessions[ticket.used_by].recording
            refused = moves.refusal(ticket, self._live.get(_name(recording), ""), recording)
            if refused is not None:
                raise refused
            if ticket is None or recording.sid in self._sessions:
                raise ServiceFault(f"sid {recording.sid} was given out twice; make a new one")
            session = moves.started(recording)
            self._tickets[ticket.resource_id] = replace(ticket, used_by=recording.sid)
            self._live[_name(recording)] = recording.sid
            self._sessions[recording.sid] = session
            return session.recording

    def find(self, sid: str) -> Recording | None:
        """Return a recording, None if there is no such sid."""
        with self._lock:
            return self._sessions[sid].recording if sid in self._sessions else None

    def list(self, app: str, *, limit: int, token: str = "") -> Page:
        """List an app's recordings, newest first. Raises: InvalidRequest."""
        from everreel.state.rows import (  # noqa: PLC0415 - a recorder never lists
            page_token,
            read_page_token,
        )

        moves.check_limit(limit)
        before = read_page_token(token, app) if token else None
        with self._lock:
            found = [s.recording for s in self._sessions.values() if s.recording.app == app]
        found.sort(key=_age, reverse=True)
        rest = [each for each in found if before is None or _age(each) < before]
        page = rest[:limit]
        return Page(page, page_token(page[-1]) if len(rest) > limit else "")

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
        with self._lock:
            session, known = self._read(sid, lane, lap)
            step = moves.invoked(session, known, lane, lap, request_id, utc_us, origin)
            if step is not None:
                self._write(step)

    def claim(self, sid: str, lane: str, lap: int, request_id: str, utc_us: int) -> Recording:
        """Let an invocation take its lap. Raises: FenceLost."""
        with self._lock:
            session, known = self._read(sid, lane, lap)
            step = moves.claimed(session, known, lane, lap, request_id, utc_us)
            self._write(step)
            return step.session.recording

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        """Write a lap's progress, move the recording's status forward, learn orders."""
        moves.check_told(progress)
        with self._lock:
            if sid not in self._sessions:
                return Orders(stop=False, fenced=True)
            session, known = self._read(sid, lane, lap)
            stop = session.recording.status is Status.STOP_REQUESTED
            newest = session.recording.fence.get(lane, 0) == lap
            if known is None or known.state is not LapState.RUNNING or not newest:
                return Orders(stop, fenced=True)
            self._laps[sid][lane, lap] = replace(known, progress=progress, beat_utc_us=utc_us)
            self._sessions[sid] = moves.told(session, progress.status) or session
            heir_k, relieved = self._heirs.get((sid, lane, lap), (-1, False))
            return Orders(stop, fenced=False, heir_k=heir_k, relieved=relieved)

    def set_origin(self, sid: str, origin_utc_us: int) -> int:
        """Fix the UTC of recording timeline 0, first wins; return the one that holds."""
        with self._lock:
            session = self._session(sid)
            if not session.recording.origin_utc_us:
                recording = replace(session.recording, origin_utc_us=origin_utc_us)
                self._sessions[sid] = replace(session, recording=recording)
            return self._sessions[sid].recording.origin_utc_us

    def put_init(self, sid: str, row: InitRow) -> None:
        """Keep an init segment's description; the same number again changes nothing."""
        with self._lock:
            self._inits.setdefault(sid, {}).setdefault(row.number, row)

    def inits(self, sid: str) -> Sequence[InitRow]:
        """Return the init segments of a recording by number."""
        with self._lock:
            rows = self._inits.get(sid, {})
            return [rows[number] for number in sorted(rows)]

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        """Make a segment part of the recording. Raises: FenceLost."""
        with self._lock:
            rows = self._segments.setdefault(sid, {})
            holder = rows.get(row.k)
            if holder is not None and holder.key == row.key:
                return True
            recording = self._session(sid).recording
            if recording.fence.get(row.lane, 0) != fence or recording.status not in LIVE:
                raise FenceLost(f"lap {row.lane}{fence} may not write to {sid} any more")
            if holder is None:
                rows[row.k] = row
                insort(self._buckets.setdefault(sid, []), row.k)
            return holder is None

    def segments(self, sid: str, *, after: int = -1) -> Iterator[SegmentRow]:
        """Return the index in ascending order of k, from the first k greater than `after`."""
        with self._lock:
            rows, buckets = self._segments.get(sid, {}), self._buckets.get(sid, [])
            found = [rows[k] for k in buckets[bisect_right(buckets, after) :]]
        yield from found

    def segment(self, sid: str, k: int) -> SegmentRow | None:
        """Return the row of bucket `k`, None while it has no owner."""
        with self._lock:
            return self._segments.get(sid, {}).get(k)

    def newest(self, sid: str, count: int) -> Sequence[SegmentRow]:
        """Return the last `count` rows of the index, or all if there are fewer; ascending."""
        with self._lock:
            rows = self._segments.get(sid, {})
            return [rows[k] for k in self._buckets.get(sid, [])[-count:]]

    def inherit(self, sid: str, lane: str, lap: int, heir_k: int, *, relieve: bool) -> None:
        """Tell a running lap that its successor builds `heir_k` and all after it."""
        with self._lock:
            known = self.lap(sid, lane, lap)
            if known is not None and known.state is LapState.RUNNING:
                relieved = self._heirs.get((sid, lane, lap), (-1, False))[1]
                self._heirs[sid, lane, lap] = heir_k, relieve or relieved

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
        with self._lock:
            session, known = self._read(sid, lane, lap)
            step = moves.ended(session, known, reason, failure, progress, utc_us)
            if step is not None:
                self._write(step)

    def declare_dead(
        self, sid: str, lane: str, lap: int, failure: Failure, utc_us: int, unchanged_since: int
    ) -> bool:
        """Close a lap that no longer beats; False if it moved meanwhile."""
        with self._lock:
            session, known = self._read(sid, lane, lap)
            step = moves.dead(session, known, lane, lap, failure, utc_us, unchanged_since)
            if step is not None:
                self._write(step)
            return step is not None

    def lap(self, sid: str, lane: str, lap: int) -> Lap | None:
        """Return one lap, None if it was never noted nor claimed."""
        with self._lock:
            return self._laps.get(sid, {}).get((lane, lap))

    def laps(self, sid: str) -> Sequence[Lap]:
        """Return the laps of a recording, oldest first."""
        with self._lock:
            return moves.oldest_first(list(self._laps.get(sid, {}).values()))

    def recent_laps(self, sid: str) -> Sequence[Lap]:
        """Return the newest laps of each lane, two at least, oldest first."""
        with self._lock:
            wanted = moves.recent_places(self._session(sid).recording)
            laps = self._laps.get(sid, {})
            return moves.oldest_first([laps[place] for place in wanted if place in laps])

    def give_up(self, sid: str, reason: Reason, failure: Failure | None, utc_us: int) -> bool:
        """End a live recording that no lap has open; False if it cannot be ended so."""
        with self._lock:
            step = moves.given_up(self._session(sid), reason, failure, utc_us)
            if step is not None:
                self._write(step)
            return step is not None

    def unsealed(self) -> Iterator[Recording]:
        """Return every recording that is not sealed, oldest first."""
        with self._lock:
            found = [session.recording for session in self._sessions.values()]
        yield from sorted((each for each in found if not each.sealed_utc_us), key=_age)

    def request_stop(self, sid: str, utc_us: int) -> Recording:
        """Ask a live recording to stop. Raises: RecordingNotFound, AlreadyEnded."""
        with self._lock:
            step = moves.stop_requested(self._session(sid), utc_us)
            if step is not None:
                self._write(step)
            return self._sessions[sid].recording

    def advance(self, sid: str, status: Status) -> Recording:
        """Move the status of a recording that runs elsewhere forward. Raises: RecordingNotFound."""
        with self._lock:
            step = moves.advanced(self._session(sid), status)
            if step is not None:
                self._write(step)
            return self._sessions[sid].recording

    def mark_sealed(self, sid: str, utc_us: int) -> Recording:
        """Note that the recording is sealed. Raises: RecordingNotFound, ServiceFault."""
        with self._lock:
            step = moves.sealed(self._session(sid), utc_us)
            if step is not None:
                self._write(step)
            return self._sessions[sid].recording

    def _session(self, sid: str) -> Session:
        if sid not in self._sessions:
            raise moves.not_found(sid)
        return self._sessions[sid]

    def _read(self, sid: str, lane: str, lap: int) -> tuple[Session, Lap | None]:
        return self._session(sid), self._laps.get(sid, {}).get((lane, lap))

    def _write(self, step: Step) -> None:
        recording = step.session.recording
        self._sessions[recording.sid] = step.session
        if step.lap is not None:
            self._laps.setdefault(recording.sid, {})[step.lap.lane, step.lap.lap] = step.lap
        if step.released:
            self._live.pop(_name(recording), None)


def _name(recording: Recording) -> Name:
    return recording.app, recording.channel, recording.recorder_uid


def _age(recording: Recording) -> tuple[int, str]:
    return recording.created_utc_us, recording.sid
