"""What is heard of our own recordings: events of the bus, and Lambda's records of dead laps. Pure.

Hints like any vendor's: the query is the truth about a recording.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from everreel import redact
from everreel.clock import parse_iso
from everreel.errors import InvalidRequest
from everreel.events.notices import LAST, compact
from everreel.events.ports import Happening
from everreel.state.notices import Notice

EVERREEL = "everreel"
"""The vendor, in notices about our own recordings."""

LONGEST_ERROR = 500
"""Characters of what a dead lap left behind."""


class Own(IntEnum):
    """Numbers of our own kinds, as vendors number theirs; they are in rows, so they stay."""

    RECORDING_STARTED = 1
    LAP_ENDED = 2
    RECORDING_SEALED = 3
    RECORDING_FAILED = 4
    LAP_DIED = 5
    LAP_STARTED = 6
    LAP_LOST = 7


HEARD: Mapping[Happening, Own] = {
    Happening.STARTED: Own.RECORDING_STARTED,
    Happening.LAP_STARTED: Own.LAP_STARTED,
    Happening.LAP_ENDED: Own.LAP_ENDED,
    Happening.LAP_LOST: Own.LAP_LOST,
    Happening.SEALED: Own.RECORDING_SEALED,
    Happening.FAILED: Own.RECORDING_FAILED,
}
"""The events that are listened to. Segments are not: they are many, and the index has them."""

_SID = re.compile(r"[0-9a-f]{32}\Z")
_LANE = re.compile(r"[a-z]\Z")
_REQUEST = re.compile(r"[A-Za-z0-9-]{1,128}\Z")
_WORD = re.compile(r"[A-Za-z]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class DeadLap:
    """A lap whose invocation failed: it crashed, ran out of memory or time, or never got to run.

    Attributes:
        sid: its recording.
        lane: its chain of laps.
        lap: its number, which is its fence.
        request_id: of the invocation.
        condition: why Lambda gave it up: `RetriesExhausted`, `EventAgeExceeded` …
        error: what it left behind, as `type: message`; "" if it never ran.
        utc_us: when Lambda wrote the record.
    """

    sid: str
    lane: str
    lap: int
    request_id: str
    condition: str
    error: str
    utc_us: int


def read_failure(record: Mapping[str, Any]) -> DeadLap:
    """Read Lambda's record of a failed asynchronous invocation of the recorder.

    Source: AWS Lambda, "Capturing records of asynchronous invocations", record version 1.0. As an
    event of the bus it is the detail.
    Raises: InvalidRequest, naming the field, if it is none or the order was not for a lap.
    """
    context = _object(record, "requestContext", "requestContext")
    order = _object(record, "requestPayload", "requestPayload")
    return DeadLap(
        sid=_text(order, "sid", "requestPayload.sid", _SID),
        lane=_text(order, "lane", "requestPayload.lane", _LANE),
        lap=_number(order, "lap", "requestPayload.lap"),
        request_id=_text(context, "requestId", "requestContext.requestId", _REQUEST),
        condition=_text(context, "condition", "requestContext.condition", _WORD),
        error=_error(record.get("responsePayload")),
        utc_us=_instant(record, "timestamp"),
    )


def notice_of_dead_lap(dead: DeadLap) -> Notice:
    """Write down a dead lap; an invocation dies once, whatever the number of its records."""
    return Notice(
        vendor=EVERREEL,
        task=dead.sid,
        event=Own.LAP_DIED,
        uid=f"{dead.lane}{dead.lap}",
        mark=f"n{dead.request_id}",
        channel="",
        utc_us=dead.utc_us,
        detail=compact({"condition": dead.condition, "error": dead.error}),
        notice_id=dead.request_id,
    )


def notice_of_happening(kind: Happening, event: Mapping[str, Any]) -> Notice | None:
    """Write down an event of ours, known by recording, kind and lap: each happens once.

    Returns: None if it is about no recording, as when a request was refused.
    Raises: InvalidRequest, naming the field.
    """
    told = _object(event, "detail", "detail")
    if told.get("sid") == "":
        return None
    lap = ""
    if told.get("lane") is not None:
        lap = _text(told, "lane", "detail.lane", _LANE) + str(_number(told, "lap", "detail.lap"))
    return Notice(
        vendor=EVERREEL,
        task=_text(told, "sid", "detail.sid", _SID),
        event=HEARD[kind],
        uid=lap,
        mark=LAST,
        channel="",
        utc_us=_instant(event, "time"),
        detail=compact({name: each for name, each in told.items() if name != "sid"}),
        notice_id=_text(event, "id", "id", _REQUEST),
    )


def _error(left: object) -> str:
    """Write what the runtime said of a failure in one line, without credentials."""
    if not isinstance(left, dict):
        return ""
    words = [left.get(name) for name in ("errorType", "errorMessage")]
    said = ": ".join(word for word in words if isinstance(word, str) and word)
    return redact.text(said)[:LONGEST_ERROR]


def _object(outer: Mapping[str, Any], name: str, field: str) -> Mapping[str, Any]:
    value = outer.get(name)
    if not isinstance(value, dict):
        raise InvalidRequest(f"{field} must be an object", field=field)
    return value


def _text(outer: Mapping[str, Any], name: str, field: str, form: re.Pattern[str]) -> str:
    value = outer.get(name)
    if not isinstance(value, str) or not form.match(value):
        raise InvalidRequest(f"{field} is missing or not of its form", field=field)
    return value


def _number(outer: Mapping[str, Any], name: str, field: str) -> int:
    value = outer.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 10**6:
        raise InvalidRequest(f"{field} must be a whole number from 1", field=field)
    return value


def _instant(outer: Mapping[str, Any], field: str) -> int:
    value = outer.get(field)
    try:
        return parse_iso(value if isinstance(value, str) else "")
    except ValueError as error:
        raise InvalidRequest(f"{field} must be an instant in ISO 8601", field=field) from error
