"""What each step does to a recording and a lap: pure rules, shared by every adapter.

An adapter reads a `Session` and the lap in question, asks the rule, and writes what it answers
only if nothing moved meanwhile; otherwise it reads and asks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from everreel.errors import (
    AlreadyEnded,
    EverreelError,
    FenceLost,
    InvalidRequest,
    RecordingConflict,
    RecordingNotFound,
    ServiceFault,
    TicketExpired,
)
from everreel.state.ports import Ticket
from everreel.state.recording import (
    NORMAL_REASONS,
    Failure,
    Lap,
    LapState,
    Progress,
    Reason,
    Recording,
)
from everreel.state.status import LIVE, TERMINAL, Status, may_become

LONGEST_PAGE = 1000

_BEFORE_START = frozenset({Status.NOT_STARTED, Status.INITIALISED})
_TOLD_BY_LAPS = frozenset({Status.STARTING, Status.PARTLY_READY, Status.READY, Status.IN_PROGRESS})
_OPEN = frozenset({LapState.INVOKED, LapState.RUNNING})


@dataclass(frozen=True, slots=True)
class Session:
    """A recording as the table keeps it.

    Attributes:
        recording: the row that callers see.
        lanes: the lanes whose newest lap has not ended; its number is `recording.fence[lane]`.
    """

    recording: Recording
    lanes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """What one move writes.

    Attributes:
        session: the recording after it.
        lap: the lap after it, None if no lap is written.
        fenced: the older lap of the same lane that learns with its next beat that it lost.
        released: (app, channel, recorder uid) is free again.
    """

    session: Session
    lap: Lap | None = None
    fenced: int = 0
    released: bool = False


def not_found(sid: str) -> RecordingNotFound:
    """Say that there is no such recording."""
    return RecordingNotFound(f"no recording has the sid {sid}", field="sid")


def check_limit(limit: int) -> None:
    """Refuse a page size that no store serves. Raises: InvalidRequest."""
    if not 1 <= limit <= LONGEST_PAGE:
        raise InvalidRequest(f"limit must be from 1 to {LONGEST_PAGE}", field="limit")


def refusal(ticket: Ticket | None, holder: str, recording: Recording) -> EverreelError | None:
    """Say why `recording` may not start: its ticket, or the sid that holds its name now."""
    if ticket is None or ticket.expires_utc_us <= recording.created_utc_us:
        return TicketExpired(
            "the resource id is unknown or too old; call acquire and start within five minutes",
            field="resource_id",
        )
    if holder:
        return RecordingConflict(
            f"channel {recording.channel} is being recorded by {recording.recorder_uid} already"
            f" as {holder}; stop that recording or use another recorder uid",
            field="recorder_uid",
        )
    return None


def started(recording: Recording) -> Session:
    """Return a new recording as it is written: always in status STARTING."""
    return Session(replace(recording, status=Status.STARTING))


def invoked(
    session: Session, lap: Lap | None, lane: str, number: int, request_id: str, utc_us: int
) -> Step | None:
    """Note an invocation, or the request id of one noted before; None if nothing is new.

    Raises: FenceLost.
    """
    if lap is not None:
        if lap.request_id or not request_id or lap.state is not LapState.INVOKED:
            return None
        return _take_lane(session, replace(lap, request_id=request_id))
    new = Lap(
        session.recording.sid,
        lane,
        number,
        LapState.INVOKED,
        request_id,
        invoked_utc_us=utc_us,
        beat_utc_us=0,
        progress=Progress(Status.STARTING),
    )
    return _take_lane(session, new)


def claimed(
    session: Session, lap: Lap | None, lane: str, number: int, request_id: str, utc_us: int
) -> Step:
    """Let an invocation take its lap, noted or not. Raises: FenceLost."""
    if lap is not None and lap.state is not LapState.INVOKED:
        raise FenceLost(
            f"lap {lane}{number} was taken by the invocation {lap.request_id} before; this"
            " duplicate leaves"
        )
    new = Lap(
        session.recording.sid,
        lane,
        number,
        LapState.RUNNING,
        request_id,
        invoked_utc_us=utc_us if lap is None else lap.invoked_utc_us,
        beat_utc_us=utc_us,
        progress=Progress(Status.STARTING),
    )
    return _take_lane(session, new)


def _take_lane(session: Session, lap: Lap) -> Step:
    recording = session.recording
    fence = recording.fence.get(lap.lane, 0)
    if recording.status not in LIVE | _BEFORE_START:
        raise FenceLost(f"recording {recording.sid} has ended; lap {lap.lane}{lap.lap} leaves")
    if fence > lap.lap:
        raise FenceLost(f"lap {lap.lane}{lap.lap} is too late: the lane is at {fence}")
    status = Status.STARTING if recording.status in _BEFORE_START else recording.status
    newer = replace(
        recording,
        status=status,
        fence={**recording.fence, lap.lane: lap.lap},
        request_id=lap.request_id,
    )
    outrun = fence if lap.lane in session.lanes and fence < lap.lap else 0
    return Step(Session(newer, session.lanes | {lap.lane}), lap, fenced=outrun)


def told(session: Session, status: Status) -> Session | None:
    """Move a recording forward to what a lap tells; None if it does not move."""
    if not may_become(session.recording.status, status):
        return None
    return replace(session, recording=replace(session.recording, status=status))


def check_told(progress: Progress) -> None:
    """Refuse a status that is not a lap's to tell. Raises: ServiceFault."""
    if progress.status not in _TOLD_BY_LAPS:
        raise ServiceFault(
            f"a lap tells a status from 2 (starting) to 5 (in progress), not {progress.status}"
        )


