"""What callers send and get about a recording that runs at a vendor."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from everreel.contract.wire import NAME_PATTERN, Instant, Reply, Wire

LONGEST_TOKEN = 2048
MOST_RESTARTS = 10


class RecordingProvider(StrEnum):
    """Who records: everreel itself, or a vendor's service that it supervises."""

    EVERREEL = "everreel"
    AGORA = "agora"
    AGORA_TRANSCODER = "agora-transcoder"


class VendorLayout(StrEnum):
    """One recording of all publishers, or one of each."""

    MIX = "mix"
    INDIVIDUAL = "individual"


class VendorBody(Wire):
    """What a vendor is told. What lets somebody in stays in the state table."""

    app_id: Annotated[
        str,
        Field(
            pattern=NAME_PATTERN,
            description="The application's id at the vendor.",
            examples=["0123456789abcdef0123456789abcdef"],
        ),
    ]
    layout: Annotated[
        VendorLayout,
        Field(description="The mode of a cloud recording. A transcoder always mixes."),
    ] = VendorLayout.MIX
    token: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_TOKEN,
            description="With which `recorderUid` may join, where the channel asks for one.",
        ),
    ] = None
    backup_token: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_TOKEN,
            description="The same for `backupRecorderUid`.",
        ),
    ] = None
    request: Annotated[
        dict[str, Any],
        Field(
            default_factory=dict,
            description=(
                "The vendor's own start request, passed on: of a cloud recording its "
                "`clientRequest`, of a transcoder the body with `services`. Uid, token and idle "
                "time are put in; so is the deployment's `storageConfig` if there is none."
            ),
            examples=[{"recordingConfig": {"channelType": 1}}],
        ),
    ]
    restarts: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MOST_RESTARTS,
            description="How often a task that ran and was lost is started anew.",
        ),
    ] = 3


class VendorAttemptReply(Reply):
    """An identity that was given up for the next one."""

    uid: str
    task: Annotated[str | None, Field(description="The vendor's id of it; null: never started.")]
    ended_at: Instant
    why: str


class VendorHintsReply(Reply):
    """What the vendor's notices about the present task add up to. Hearsay: the query is the truth.

    Notices come in any order, twice or never. They decide one thing only: whether a task that
    queries confirm to be gone has exited by itself or was lost.
    """

    started: bool
    exited: bool
    abnormal: bool
    stored: Annotated[bool, Field(description="Its files have reached their bucket.")]
    backed_up: Annotated[bool, Field(description="Some wait in the vendor's backup store.")]
    progress: Annotated[int, Field(description="Of the upload, in ten-thousandths.")]
    recorders: Annotated[list[str], Field(description="Uids that spoke of it or took it over.")]
    files: list[str]
    errors: Annotated[list[str], Field(description="Codes, in the vendor's numbers.")]
    newest_at: Instant | None


class VendorReply(Reply):
    """How a recording stands at the vendor. Without credentials."""

    app_id: str
    task: Annotated[
        str | None,
        Field(description="The vendor's id of what runs (sid, taskId); null before it started."),
    ]
    uid: Annotated[str, Field(description="Under which it joins now: main or backup.")]
    health: Annotated[
        str,
        Field(
            description=(
                "unknown, starting, running, ending, ended or failed: by the vendor's answers; "
                "where these say nothing, by its notices."
            )
        ),
    ]
    note: Annotated[str, Field(description="What the last look found.")]
    running_since: Annotated[
        Instant | None, Field(description="When the present task was first seen to run.")
    ]
    next_call_at: Annotated[Instant | None, Field(description="Null once it is over.")]
    playlist: Annotated[
        str | None,
        Field(
            description=(
                "Key of its playlist in the bucket that the vendor was told: by construction for "
                "a mix, else from the vendor's answer. Null while unknown."
            )
        ),
    ]
    restarts: Annotated[int, Field(description="Tasks that ran, were lost and started anew.")]
    attempts: Annotated[
        list[VendorAttemptReply], Field(description="What was given up, oldest first, and why.")
    ]
    hints: VendorHintsReply
