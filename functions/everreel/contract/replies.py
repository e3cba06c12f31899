"""What callers get: the native API's answers. Instants are ISO 8601 UTC, durations seconds."""

from typing import Annotated, Any

from pydantic import Field

from everreel.contract.vendor import VendorReply
from everreel.contract.wire import Channel, Instant, Reply, ResourceId, Sid

StatusNumber = Annotated[
    int,
    Field(
        description=(
            "0 not started, 1 initialised, 2 starting, 3 partly ready (connected), 4 ready (first "
            "keyframe seen), 5 in progress (first segment stored), 6 stop requested, 7 stopped, "
            "8 exited (sealed), 20 abnormal."
        )
    ),
]
StatusText = Annotated[str, Field(examples=["in_progress"], description="The status as a word.")]
RequestId = Annotated[
    str,
    Field(description="Request id of the asynchronous invocation that records, as its log shows."),
]
Reason = Annotated[
    str | None,
    Field(
        description=(
            "Why it ended: stopped, idle, max_duration, lap_limit, handed_over, source_failed, "
            "destination_failed, recorder_died, never_started, vendor_exited, vendor_failed or "
            "fault; null while it lives."
        )
    ),
]


class Links(Reply):
    """Where to go on, relative to the API's address."""

    self: str
    stop: str


class AcquireReply(Reply):
    """The right to start one recording."""

    resource_id: ResourceId
    expires_at: Instant


class StartReply(Reply):
    """The recording that was started; media follow."""

    sid: Sid
    resource_id: Annotated[str, Field(description="The ticket that was used up.")]
    request_id: RequestId
    status: StatusNumber
    status_text: StatusText
    links: Links


class ErrorReply(Reply):
    """What went wrong with a recording or a lap."""

    code: str
    blame: Annotated[
        str, Field(description="Who has to act: caller, source, destination or service.")
    ]
    message: str
    field: str | None


class LapReply(Reply):
    """One run of the recorder."""

    lane: str
    lap: int
    why: Annotated[
        str,
        Field(
            description=(
                "Why it was started: `first`, `planned`, `one more is to record`, or `takeover: …` "
                "with the lap that failed and how."
            )
        ),
    ]
    follows: Annotated[
        str | None,
        Field(description="The lap, lane and number, by which it found its place; null: none."),
    ]
    invoked_at: Instant
    ended_at: Annotated[Instant | None, Field(description="When it ended or was declared dead.")]
    state: Annotated[str, Field(description="invoked, running, ended or dead.")]
    request_id: RequestId
    beat_age_seconds: Annotated[
        float | None,
        Field(description="Seconds since its newest heartbeat; null before the first and at end."),
    ]
    segments: int
    reconnects: Annotated[int, Field(description="How often the source was opened again.")]
    note: Annotated[str, Field(description="What it is waiting for, if anything.")]
    reason: Reason
    error: ErrorReply | None


class FileReply(Reply):
    """An object of the recording other than its segments."""

    name: Annotated[str, Field(description="Relative to the recording's folder.")]
    kind: Annotated[
        str,
        Field(
            description=("live, index, mpd, manifest, mp4, poster, init, init-video or init-audio.")
        ),
    ]
    bucket: str
    key: str
    ready: Annotated[
        bool | None,
        Field(
            description=(
                "True: it is there. False: seal will write it. Null: the recording is sealed and "
                "`recording.json` says whether it could be made (mp4, poster)."
            )
        ),
    ]


class GapReply(Reply):
    """Time without media."""

    cause: str
    start_seconds: float
    duration_seconds: float


class SegmentReply(Reply):
    """One segment."""

    k: Annotated[int, Field(description="Its number: rises, and may have holes.")]
    key: Annotated[str, Field(description="Key of its object in the bucket.")]
    start_seconds: Annotated[float, Field(description="On the recording timeline.")]
    duration_seconds: float
    start_time: Instant
    bytes: int
    sha256: str
    init: Annotated[int, Field(description="Number of its init segment; 0 for MPEG-TS.")]
    discontinuity: bool
    gap: Annotated[
        GapReply | None, Field(description="Time without media directly before or inside it.")
    ]
    lane: str
    lap: int


class SegmentPage(Reply):
    """Some segments, in order."""

    items: list[SegmentReply]
    next_after: Annotated[
        int | None,
        Field(description="Ask with `after` = this for what follows; null if nothing does yet."),
    ]


class RecordingSummary(Reply):
    """A recording in a list."""

    sid: Sid
    app: str
    channel: Channel
    uid: str
    recorder_uid: str
    provider: Annotated[str, Field(description="Who records: everreel, agora or agora-transcoder.")]
    status: StatusNumber
    status_text: StatusText
    reason: Reason
    created_at: Instant
    ended_at: Instant | None


