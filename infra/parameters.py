"""What a deployment may decide: CDK context values, read once and checked before anything is built.

    cdk deploy -c sourceTemplate=rtmp://media.example/live/{channel}-{uid} -c retentionDays=30

docs/deploying.md lists them all.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ARCHITECTURES = ("arm64", "x86_64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SCHEMES = ("rtmp", "rtmps", "rtsp", "rtsps", "http", "https")
LONGEST_SOURCE = 2048
# Days -> the CDK's name for them.
LOG_PERIODS = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    90: "THREE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    731: "TWO_YEARS",
    1827: "FIVE_YEARS",
}
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,29}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_OURS = re.compile(r"[A-Za-z]+")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


class ParameterError(Exception):
    """A context value is unknown or out of range; the message names it and the fix."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """One deployment's decisions. Units stand in the names.

    Attributes:
        arch: of functions and layers, `arm64` or `x86_64`.
        python: minor version of the runtime; the layers must be built for it.
        stack_name: prefix of everything that has a name; up to 30 characters.
        allow_private_sources: let sources lie at private and loopback addresses.
        source_template: URL with `{channel}` and `{uid}` for requests that name no source.
        max_duration_seconds: when every recording stops; 0 leaves it to the caller.
        retention_days: when objects and rows of ended recordings expire; 0 keeps them.
        log_days: how long logs are kept.
        recorder_memory_mb: a quarter of it may hold media that waits for the store.
        lap_seconds: how long one function records at most; shorter laps mean more hand-overs.
        overlap_seconds: how long two record side by side at a hand-over, and both are paid.
        requests_per_second: steady rate of the API; bursts may be twice as high.
        alarm_email: who is told of alarms; "" leaves them in the console.
        customer_key: encrypt objects with a KMS key of the account's own instead of S3's.
        ephemeral: remove bucket and table with the stack, for trials.
        layer_folder: where the built layers are; "" is `layers/dist`.
    """

    arch: str = "arm64"
    python: str = "3.13"
    stack_name: str = "Everreel"
    allow_private_sources: bool = False
    source_template: str = ""
    max_duration_seconds: int = 0
    retention_days: int = 365
    log_days: int = 30
    recorder_memory_mb: int = 256
    lap_seconds: int = 840
    overlap_seconds: int = 30
    requests_per_second: int = 50
    alarm_email: str = ""
    customer_key: bool = False
    ephemeral: bool = False
    layer_folder: str = ""

    @property
    def drain_seconds(self) -> int:
        """Seconds at the end of a lap in which it stores what it has."""
        return min(25, max(6, self.lap_seconds // 4))

    @property
    def record_seconds(self) -> int:
        """Seconds a lap records."""
        return self.lap_seconds - self.drain_seconds


def one_of(*choices: str) -> Callable[[str, Any], str]:
    """Accept one of some words."""

    def read(name: str, value: Any) -> str:
        if str(value) not in choices:
            raise ParameterError(f"{name}={value}: must be one of {', '.join(choices)}")
        return str(value)

    return read


def whole(lowest: int, highest: int, *, or_zero: bool = False) -> Callable[[str, Any], int]:
    """Accept a whole number within limits, and 0 if it has a meaning of its own."""

    def read(name: str, value: Any) -> int:
        text = str(value)
        number = int(text) if text.isascii() and text.isdigit() else -1
        if not (lowest <= number <= highest or (or_zero and number == 0)):
            zero = "0 or " if or_zero else ""
            raise ParameterError(
                f"{name}={value}: must be {zero}a whole number from {lowest} to {highest}"
            )
        return number

    return read


def truth(name: str, value: Any) -> bool:
    """Accept true or false."""
    text = str(value).lower()
    if text not in _TRUE + _FALSE:
        raise ParameterError(f"{name}={value}: must be true or false")
    return text in _TRUE


def log_days(name: str, value: Any) -> int:
    """Accept a period that CloudWatch Logs knows."""
    known = [str(days) for days in LOG_PERIODS]
    if str(value) not in known:
        raise ParameterError(f"{name}={value}: CloudWatch Logs knows {', '.join(known)}")
    return int(value)


def stack_name(name: str, value: Any) -> str:
    """Accept a name that fits into all that is derived from it."""
    if not _STACK_NAME.fullmatch(str(value)):
        raise ParameterError(
            f"{name}={value}: a letter, then up to 29 letters, digits and hyphens are allowed"
        )
    return str(value)


def source_template(name: str, value: Any) -> str:
    """Accept a URL of a protocol we record, with no placeholders but ours and no credentials."""
    text = str(value)
    if not text:
        return ""
    if len(text) > LONGEST_SOURCE:
        raise ParameterError(f"{name}: longer than {LONGEST_SOURCE} characters")
    strange = set(_PLACEHOLDER.findall(text)) - {"channel", "uid", "recorderUid"}
    if strange:
        raise ParameterError(f"{name}: unknown {{{min(strange)}}}; use {{channel}} and {{uid}}")
    address = urlsplit(text)
    if address.scheme not in SCHEMES or not address.hostname:
        raise ParameterError(
            f"{name}: must be an address that starts with {'://, '.join(SCHEMES)}://"
        )
    if address.password:
        raise ParameterError(
            f"{name}: holds a password, which would stand in the template for all to read"
        )
    if "{channel}" not in text:
        raise ParameterError(f"{name}: must contain {{channel}}, or all channels record one stream")
    return text


def email(name: str, value: Any) -> str:
    """Accept an e-mail address or nothing."""
    if value and not _EMAIL.fullmatch(str(value)):
        raise ParameterError(f"{name}={value}: must be an e-mail address")
    return str(value)


def folder(_name: str, value: Any) -> str:
    """Accept any path; missing layers are named when they are looked for."""
    return str(value)


# Context key -> (field, reader).
_READERS: Mapping[str, tuple[str, Callable[[str, Any], Any]]] = {
    "arch": ("arch", one_of(*ARCHITECTURES)),
    "python": ("python", one_of(*PYTHONS)),
    "stackName": ("stack_name", stack_name),
    "allowPrivateSources": ("allow_private_sources", truth),
    "sourceTemplate": ("source_template", source_template),
    "maxDurationSeconds": ("max_duration_seconds", whole(10, 31_536_000, or_zero=True)),
    "retentionDays": ("retention_days", whole(1, 3650, or_zero=True)),
    "logDays": ("log_days", log_days),
    "recorderMemory": ("recorder_memory_mb", whole(192, 10_240)),
    "lapSeconds": ("lap_seconds", whole(20, 880)),
    "overlapSeconds": ("overlap_seconds", whole(5, 120)),
    "requestsPerSecond": ("requests_per_second", whole(1, 10_000)),
    "alarmEmail": ("alarm_email", email),
    "customerKey": ("customer_key", truth),
    "ephemeral": ("ephemeral", truth),
    "layerFolder": ("layer_folder", folder),
}
KEYS = tuple(_READERS)


def read(context: Mapping[str, Any]) -> Parameters:
    """Read the parameters from CDK context.

    Keys of the CDK's own (they hold a colon, a slash or a hyphen) are left alone.

    Raises:
        ParameterError: a value is out of range, or a plain word is no parameter of ours.
    """
    unknown = sorted(key for key in context if _OURS.fullmatch(key) and key not in _READERS)
    if unknown:
        raise ParameterError(f"{unknown[0]}: no such parameter; there are {', '.join(KEYS)}")
    given = {
        field: reader(key, context[key])
        for key, (field, reader) in _READERS.items()
        if context.get(key) is not None
    }
    parameters = Parameters(**given)
    if parameters.record_seconds < 2 * parameters.overlap_seconds:
        raise ParameterError(
            f"overlapSeconds={parameters.overlap_seconds}: a lap records "
            f"{parameters.record_seconds} s, which must be at least twice the overlap"
        )
    return parameters


def words(text: str) -> dict[str, str]:
    """Read `key=value` words, as the CONTEXT variable of the make targets holds them.

    Raises:
        ParameterError: a word has no equals sign.
    """
    found = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            raise ParameterError(f"CONTEXT: {word!r} is not key=value; known are {', '.join(KEYS)}")
        found[key] = value
    return found