def ended(
    session: Session,
    lap: Lap | None,
    reason: Reason,
    failure: Failure | None,
    progress: Progress,
    utc_us: int,
) -> Step | None:
    """Close a lap by itself; None if it is closed. Raises: FenceLost."""
    if lap is None:
        raise FenceLost(f"recording {session.recording.sid} knows no such lap; claim it first")
    if lap.state is LapState.ENDED:
        return None
    name = f"lap {lap.lane}{lap.lap}"
    if lap.state is LapState.DEAD:
        raise FenceLost(f"{name} was declared dead before it ended")
    if session.recording.fence.get(lap.lane, 0) != lap.lap:
        raise FenceLost(f"{name} was overtaken by a newer lap before it ended")
    closed = replace(
        lap,
        state=LapState.ENDED,
        beat_utc_us=utc_us,
        progress=progress,
        reason=reason,
        failure=failure,
    )
    return _leave_lane(session, closed, lap.lap, utc_us)


def dead(
    session: Session,
    lap: Lap | None,
    lane: str,
    number: int,
    failure: Failure,
    utc_us: int,
    unchanged_since: int,
) -> Step | None:
    """Close a lap that does not beat any more; None if it moved or is closed."""
    recording = session.recording
    if lap is None:
        # Its invocation was not even noted: whoever started it died on the way.
        lap = Lap(
            recording.sid, lane, number, LapState.INVOKED, "", utc_us, 0, Progress(Status.STARTING)
        )
    fence = recording.fence.get(lane, 0)
    ended_before = lap.state not in _OPEN or recording.status not in LIVE | _BEFORE_START
    if ended_before or lap.beat_utc_us != unchanged_since:
        return None
    reason = Reason.RECORDER_DIED if lap.state is LapState.RUNNING else Reason.NEVER_STARTED
    closed = replace(lap, state=LapState.DEAD, reason=reason, failure=failure)
    if fence > number:
        return Step(session, closed)
    return _leave_lane(session, closed, number + 1, utc_us)


def _leave_lane(session: Session, lap: Lap, fence: int, utc_us: int) -> Step:
    """Close the lane of a lap that has `reason`; with the last lane, the recording."""
    recording = replace(session.recording, fence={**session.recording.fence, lap.lane: fence})
    lanes = session.lanes - {lap.lane}
    if lanes:
        return Step(Session(recording, lanes), lap)
    then = Status.STOPPED if lap.reason in NORMAL_REASONS else Status.ABNORMAL
    if recording.status in _BEFORE_START:
        recording = replace(recording, status=Status.STARTING)
    if not may_become(recording.status, then):
        raise ServiceFault(
            f"recording {recording.sid} is {recording.status.name} and cannot become {then.name}"
        )
    over = replace(
        recording, status=then, ended_utc_us=utc_us, reason=lap.reason, failure=lap.failure
    )
    return Step(Session(over), lap, released=True)


def closed(
    session: Session, reason: Reason, failure: Failure | None, utc_us: int
) -> Session | None:
    """End a recording that runs elsewhere; None if it has ended. Raises: ServiceFault."""
    recording = session.recording
    if session.lanes:
        raise ServiceFault(f"recording {recording.sid} has laps: it ends with the last of them")
    if recording.status not in LIVE:
        return None
    then = Status.STOPPED if reason in NORMAL_REASONS else Status.ABNORMAL
    over = replace(recording, status=then, ended_utc_us=utc_us, reason=reason, failure=failure)
    return replace(session, recording=over)


def stop_requested(session: Session, utc_us: int) -> Session | None:
    """Ask a recording to stop; None if it was asked before. Raises: AlreadyEnded."""
    recording = session.recording
    if recording.status is Status.STOP_REQUESTED:
        return None
    if not may_become(recording.status, Status.STOP_REQUESTED):
        raise AlreadyEnded(
            f"recording {recording.sid} ended with status {recording.status.value}"
            f" ({recording.status.name}); there is nothing to stop",
            field="sid",
        )
    asked = replace(recording, status=Status.STOP_REQUESTED, stop_requested_utc_us=utc_us)
    return replace(session, recording=asked)


def sealed(session: Session, utc_us: int) -> Session | None:
    """Note that a recording is sealed; None if it was. Raises: ServiceFault."""
    recording = session.recording
    if recording.sealed_utc_us:
        return None
    if recording.status not in TERMINAL | {Status.STOPPED}:
        raise ServiceFault(
            f"recording {recording.sid} is {recording.status.name}: a lap may still be writing;"
            " seal it after its last lap has ended or was declared dead"
        )
    status = Status.EXITED if recording.status is Status.STOPPED else recording.status
    return replace(session, recording=replace(recording, status=status, sealed_utc_us=utc_us))


def oldest_first(laps: Sequence[Lap]) -> list[Lap]:
    """Order laps as `Recordings.laps` gives them."""
    return sorted(laps, key=lambda lap: (lap.invoked_utc_us, lap.lap, lap.lane))