class RecordingReply(RecordingSummary):
    """Everything known about a recording. The rows behind it are the truth; events are hints."""

    resource_id: str
    request_id: RequestId
    mode: str
    source: Annotated[str, Field(description="Where it points; credentials are hidden.")]
    error: ErrorReply | None
    origin_at: Annotated[
        Instant | None, Field(description="UTC of second 0 of the recording timeline.")
    ]
    stop_requested_at: Instant | None
    sealed_at: Instant | None
    segments: Annotated[int, Field(description="Segments stored.")]
    bytes: Annotated[int, Field(description="Bytes of those segments.")]
    recorded_seconds: Annotated[
        float,
        Field(description="Media stored, gaps left out. Up to one heartbeat behind while it runs."),
    ]
    received_seconds: Annotated[
        float, Field(description="Timeline position of the newest media received.")
    ]
    gap_seconds: Annotated[
        float, Field(description="Time between the origin and the newest segment without media.")
    ]
    idle_seconds: Annotated[
        float, Field(description="Seconds since media last arrived; 0 while they flow.")
    ]
    elapsed_seconds: Annotated[
        float,
        Field(
            description=(
                "From the origin until now; once it ended, until the newest media received."
            )
        ),
    ]
    coverage: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description=(
                "recordedSeconds / elapsedSeconds; null before the first keyframe. While it runs "
                "the segment being built is missing from it."
            ),
        ),
    ]
    note: Annotated[str, Field(description="What it is waiting for, if anything.")]
    laps: list[LapReply]
    vendor: Annotated[
        VendorReply | None, Field(description="Null unless the recording runs at a vendor.")
    ]
    files: list[FileReply]
    segment_page: Annotated[
        SegmentPage | None, Field(description="Only if `segments=true` asked for it.")
    ]
    links: Links


class StopReply(Reply):
    """The recording is stopping: drain, commit, seal."""

    sid: Sid
    status: StatusNumber
    status_text: StatusText
    links: Links


class VerifyReply(Reply):
    """How far the verification of a recording is, and what it found."""

    sid: Sid
    status: Annotated[
        str,
        Field(
            description=(
                "none, queued, running, done, or interrupted: it began and told nothing of itself "
                "for two minutes (queued: six). After none, done and interrupted it can be asked "
                "for again."
            )
        ),
    ]
    progress: Annotated[int, Field(ge=0, le=100, description="Percent of the segments, read.")]
    read: Annotated[int, Field(description="Segments that were read.")]
    segments: Annotated[int, Field(description="Segments that there are.")]
    complete: Annotated[
        bool,
        Field(description="Every segment was read; false in the end if the time was too short."),
    ]
    whole: Annotated[bool, Field(description="It is complete and nothing is wrong.")]
    requested_at: Instant | None
    updated_at: Instant | None
    files: Annotated[list[str], Field(description="Keys of the report and the timeline picture.")]
    error: Annotated[
        dict[str, str] | None, Field(description="Why there was nothing to verify: code, message.")
    ]
    report: Annotated[
        dict[str, Any] | None,
        Field(
            description=(
                "What was found, as `everreel verify --json` has it: problems with object and "
                "segment, gaps with cause, coverage, laps, changes of writer. Lists end after 500 "
                "entries, `counts` tells of all."
            )
        ),
    ]


class ListReply(Reply):
    """Recordings of an app, newest first."""

    recordings: list[RecordingSummary]
    next_token: Annotated[str | None, Field(description="Null on the last page.")]


class HealthReply(Reply):
    """The API answers."""

    status: str
    version: str


class FactsReply(Reply):
    """What the notices about a task add up to, whatever their order and number."""

    started: bool
    exited: bool
    abnormal: Annotated[bool, Field(description="It came to an end, and not as it should.")]
    stored: Annotated[bool, Field(description="Its files have reached the bucket meant for them.")]
    backed_up: Annotated[bool, Field(description="Some wait in the vendor's backup store.")]
    progress: Annotated[int, Field(description="Of the upload, in ten-thousandths.")]
    recorders: Annotated[
        tuple[str, ...], Field(description="Uids that spoke or took over; our own: laps, as `a1`.")
    ]
    files: Annotated[tuple[str, ...], Field(description="File names that were told.")]
    errors: Annotated[tuple[str, ...], Field(description="Error codes that were told.")]


class ToldReply(Reply):
    """One notice."""

    event: Annotated[int, Field(description="The vendor's number of its kind.")]
    recorder: Annotated[str, Field(description="Uid of the recorder that says so, or empty.")]
    channel: Annotated[str, Field(description="Channel or room, or empty.")]
    at: Annotated[Instant, Field(description="When it happened, by the vendor's clock.")]
    notice_id: Annotated[str, Field(description="The vendor's id of the notice, or empty.")]
    detail: Annotated[object, Field(description="The rest, in the vendor's words.")]


class HearsayReply(Reply):
    """What is known of a task by hearsay; its query has the truth."""

    vendor: str
    task: str
    facts: FactsReply
    notices: Annotated[
        tuple[ToldReply, ...], Field(description="Newest first: up to `limit`, and 1 MiB.")
    ]
    kept: Annotated[int, Field(description="Notices that are kept, shown here or not.")]


class NoticeReply(Reply):
    """The notice was taken; a vendor that reads no such answer tells it again."""

    code: Annotated[int, Field(description="0: taken.")]
