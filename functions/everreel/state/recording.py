"""The rows of the state table as records. Times are microseconds: `utc_us` since the epoch."""

from dataclasses import dataclass, field
from enum import StrEnum

from everreel.errors import EverreelError
from everreel.media.hls import Shown
from everreel.media.index import Container
from everreel.state.status import Status

FIRST_LANE = "a"
"""Every recording has this lane; a redundant one has more."""


class ProviderName(StrEnum):
    """Who records: we ourselves, or a vendor that we supervise."""

    EVERREEL = "everreel"
    AGORA = "agora"
    AGORA_TRANSCODER = "agora-transcoder"


class Mode(StrEnum):
    """What one recording holds."""

    INDIVIDUAL = "individual"


class Subscribe(StrEnum):
    """Which media of the uid are recorded."""

    BOTH = "both"
    AUDIO = "audio"
    VIDEO = "video"


class Reason(StrEnum):
    """Why a recording ended."""

    STOPPED = "stopped"
    IDLE = "idle"
    MAX_DURATION = "max_duration"
    LAP_LIMIT = "lap_limit"
    HANDED_OVER = "handed_over"
    SOURCE_FAILED = "source_failed"
    DESTINATION_FAILED = "destination_failed"
    RECORDER_DIED = "recorder_died"
    NEVER_STARTED = "never_started"
    VENDOR_EXITED = "vendor_exited"
    VENDOR_FAILED = "vendor_failed"
    FAULT = "fault"


NORMAL_REASONS = frozenset(
    {
        Reason.STOPPED,
        Reason.IDLE,
        Reason.MAX_DURATION,
        Reason.LAP_LIMIT,
        Reason.HANDED_OVER,
        Reason.VENDOR_EXITED,
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller chose, with the defaults of the native API.

    Attributes:
        segment_s: target segment duration, seconds; a segment lasts up to the keyframe after it.
        max_idle_s: seconds without a publisher after which the recording exits by itself.
        max_duration_s: seconds after which the recording stops; 0 means the deployment's limit.
        container: segment packaging.
        subscribe: media to record.
        mp4: whether seal also makes `recording.mp4`.
        prefix: leading part of every object name, without slashes at its ends; may be empty.
    """

    segment_s: int = 6
    max_idle_s: int = 30
    max_duration_s: int = 0
    container: Container = Container.FMP4
    subscribe: Subscribe = Subscribe.BOTH
    mp4: bool = True
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as the user may read it (redacted)."""

    code: str
    blame: str
    message: str
    field: str | None = None

    @classmethod
    def of(cls, error: EverreelError) -> "Failure":
        """Write an error down as users may read it."""
        return cls(error.code, error.blame.value, error.message, error.field)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording session. `source` may hold credentials: it never leaves the table and the lap.

    Attributes:
        status: place in the life cycle; only `state.status` says which moves are legal.
        fence: per lane the lap number that may write; a lane not named has fence 0.
        request_id: of the asynchronous invocation that records.
        origin_utc_us: UTC of recording timeline 0; 0 until the first keyframe.
        reason: why it ended, once it has.
        provider: who records; what a vendor was told stands in `state.vendor`.
    """

    sid: str
    app: str
    channel: str
    uid: str
    recorder_uid: str
    resource_id: str
    source: str
    mode: Mode
    options: Options
    status: Status
    created_utc_us: int
    fence: dict[str, int] = field(default_factory=dict)
    request_id: str = ""
    origin_utc_us: int = 0
    stop_requested_utc_us: int = 0
    ended_utc_us: int = 0
    sealed_utc_us: int = 0
    reason: Reason | None = None
    failure: Failure | None = None
    provider: ProviderName = ProviderName.EVERREEL


class LapState(StrEnum):
    """Life of one lap."""

    INVOKED = "invoked"
    RUNNING = "running"
    ENDED = "ended"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a lap tells with each beat.

    Attributes:
        status: how far the lap is (2 starting, 3 connected, 4 ready, 5 in progress).
        segments: committed by this lap.
        bytes: committed by this lap, payload of segments.
        media_us: recording timeline position up to which media is committed.
        received_us: position of the newest sample received, >= media_us.
        idle_us: time since media last arrived, 0 while it flows.
        reconnects: how often the source was reopened.
        note: short human text, redacted ("waiting for a publisher: RTSP 404").
        recorded_us: media committed by this lap; laps add up to what the recording holds, because
            every bucket has one owner.
        open_k: number of the segment being built, -1 if none is.
        shift_k: by how much numbers run ahead of buckets, because of breaks within a bucket.
        marks: the newest landmarks of each medium on the recording timeline: by them a joining lap
            finds its place to the microsecond.
        zero_us: where recording timeline 0 lies on the source's own clock, None until known: what
            a lap goes by that takes over from a dead one.
        shown: where the playlists stand, None before the first segment.
    """

    status: Status
    segments: int = 0
    bytes: int = 0
    media_us: int = 0
    received_us: int = 0
    idle_us: int = 0
    reconnects: int = 0
    note: str = ""
    recorded_us: int = 0
    open_k: int = -1
    shift_k: int = 0
    marks: tuple[tuple[int, str], ...] = ()
    zero_us: int | None = None
    shown: Shown | None = None


@dataclass(frozen=True, slots=True)
class LapOrder:
    """Which lap an invocation is to run.

    Attributes:
        follows: the lap it succeeds, lane and number in one word ("a1"); "" for the first.
    """

    sid: str
    lane: str
    lap: int
    follows: str = ""

    @property
    def name(self) -> str:
        """Lane and number in one word: "a1"."""
        return f"{self.lane}{self.lap}"


def parse_lap(name: str) -> tuple[str, int]:
    """Read what `LapOrder.name` wrote."""
    return name[0], int(name[1:])


@dataclass(frozen=True, slots=True)
class Lap:
    """One recorder run in one function invocation. `beat_utc_us` is 0 until it is claimed."""

    sid: str
    lane: str
    lap: int
    state: LapState
    request_id: str
    invoked_utc_us: int
    beat_utc_us: int
    progress: Progress
    reason: Reason | None = None
    failure: Failure | None = None

    @property
    def name(self) -> str:
        """Lane and number in one word: "a1"."""
        return f"{self.lane}{self.lap}"
