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
    PASSING_REASONS,
    Failure,
    Lap,
    LapOrigin,
    LapState,
    Progress,
    Reason,
    Recording,
    Reliability,
)
from everreel.state.status import LIVE, TERMINAL, Status, may_become

LONGEST_PAGE = 1000

_BEFORE_START = frozenset({Status.NOT_STARTED, Status.INITIALISED})
_TOLD_BY_LAPS = frozenset({Status.STARTING, Status.PARTLY_READY, Status.READY, Status.IN_PROGRESS})
_PASSING_CODES = frozenset({"store_too_slow"})
"""Failures of one lap's way to the store: the next lap has a way of its own."""


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
    session: Session,
    lap: Lap | None,
    lane: str,
    number: int,
    request_id: str,
    utc_us: int,
    origin: LapOrigin,
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
        origin=origin,
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
        origin=LapOrigin() if lap is None else lap.origin,
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


def advanced(session: Session, status: Status) -> Step | None:
    """Move a recording that runs elsewhere forward; None if it does not move."""
    further = told(session, status)
    return None if further is None else Step(further)


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
        ended_utc_us=utc_us,
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
    ended_before = not lap.open or recording.status not in LIVE | _BEFORE_START
    if ended_before or lap.beat_utc_us != unchanged_since:
        return None
    reason = Reason.RECORDER_DIED if lap.state is LapState.RUNNING else Reason.NEVER_STARTED
    closed = replace(lap, state=LapState.DEAD, reason=reason, failure=failure, ended_utc_us=utc_us)
    if fence > number:
        return Step(session, closed)
    return _leave_lane(session, closed, number + 1, utc_us)


def _leave_lane(session: Session, lap: Lap, fence: int, utc_us: int) -> Step:
    """Close the lane of a lap that has `reason`; with the last lane, maybe the recording.

    Where laps follow each other, a lap that merely passes leaves a recording that lives on.
    """
    recording = replace(session.recording, fence={**session.recording.fence, lap.lane: fence})
    lanes = session.lanes - {lap.lane}
    goes_on = (
        recording.options.reliability is not Reliability.SINGLE
        and recording.status is not Status.STOP_REQUESTED
        and (lap.reason in PASSING_REASONS or (lap.failure and lap.failure.code in _PASSING_CODES))
    )
    if lanes or goes_on:
        return Step(Session(recording, lanes), lap)
    return Step(_over(recording, lap.reason, lap.failure, utc_us), lap, released=True)


def _over(
    recording: Recording, reason: Reason | None, failure: Failure | None, utc_us: int
) -> Session:
    """End a recording that no lap has open."""
    then = Status.STOPPED if reason in NORMAL_REASONS else Status.ABNORMAL
    if recording.status in _BEFORE_START:
        recording = replace(recording, status=Status.STARTING)
    if not may_become(recording.status, then):
        raise ServiceFault(
            f"recording {recording.sid} is {recording.status.name} and cannot become {then.name}"
        )
    return Session(
        replace(recording, status=then, ended_utc_us=utc_us, reason=reason, failure=failure)
    )


def given_up(session: Session, reason: Reason, failure: Failure | None, utc_us: int) -> Step | None:
    """End a live recording that no lap has open; None if one has, or if it has ended."""
    if session.lanes or session.recording.status not in LIVE | _BEFORE_START:
        return None
    return Step(_over(session.recording, reason, failure, utc_us), released=True)


def stop_requested(session: Session, utc_us: int) -> Step | None:
    """Ask a recording to stop; None if it was asked before. Raises: AlreadyEnded.

    One between two laps has nobody to wait for: it stops at once.
    """
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
    between = not session.lanes and recording.options.reliability is not Reliability.SINGLE
    if between and recording.fence:
        return Step(_over(asked, Reason.STOPPED, None, utc_us), released=True)
    return Step(replace(session, recording=asked))


def sealed(session: Session, utc_us: int) -> Step | None:
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
    done = replace(recording, status=status, sealed_utc_us=utc_us)
    return Step(replace(session, recording=done))


def recent_places(recording: Recording) -> list[tuple[str, int]]:
    """Return lane and number of the newest laps of each lane, two at least, if there were any.

    A buried lap leaves its fence one above its number, every other one at it.
    """
    return [
        (lane, number)
        for lane, fence in sorted(recording.fence.items())
        for number in range(max(1, fence - 2), fence + 1)
    ]


def oldest_first(laps: Sequence[Lap]) -> list[Lap]:
    """Order laps as `Recordings.laps` gives them."""
    return sorted(laps, key=lambda lap: (lap.invoked_utc_us, lap.lap, lap.lane))
