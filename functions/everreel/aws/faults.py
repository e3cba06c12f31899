"""Tells a service of AWS that is busy or away from one that refuses."""

from botocore.exceptions import BotoCoreError, ClientError

from everreel.errors import ServiceFault, ServiceUnavailable

TRANSIENT = frozenset({"TooManyRequestsException", "ServiceException", "ThrottlingException"})
"""Error codes after which the same call may succeed, besides every HTTP status from 500 on."""


def fault(what: str, error: ClientError | BotoCoreError) -> ServiceFault:
    """Write a failed call down as an error of ours; `what` says what could not be done."""
    if isinstance(error, BotoCoreError):
        return ServiceUnavailable(f"{what}: {type(error).__name__}")
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    if code in TRANSIENT or status >= 500:
        return ServiceUnavailable(f"{what}: {code}")
    return ServiceFault(f"{what}: {code}")
