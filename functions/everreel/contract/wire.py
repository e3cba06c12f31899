"""What every message on the wire has in common: camelCase, no unknown fields, checked names."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@:+=-]{0,127}$"
"""As `ids.is_name`: fit for object names and URLs."""

PREFIX_PATTERN = (
    r"^([A-Za-z0-9][A-Za-z0-9._@:+=-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._@:+=-]{0,127})*)?$"
)
"""As `media.names.is_prefix`: names between single slashes, or nothing."""

SID_PATTERN = r"^[0-9a-f]{32}$"
RESOURCE_ID_PATTERN = r"^[A-Za-z0-9_-]{1,128}$"

MEANING = {
    NAME_PATTERN: (
        "1 to 128 letters, digits and ._@:+=- with a letter or digit first",
        "leave out spaces, slashes and other signs",
    ),
    PREFIX_PATTERN: (
        "names (letters, digits and ._@:+=-) between single slashes, or empty",
        "write it like team/2026 without a slash at its ends",
    ),
    SID_PATTERN: ("32 lowercase hex digits", "take the sid from the answer to the start"),
    RESOURCE_ID_PATTERN: (
        "a resource id of acquire",
        "take it from the answer to POST /v1/acquire as it is",
    ),
}
"""Pattern -> what it asks for, how to get there: for error texts."""


class Wire(BaseModel):
    """Base of what comes in: camelCase names only, unknown fields are refused."""

    model_config = ConfigDict(  # type: ignore[pydantic-alias]
        # Read from JSON, never built in Python, so no checker needs to know the aliases.
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )


class Reply(BaseModel):
    """Base of what goes out: made from snake_case, dumped as camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
    )

    def dump(self) -> dict[str, Any]:
        """Return the JSON form; a field without a value is null, never left out."""
        return self.model_dump(mode="json", by_alias=True)


def _name(description: str, **more: Any) -> Any:
    return Field(pattern=NAME_PATTERN, description=description, **more)


App = Annotated[str, _name("The caller's application; recordings of different apps never collide.")]
Channel = Annotated[str, _name("The live room or stream path.", examples=["lobby"])]
Uid = Annotated[str, _name("The publisher that is recorded.", examples=["camera-1"])]
RecorderUid = Annotated[
    str,
    _name(
        "The identity under which the recorder joins. (app, channel, recorderUid) is recorded at "
        "most once at a time: give each of several recordings of a channel its own."
    ),
]
Instant = Annotated[str, Field(examples=["2026-01-31T12:00:00.000Z"], description="UTC, ISO 8601.")]
Sid = Annotated[
    str, Field(pattern=SID_PATTERN, description="The recording session: 32 lowercase hex digits.")
]
ResourceId = Annotated[
    str,
    Field(
        pattern=RESOURCE_ID_PATTERN,
        description="The ticket of acquire: starts one recording, within five minutes.",
    ),
]

DEFAULT_APP = "default"
DEFAULT_RECORDER_UID = "recorder"
