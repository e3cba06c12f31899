"""The repository of recordings: every write is conditional, no path scans."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from everreel.media.index import InitRow, SegmentRow
from everreel.state.recording import (
    UNKNOWN,
    Failure,
    Lap,
    LapOrigin,
    Progress,
    Reason,
    Recording,
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
        heir_k: the bucket from which on a successor builds all of them, -1 while none does.
        relieved: the successor has committed; leave once the buckets before `heir_k` are safe.
    """

    stop: bool
    fenced: bool
    heir_k: int = -1
    relieved: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first; `next_token` is "" on the last page."""

    recordings: Sequence[Recording]
    next_token: str


class Recordings(Protocol):
    """The state table (tests/contract/test_recordings.py, one test per sentence).

    Promises: every write is one conditional step, so of any number of racing writers the first
    wins and the others learn it; a status never makes a move that `state.status` does not list;
    what a method returned can be read at once by anyone (`list` may follow a moment later).
    Errors: the ones named, `StateUnavailable`, and `ServiceFault` for a use the port forbids.
    Everything may be asked again after `StateUnavailable`; only the repeat of a `claim` that did
    get through looks like a duplicate invocation, and that of a `declare_dead` answers False.
    """

    def put_ticket(self, ticket: Ticket) -> None:
        """Keep a ticket until it expires; putting the same one again changes nothing."""
        ...

    def ticket(self, resource_id: str) -> Ticket | None:
        """Return a ticket, used or not; None if unknown or long expired."""
        ...

    def create(self, recording: Recording) -> Recording:
        """Start a recording: use up its ticket, take (app, channel, recorder uid), write the row.

        All or nothing; its status is STARTING. If the ticket was used already, return the
        recording it started.
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

    def invoked(
        self,
        sid: str,
        lane: str,
        lap: int,
        request_id: str,
        utc_us: int,
        origin: LapOrigin = UNKNOWN,
    ) -> None:
        """Note that lap `lap` of `lane` was invoked, and why, and give it the fence.

        Idempotent per (lane, lap); noted before the invocation with request id "", a second note
        fills it in. A lap that runs already stays as it is.
        Raises: FenceLost if the lane has a newer lap or the recording has ended;
            RecordingNotFound.
        """
        ...

    def claim(self, sid: str, lane: str, lap: int, request_id: str, utc_us: int) -> Recording:
        """Let an invocation take its lap: the first one only, and only with the newest fence.

        The lap may or may not have been noted by `invoked`. Counts as its first beat: until then
        `Lap.beat_utc_us` is 0.
        Raises: FenceLost for a duplicate or late invocation, or when the recording is no longer
            live; RecordingNotFound.
        """
        ...

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        """Write a lap's progress, move the recording's status forward with it, learn orders.

        A lap that ended, died, lost its lane or is unknown is `fenced`, and nothing is written.
        Raises: ServiceFault if it tells a status other than 2 to 5.
        """
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

        A repeat of the very same row (same key) is True, whatever happened since. Raises: FenceLost
        if `fence` is not the newest of `row.lane` or the recording is no longer live, so that an
        ended recording's index stands still; RecordingNotFound.
        """
        ...

    def segments(self, sid: str, *, after: int = -1) -> Iterator[SegmentRow]:
        """Return the index in ascending order of k, from the first k greater than `after`."""
        ...

    def segment(self, sid: str, k: int) -> SegmentRow | None:
        """Return the row of bucket `k`, None while it has no owner."""
        ...

    def newest(self, sid: str, count: int) -> Sequence[SegmentRow]:
        """Return the last `count` rows of the index, or all if there are fewer; ascending."""
        ...

    def inherit(self, sid: str, lane: str, lap: int, heir_k: int, *, relieve: bool) -> None:
        """Tell a running lap that its successor builds bucket `heir_k` and all after it.

        With `relieve`, also that the successor has committed and the lap may leave. The lap learns
        it with its next beat. Repeatable; a lap that does not run is left as it is.
        """
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
        """Close a lap; with the last lane of the recording, move it to STOPPED or ABNORMAL.

        A lane is open while its newest lap is invoked or running. STOPPED for normal reasons,
        ABNORMAL otherwise; releases (app, channel, recorder uid). Where laps follow each other,
        a lap that passes (handed over, out of time, failed) leaves a recording that is live with
        no lane open, unless it was asked to stop.
        A repeat changes nothing. Raises: FenceLost if the lap was declared dead or fenced before.
        """
        ...

    def declare_dead(
        self, sid: str, lane: str, lap: int, failure: Failure, utc_us: int, unchanged_since: int
    ) -> bool:
        """Close a lap that no longer beats (its newest beat is still `unchanged_since`).

        Raises its fence so that a zombie cannot write; with the last lane the recording becomes
        ABNORMAL with reason `recorder_died` (`never_started` if it was never claimed) and releases
        the name, unless laps follow each other and nobody asked it to stop. False if the lap moved
        meanwhile or is closed. A lap that was not even noted (its starter died) is closed with
        `unchanged_since` 0.
        Raises: RecordingNotFound.
        """
        ...

    def lap(self, sid: str, lane: str, lap: int) -> Lap | None:
        """Return one lap, None if it was never noted nor claimed."""
        ...

    def laps(self, sid: str) -> Sequence[Lap]:
        """Return the laps of a recording, oldest first."""
        ...

    def recent_laps(self, sid: str) -> Sequence[Lap]:
        """Return the newest laps of each lane, two at least, oldest first: what is judged by.

        Reads the same few rows however long the recording is. Raises: RecordingNotFound.
        """
        ...

    def give_up(self, sid: str, reason: Reason, failure: Failure | None, utc_us: int) -> bool:
        """End a live recording that no lap has open; False if one has, or if it has ended.

        Moves it as `end_lap` would with the last lane. Raises: RecordingNotFound.
        """
        ...

    def unsealed(self) -> Iterator[Recording]:
        """Return every recording that is not sealed, of all apps, oldest first.

        Follows the other writes within a moment, and costs what the answer holds.
        """
        ...

    def request_stop(self, sid: str, utc_us: int) -> Recording:
        """Ask a live recording to stop; repeatable. Raises: RecordingNotFound, AlreadyEnded.

        One that is between two laps is STOPPED at once.
        """
        ...

    def advance(self, sid: str, status: Status) -> Recording:
        """Move the status of a recording that runs elsewhere forward; backward changes nothing.

        Raises: RecordingNotFound.
        """
        ...

    def mark_sealed(self, sid: str, utc_us: int) -> Recording:
        """Note that the recording is sealed: STOPPED becomes EXITED, ABNORMAL stays. Repeatable.

        Raises: RecordingNotFound; ServiceFault if a lap is still live.
        """
        ...


__all__ = ["Orders", "Page", "Recordings", "Status", "Ticket"]
