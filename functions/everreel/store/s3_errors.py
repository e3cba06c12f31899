"""What S3 and botocore say, in the store's words."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from everreel.errors import (
    DestinationError,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreUnavailable,
)

_LOST = frozenset({"PreconditionFailed", "412"})
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_BUSY = frozenset(
    {
        # 409: another conditional write of the key is under way; neither has won yet.
        "ConditionalRequestConflict",
        "OperationAborted",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_ELSEWHERE = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "301",
    }
)
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "InvalidToken",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "RequestTimeTooSkewed",
        "TokenRefreshRequired",
    }
)
UPLOAD_GONE = "NoSuchUpload"
_BROKEN_WIRE = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)


class BeyondTheEnd(ObjectMissing):
    """The object is there, but no byte of it lies in the asked range."""


def code_of(error: BaseException | None) -> str:
    """Return the service's name for an error, or the class of one that never reached it."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "")
    return type(error).__name__


def meaning(
    error: BotoCoreError | ClientError, bucket: str, key: str, permission: str
) -> DestinationError:
    """Turn an error of a request on `key` that needs `permission` into the store's words.

    Neither botocore's nor the service's own text is handed on: it may name access keys and users.
    """
    if isinstance(error, ClientError):
        return _refusal(error, bucket, key, permission)
    name = type(error).__name__
    if isinstance(error, _BROKEN_WIRE):
        return StoreUnavailable(f"bucket {bucket} did not answer ({name}) about {key}")
    return StoreDenied(
        f"no request to bucket {bucket} could be made ({name}); check its name, region, endpoint"
        " and that there are credentials"
    )


def _refusal(error: ClientError, bucket: str, key: str, permission: str) -> DestinationError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _LOST:
        return ObjectExists(f"object {key} exists already in bucket {bucket}")
    if code in _ABSENT:
        return ObjectMissing(f"there is no object {key} in bucket {bucket}")
    if code == "InvalidRange":
        return BeyondTheEnd(f"object {key} in bucket {bucket} ends before the asked range")
    if code == "NoSuchBucket":
        return StoreDenied(f"bucket {bucket} does not exist; make it or correct its name")
    if code == "NotImplemented":
        return StoreDenied(
            f"the store of bucket {bucket} does not know a request we need for {key}; it must"
            " support If-None-Match on PUT and multipart uploads"
        )
    if code in _BUSY or status >= 500 or status == 429:
        return StoreUnavailable(f"bucket {bucket} is busy or failing ({code}) about {key}")
    if code in _ELSEWHERE:
        return StoreDenied(f"bucket {bucket} is in another region ({code}); name its own")
    if code in _CREDENTIALS:
        return StoreDenied(f"bucket {bucket} does not accept the credentials ({code}); renew them")
    if status == 403 or code in {"AccessDenied", "403"}:
        return StoreDenied(
            f"bucket {bucket} refuses {permission} on {key}; allow it in the role's and in the"
            " bucket's policy (without s3:ListBucket a missing object is refused like this, too)"
        )
    return StoreDenied(f"bucket {bucket} refuses {permission} on {key}: {code}")
