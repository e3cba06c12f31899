"""The repository of recordings: every write is conditional, no path scans."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from everreel.state.recording import (
    Failure,
    InitRow,
    Lap,
    Progress,
    Reason,
    Recording,
    SegmentRow,
)
from everreel.state.status import Status


@dataclass(frozen=True, slots=True)
class Ticket:
    """What acquire hands out: the right to start one recording within five minutes."""

    resource_id: str
    app: str
    channel: str
    recorder_uid: str
    expires_utc_us: int
    used_by: str = ""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a lap learns from its beat.

    Attributes:
        stop: somebody asked the recording to stop.
        fenced: another lap owns the lane; leave quietly.
    """

    stop: bool
    fenced: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first; `next_token` is "" on the last page."""

    recordings: Sequence[Recording]
    next_token: str


class Recordings(Protocol):
    """The state table (tests/contract/test_recordings.py, one test per sentence).

    Promises: every write is one conditional step, so of any number of racing writers the first
    wins and the others learn it; a status never makes a move that `state.status` does not list;
    what a method returned can be read at once by anyone.
    Errors: the ones named, and `StateUnavailable`.
    """

    def put_ticket(self, ticket: Ticket) -> None:
        """Keep a ticket until it expires; putting the same one again changes nothing."""
        ...

    def ticket(self, resource_id: str) -> Ticket | None:
        """Return a ticket, used or not; None if unknown or long expired."""
        ...

    def create(self, recording: Recording) -> Recording:
        """Start a recording: use up its ticket, take (app, channel, recorder uid), write the row.

        All or nothing. If the ticket was used already, return the recording it started.
        Raises: TicketExpired if unknown or too old at `recording.created_utc_us`;
            RecordingConflict if the same (app, channel, recorder uid) is live, naming its sid.
        """
        ...

    def find(self, sid: str) -> Recording | None:
        """Return a recording, None if there is no such sid."""
        ...

    def list(self, app: str, *, limit: int, token: str = "") -> Page:
        """List an app's recordings, newest first. Raises: InvalidRequest for a foreign token."""
        ...

    def invoked(self, sid: str, lane: str, lap: int, request_id: str, utc_us: int) -> None:
        """Note that lap `lap` of `lane` was invoked and give it the fence.

        Idempotent per (lane, lap). Raises: FenceLost if the lane has a newer lap.
        """
        ...

    def claim(self, sid: str, lane: str, lap: int, request_id: str, utc_us: int) -> Recording:
        """Let an invocation take its lap: the first one only, and only with the newest fence.

        Moves status 0–2 to STARTING. Raises: FenceLost for a duplicate or late invocation, or when
        the recording is no longer live.
        """
        ...

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        """Write a lap's progress, move the recording's status forward with it, learn orders."""
        ...

    def set_origin(self, sid: str, origin_utc_us: int) -> int:
        """Fix the UTC of recording timeline 0, first wins; return the one that holds."""
        ...

    def put_init(self, sid: str, row: InitRow) -> None:
        """Keep an init segment's description; the same number again changes nothing."""
        ...

    def inits(self, sid: str) -> Sequence[InitRow]:
        """Return the init segments of a recording by number."""
        ...

    def commit(self, sid: str, row: SegmentRow, fence: int) -> bool:
        """Make a segment part of the recording; False if bucket `row.k` belongs to somebody else.

        A repeat of the very same row (same key) is True. Raises: FenceLost if `fence` is not the
        newest of `row.lane`.
        """
        ...

    def segments(self, sid: str, *, after: int = -1) -> Iterator[SegmentRow]:
        """Return the index in ascending order of k, from the first k greater than `after`."""
        ...

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
        """Close a lap; with the last running lap of the recording, move it to STOPPED or ABNORMAL.

        STOPPED for normal reasons, ABNORMAL otherwise; releases (app, channel, recorder uid).
        A repeat changes nothing. Raises: FenceLost if the lap was declared dead or fenced before.
        """
        ...

    def declare_dead(
        self, sid: str, lane: str, lap: int, failure: Failure, utc_us: int, unchanged_since: int
    ) -> bool:
        """Close a lap that no longer beats (its newest beat is still `unchanged_since`).

        Raises its fence so that a zombie cannot write; recording becomes ABNORMAL with reason
        `recorder_died` (`never_started` if it never beat); releases the name. False if the lap
        moved meanwhile.
        """
        ...

    def laps(self, sid: str) -> Sequence[Lap]:
        """Return the laps of a recording, oldest first."""
        ...

    def request_stop(self, sid: str, utc_us: int) -> Recording:
        """Ask a live recording to stop; repeatable. Raises: RecordingNotFound, AlreadyEnded."""
        ...

    def mark_sealed(self, sid: str, utc_us: int) -> Recording:
        """Note that the recording is sealed: STOPPED becomes EXITED, ABNORMAL stays. Repeatable.

        Raises: RecordingNotFound; ServiceFault if a lap is still live.
        """
        ...


__all__ = ["Orders", "Page", "Recordings", "Status", "Ticket"]
