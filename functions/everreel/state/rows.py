"""Records as rows of the state table and back: keys, attribute names, value types, list tokens.

One table, keys `PK` and `SK`:

    recording   REC#<sid>                              REC
    lap         REC#<sid>                              LAP#<lane>#<lap:06d>
    init        REC#<sid>                              INIT#<n:06d>
    segment     REC#<sid>                              SEG#<k:010d>
    ticket      TICKET#<resource id>                   TICKET
    live name   LIVE#<app>#<channel>#<recorder uid>    LIVE
    lane        REC#<sid>                              LANE#<lane>
    notice      as `state.notices` says
    vendor      as `state.vendor` says

Index `by_app` (keys `gsi_pk` = `APP#<app>`, `gsi_sk` = `<created_utc_us:020d>#<sid>`, all
attributes) holds recordings alone. Index `unsealed` (keys `open_pk` = `UNSEALED`, `gsi_sk`, all
attributes) holds those that are not sealed: whoever is sealed has no `open_pk`. `expires_at`
(seconds since the epoch) is the TTL attribute.
Segment rows are the many: their attributes have one letter, so that a row costs one write unit.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from everreel.errors import InvalidRequest, ServiceFault
from everreel.media.hls import Shown
from everreel.media.index import Container, InitRow, SegmentRow, TrackDescription
from everreel.media.segment import Cause, Gap, TrackRange
from everreel.state.moves import Session
from everreel.state.ports import Ticket
from everreel.state.recording import (
    Failure,
    Lap,
    LapOrigin,
    LapState,
    Mode,
    Options,
    Progress,
    ProviderName,
    Reason,
    Recording,
    Reliability,
    Subscribe,
)
from everreel.state.status import Status

PARTITION_KEY = "PK"
SORT_KEY = "SK"
INDEX = "by_app"
INDEX_PARTITION_KEY = "gsi_pk"
INDEX_SORT_KEY = "gsi_sk"
UNSEALED_INDEX = "unsealed"
UNSEALED_KEY = "open_pk"
UNSEALED = "UNSEALED"
EXPIRES = "expires_at"

Values = dict[str, Any]
"""A row's attributes as plain values: str, int, bool, bytes, None, list, dict."""

Attributes = dict[str, dict[str, Any]]
"""A row's attributes as DynamoDB's low-level API writes them: `{"S": "text"}`."""

_HIGHEST_BUCKET = 10**10 - 1
_PLACE = re.compile(r"(\d{20})#([^#]{1,64})\Z")


def pack(value: Any) -> dict[str, Any]:
    """Write a plain value as DynamoDB does."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": str(value)}
        case int():
            return {"N": str(int(value))}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": {str(key): pack(each) for key, each in value.items()}}
        case list() | tuple():
            return {"L": [pack(each) for each in value]}
        case _:
            raise ServiceFault(f"a row cannot hold a {type(value).__name__}")


def unpack(attribute: Mapping[str, Any]) -> Any:
    """Read a value that `pack` wrote."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value)
        case "M":
            return {key: unpack(each) for key, each in value.items()}
        case "L":
            return [unpack(each) for each in value]
        case _:
            return value


def attributes(values: Mapping[str, Any]) -> Attributes:
    """Write a row as DynamoDB does."""
    return {name: pack(value) for name, value in values.items()}


def values(row: Mapping[str, Mapping[str, Any]]) -> Values:
    """Read a row that `attributes` wrote."""
    return {name: unpack(attribute) for name, attribute in row.items()}


def recording_key(sid: str) -> Values:
    """Return the key of a recording."""
    return {PARTITION_KEY: f"REC#{sid}", SORT_KEY: "REC"}


def lap_key(sid: str, lane: str, lap: int) -> Values:
    """Return the key of a lap."""
    return {PARTITION_KEY: f"REC#{sid}", SORT_KEY: f"LAP#{lane}#{lap:06d}"}


def lane_key(sid: str, lane: str) -> Values:
    """Return the key of who runs a lane."""
    return {PARTITION_KEY: f"REC#{sid}", SORT_KEY: f"LANE#{lane}"}


def init_key(sid: str, number: int) -> Values:
    """Return the key of an init segment."""
    return {PARTITION_KEY: f"REC#{sid}", SORT_KEY: f"INIT#{number:06d}"}


def segment_key(sid: str, k: int) -> Values:
    """Return the key of bucket `k`; ascending keys are ascending buckets."""
    if not 0 <= k <= _HIGHEST_BUCKET:
        raise ServiceFault(f"bucket {k} lies outside a recording: it must be from 0 to 10^10 - 1")
    return {PARTITION_KEY: f"REC#{sid}", SORT_KEY: f"SEG#{k:010d}"}


def ticket_key(resource_id: str) -> Values:
    """Return the key of a ticket."""
    return {PARTITION_KEY: f"TICKET#{resource_id}", SORT_KEY: "TICKET"}


def live_key(recording: Recording) -> Values:
    """Return the key that only one live recording of a name can hold."""
    name = f"LIVE#{recording.app}#{recording.channel}#{recording.recorder_uid}"
    return {PARTITION_KEY: name, SORT_KEY: "LIVE"}


def index_key(app: str, created_utc_us: int, sid: str) -> Values:
    """Return the key of a recording in the index by app."""
    return {INDEX_PARTITION_KEY: f"APP#{app}", INDEX_SORT_KEY: f"{created_utc_us:020d}#{sid}"}


