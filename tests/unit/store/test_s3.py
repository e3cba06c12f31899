from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from everreel.clock import ManualClock
from everreel.errors import (
    DestinationError,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreUnavailable,
)
from everreel.patience import Patience
from everreel.store.s3 import LAST_PART, PART, S3Access, S3Store, connect, part_size
from everreel.store.s3_errors import meaning
from tests.unit.store.scripted_aws import Answer, Script, Step, header, scripted

BUSY = Answer.s3_error(503, "SlowDown")
LOST = ReadTimeoutError(endpoint_url="https://bucket")
TAKEN = Answer.s3_error(412, "PreconditionFailed")
DONE = Answer()


def store_answering(*answers: Step) -> tuple[S3Store, Script]:
    client, script = scripted("s3", *answers)
    return S3Store("bucket", client=client, clock=ManualClock()), script


def writer_of(script: Script, number: int = 0) -> str:
    return header(script.requests[number], "x-amz-meta-everreel-put")


@pytest.mark.parametrize(
    ("status", "code", "wanted", "words"),
    [
        (404, "NoSuchBucket", StoreDenied, "bucket does not exist"),
        (403, "AccessDenied", StoreDenied, "refuses s3:PutObject"),
        (403, "InvalidAccessKeyId", StoreDenied, "credentials"),
        (400, "ExpiredToken", StoreDenied, "renew"),
        (301, "PermanentRedirect", StoreDenied, "region"),
        (501, "NotImplemented", StoreDenied, "If-None-Match"),
        (400, "EntityTooLarge", StoreDenied, "EntityTooLarge"),
        (412, "PreconditionFailed", ObjectExists, "exists already"),
        (404, "NoSuchKey", ObjectMissing, "no object"),
        (503, "SlowDown", StoreUnavailable, "busy"),
        (500, "InternalError", StoreUnavailable, "busy"),
        (502, "BadGateway", StoreUnavailable, "busy"),
        (429, "TooMany", StoreUnavailable, "busy"),
        (400, "RequestTimeout", StoreUnavailable, "busy"),
        (409, "ConditionalRequestConflict", StoreUnavailable, "busy"),
    ],
)
def test_meaning_when_s3_refuses_then_names_the_bucket_and_the_fix(
    status: int, code: str, wanted: type[DestinationError], words: str
) -> None:
    refused = ClientError(
        {
            "Error": {"Code": code, "Message": "secret words"},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        "PutObject",
    )
    error = meaning(refused, "my-bucket", "a/b", "s3:PutObject")
    assert type(error) is wanted
    assert words in error.message
    assert "my-bucket" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("wire", "wanted"),
    [
        (EndpointConnectionError(endpoint_url="https://u:p@x"), StoreUnavailable),
        (ConnectTimeoutError(endpoint_url="https://u:p@x"), StoreUnavailable),
        (ReadTimeoutError(endpoint_url="https://u:p@x"), StoreUnavailable),
        (NoCredentialsError(), StoreDenied),
    ],
)
def test_meaning_when_the_wire_fails_then_shows_no_address(
    wire: BotoCoreError, wanted: type[DestinationError]
) -> None:
    error = meaning(wire, "my-bucket", "a/b", "s3:PutObject")
    assert type(error) is wanted
    assert "u:p@x" not in error.message


@pytest.mark.parametrize("first", [BUSY, LOST, Answer.s3_error(409, "ConditionalRequestConflict")])
def test_put_new_when_the_store_is_busy_then_asks_again(first: Answer | Exception) -> None:
    store, script = store_answering(first, DONE)
    store.put_new("a", b"x", "video/mp4")
    assert script.asked == ["PUT a", "PUT a"]
    assert header(script.requests[1], "If-None-Match") == "*"
    assert header(script.requests[1], "Content-Type") == "video/mp4"


def test_put_new_when_the_key_is_taken_then_asks_once() -> None:
    store, script = store_answering(TAKEN)
    with pytest.raises(ObjectExists):
        store.put_new("a", b"x", "")
    assert script.asked == ["PUT a"]


def test_put_new_when_an_answer_was_lost_and_the_object_is_ours_then_it_is_put() -> None:
    def head(script: Script) -> Answer:
        return Answer(headers=(("x-amz-meta-everreel-put", writer_of(script)),))

    store, script = store_answering(LOST, TAKEN, head)
    store.put_new("a", b"x", "")
    assert script.asked == ["PUT a", "PUT a", "HEAD a"]
    assert writer_of(script, 0) == writer_of(script, 1)


def test_put_new_when_an_answer_was_lost_and_the_object_is_anothers_then_object_exists() -> None:
    other = Answer(headers=(("x-amz-meta-everreel-put", "somebody"),))
    store, _ = store_answering(LOST, TAKEN, other)
    with pytest.raises(ObjectExists):
        store.put_new("a", b"x", "")


