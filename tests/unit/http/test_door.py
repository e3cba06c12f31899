"""From the gateway's event to the application and back."""

import base64
import json
import threading
from collections.abc import Generator
from typing import Any

import pytest

from everreel.http.door import Door
from tests.unit.doors.memory import Context, Deployment


@pytest.fixture
def door() -> Generator[Door]:
    door = Deployment().wiring.door
    yield door
    door.close()


def event(path: str, stage: str = "$default", **more: Any) -> dict[str, Any]:
    http = {"method": more.pop("method", "GET"), "path": path, "sourceIp": "203.0.113.7"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.example", "content-type": "application/json"},
        "requestContext": {"http": http, "stage": stage},
        "isBase64Encoded": False,
        **more,
    }


@pytest.mark.parametrize(
    ("path", "stage", "status"),
    [
        ("/v1/health", "$default", 200),
        ("/prod/v1/health", "prod", 200),
        ("/v1/health", "v1", 404),
        ("/v1/v1/health", "v1", 200),
        ("/v1/health", "prod", 200),
        ("/production/v1/health", "prod", 404),
    ],
)
def test_path_when_a_stage_is_named_then_the_route_is_found(
    path: str, stage: str, status: int, door: Door
) -> None:
    # A custom domain leaves the stage out of the path; only a path that has it loses it.
    answer = door(event(path, stage), Context())
    assert answer["statusCode"] == status


def test_body_when_the_gateway_encodes_it_then_is_read(door: Door) -> None:
    body = base64.b64encode(json.dumps({"channel": "lobby"}).encode()).decode()
    call = event("/v1/acquire", method="POST", body=body, isBase64Encoded=True)
    assert door(call, Context())["statusCode"] == 200


def test_answer_when_given_then_is_text_with_the_request_id_and_stays_out_of_caches(
    door: Door,
) -> None:
    for path in ("/v1/health", "/v1/nothing", "/v1/openapi.json"):
        answer = door(event(path), Context())
        assert answer["isBase64Encoded"] is False
        assert json.loads(answer["body"])
        assert answer["headers"]["x-request-id"] == Context().aws_request_id
        assert answer["headers"]["cache-control"] == "no-store"


def test_door_when_another_thread_comes_in_then_answers(door: Door) -> None:
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(door(event("/v1/health"), Context())["statusCode"])
    )
    thread.start()
    thread.join()
    assert statuses == [200]
