"""An object store on S3 and on everything that speaks its protocol."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from everreel.clock import Clock, SystemClock
from everreel.errors import DestinationError, ObjectExists, ObjectMissing, StoreUnavailable
from everreel.patience import Patience, persist
from everreel.store.keys import check_key, check_prefix
from everreel.store.ports import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ListObjectsV2OutputTypeDef

PART = 8 * 1024 * 1024
"""Units: bytes. Smallest part of a multipart upload, and largest object sent in one request."""

LAST_PART = 10_000
"""A multipart upload has at most so many parts."""

_STEADY_PARTS = 5_000
_GROWTH_PARTS = 1_000
_WRITER = "everreel-put"

Answer = TypeVar("Answer")


def part_size(number: int) -> int:
    """Return the size of part `number` (from 1) of an upload whose length nobody knows yet.

    All alike up to 39 GiB (some stores ask for equal parts), then doubling every 1,000 parts, so
    that 10,000 of them hold 0.5 TiB. Units: bytes.
    """
    doublings = max(0, (number - 1 - _STEADY_PARTS) // _GROWTH_PARTS + 1)
    return PART << doublings


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where a bucket is and who we are there; what is empty comes from the environment.

    Attributes:
        endpoint_url: of a store other than Amazon's.
        region: of the bucket.
        addressing: "virtual" (bucket in the host name), "path", or "auto".
        access_key_id, secret_access_key, session_token: temporary or lasting credentials.
    """

    endpoint_url: str = ""
    region: str = ""
    addressing: Literal["auto", "virtual", "path"] = "auto"
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


def connect(access: S3Access) -> S3Client:
    """Make a client that fails soon and never repeats by itself: `S3Store` decides on that.

    Units: connect within 2 s, no more than 10 s without a byte.
    """
    import boto3  # noqa: PLC0415 - 0.2 s of start-up that only this adapter pays
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 1},
        s3={"addressing_style": access.addressing},
    )
    if access.endpoint_url:
        # Other stores do not know the trailing checksums that botocore adds unasked.
        config = config.merge(
            Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
        )
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint_url or None,
        region_name=access.region or None,
        aws_access_key_id=access.access_key_id or None,
        aws_secret_access_key=access.secret_access_key or None,
        aws_session_token=access.session_token or None,
        config=config,
    )


