"""Asking by HTTP whether a recording is whole."""

from collections.abc import Generator

import pytest
from fastapi.testclient import TestClient

from everreel.errors import ServiceUnavailable
from everreel.http.app import create_app
from everreel.state.recording import Progress, Reason
from everreel.state.status import Status
from tests.unit.doors.memory import SID, Deployment

PATH = f"/v1/recordings/{SID}/verify"


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def api(deployment: Deployment) -> Generator[TestClient]:
    wiring = deployment.wiring
    app = create_app(wiring.lifecycle, bucket="b", verifications=wiring.verifications)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def ended(deployment: Deployment) -> None:
    now_us = deployment.clock.utc_us()
    deployment.add_recording()
    deployment.recordings.claim(SID, "a", 1, "r", now_us)
    progress = Progress(Status.STARTING)
    deployment.recordings.end_lap(SID, "a", 1, Reason.STOPPED, None, progress, now_us)


def test_verify_when_asked_for_then_202_and_the_report_can_be_read(
    api: TestClient, deployment: Deployment
) -> None:
    ended(deployment)
    assert api.get(PATH).json()["status"] == "none"
    answer = api.post(PATH)
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.json()["requestedAt"] == "2026-01-01T00:00:00.000Z"
    assert deployment.runner.verified == [SID]
    deployment.wiring.verifications.run(SID, remaining_s=900)
    found = api.get(PATH).json()
    assert (found["status"], found["whole"]) == ("done", False)
    assert found["error"]["code"] == "recording_not_found", "nothing was recorded"


def test_verify_when_it_is_live_or_unknown_then_a_problem_says_so(
    api: TestClient, deployment: Deployment
) -> None:
    assert api.post(PATH).json()["code"] == "recording_not_found"
    assert api.get(PATH).status_code == 404
    deployment.add_recording()
    answer = api.post(PATH)
    assert (answer.status_code, answer.json()["code"]) == (409, "recording_live")
    assert "/stop" in answer.json()["fix"]
    assert api.post("/v1/recordings/nonsense/verify").status_code == 400


def test_verify_when_lambda_is_busy_then_503_and_again(
    api: TestClient, deployment: Deployment
) -> None:
    ended(deployment)
    deployment.runner.failures.append(ServiceUnavailable("busy"))
    answer = api.post(PATH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert api.post(PATH).status_code == 202
