"""The door of the bus and of the console: what it retries, what it refuses, what it tells."""

from typing import Any

import pytest

from everreel.contract.events import RecordingFailed
from everreel.errors import ServiceUnavailable
from everreel.events.ports import Happening
from start_recording.handler import handler
from tests.unit.doors.memory import Context, Deployment

WISH = {"channel": "lobby", "uid": "camera-1"}


def bus_event(detail: object, **more: object) -> dict[str, Any]:
    return {"id": "event-1", "detail-type": "RecordingRequested", "detail": detail, **more}


def test_console_request_when_it_has_no_key_then_the_invocation_is_its_key(
    deployment: Deployment,
) -> None:
    first = handler(WISH, Context("one"))  # type: ignore[arg-type]
    assert handler(WISH, Context("one")) == first  # type: ignore[arg-type]
    again = handler(WISH, Context("two"))  # type: ignore[arg-type]
    assert again["statusCode"] == 409
    assert first["body"]["sid"] in again["body"]["detail"]


def test_request_key_when_the_bus_and_the_console_use_it_then_it_is_one_recording(
    deployment: Deployment,
) -> None:
    wish = {**WISH, "requestKey": "nightly"}
    by_bus = handler(bus_event(wish), Context("one"))  # type: ignore[arg-type]
    by_console = handler(wish, Context("two"))  # type: ignore[arg-type]
    assert by_bus == by_console
    assert len(deployment.runner.laps) == 1


def test_event_id_when_somebody_else_uses_it_as_a_key_then_recordings_stay_apart(
    deployment: Deployment,
) -> None:
    by_bus = handler(bus_event(WISH), Context("one"))  # type: ignore[arg-type]
    other = {**WISH, "channel": "attic", "requestKey": "event-1"}
    assert handler(other, Context("two"))["body"]["sid"] != by_bus["body"]["sid"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "channel"),
        ({**WISH, "options": {"segmentSeconds": 1}}, "options.segmentSeconds"),
        ({**WISH, "chanel": "x"}, "chanel"),
        ({**WISH, "source": "rtmp://localhost/live/x"}, "source"),
        (bus_event({**WISH, "uid": 7}), "uid"),
        (bus_event("a string"), None),
        (bus_event(WISH, **{"detail-type": "SomethingElse"}), "detail-type"),
        ({"id": "e", "detail-type": "RecordingRequested"}, "channel"),
    ],
)
def test_request_when_it_is_wrong_then_is_answered_told_and_not_retried(
    event: dict[str, Any], field: str | None, deployment: Deployment
) -> None:
    answer = handler(event, Context())  # type: ignore[arg-type]
    assert answer["statusCode"] == 400
    assert answer["body"]["field"] == field
    assert answer["body"]["fix"]
    [told] = deployment.bus.published
    assert told.kind is Happening.FAILED
    detail = RecordingFailed.model_validate({"sid": told.sid, **told.detail})
    assert detail.sid == ""
    assert detail.error.field == field
    assert detail.event_id == (event["id"] if "detail-type" in event else None)
    assert not deployment.runner.supervised


def test_request_when_a_service_is_busy_then_raises_so_that_lambda_tries_again(
    deployment: Deployment,
) -> None:
    deployment.runner.failures.append(ServiceUnavailable("busy"))
    with pytest.raises(ServiceUnavailable):
        handler(bus_event(WISH), Context())  # type: ignore[arg-type]
    assert not deployment.bus.published
    assert handler(bus_event(WISH), Context())["statusCode"] == 202  # type: ignore[arg-type]
    assert len(deployment.runner.laps) == 1


def test_request_when_it_holds_a_password_then_nothing_told_shows_it(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    for source in ("rtmp://user:hunter2@127.0.0.1/a/b", "gopher://user:hunter2@media.example/x"):
        answer = handler({**WISH, "source": source}, Context())  # type: ignore[arg-type]
        assert answer["statusCode"] == 400
        assert "hunter2" not in str(answer) + str(deployment.bus.published) + caplog.text
