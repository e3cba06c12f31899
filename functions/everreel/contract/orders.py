"""Messages between our own functions and the state machine: small, strict, without credentials."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Sid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="The recording session.")]


class Message(BaseModel):
    """Base: camelCase is not used between functions; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return self.model_dump(mode="json")


class LapOrderMessage(Message):
    """Tells `record_lap` which lap to run."""

    sid: Sid
    lane: Annotated[str, Field(pattern=r"^[a-z]$", description="Which chain of laps.")]
    lap: Annotated[int, Field(ge=1, description="Lap number, its fence.")]
    follows: Annotated[
        str,
        Field(
            pattern=r"^([a-z][1-9][0-9]*)?$",
            description="The lap by which it finds its place; empty: none.",
        ),
    ] = ""
    relieves: Annotated[bool, Field(description="That lap leaves when this one commits.")] = False
    recorder_uid: Annotated[str, Field(description="Empty: the recording's own.")] = ""


class OutcomeMessage(Message):
    """How a lap ended, for whoever reads the invocation record."""

    sid: Sid
    reason: str
    fenced: bool
    segments: int
    media_us: int
    error: str | None = None


class WatchMessage(Message):
    """What the state machine carries between looks; see `supervisor.verdict.Watch`."""

    sid: Sid
    looks: int = 0
    steady: int = 0
    suspicion: int = 0
    beat_utc_us: int = 0


class LookOrder(Message):
    """Tells `look` what to look at."""

    watch: WatchMessage


class LookAnswer(Message):
    """What the state machine does next."""

    action: Annotated[str, Field(description="wait, seal, renew or done")]
    wait_s: Annotated[int, Field(ge=0, description="Seconds until the next look.")]
    why: str
    watch: WatchMessage
    name: Annotated[str, Field(description="Of the execution that goes on, if one is to.")] = ""


class LaneWatchMessage(Message):
    """What the machine of a lane carries; see `supervisor.lane.LaneWatch`."""

    sid: Sid
    lane: Annotated[str, Field(pattern=r"^[a-z]$")]
    plans: int = 0
    absences: int = 0


class LostTask(BaseModel):
    """How a task failed, in the words of Step Functions."""

    Error: str = ""


class LaneOrder(BaseModel):
    """Asks `relay_lap` for a plan; with a token, to start the lap that is due."""

    watch: LaneWatchMessage
    owner: Annotated[str, Field(min_length=1, description="Name of the execution.")]
    token: str = ""
    lost: LostTask = LostTask()


class LaneAnswer(Message):
    """What the machine of a lane does next."""

    action: Annotated[str, Field(description="run, wait, renew or done")]
    wait_s: Annotated[int, Field(ge=0, description="Seconds until the next plan.")]
    why: str
    watch: LaneWatchMessage
    name: Annotated[str, Field(description="Of the execution that goes on, if one is to.")] = ""


class HeardAnswer(Message):
    """What became of an event that was listened to."""

    new: Annotated[bool, Field(description="False: a repeat, or about nothing that is kept.")]


class SealOrder(Message):
    """Tells `seal_recording` which recording to close."""

    sid: Sid


class VerifyOrder(Message):
    """Tells `verify_recording` which recording to verify."""

    sid: Sid


class VerifyAnswer(Message):
    """What the verification found, in short: `verify.json` has the rest."""

    sid: Sid
    complete: Annotated[bool, Field(description="False if the function's time was too short.")]
    whole: bool
    problems: int
    segments_read: int


class SealAnswer(Message):
    """What the seal found."""

    sid: Sid
    sealed: Annotated[bool, Field(description="False if a lap is still live: look again later.")]
    status: int
    segments: int
    media_us: int