class S3Store:
    """Keeps each object under `prefix` + key in one bucket; safe for threads.

    Each request is repeated by itself a few times while the store is busy; then `StoreUnavailable`
    reaches the caller, who decides what that means for the recording.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: S3Client | None = None,
        access: S3Access | None = None,
        clock: Clock | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Use `bucket` through `client`, or through one made from `access`."""
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = client or connect(access or S3Access())
        self._clock = clock or SystemClock()
        self._patience = patience or Patience()

    def put_new(self, key: str, body: bytes, content_type: str) -> None:
        """Create an object. Raises: ObjectExists if the key is taken."""
        name = self._name(key)
        writer = secrets.token_hex(8)
        answers: list[StoreUnavailable] = []

        def once() -> None:
            try:
                self._once(
                    "s3:PutObject",
                    key,
                    lambda: self._client.put_object(
                        Bucket=self._bucket,
                        Key=name,
                        Body=body,
                        ContentType=content_type,
                        IfNoneMatch="*",
                        Metadata={_WRITER: writer},
                    ),
                )
            except StoreUnavailable as error:
                answers.append(error)
                raise
            except ObjectExists:
                # An earlier attempt may have arrived although its answer did not.
                if not answers or self._writer_of(key) != writer:
                    raise

        self._persist(once)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Create or replace an object."""
        name = self._name(key)
        self._ask(
            "s3:PutObject",
            key,
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=name, Body=body, ContentType=content_type
            ),
        )

    def put_stream(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        """Create or replace a large object from chunks of any size; return its length in bytes."""
        name = self._name(key)
        parts = _parts(chunks)
        first = next(parts)
        if len(first) < PART:
            self.put(key, first, content_type)
            return len(first)
        upload_id = self._ask(
            "s3:PutObject",
            key,
            lambda: self._client.create_multipart_upload(
                Bucket=self._bucket, Key=name, ContentType=content_type
            ),
        )["UploadId"]
        try:
            done = [self._upload_part(key, upload_id, 1, first)]
            length = len(first)
            del first
            for number, part in enumerate(parts, 2):
                done.append(self._upload_part(key, upload_id, number, part))
                length += len(part)
            self._complete(key, upload_id, done, length)
        except BaseException as error:
            self._abort(key, upload_id, error)
            raise
        return length

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object, or `length` bytes from `start`. Raises: ObjectMissing."""
        from everreel.store.s3_errors import BeyondTheEnd  # noqa: PLC0415 - pulls in botocore

        name = self._name(key)
        if length == 0:
            if self.size(key) is None:
                raise ObjectMissing(f"there is no object {key} in bucket {self._bucket}")
            return b""
        last = "" if length is None else str(start + length - 1)

        def read() -> bytes:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=name, Range=f"bytes={start}-{last}"
            )
            return answer["Body"].read()

        try:
            return self._ask("s3:GetObject", key, read)
        except BeyondTheEnd:
            return b""

    def size(self, key: str) -> int | None:
        """Return the length in bytes, None if there is no such object."""
        name = self._name(key)
        try:
            head = self._ask(
                "s3:GetObject",
                key,
                lambda: self._client.head_object(Bucket=self._bucket, Key=name),
            )
        except ObjectMissing:
            return None
        return head["ContentLength"]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List all objects whose key starts with `prefix`, a thousand per request."""
        check_prefix(prefix)
        name = self._prefix + prefix
        token = ""
        while True:
            page = self._ask("s3:ListBucket", prefix, partial(self._page, name, token))
            for entry in page.get("Contents", []):
                modified = entry["LastModified"]
                yield ObjectInfo(
                    entry["Key"].removeprefix(self._prefix),
                    entry["Size"],
                    int(modified.timestamp()) * 1_000_000 + modified.microsecond,
                )
            token = page.get("NextContinuationToken", "")
            if not token:
                return

    def delete(self, key: str) -> None:
        """Remove an object."""
        name = self._name(key)
        self._ask(
            "s3:DeleteObject",
            key,
            lambda: self._client.delete_object(Bucket=self._bucket, Key=name),
        )

    def _name(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    def _page(self, prefix: str, token: str) -> ListObjectsV2OutputTypeDef:
        if token:
            return self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, ContinuationToken=token
            )
        return self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)

    def _once(self, permission: str, key: str, request: Callable[[], Answer]) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        from everreel.store.s3_errors import meaning  # noqa: PLC0415 - pulls in botocore

        try:
            return request()
        except (BotoCoreError, ClientError) as error:
            raise meaning(error, self._bucket, key, permission) from error

    def _persist(self, request: Callable[[], Answer]) -> Answer:
        return persist(request, StoreUnavailable, self._patience, self._clock)

    def _ask(self, permission: str, key: str, request: Callable[[], Answer]) -> Answer:
        return self._persist(lambda: self._once(permission, key, request))

    def _writer_of(self, key: str) -> str:
        head = self._once(
            "s3:GetObject",
            key,
            lambda: self._client.head_object(Bucket=self._bucket, Key=self._name(key)),
        )
        return head["Metadata"].get(_WRITER, "")

    def _upload_part(
        self, key: str, upload_id: str, number: int, body: bytes
    ) -> CompletedPartTypeDef:
        answer = self._ask(
            "s3:PutObject",
            key,
            lambda: self._client.upload_part(
                Bucket=self._bucket,
                Key=self._name(key),
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
            ),
        )
        return {"ETag": answer["ETag"], "PartNumber": number}

    def _complete(
        self, key: str, upload_id: str, parts: Sequence[CompletedPartTypeDef], length: int
    ) -> None:
        from everreel.store.s3_errors import UPLOAD_GONE, code_of  # noqa: PLC0415

        answers: list[StoreUnavailable] = []

        def once() -> None:
            try:
                self._once(
                    "s3:PutObject",
                    key,
                    lambda: self._client.complete_multipart_upload(
                        Bucket=self._bucket,
                        Key=self._name(key),
                        UploadId=upload_id,
                        MultipartUpload={"Parts": parts},
                    ),
                )
            except StoreUnavailable as error:
                answers.append(error)
                raise
            except DestinationError as error:
                # An earlier attempt may have completed it although its answer did not arrive.
                repeated = answers and code_of(error.__cause__) == UPLOAD_GONE
                if not repeated or self.size(key) != length:
                    raise

        self._persist(once)

    def _abort(self, key: str, upload_id: str, cause: BaseException) -> None:
        try:
            self._ask(
                "s3:AbortMultipartUpload",
                key,
                lambda: self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=self._name(key), UploadId=upload_id
                ),
            )
        except DestinationError as error:
            cause.add_note(
                f"the parts sent so far could not be removed ({error.message}); the bucket's rule"
                " for incomplete uploads will"
            )


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut chunks into parts of the sizes an upload wants; at least one, the last may be short."""
    number = 1
    wanted = part_size(number)
    pending = bytearray()
    sent = False
    for chunk in chunks:
        pending += chunk
        while len(pending) >= wanted:
            yield bytes(memoryview(pending)[:wanted])
            del pending[:wanted]
            sent = True
            number += 1
            wanted = part_size(number)
    if pending or not sent:
        yield bytes(pending)
