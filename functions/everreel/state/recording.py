"""The rows of the state table as records. Times are microseconds: `utc_us` since the epoch."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from everreel.errors import EverreelError
from everreel.media.hls import Shown
from everreel.media.index import Container
from everreel.state.status import Status

RECORDER_UID = "{recorderUid}"
"""In a source's URL: where servers want to know who it is that plays."""

FIRST_LANE = "a"
"""The lane of every recording's first lap."""


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


class Reliability(StrEnum):
    """How many laps of a recording run side by side, and whether laps follow each other at all."""

    SINGLE = "single"
    ECONOMY = "economy"
    REDUNDANT = "redundant"

    @property
    def width(self) -> int:
        """Laps that record at the same time, hand-overs apart."""
        return 2 if self is Reliability.REDUNDANT else 1

    @property
    def lanes(self) -> str:
        """The lanes that laps take in turn: one more than record, so that a hand-over has room.

        Each lane runs one lap at a time, so the fence that a new lap takes never touches the one
        that it relieves.
        """
        return "a" if self is Reliability.SINGLE else "abc"[: self.width + 1]


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


PASSING_REASONS = frozenset(
    {
        Reason.LAP_LIMIT,
        Reason.HANDED_OVER,
        Reason.FAULT,
        Reason.RECORDER_DIED,
        Reason.NEVER_STARTED,
    }
)
"""Ends of a lap that are not the end of its recording, if laps follow each other."""


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
        reliability: how laps follow each other; single: one lap is all.
    """

    segment_s: int = 6
    max_idle_s: int = 30
    max_duration_s: int = 0
    container: Container = Container.FMP4
    subscribe: Subscribe = Subscribe.BOTH
    mp4: bool = True
    prefix: str = ""
    reliability: Reliability = Reliability.SINGLE


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
        backup_recorder_uid: under which a lap joins after three that failed; they alternate.
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
    backup_recorder_uid: str = ""
    provider: ProviderName = ProviderName.EVERREEL

    @property
    def lanes(self) -> str:
        """The lanes that need a machine to run laps; none at a vendor."""
        ours = self.provider is ProviderName.EVERREEL
        return self.options.reliability.lanes if ours else ""

    def source_for(self, recorder_uid: str) -> str:
        """Return the source's URL as a lap under this uid ("": the recording's own) opens it."""
        return source_for(self.source, recorder_uid or self.recorder_uid)


def source_for(source: str, recorder_uid: str) -> str:
    """Fill in the recorder uid where a source's URL asks for it."""
    return source.replace(RECORDER_UID, quote(recorder_uid, safe=""))


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
        received_us: position of the newest sample received at that moment. Only a dead lap can have
            committed more: what it did after its last beat was added to the rest.
        idle_us: time since media last arrived, 0 while it flows.
        reconnects: how often the source was reopened.
        note: short human text, redacted ("waiting for a publisher: RTSP 404").
        recorded_us: media committed by this lap; laps add up to what the recording holds, because
            every bucket has one owner.
        open_k: number of the segment being built, -1 if none is.
        entered_k: the first segment that it has from its beginning, since it found its place; -1
            before. Once all before it are stored, any other lap may die and nothing is lost.
        due: numbers of the newest whole segments that it is about to commit, unless others do.
        shift_k: by how much numbers run ahead of buckets, because of breaks within a bucket.
        marks: the newest landmarks of each medium on the recording timeline: by them a joining lap
            finds its place to the microsecond.
        zero_us, audio_zero_us: where recording timeline 0 lies on the source's own clock of the
            pictures and of the sound, None until known: what a lap goes by that takes over from a
            dead one.
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
    entered_k: int = -1
    due: tuple[int, ...] = ()
    shift_k: int = 0
    marks: tuple[tuple[int, str], ...] = ()
    zero_us: int | None = None
    audio_zero_us: int | None = None
    shown: Shown | None = None


@dataclass(frozen=True, slots=True)
class LapOrder:
    """Which lap an invocation is to run.

    Attributes:
        follows: the lap by which it finds its place, lane and number in one word ("a1"); "" for
            the first, which makes the place.
        relieves: that lap leaves once this one has committed.
        recorder_uid: under which it joins, if not under the recording's own.
    """

    sid: str
    lane: str
    lap: int
    follows: str = ""
    relieves: bool = False
    recorder_uid: str = ""

    @property
    def name(self) -> str:
        """Lane and number in one word: "a1"."""
        return f"{self.lane}{self.lap}"


def parse_lap(name: str) -> tuple[str, int]:
    """Read what `LapOrder.name` wrote."""
    return name[0], int(name[1:])


@dataclass(frozen=True, slots=True)
class LapOrigin:
    """Why a lap was started.

    Attributes:
        why: in a few words, for whoever reads a query.
        follows: the lap by which it finds its place, "" for none.
        relieves: that lap leaves once this one has committed.
        attempt: laps before it in this lane that failed in a row without a segment.
        recorder_uid: under which it joins, "" for the recording's own.
    """

    why: str = ""
    follows: str = ""
    relieves: bool = False
    attempt: int = 0
    recorder_uid: str = ""


BY_THE_DOOR = LapOrigin("first")
"""The first lap of every recording: the door that starts it invokes it."""


UNKNOWN = LapOrigin()


@dataclass(frozen=True, slots=True)
class Lap:
    """One recorder run in one function invocation.

    Attributes:
        beat_utc_us: its newest beat, 0 until it is claimed.
        ended_utc_us: when it ended or was declared dead, 0 before.
    """

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
    ended_utc_us: int = 0
    origin: LapOrigin = UNKNOWN

    @property
    def open(self) -> bool:
        """Whether it may still record."""
        return self.state in {LapState.INVOKED, LapState.RUNNING}

    @property
    def failed(self) -> bool:
        """Whether it ended as no lap should: somebody has to take over."""
        return not self.open and self.reason not in NORMAL_REASONS

    @property
    def name(self) -> str:
        """Lane and number in one word: "a1"."""
        return f"{self.lane}{self.lap}"
