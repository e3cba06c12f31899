"""Recordings at a vendor as a caller meets them: from the request to the vendor and back."""

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import ManualClock
from everreel.errors import EverreelError, ServiceUnavailable, StateUnavailable
from everreel.http.app import create_app
from everreel.lifecycle.requests import StartRequest, VendorWish
from everreel.lifecycle.vendor_order import order_of
from everreel.state.notices import Notice
from everreel.state.recording import Mode, Options, ProviderName
from everreel.state.vendor import (
    Call,
    Layout,
    MemoryVendorTasks,
    VendorOrder,
    VendorTask,
    VendorWatch,
)
from everreel.supervisor.elsewhere import Service
from everreel.supervisor.practices import CLOUD_RECORDING, CLOUD_TRANSCODER
from everreel.supervisor.provider import Answer, Health
from everreel.vendors.agora import AgoraApi, CloudRecording, CloudTranscoder, Request
from everreel.vendors.agora_keys import AgoraKeys
from everreel.vendors.json_api import Reply
from tests.unit.doors.memory import Deployment

TOKEN = "006main-t0k3n"
START: dict[str, Any] = {
    "channel": "lobby",
    "uid": "0",
    "provider": "agora",
    "recorderUid": "101",
    "backupRecorderUid": "102",
    "vendor": {
        "appId": "0123456789abcdef",
        "token": TOKEN,
        "request": {"storageConfig": {"secretKey": "st0re-s3cret"}},
    },
}
OUTPUTS = [{"rtc": {"rtcChannel": "out"}}, {"streamUrl": "rtmp://cdn.example/x"}]


def transcoder(outputs: object) -> dict[str, Any]:
    return {"services": {"cloudTranscoder": {"config": {"transcoder": {"outputs": outputs}}}}}


