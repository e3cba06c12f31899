"""Every sample of events/, fed to its handler."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everreel.events.ports import Happening
from everreel.state.recording import LapState, ProviderName, Reason, Reliability
from everreel.state.status import Status
from everreel.supervisor.backoff import CONFIRM_S
from tests.unit.doors.memory import SID, Context, Deployment

TASK = "1f2e3d4c5b6a79880102030405060708"
EVENTS = Path(__file__).resolve().parents[3] / "events"
SAMPLES = sorted(path.relative_to(EVENTS).as_posix() for path in EVENTS.rglob("*.json"))


def feed(sample: str) -> dict[str, Any]:
    handler = importlib.import_module(f"{sample.partition('/')[0]}.handler").handler
    answer: dict[str, Any] = handler(json.loads((EVENTS / sample).read_text()), Context())
    found: dict[str, Any] = json.loads(json.dumps(answer))
    return found


def body(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def acquire(deployment: Deployment) -> None:
    answer = feed("http_api/acquire.json")
    assert answer["statusCode"] == 200
    assert body(answer)["expiresAt"] == "2026-01-01T00:05:00.000Z"
    assert deployment.recordings.ticket(body(answer)["resourceId"]) is not None


def start(deployment: Deployment) -> None:
    answer = feed("http_api/start.json")
    assert answer["statusCode"] == 202
    assert answer["headers"]["x-request-id"] == Context().aws_request_id
    assert answer["headers"]["cache-control"] == "no-store"
    started = body(answer)
    assert started["requestId"] == "invocation-1"
    assert deployment.runner.supervised == [started["sid"]]
    assert body(feed("http_api/start.json")) == started
    assert len(deployment.runner.laps) == 1


def query(deployment: Deployment) -> None:
    assert body(feed("http_api/query.json"))["code"] == "recording_not_found"
    deployment.add_recording()
    answer = feed("http_api/query.json")
    assert answer["statusCode"] == 200
    assert body(answer)["statusText"] == "starting"
    assert body(answer)["segmentPage"] == {"items": [], "nextAfter": None}


def stop(deployment: Deployment) -> None:
    deployment.add_recording()
    for _ in range(2):
        answer = feed("http_api/stop.json")
        assert answer["statusCode"] == 202
        assert body(answer)["status"] == 6


def listing(deployment: Deployment) -> None:
    deployment.add_recording()
    assert [each["sid"] for each in body(feed("http_api/list.json"))["recordings"]] == [SID]


def take_notice(deployment: Deployment) -> None:
    assert body(feed("http_api/notice.json")) == {"code": 0}
    [event] = deployment.bus.published
    assert event.kind is Happening.NOTICE
    assert event.detail["event"] == 31


def hear(sample: str, vendor: str, task: str, event: int) -> Callable[[Deployment], None]:
    def check(deployment: Deployment) -> None:
        assert feed(sample) == {"new": True}
        assert feed(sample) == {"new": False}
        [notice] = deployment.notices.of_task(vendor, task)
        assert notice.event == event

    return check


def let_in(deployment: Deployment) -> None:
    for sample in ("authorize_call/bearer.json", "authorize_call/basic.json"):
        assert feed(sample) == {"isAuthorized": True, "context": {"keyId": "default"}}


def refuse(deployment: Deployment) -> None:
    assert feed("authorize_call/stranger.json") == {"isAuthorized": False, "context": {}}


def start_by_bus(deployment: Deployment) -> None:
    answer = feed("start_recording/bus.json")
    assert answer["statusCode"] == 202
    assert feed("start_recording/bus.json") == answer
    recording = deployment.recordings.find(answer["body"]["sid"])
    assert recording is not None
    assert recording.options.max_duration_s == 600
    assert len(deployment.runner.laps) == 1


def start_by_console(deployment: Deployment) -> None:
    answer = feed("start_recording/console.json")
    assert answer["statusCode"] == 202
    assert answer["body"]["requestId"] == "invocation-1"
    assert feed("start_recording/console.json") == answer


def start_at_a_vendor(deployment: Deployment) -> None:
    answer = feed("start_recording/vendor.json")
    assert answer["statusCode"] == 202
    assert feed("start_recording/vendor.json") == answer
    sid = answer["body"]["sid"]
    assert deployment.runner.laps == []
    assert deployment.runner.woken == [sid]
    assert deployment.wiring.vendor_tasks.live(ProviderName.AGORA, "0123456789abcdef" * 2) == [sid]


def record(deployment: Deployment) -> None:
    # The guard refuses this source, so the whole lap runs without a network.
    deployment.add_recording(source="rtmp://127.0.0.1/live/x")
    deployment.recordings.invoked(SID, "a", 1, "", deployment.clock.utc_us())
    answer = feed("record_lap/first.json")
    assert answer["reason"] == Reason.SOURCE_FAILED
    assert not answer["fenced"]
    assert deployment.recordings.laps(SID)[0].request_id == Context().aws_request_id
    recording = deployment.recordings.find(SID)
    assert recording is not None
    assert recording.status is Status.ABNORMAL
    assert feed("record_lap/first.json")["fenced"]


def record_next(deployment: Deployment) -> None:
    deployment.add_recording(
        source="rtmp://127.0.0.1/live/x?as={recorderUid}", reliability=Reliability.ECONOMY
    )
    deployment.recordings.invoked(SID, "b", 1, "r", deployment.clock.utc_us())
    answer = feed("record_lap/next.json")
    assert answer["reason"] == Reason.SOURCE_FAILED
    assert not answer["fenced"]


def look(deployment: Deployment) -> None:
    deployment.add_recording()
    answer = feed("look/first.json")
    assert answer["action"] == "wait"
    assert answer["wait_s"] == CONFIRM_S[1]
    assert answer["watch"]["looks"] == 1


def plan_lap(deployment: Deployment) -> None:
    deployment.add_recording(reliability=Reliability.ECONOMY)
    answer = feed("relay_lap/plan.json")
    assert (answer["action"], answer["wait_s"]) == ("wait", 1)
    assert answer["watch"]["plans"] == 1
    held = deployment.lanes.held(SID, "a")
    assert held is not None
    assert held.owner == f"{SID}-a"


def start_lap(deployment: Deployment) -> None:
    plan_lap(deployment)
    deployment.clock.advance(10.0)
    assert feed("relay_lap/start.json") == {"lap": "a1"}
    assert [order.name for order in deployment.runner.laps] == ["a1"]
    held = deployment.lanes.held(SID, "a")
    assert held is not None
    assert (held.lap, held.token) == (1, "token-of-the-task")
    assert feed("relay_lap/start.json") == {"lap": "a1"}
    assert len(deployment.runner.laps) == 1


def plan_after_loss(deployment: Deployment) -> None:
    start_lap(deployment)
    deployment.recordings.claim(SID, "a", 1, "r", deployment.clock.utc_us())
    deployment.clock.advance(16.0)
    answer = feed("relay_lap/lost.json")
    assert (answer["action"], answer["wait_s"]) == ("wait", 1)
    [lap] = deployment.recordings.laps(SID)
    assert lap.state is LapState.DEAD


def sweep(deployment: Deployment) -> None:
    assert feed("sweep_machines/schedule.json") == {"started": 0}
    deployment.add_recording(reliability=Reliability.REDUNDANT)
    deployment.clock.advance(61.0)
    assert feed("sweep_machines/schedule.json") == {"started": 4}
    assert feed("sweep_machines/schedule.json") == {"started": 0}


def seal(sample: str) -> Callable[[Deployment], None]:
    def check(deployment: Deployment) -> None:
        deployment.add_recording()
        assert not feed(sample)["sealed"]
        record_nothing(deployment)
        assert feed(sample) == {
            "sid": SID,
            "sealed": True,
            "status": 8,
            "segments": 0,
            "media_us": 0,
        }
        assert feed(sample)["sealed"]

    return check


def ask_to_verify(deployment: Deployment) -> None:
    assert body(feed("http_api/verify.json"))["code"] == "recording_not_found"
    deployment.add_recording()
    assert body(feed("http_api/verify.json"))["code"] == "recording_live"
    record_nothing(deployment)
    answer = feed("http_api/verify.json")
    assert answer["statusCode"] == 202
    assert body(answer)["status"] == "queued"
    assert deployment.runner.verified == [SID]


def verify(deployment: Deployment) -> None:
    deployment.add_recording()
    record_nothing(deployment)
    answer = feed("verify_recording/asked.json")
    assert answer == {
        "sid": SID, "complete": False, "whole": False, "problems": 0, "segments_read": 0
    }  # fmt: skip
    assert body(feed("http_api/verification.json"))["error"]["code"] == "recording_not_found"


def record_nothing(deployment: Deployment) -> None:
    now_us = deployment.clock.utc_us()
    deployment.recordings.claim(SID, "a", 1, "r", now_us)
    progress = deployment.recordings.laps(SID)[0].progress
    deployment.recordings.end_lap(SID, "a", 1, Reason.IDLE, None, progress, now_us)


CHECKS: dict[str, Callable[[Deployment], None]] = {
    "authorize_call/basic.json": let_in,
    "authorize_call/bearer.json": let_in,
    "authorize_call/stranger.json": refuse,
    "http_api/acquire.json": acquire,
    "http_api/list.json": listing,
    "http_api/notice.json": take_notice,
    "http_api/query.json": query,
    "http_api/start.json": start,
    "http_api/stop.json": stop,
    "ingest_notice/agora.json": hear("ingest_notice/agora.json", "agora", TASK, 31),
    "ingest_notice/tencent.json": hear("ingest_notice/tencent.json", "tencent", "-m52SqIMc.", 310),
    "ingest_notice/lap_died.json": hear("ingest_notice/lap_died.json", "everreel", SID, 5),
    "ingest_notice/lap_ended.json": hear("ingest_notice/lap_ended.json", "everreel", SID, 2),
    "http_api/verification.json": verify,
    "http_api/verify.json": ask_to_verify,
    "look/first.json": look,
    "record_lap/first.json": record,
    "record_lap/next.json": record_next,
    "relay_lap/lost.json": plan_after_loss,
    "relay_lap/plan.json": plan_lap,
    "relay_lap/start.json": start_lap,
    "seal_recording/bus.json": seal("seal_recording/bus.json"),
    "seal_recording/machine.json": seal("seal_recording/machine.json"),
    "start_recording/bus.json": start_by_bus,
    "start_recording/console.json": start_by_console,
    "sweep_machines/schedule.json": sweep,
    "start_recording/vendor.json": start_at_a_vendor,
    "verify_recording/asked.json": verify,
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_sample_when_fed_to_its_handler_then_does_what_it_is_for(
    sample: str, deployment: Deployment
) -> None:
    assert sample in CHECKS, "say here what the sample does"
    CHECKS[sample](deployment)