def test_put_when_the_store_stays_busy_then_gives_up_soon() -> None:
    client, script = scripted("s3", *[BUSY] * 9)
    clock = ManualClock()
    store = S3Store("bucket", client=client, clock=clock, patience=Patience(attempts=4))
    with pytest.raises(StoreUnavailable):
        store.put("a", b"x", "")
    assert len(script.requests) == 4
    assert clock.monotonic() < 2


def test_put_when_denied_then_asks_once() -> None:
    store, script = store_answering(Answer.s3_error(403, "AccessDenied"))
    with pytest.raises(StoreDenied, match="s3:PutObject on a"):
        store.put("a", b"x", "")
    assert len(script.requests) == 1


def test_size_when_head_is_refused_then_tells_of_the_listing_permission() -> None:
    store, _ = store_answering(Answer(403))
    with pytest.raises(StoreDenied, match="s3:ListBucket"):
        store.size("a")


def test_list_when_denied_then_names_the_permission() -> None:
    store, _ = store_answering(Answer.s3_error(403, "AccessDenied"))
    with pytest.raises(StoreDenied, match="refuses s3:ListBucket"):
        list(store.list("a/"))


def upload_id() -> Answer:
    return Answer(
        body=b"<InitiateMultipartUploadResult><UploadId>u1</UploadId>"
        b"</InitiateMultipartUploadResult>"
    )


def part_done() -> Answer:
    return Answer(headers=(("ETag", '"e"'),))


def completed() -> Answer:
    return Answer(body=b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")


def test_put_stream_when_large_then_sends_parts_and_repeats_only_the_one_that_failed() -> None:
    store, script = store_answering(upload_id(), part_done(), BUSY, part_done(), completed())
    assert store.put_stream("a", [b"x" * (PART + 1)], "") == PART + 1
    assert script.asked == [
        "POST a?uploads",
        "PUT a?uploadId=u1&partNumber=1",
        "PUT a?uploadId=u1&partNumber=2",
        "PUT a?uploadId=u1&partNumber=2",
        "POST a?uploadId=u1",
    ]


def test_put_stream_when_a_part_fails_for_good_then_aborts() -> None:
    store, script = store_answering(upload_id(), Answer.s3_error(403, "AccessDenied"), Answer(204))
    with pytest.raises(StoreDenied):
        store.put_stream("a", [b"x" * PART], "")
    assert script.asked[-1] == "DELETE a?uploadId=u1"


def test_put_stream_when_the_abort_fails_too_then_the_first_error_tells() -> None:
    denied = Answer.s3_error(403, "AccessDenied")
    store, _ = store_answering(upload_id(), denied, denied)
    with pytest.raises(StoreDenied, match="s3:PutObject") as caught:
        store.put_stream("a", [b"x" * PART], "")
    assert "could not be removed" in caught.value.__notes__[0]


def test_put_stream_when_the_answer_to_complete_is_lost_then_looks_before_it_fails() -> None:
    store, script = store_answering(
        upload_id(),
        part_done(),
        LOST,
        Answer.s3_error(404, "NoSuchUpload"),
        Answer(headers=(("Content-Length", str(PART)),)),
    )
    assert store.put_stream("a", [b"x" * PART], "") == PART
    assert script.asked[-1] == "HEAD a"


def test_part_size_when_parts_grow_then_a_day_of_any_stream_fits_and_memory_is_bounded() -> None:
    sizes = [part_size(number) for number in range(1, LAST_PART + 1)]
    assert sizes[: 80 * 64] == [PART] * 5000 + [2 * PART] * 120
    assert sizes == sorted(sizes)
    assert sum(sizes) > 500 * 2**30
    assert max(sizes) <= 256 * 2**20
    needed = next(n for n in range(LAST_PART) if sum(sizes[:n]) > 80 * 2**30)
    assert sizes[needed] <= 8 * PART


def test_connect_when_made_then_fails_soon_and_never_repeats_by_itself() -> None:
    client = connect(S3Access(region="us-east-1", access_key_id="a", secret_access_key="b"))
    config: Any = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 10)
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}


def test_connect_when_another_store_is_named_then_uses_its_address_and_style() -> None:
    access = S3Access("http://127.0.0.1:9", "auto", "path", "key", "secret", "session")
    client = connect(access)
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    assert url.startswith("http://127.0.0.1:9/b/k?")
    assert "session" in url
    config: Any = client.meta.config
    assert config.request_checksum_calculation == "when_required"


def test_access_when_shown_then_hides_its_secrets() -> None:
    shown = repr(S3Access(access_key_id="key", secret_access_key="hush", session_token="hush"))
    assert "hush" not in shown