class Vendor:
    """Says yes to everything; remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Call, VendorOrder, VendorWatch]] = []
        self.healths = [Health.RUNNING]

    def ask(self, call: Call, order: VendorOrder, watch: VendorWatch) -> Answer:
        self.asked.append((call, order, watch))
        health = self.healths.pop(0) if len(self.healths) > 1 else self.healths[0]
        number = len([made for made, _, _ in self.asked if made is Call.START])
        return Answer(200, ticket="ticket", task=f"task-{number}", health=health)


class FrailTasks(MemoryVendorTasks):
    """Tasks that nobody can keep while `broken`."""

    broken = False

    def put(self, task: VendorTask) -> None:
        if self.broken:
            raise StateUnavailable("the table is away")
        super().put(task)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def tasks() -> FrailTasks:
    return FrailTasks()


@pytest.fixture
def deployment(vendor: Vendor, tasks: FrailTasks) -> Deployment:
    services = {
        ProviderName.AGORA: Service(vendor, CLOUD_RECORDING),
        ProviderName.AGORA_TRANSCODER: Service(vendor, CLOUD_TRANSCODER),
    }
    return Deployment(services=services, vendor_tasks=tasks)


@pytest.fixture
def api(deployment: Deployment) -> Generator[TestClient]:
    app = create_app(deployment.wiring.lifecycle, bucket="recordings")
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def started(api: TestClient, body: dict[str, Any] = START) -> str:
    answer = api.post("/v1/start", json=body)
    assert answer.status_code == 202, answer.text
    sid: str = answer.json()["sid"]
    return sid


def queried(api: TestClient, sid: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v1/recordings/{sid}").json()
    return found


def woken(deployment: Deployment) -> None:
    """Do the looks that the doors asked for."""
    while deployment.runner.woken:
        deployment.wiring.look(sid=deployment.runner.woken.pop(0))


def changed(**changes: Any) -> dict[str, Any]:
    """Change the request; `vendor__x` changes what is in `vendor`, None takes a field out."""
    body = {**START, "vendor": dict(START["vendor"])}
    for name, value in changes.items():
        place = body["vendor"] if name.startswith("vendor__") else body
        if value is None:
            del place[name.removeprefix("vendor__")]
        else:
            place[name.removeprefix("vendor__")] = value
    return body


# ---------------------------------------------------------------------- a life


def test_recording_when_a_vendor_is_named_then_lives_there(
    api: TestClient, deployment: Deployment, vendor: Vendor
) -> None:
    sid = started(api)
    assert deployment.runner.supervised == [sid]
    assert deployment.runner.laps == []
    before = queried(api, sid)
    assert (before["provider"], before["status"], before["source"]) == ("agora", 2, "")
    assert (before["vendor"]["task"], before["vendor"]["health"]) == (None, "unknown")

    woken(deployment)
    assert queried(api, sid)["vendor"]["health"] == "starting"
    deployment.clock.advance(5)
    deployment.wiring.look(sid=sid)
    running = queried(api, sid)
    assert running["status"] == 5
    assert running["vendor"]["task"] == "task-1"
    assert running["mode"] == "mix"
    assert (running["vendor"]["uid"], running["vendor"]["health"]) == ("101", "running")
    assert running["vendor"]["nextCallAt"] > running["vendor"]["runningSince"]

    assert api.post(f"/v1/recordings/{sid}/stop").json()["status"] == 6
    woken(deployment)
    ended = queried(api, sid)
    assert (ended["status"], ended["reason"]) == (8, "stopped")
    assert ended["sealedAt"]
    assert (ended["vendor"]["health"], ended["vendor"]["nextCallAt"]) == ("ended", None)
    assert [call for call, _, _ in vendor.asked] == [
        Call.ACQUIRE, Call.START, Call.QUERY, Call.STOP,
    ]  # fmt: skip


def test_order_when_it_reaches_the_vendor_then_is_what_was_asked_for(
    api: TestClient, deployment: Deployment, vendor: Vendor
) -> None:
    body = changed(vendor__restarts=1, vendor__backupToken="006backup")
    started(api, {**body, "options": {"maxIdleSeconds": 60}})
    woken(deployment)
    assert vendor.asked[0][1] == VendorOrder(
        "0123456789abcdef",
        "lobby",
        ("101", "102"),
        max_idle_s=60,
        request=START["vendor"]["request"],
        tokens={"101": TOKEN, "102": "006backup"},
        restarts=1,
    )


@pytest.mark.parametrize(
    ("layout", "more"), [("mix", {}), ("individual", {"subscribeUidGroup": 0})]
)
def test_order_when_one_uid_is_to_be_recorded_then_is_subscribed_to_alone(
    api: TestClient, deployment: Deployment, vendor: Vendor, layout: str, more: dict[str, int]
) -> None:
    started(api, changed(uid="7", vendor__layout=layout))
    woken(deployment)
    assert vendor.asked[0][1].request["recordingConfig"] == {
        "subscribeAudioUids": ["7"],
        "subscribeVideoUids": ["7"],
        **more,
    }


def test_order_when_the_request_subscribes_itself_then_that_counts(
    api: TestClient, deployment: Deployment, vendor: Vendor
) -> None:
    config = {"recordingConfig": {"unsubscribeVideoUids": ["9"]}}
    started(api, changed(uid="7", vendor__request=config))
    woken(deployment)
    assert vendor.asked[0][1].request == config


def test_transcoder_when_named_then_its_body_is_passed_on(
    api: TestClient, deployment: Deployment, vendor: Vendor
) -> None:
    request = transcoder(OUTPUTS)
    started(api, changed(provider="agora-transcoder", vendor__request=request))
    woken(deployment)
    assert vendor.asked[0][1].request == request
    assert vendor.asked[0][1].max_idle_s == 0


def test_event_when_it_asks_for_a_vendor_then_is_started_too(
    deployment: Deployment, vendor: Vendor
) -> None:
    answer = deployment.wiring.start_recording(START, request_id="request-1")
    assert answer["statusCode"] == 202
    woken(deployment)
    assert vendor.asked


def test_start_when_repeated_then_one_order_is_kept(api: TestClient, tasks: FrailTasks) -> None:
    key = {"Idempotency-Key": "nightly"}
    first = api.post("/v1/start", json=START, headers=key)
    again = api.post("/v1/start", json=changed(vendor__appId="other"), headers=key)
    assert first.json() == again.json()
    task = tasks.find(first.json()["sid"])
    assert task is not None
    assert task.order.app == "0123456789abcdef"
    assert api.post("/v1/start", json=START).status_code == 409


def test_start_when_it_broke_off_then_its_repeat_brings_the_order(
    api: TestClient, deployment: Deployment, tasks: FrailTasks
) -> None:
    ticket = {"channel": "lobby", "recorderUid": "101"}
    resource_id = api.post("/v1/acquire", json=ticket).json()["resourceId"]
    tasks.broken = True
    body = {**START, "resourceId": resource_id}
    assert api.post("/v1/start", json=body).status_code == 503
    tasks.broken = False
    sid = started(api, body)
    assert tasks.find(sid)
    assert deployment.runner.supervised == [sid]


def test_start_and_stop_when_nobody_can_be_woken_then_are_accepted_all_the_same(
    api: TestClient, deployment: Deployment
) -> None:
    sid = started(api)
    deployment.runner.failures = [ServiceUnavailable("no look could be asked for")]
    assert api.post(f"/v1/recordings/{sid}/stop").status_code == 202


def test_query_when_a_task_was_lost_then_tells_of_it_and_why(
    api: TestClient, deployment: Deployment, vendor: Vendor
) -> None:
    vendor.healths = [
        Health.UNKNOWN, Health.UNKNOWN, Health.RUNNING, Health.FAILED, Health.RUNNING,
    ]  # fmt: skip
    sid = started(api)
    woken(deployment)
    for seconds in (5, 60):
        deployment.clock.advance(seconds)
        deployment.wiring.look(sid=sid)
    found = queried(api, sid)["vendor"]
    assert (found["task"], found["uid"], found["restarts"]) == ("task-2", "102", 1)
    [attempt] = found["attempts"]
    assert (attempt["task"], attempt["uid"]) == ("task-1", "101")
    assert "failed" in attempt["why"]


# ---------------------------------------------------------------------- hints


def a_notice(task: str, event: int, **detail: Any) -> Notice:
    return Notice("agora", task, event, "101", f"s{event:012d}", "lobby", 1, json.dumps(detail))


def test_notices_when_about_the_present_task_then_are_hints_and_decide_nothing(
    api: TestClient, deployment: Deployment
) -> None:
    sid = started(api)
    woken(deployment)
    for notice in (a_notice("task-1", 40, status=0), a_notice("task-1", 11, exitStatus=1)):
        for _ in range(2):
            deployment.notices.remember(notice, deployment.clock.utc_us())
    found = queried(api, sid)
    assert (found["status"], found["vendor"]["health"]) == (2, "starting")
    hints = found["vendor"]["hints"]
    assert (hints["started"], hints["exited"], hints["abnormal"]) == (True, True, True)


def test_notices_when_about_another_life_then_are_not_told(
    api: TestClient, deployment: Deployment, vendor: Vendor
) -> None:
    vendor.healths = [
        Health.UNKNOWN, Health.UNKNOWN, Health.RUNNING, Health.FAILED, Health.RUNNING,
    ]  # fmt: skip
    sid = started(api)
    woken(deployment)
    for seconds in (5, 60):
        deployment.clock.advance(seconds)
        deployment.wiring.look(sid=sid)
    late = a_notice("task-1", 11, exitStatus=1)
    deployment.notices.remember(late, deployment.clock.utc_us())
    hints = queried(api, sid)["vendor"]["hints"]
    assert not hints["exited"]
    assert not hints["abnormal"]


# ---------------------------------------------------------------------- what is refused

REFUSED = {
    "no vendor": ({"vendor": None}, "vendor"),
    "no app": ({"vendor__appId": None}, "vendor.appId"),
    "unknown field": ({"vendor__bucket": "x"}, "vendor.bucket"),
    "unknown provider": ({"provider": "zoom"}, "provider"),
    "source": ({"source": "rtmp://media.example/live/x"}, "source"),
    "uid is no number": ({"recorderUid": "recorder"}, "recorderUid"),
    "uid is none": ({"recorderUid": "0"}, "recorderUid"),
    "uid too large": ({"recorderUid": "4294967296"}, "recorderUid"),
    "uid in other digits": ({"backupRecorderUid": "1.5"}, "backupRecorderUid"),
    "no backup": ({"backupRecorderUid": None}, "backupRecorderUid"),
    "same backup": ({"backupRecorderUid": "101"}, "backupRecorderUid"),
    "uid to record is no number": ({"uid": "camera"}, "uid"),
    "uid to record is the recorder": ({"uid": "102"}, "uid"),
    "our options": ({"options": {"container": "fmp4"}}, "options.container"),
    "envelope": ({"vendor__request": {"clientRequest": {}}}, "vendor.request.clientRequest"),
    "config is no object": (
        {"vendor__request": {"recordingConfig": []}},
        "vendor.request.recordingConfig",
    ),
    "prefix is no list": (
        {"vendor__request": {"storageConfig": {"fileNamePrefix": "a/b"}}},
        "vendor.request.storageConfig.fileNamePrefix",
    ),
    "request is no object": ({"vendor__request": "x"}, "vendor.request"),
    "request without bottom": (
        {"vendor__request": {"x": json.loads("[" * 33 + "]" * 33)}},
        "vendor.request",
    ),
    "too many restarts": ({"vendor__restarts": 99}, "vendor.restarts"),
    "transcoder without outputs": (
        {"provider": "agora-transcoder"},
        "vendor.request.services.cloudTranscoder.config.transcoder.outputs",
    ),
    "transcoder of another shape": (
        {"provider": "agora-transcoder", "vendor__request": {"services": []}},
        "vendor.request.services",
    ),
    "output is no object": (
        {"provider": "agora-transcoder", "vendor__request": transcoder(["x"])},
        "vendor.request.services.cloudTranscoder.config.transcoder.outputs",
    ),
    "transcoder by uid": (
        {
            "provider": "agora-transcoder",
            "vendor__request": transcoder(OUTPUTS),
            "vendor__layout": "individual",
        },
        "vendor.layout",
    ),
    "transcoder that waits for ever": (
        {
            "provider": "agora-transcoder",
            "vendor__request": transcoder(OUTPUTS),
            "options": {"maxIdleSeconds": 86_401},
        },
        "options.maxIdleSeconds",
    ),
    "vendor without a vendor": ({"provider": "everreel"}, "vendor"),
}


@pytest.mark.parametrize(("changes", "field"), REFUSED.values(), ids=REFUSED)
def test_start_when_something_is_wrong_then_400_names_the_field_and_nothing_runs(
    api: TestClient, deployment: Deployment, changes: dict[str, Any], field: str
) -> None:
    answer = api.post("/v1/start", json=changed(**changes))
    found = answer.json()
    assert (answer.status_code, found["field"]) == (400, field), found
    assert found["fix"]
    assert TOKEN not in answer.text
    assert "st0re-s3cret" not in answer.text
    assert deployment.runner.supervised == []


def test_start_when_the_request_holds_no_number_then_400(api: TestClient) -> None:
    text = json.dumps(changed(vendor__request={"x": [{"y": float("nan")}]}))
    answer = api.post("/v1/start", content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (400, "vendor.request")


def test_answers_when_a_vendor_records_then_hold_no_credential(
    api: TestClient, deployment: Deployment, tasks: FrailTasks
) -> None:
    sid = started(api)
    woken(deployment)
    texts = [api.get(f"/v1/recordings/{sid}").text, api.get("/v1/recordings").text]
    texts += [json.dumps(event.detail) for event in deployment.bus.published]
    texts.append(repr(tasks.find(sid)))
    for text in texts:
        assert TOKEN not in text
        assert "st0re-s3cret" not in text


KEY = '{"customerId": "x", "customerSecret": "y"}'


class Unsent(AgoraApi):
    """Writes requests down as they would be sent, and says yes."""

    def send(self, made: Request, watch: VendorWatch) -> Reply:
        assert json.dumps(made, allow_nan=False)
        return Reply(200, {"sid": "task"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["services", "cloudTranscoder", "config", "transcoder", "outputs", "rtc",
             "recordingConfig", "storageConfig", "fileNamePrefix", "x"]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["services", "recordingConfig", "storageConfig", "x"]), JSON),
    st.sampled_from([ProviderName.AGORA, ProviderName.AGORA_TRANSCODER]),
)
def test_order_when_the_request_is_any_json_then_is_refused_or_can_be_sent(
    made: dict[str, Any], provider: ProviderName
) -> None:
    wish = VendorWish("app", Layout.MIX, "", "", made, restarts=0, max_idle_s=0)
    request = StartRequest(
        "app", "lobby", "7", "101", "", Mode.INDIVIDUAL, Options(), "102", provider, wish
    )
    try:
        order = order_of(request, "lobby", "101")
    except EverreelError:
        return
    unsent = Unsent(AgoraKeys(lambda: KEY, ManualClock()), practices=CLOUD_RECORDING)
    service = CloudRecording if provider is ProviderName.AGORA else CloudTranscoder
    for call in Call:
        watch = replace(VendorWatch("0" * 32), ticket="ticket", task="task")
        assert service(unsent).ask(call, order, watch).status == 200
