"""What a deployment decides, read once from the environment and only by `everreel.wiring`."""

import os

from pydantic import BaseModel, ConfigDict, Field

PREFIX = "EVERREEL_"


class Settings(BaseModel):
    """Environment variables `EVERREEL_<FIELD>` of every function.

    A function gets only those it needs; the stack sets them, docs/settings.md explains them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str = Field(default="", description="Name of the state table.")
    bucket: str = Field(default="", description="Bucket that recordings are written to.")
    bus: str = Field(default="", description="Name of the event bus.")
    record_function: str = Field(
        default="", description="ARN of the recorder's alias; a start invokes it asynchronously."
    )
    verify_function: str = Field(
        default="", description="ARN of the alias that verifies; the API invokes it asynchronously."
    )
    state_machine: str = Field(default="", description="ARN of the supervision state machine.")
    lane_machine: str = Field(
        default="", description="ARN of the state machine that runs a recording's lanes."
    )
    api_keys_secret: str = Field(
        default="", description="ARN of the secret that holds the keys callers must present."
    )
    notice_secrets: str = Field(
        default="",
        description=(
            "ARN of the secret with which vendors sign their notices; without one none is taken."
        ),
    )
    look_function: str = Field(
        default="",
        description="ARN of the look's alias; a door invokes it to have a vendor asked at once.",
    )
    agora_secret: str = Field(
        default="",
        description="ARN of the secret with which Agora's APIs are called.",
    )
    source_template: str = Field(
        default="",
        description=(
            "URL with {channel} and {uid} that is recorded when a request names no source, "
            "e.g. rtmp://media.example/live/{channel}-{uid}."
        ),
    )
    allow_private_sources: bool = Field(
        default=False,
        description=(
            "Let sources lie at private and loopback addresses. Off, a caller cannot "
            "make the recorder reach into the network it runs in."
        ),
    )
    max_duration_s: int = Field(
        default=0,
        ge=0,
        description="Seconds after which every recording stops; 0 leaves it to the caller.",
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        description="Days after which state rows expire; 0 keeps them. Objects: bucket lifecycle.",
    )
    beat_s: float = Field(
        default=3.0,
        gt=0,
        le=5,
        description="Seconds between a lap's beats: a stop is seen within one; each costs a write.",
    )
    queue_mib: int = Field(
        default=64,
        ge=8,
        description="MiB of media that may wait for the store; part of the function's memory.",
    )
    drain_s: float = Field(
        default=25.0,
        ge=6,
        description="Seconds before the function's end at which a lap stops recording and drains.",
    )
    lap_s: int = Field(
        default=840,
        ge=20,
        le=880,
        description="Seconds a lap may run, at most the function's timeout less a margin.",
    )
    overlap_s: int = Field(
        default=30,
        ge=5,
        le=120,
        description=(
            "Seconds that two laps record side by side at a hand-over. Shorter, a slow start may "
            "cost the overlap and leave a gap; longer, it is paid twice."
        ),
    )

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process's environment.

        Raises: pydantic.ValidationError naming the field whose value does not fit.
        """
        given = {name: os.environ.get(PREFIX + name.upper()) for name in cls.model_fields}
        return cls.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
