"""What leaves on the bus: the detail of each event that everreel publishes (source `everreel`).

Delivered at least once and in any order: hints. `GET /v1/recordings/{sid}` has the truth.
"""

from typing import Annotated

from pydantic import Field

from everreel.contract.wire import Instant, Reply, Sid

Lane = Annotated[str, Field(pattern=r"^[a-z]$", description="Which chain of laps.")]
LapNumber = Annotated[int, Field(ge=1, description="Number of the lap in its lane.")]


Provider = Annotated[str, Field(description="Who records; everreel, unless a vendor does.")]
VendorTaskId = Annotated[str, Field(description="The vendor's id of its task, if one records.")]


class EventError(Reply):
    """What went wrong, without credentials."""

    code: str
    message: str
    field: str | None = None


class RecordingStarted(Reply):
    """The first segment is stored and can be played, or a vendor was seen to record."""

    sid: Sid
    start_time: Annotated[Instant, Field(description="UTC of second 0 of the recording.")]
    playlist: Annotated[
        str, Field(description="Key of the HLS playlist; a vendor's may be unknown yet: empty.")
    ]
    provider: Provider = "everreel"
    task: VendorTaskId = ""


class SegmentCommitted(Reply):
    """A segment became part of the recording."""

    sid: Sid
    k: Annotated[int, Field(ge=0, description="Its number.")]
    key: Annotated[str, Field(description="Key of its object.")]
    start_time: Instant
    duration_seconds: float
    size: Annotated[int, Field(description="Bytes.")]
    lane: Lane
    lap: LapNumber


class LapStarted(Reply):
    """A run of the recorder was invoked after the first one."""

    sid: Sid
    lane: Lane
    lap: LapNumber
    follows: Annotated[
        str | None, Field(description="The lap whose place it takes or beside which it records.")
    ]
    why: Annotated[str, Field(description="`planned`, or what happened: `takeover: …`.")]
    attempt: Annotated[
        int, Field(ge=0, description="Laps of its lane that failed in a row before it.")
    ]


class LapLost(Reply):
    """A run of the recorder died without a word; the recording goes on with another one."""

    sid: Sid
    lane: Lane
    lap: LapNumber
    error: EventError


class LapEnded(Reply):
    """A run of the recorder is over."""

    sid: Sid
    lane: Lane
    lap: LapNumber
    reason: Annotated[str, Field(description="As in the API's answer to a query.")]
    segments: Annotated[int, Field(description="Committed by this lap.")]
    media_seconds: Annotated[
        float, Field(description="Timeline position up to which media are stored.")
    ]
    error: EventError | None = None


class RecordingSealed(Reply):
    """The recording is complete: every file it will ever have is in the bucket.

    Of one that runs at a vendor: its task is over; the vendor's notices tell of its files.
    """

    sid: Sid
    status: Annotated[int, Field(description="8 exited or 20 abnormal.")]
    reason: str | None
    segments: int
    recorded_seconds: float
    coverage: float | None
    manifest: Annotated[
        str | None, Field(description="Key of recording.json, if media of ours exist.")
    ]
    provider: Provider = "everreel"
    task: VendorTaskId = ""
    playlist: Annotated[
        str, Field(description="Key of the vendor's playlist, if it records and told one.")
    ] = ""


class RecordingFailed(Reply):
    """A start was refused (then `sid` is empty), or nobody could go on recording."""

    sid: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")]
    error: EventError
    lane: Lane | None = None
    lap: LapNumber | None = None
    request_id: Annotated[
        str | None, Field(description="Of the invocation that refused the start.")
    ] = None
    event_id: Annotated[
        str | None, Field(description="Of the `RecordingRequested` event that was refused.")
    ] = None


class VendorNotice(Reply):
    """A vendor says that something happened to a task of its own. Repeats are not left out."""

    sid: Annotated[str, Field(pattern=r"^$", description="Empty: the task is the vendor's.")]
    vendor: Annotated[str, Field(description="`agora` or `tencent`.")]
    task: Annotated[str, Field(description="The vendor's id of the task: its sid or taskId.")]
    event: Annotated[int, Field(ge=0, description="The vendor's number of what happened.")]
    uid: Annotated[str, Field(description="Of the recorder that says so, if it names itself.")]
    mark: Annotated[
        str,
        Field(description="With vendor, task, event and uid: the same in repeats of this notice."),
    ]
    channel: Annotated[str, Field(description="Channel or room, if the notice names it.")]
    at: Annotated[Instant, Field(description="When it happened, by the vendor's clock.")]
    notice_id: Annotated[str, Field(description="The vendor's id of the notice, or empty.")]
    detail: Annotated[
        object, Field(description="What the vendor tells, in its own words, without credentials.")
    ]