def page_token(last: Recording) -> str:
    """Make the token that continues a list after `last`."""
    text = f"{last.created_utc_us:020d}#{last.sid}#{last.app}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_page_token(token: str, app: str) -> tuple[int, str]:
    """Read a token of `page_token`: creation time and sid of the last recording seen.

    Raises: InvalidRequest if it is not one, or of another app.
    """
    padded = token + "=" * (-len(token) % 4)
    try:
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    place, _, owner = text.rpartition("#") if text.count("#") == 2 else ("", "", "")
    found = _PLACE.match(place)
    if found is None or owner != app:
        raise InvalidRequest(
            "token is none of ours; leave it out to begin with the newest recording", field="token"
        )
    return int(found.group(1)), found.group(2)


def session_values(session: Session) -> Values:
    """Write a recording; the key is not part of it."""
    recording = session.recording
    return {
        **asdict(recording),
        **index_key(recording.app, recording.created_utc_us, recording.sid),
        **({} if recording.sealed_utc_us else {UNSEALED_KEY: UNSEALED}),
        "lanes": sorted(session.lanes),
    }


def read_session(row: Values) -> Session:
    """Read a recording that `session_values` wrote."""
    options = row["options"]
    recording = Recording(
        sid=row["sid"],
        app=row["app"],
        channel=row["channel"],
        uid=row["uid"],
        recorder_uid=row["recorder_uid"],
        resource_id=row["resource_id"],
        source=row["source"],
        mode=Mode(row["mode"]),
        options=Options(
            **{
                **options,
                "container": Container(options["container"]),
                "subscribe": Subscribe(options["subscribe"]),
                "reliability": Reliability(options["reliability"]),
            }
        ),
        status=Status(row["status"]),
        created_utc_us=row["created_utc_us"],
        fence=row["fence"],
        request_id=row["request_id"],
        origin_utc_us=row["origin_utc_us"],
        stop_requested_utc_us=row["stop_requested_utc_us"],
        ended_utc_us=row["ended_utc_us"],
        sealed_utc_us=row["sealed_utc_us"],
        reason=_reason(row["reason"]),
        failure=_failure(row["failure"]),
        backup_recorder_uid=row["backup_recorder_uid"],
        provider=ProviderName(row.get("provider", ProviderName.EVERREEL)),
    )
    return Session(recording, frozenset(row["lanes"]))


def lap_values(lap: Lap) -> Values:
    """Write a lap; the key is not part of it."""
    return asdict(lap)


def read_lap(row: Values) -> Lap:
    """Read a lap that `lap_values` wrote."""
    return Lap(
        sid=row["sid"],
        lane=row["lane"],
        lap=row["lap"],
        state=LapState(row["state"]),
        request_id=row["request_id"],
        invoked_utc_us=row["invoked_utc_us"],
        beat_utc_us=row["beat_utc_us"],
        progress=_read_progress(row["progress"]),
        reason=_reason(row["reason"]),
        failure=_failure(row["failure"]),
        ended_utc_us=row["ended_utc_us"],
        origin=LapOrigin(**row["origin"]),
    )


def _read_progress(row: Values) -> Progress:
    shown = row["shown"]
    return Progress(
        **{
            **row,
            "status": Status(row["status"]),
            "due": tuple(row.get("due", ())),
            "marks": tuple((at_us, mark) for at_us, mark in row["marks"]),
            "shown": None if shown is None else Shown(**shown),
        }
    )


def progress_values(progress: Progress) -> Values:
    """Write a lap's progress as `lap_values` does."""
    return asdict(progress)


def ticket_values(ticket: Ticket) -> Values:
    """Write a ticket; the key is not part of it."""
    return asdict(ticket)


def read_ticket(row: Values) -> Ticket:
    """Read a ticket that `ticket_values` wrote."""
    return Ticket(**{name: row[name] for name in Ticket.__dataclass_fields__})


def init_values(row: InitRow) -> Values:
    """Write an init segment; the key is not part of it."""
    return asdict(row)


def read_init(row: Values) -> InitRow:
    """Read an init segment that `init_values` wrote."""
    tracks = tuple(TrackDescription(**track) for track in row["tracks"])
    return InitRow(row["number"], tracks, row["keys"])


def segment_values(row: SegmentRow) -> Values:
    """Write a segment; the key is not part of it. What is false or absent takes no room."""
    tracks = [[track.medium, track.offset, track.length, track.units] for track in row.tracks]
    compact: Values = {
        "k": row.k,
        "o": row.key,
        "i": row.init,
        "s": row.start_us,
        "d": row.duration_us,
        "u": row.utc_us,
        "z": row.size,
        "h": row.sha256,
        "t": tracks,
        "l": row.lane,
        "p": row.lap,
    }
    if row.discontinuity:
        compact["x"] = True
    if not row.independent:
        compact["f"] = True
    if not row.whole:
        compact["e"] = True
    if row.gap is not None:
        compact["g"] = [row.gap.cause, row.gap.start_us, row.gap.duration_us]
    return compact


def read_segment(row: Values) -> SegmentRow:
    """Read a segment that `segment_values` wrote."""
    gap = cast("list[Any] | None", row.get("g"))
    return SegmentRow(
        k=row["k"],
        key=row["o"],
        init=row["i"],
        start_us=row["s"],
        duration_us=row["d"],
        utc_us=row["u"],
        size=row["z"],
        sha256=row["h"],
        tracks=tuple(TrackRange(*track) for track in row["t"]),
        discontinuity="x" in row,
        gap=None if gap is None else Gap(Cause(gap[0]), gap[1], gap[2]),
        independent="f" not in row,
        lane=row["l"],
        lap=row["p"],
        whole="e" not in row,
    )


def _reason(name: str | None) -> Reason | None:
    return None if name is None else Reason(name)


def _failure(row: Values | None) -> Failure | None:
    return None if row is None else Failure(**row)
