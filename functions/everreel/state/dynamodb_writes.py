"""The conditional writes of the state table, as values: what each one demands and changes."""

from collections.abc import Sequence

from everreel.clock import MICROSECONDS
from everreel.media.index import SegmentRow
from everreel.state import rows
from everreel.state.dynamodb_table import ABSENT, Write
from everreel.state.moves import Session, Step
from everreel.state.ports import Ticket
from everreel.state.recording import LapState, Progress, Recording
from everreel.state.rows import Values
from everreel.state.status import LIVE, Status

DAY_S = 86_400
TICKET_KEPT_S = DAY_S
"""How long an expired ticket is kept, so that a repeated start still finds its recording."""

_LIVE_STATUS = ", ".join(f":live{status.value}" for status in sorted(LIVE))
_LIVE_VALUES = {f"live{status.value}": status for status in LIVE}


def new_ticket(ticket: Ticket) -> Write:
    """Keep a ticket that nobody knows yet."""
    expires = {rows.EXPIRES: ticket.expires_utc_us // MICROSECONDS + TICKET_KEPT_S}
    key = rows.ticket_key(ticket.resource_id)
    return Write("Put", key, row={**rows.ticket_values(ticket), **expires}, condition=ABSENT)


def start(session: Session) -> Sequence[Write]:
    """Use up an unused ticket that is young enough, take a free name, write the recording."""
    recording = session.recording
    return [
        Write(
            "Update",
            rows.ticket_key(recording.resource_id),
            update="SET #used_by = :sid",
            condition="#used_by = :unused AND #expires_utc_us > :now",
            values={"sid": recording.sid, "unused": "", "now": recording.created_utc_us},
        ),
        Write("Put", rows.live_key(recording), row={"sid": recording.sid}, condition=ABSENT),
        Write(
            "Put",
            rows.recording_key(recording.sid),
            row={**rows.session_values(session), "revision": 0},
            condition=ABSENT,
        ),
    ]


def origin(sid: str, origin_utc_us: int) -> Write:
    """Set the origin if there is none."""
    return Write(
        "Update",
        rows.recording_key(sid),
        update="SET #origin_utc_us = :origin ADD #revision :one",
        condition="#origin_utc_us = :unset",
        values={"origin": origin_utc_us, "unset": 0, "one": 1},
    )


def pulse(place: tuple[str, str, int], progress: Progress, utc_us: int, *, tell: bool) -> Write:
    """Write a running lap's progress; unless `tell`, only if it tells no new status."""
    told = ", #told = :told" if tell else ""
    known = "" if tell else " AND #told >= :told"
    return Write(
        "Update",
        rows.lap_key(*place),
        update=f"SET #progress = :progress, #beat_utc_us = :now{told}",
        condition=f"#state = :running{known}",
        values={
            "progress": rows.progress_values(progress),
            "now": utc_us,
            "told": progress.status,
            "running": LapState.RUNNING,
        },
    )


def order(place: tuple[str, str, int], word: str) -> Write:
    """Leave an order ("stop" or "fenced") for a lap's next beat."""
    return Write(
        "Update",
        rows.lap_key(*place),
        update="SET #word = :yes",
        values={"yes": True},
        names={"word": word},
    )


def stops(session: Session) -> Sequence[Write]:
    """Tell every open lap of a recording to stop."""
    recording = session.recording
    return [
        order((recording.sid, lane, recording.fence[lane]), "stop")
        for lane in sorted(session.lanes)
    ]


def inheritance(place: tuple[str, str, int], heir_k: int, *, relieve: bool) -> Write:
    """Tell a running lap of its successor. Alone: only the lap's own end replaces its row now."""
    return Write(
        "Update",
        rows.lap_key(*place),
        update="SET #heir_k = :heir_k" + (", #relieved = :yes" if relieve else ""),
        condition="#state = :running",
        values={"heir_k": heir_k, "yes": True, "running": LapState.RUNNING},
    )


def segment(sid: str, row: SegmentRow, fence: int, expiry: Values) -> Sequence[Write]:
    """Take a free bucket while the recording is live and `fence` is the lane's newest."""
    return [
        Write(
            "Put",
            rows.segment_key(sid, row.k),
            row={**rows.segment_values(row), **expiry},
            condition=ABSENT,
        ),
        Write(
            "ConditionCheck",
            rows.recording_key(sid),
            condition=f"#fence.#lane = :fence AND #status IN ({_LIVE_STATUS})",
            values={"fence": fence, **_LIVE_VALUES},
            names={"lane": row.lane},
        ),
    ]


def changed(session: Session, revision: int, expiry: Values) -> Write:
    """Replace a recording that is still at `revision`. Only an ended one expires."""
    return Write(
        "Put",
        rows.recording_key(session.recording.sid),
        row={
            **rows.session_values(session),
            **(expiry if session.recording.ended_utc_us else {}),
            "revision": revision + 1,
        },
        condition="#revision = :revision",
        values={"revision": revision},
    )


def moved(
    step: Step, revision: int, before: Values | None, expiry: Values, *, same_beat: bool
) -> Sequence[Write]:
    """Replace a recording at `revision` and the lap whose row was `before`.

    A lap's state and orders only change together with the recording, whose revision is checked.
    Its beats do not: whoever relies on them asks for `same_beat`.
    """
    recording = step.session.recording
    writes = [changed(step.session, revision, expiry)]
    if step.lap is not None:
        known = before or {}
        stop = recording.status is Status.STOP_REQUESTED or bool(known.get("stop"))
        row = {
            **rows.lap_values(step.lap),
            **expiry,
            "stop": stop,
            "fenced": bool(known.get("fenced")),
            "told": step.lap.progress.status,
        }
        key = rows.lap_key(recording.sid, step.lap.lane, step.lap.lap)
        condition = "#beat_utc_us = :beat" if same_beat and before is not None else ""
        values = {"beat": step.lap.beat_utc_us}
        writes.append(Write("Put", key, row=row, condition=condition, values=values))
        if step.fenced:
            writes.append(order((recording.sid, step.lap.lane, step.fenced), "fenced"))
    if step.released:
        writes.append(release(recording))
    return writes


def release(recording: Recording) -> Write:
    """Give a recording's name free."""
    holder = {"sid": recording.sid}
    return Write("Delete", rows.live_key(recording), condition="#sid = :sid", values=holder)
