"""A botocore client whose requests are answered from a list instead of by a server."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config


class _Raw(io.BytesIO):
    """What urllib3 gives: bytes that can be streamed."""

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [self.read()]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def s3_error(status: int, code: str) -> "Answer":
        xml = f"<Error><Code>{code}</Code><Message>secret words</Message></Error>"
        return Answer(status, xml.encode())

    @staticmethod
    def json(body: dict[str, Any], status: int = 200) -> "Answer":
        return Answer(status, json.dumps(body).encode())

    @staticmethod
    def dynamodb_error(code: str, status: int = 400, **more: Any) -> "Answer":
        kind = f"com.amazonaws.dynamodb.v20120810#{code}"
        return Answer.json({"__type": kind, "message": "secret words", **more}, status)


Step = Answer | Exception | Callable[["Script"], Answer]


class Script:
    """Answers requests in order; an exception in the list is what the wire did instead.

    A function in the list is asked for the answer when its turn has come.
    """

    def __init__(self, answers: Sequence[Step]) -> None:
        self.answers = list(answers)
        self.requests: list[AWSPreparedRequest] = []

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer(self)
        if isinstance(answer, Exception):
            raise answer
        return AWSResponse(
            request.url, answer.status, HTTPHeaders.from_pairs(answer.headers), _Raw(answer.body)
        )

    @property
    def asked(self) -> list[str]:
        """Method and path, or the name of the operation, of each request."""
        return [
            header(request, "X-Amz-Target").rpartition(".")[2]
            if "X-Amz-Target" in request.headers
            else f"{request.method} {request.url.partition('//')[2].partition('/')[2]}"
            for request in self.requests
        ]


def header(request: AWSPreparedRequest, name: str) -> str:
    """Give a header of a request as text; signing leaves some of them as bytes."""
    value: Any = request.headers[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def scripted(service: str, *answers: Step) -> tuple[Any, Script]:
    """Make a client of `service` and the script it follows."""
    script = Script(answers)
    client: Any = boto3.client(
        service,  # type: ignore[call-overload]
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register("before-send", script)
    return client, script
