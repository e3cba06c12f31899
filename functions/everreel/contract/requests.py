"""What callers send: the native API's bodies and queries, and the event that asks for a start."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from everreel.contract.vendor import RecordingProvider, VendorBody
from everreel.contract.wire import (
    DEFAULT_APP,
    DEFAULT_RECORDER_UID,
    PREFIX_PATTERN,
    App,
    Channel,
    RecorderUid,
    ResourceId,
    Uid,
    Wire,
)

MONTH_S = 2_592_000
LONGEST_URL = 2048
LONGEST_PREFIX = 512
LONGEST_REQUEST_KEY = 255


class RecordingMode(StrEnum):
    """What one recording holds."""

    INDIVIDUAL = "individual"


class SegmentContainer(StrEnum):
    """How segments are packaged: CMAF fMP4 (HLS and DASH) or MPEG-TS (HLS)."""

    FMP4 = "fmp4"
    MPEGTS = "mpegts"


class Media(StrEnum):
    """Which media of the uid are recorded."""

    BOTH = "both"
    AUDIO = "audio"
    VIDEO = "video"


class ReliabilityWish(StrEnum):
    """How many laps of the recorder run side by side."""

    ECONOMY = "economy"
    REDUNDANT = "redundant"


class AcquireBody(Wire):
    """Asks for the right to start one recording."""

    app: App = DEFAULT_APP
    channel: Channel
    recorder_uid: RecorderUid = DEFAULT_RECORDER_UID


class OptionsBody(Wire):
    """How to record."""

    segment_seconds: Annotated[
        int,
        Field(
            strict=True,
            ge=2,
            le=30,
            description="Target length of a segment, in seconds; each ends at the next keyframe.",
        ),
    ] = 6
    max_idle_seconds: Annotated[
        int,
        Field(
            strict=True,
            ge=5,
            le=MONTH_S,
            description=(
                "Seconds without a publisher after which the recording exits by itself; one that "
                "returns sooner continues the same recording."
            ),
        ),
    ] = 30
    max_duration_seconds: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MONTH_S,
            description="Seconds after which the recording stops; 0: the deployment's limit only.",
        ),
    ] = 0
    container: Annotated[SegmentContainer, Field(description="How segments are packaged.")] = (
        SegmentContainer.FMP4
    )
    subscribe: Annotated[Media, Field(description="Which media of the uid are recorded.")] = (
        Media.BOTH
    )
    mp4: Annotated[
        bool,
        Field(strict=True, description="Also make `recording.mp4` when the recording is sealed."),
    ] = True
    prefix: Annotated[
        str,
        Field(
            pattern=PREFIX_PATTERN,
            max_length=LONGEST_PREFIX,
            description="Leading part of every object name, without slashes at its ends.",
            examples=["team/2026"],
        ),
    ] = ""
    reliability: Annotated[
        ReliabilityWish,
        Field(
            description=(
                "`economy`: one recorder at a time; a crash leaves a short gap, which is declared. "
                "`redundant`: two at any time, for about twice the price; one may die unnoticed."
            )
        ),
    ] = ReliabilityWish.ECONOMY


class StartWish(Wire):
    """What to record and how: the part of a start that every door shares."""

    channel: Channel
    uid: Uid
    source: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_URL,
            description=(
                "URL of the stream: rtmp(s), rtsp(s), http(s) with FLV, MPEG-TS or HLS. Left out, "
                "the deployment's template for (channel, uid) is used."
            ),
            examples=["rtmp://media.example/live/lobby-camera-1"],
        ),
    ] = None
    mode: Annotated[RecordingMode, Field(description="What the recording holds: one uid.")] = (
        RecordingMode.INDIVIDUAL
    )
    app: Annotated[
        App | None, Field(description="As in acquire; left out, the resource id's or `default`.")
    ] = None
    recorder_uid: Annotated[
        RecorderUid | None,
        Field(description="As in acquire; left out, the resource id's or `recorder`."),
    ] = None
    backup_recorder_uid: Annotated[
        RecorderUid | None,
        Field(
            description=(
                "Under which it joins after three recorders in a row have failed; the two then "
                "alternate. `{recorderUid}` in the source's URL stands for the one in use. A "
                "vendor needs it: there it takes turns when a start fails or a task is lost."
            )
        ),
    ] = None
    provider: Annotated[RecordingProvider, Field(description="Who records.")] = (
        RecordingProvider.EVERREEL
    )
    vendor: Annotated[
        VendorBody | None, Field(description="What the vendor is told; only if one records.")
    ] = None
    options: OptionsBody = OptionsBody()


class StartBody(StartWish):
    """Starts a recording, with a resource id of acquire or in one step without."""

    resource_id: ResourceId | None = None


class RequestedBody(StartWish):
    """Detail of a `RecordingRequested` event, and what is pasted into the cloud console."""

    request_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_REQUEST_KEY,
            description=(
                "A repeat with the same key finds the recording of the first. Left out, the "
                "event's id or the invocation's request id stands for it."
            ),
        ),
    ] = None


class StopBody(Wire):
    """A stop needs to say nothing; an empty object is as good as no body."""


class ListQuery(Wire):
    """Which recordings to list."""

    app: App = DEFAULT_APP
    limit: Annotated[int, Field(ge=1, le=200, description="Recordings in one answer.")] = 50
    token: Annotated[
        str, Field(max_length=1024, description="`nextToken` of the answer before.")
    ] = ""


class HearsayQuery(Wire):
    """How much of what was told to show."""

    limit: Annotated[int, Field(ge=1, le=200, description="Notices in the answer.")] = 50


class DescribeQuery(Wire):
    """How much to tell about a recording."""

    segments: Annotated[
        bool, Field(description="Also list segments, `limit` at a time, from `after` on.")
    ] = False
    after: Annotated[
        int, Field(ge=-1, description="List segments with a greater number k than this.")
    ] = -1
    limit: Annotated[int, Field(ge=1, le=1000, description="Segments in one answer.")] = 100
