"""The routes for vendors' notices, as the vendors meet them."""

from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from everreel.errors import ServiceFault, SignatureRefused, StateUnavailable
from everreel.events.fan_in import NoticeDoor
from everreel.events.memory import MemoryBus
from everreel.events.ports import Event
from everreel.http.app import create_app
from everreel.http.notices import LARGEST_ANSWER
from everreel.settings import Settings
from everreel.state.notices import MemoryNotices, Notice
from everreel.wiring import Wiring
from tests.unit.doors.memory import Deployment
from tests.unit.events.lives import FAILED_OVER, RECORDING
from tests.unit.events.test_notices import (
    AGORA_BODY,
    AGORA_SHA1,
    AGORA_SHA256,
    SID,
    TENCENT_BODY,
    TENCENT_SIGN,
    agora_body,
    raw,
    read,
    signed,
)

SECRETS = '{"agora": "secret", "tencent": "123654"}'
JSON = {"Content-Type": "application/json"}


class Bus(MemoryBus):
    away = False

    def publish(self, *events: Event) -> None:
        if self.away:
            raise ServiceFault("the bus is away")
        super().publish(*events)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def notices() -> MemoryNotices:
    return MemoryNotices()


@pytest.fixture
def api(bus: Bus, notices: MemoryNotices) -> Generator[TestClient]:
    deployment = Deployment()
    door = NoticeDoor(lambda: SECRETS, lambda: bus, lambda: notices, deployment.clock)
    app = create_app(deployment.wiring.lifecycle, bucket="recordings", notices=door)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [{"Agora-Signature": AGORA_SHA1}, {"agora-signature-v2": AGORA_SHA256}],
    ids=["sha1", "sha256"],
)
def test_agora_when_it_sends_its_sample_then_is_answered_200(
    api: TestClient, headers: dict[str, str]
) -> None:
    answer = api.post("/v1/notices/agora", content=AGORA_BODY, headers={**JSON, **headers})
    assert (answer.status_code, answer.json()) == (200, {"code": 0})


def test_tencent_when_it_sends_its_sample_then_is_answered_200(api: TestClient) -> None:
    headers = {**JSON, "Sign": TENCENT_SIGN, "SdkAppId": "1400000123"}
    answer = api.post("/v1/notices/tencent", content=TENCENT_BODY, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"code": 0})


def test_notice_when_signed_then_is_on_the_bus(api: TestClient, bus: Bus) -> None:
    body = raw(agora_body())
    headers = {**JSON, "Agora-Signature-V2": signed(body)["sha256"]}
    assert api.post("/v1/notices/agora", content=body, headers=headers).status_code == 200
    assert [event.detail["event"] for event in bus.published] == [31]


@pytest.mark.parametrize("vendor", ["agora", "tencent"])
@pytest.mark.parametrize("body", [AGORA_BODY, TENCENT_BODY, b"", b"no json"])
def test_notice_when_not_signed_then_is_refused_unread(
    api: TestClient, bus: Bus, vendor: str, body: bytes
) -> None:
    answer = api.post(f"/v1/notices/{vendor}", content=body, headers=JSON)
    assert answer.status_code == 401
    assert answer.json()["code"] == "signature_refused"
    assert bus.published == []


def test_notice_when_it_cannot_be_told_then_the_vendor_tells_it_again(
    api: TestClient, bus: Bus
) -> None:
    bus.away = True
    body = raw(agora_body())
    headers = {**JSON, "Agora-Signature-V2": signed(body)["sha256"]}
    assert api.post("/v1/notices/agora", content=body, headers=headers).status_code == 500


def test_notice_when_signed_and_senseless_then_is_an_invalid_request(api: TestClient) -> None:
    body = raw(agora_body(-1))
    headers = {**JSON, "Agora-Signature-V2": signed(body)["sha256"]}
    answer = api.post("/v1/notices/agora", content=body, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "eventType")


def test_deployment_when_it_has_no_secrets_then_takes_no_notice() -> None:
    wiring = Wiring(Settings())
    with pytest.raises(SignatureRefused, match="no secret for notices of agora"):
        wiring.notice_door.agora(AGORA_BODY, sha1=AGORA_SHA1, sha256="")


# ---------------------------------------------------------------------- reading what was told


def keep(notices: MemoryNotices, *told: dict[str, Any]) -> None:
    for body in told:
        notices.remember(read(body), 0)


def test_task_when_asked_about_then_its_facts_and_notices_are_shown_newest_first(
    api: TestClient, notices: MemoryNotices
) -> None:
    keep(notices, *FAILED_OVER)
    answer = api.get(f"/v1/notices/agora/{RECORDING}", params={"limit": 3})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["vendor"], told["task"], told["kept"]) == (
        "agora",
        RECORDING,
        len(FAILED_OVER) - 2,
    )
    assert told["facts"] == {
        "started": True,
        "exited": True,
        "abnormal": False,
        "stored": True,
        "backedUp": True,
        "progress": 10_000,
        "recorders": ["101", "102"],
        "files": ["bak0_x.m3u8", "x.m3u8"],
        "errors": ["47"],
    }
    assert [each["event"] for each in told["notices"]] == [99, 11, 32]
    assert told["notices"][1] == {
        "event": 11,
        "recorder": "102",
        "channel": "lobby",
        "at": "2026-01-01T00:00:19.000Z",
        "noticeId": "2000001428:11:102:19",
        "detail": {"exitStatus": 0},
    }


def test_task_when_nothing_was_told_then_the_answer_is_empty(api: TestClient) -> None:
    told = api.get("/v1/notices/tencent/unheard-of").json()
    assert (told["kept"], told["notices"], told["facts"]["started"]) == (0, [], False)
    assert told["facts"]["recorders"] == []


@pytest.mark.parametrize("task", ["-m52SqIMc.", "a/b+c=", "with space", "ü", "x" * 256])
def test_task_when_its_id_has_signs_then_is_found(
    api: TestClient, notices: MemoryNotices, task: str
) -> None:
    notices.remember(Notice("tencent", task, 301, "", "m", "", 0, "{}"), 0)
    answer = api.get(f"/v1/notices/tencent/{quote(task, safe='')}")
    assert (answer.status_code, answer.json()["kept"]) == (200, 1)
    assert answer.json()["task"] == task


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/notices/zoom/task", "vendor"),
        ("/v1/notices/agora/" + "x" * 257, "task"),
        ("/v1/notices/agora/task?limit=0", "limit"),
        ("/v1/notices/agora/task?limit=201", "limit"),
        ("/v1/notices/agora/task?limits=1", "limits"),
    ],
)
def test_question_when_a_field_is_wrong_then_the_problem_names_it(
    api: TestClient, path: str, field: str
) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_notices_when_they_are_huge_then_the_answer_still_fits(
    api: TestClient, notices: MemoryNotices
) -> None:
    for n in range(40):
        keep(notices, agora_body(42, sequence=n, sendts=n, details={"text": "x" * 60_000}))
    answer = api.get(f"/v1/notices/agora/{SID}", params={"limit": 200})
    told = answer.json()
    assert len(answer.content) < 2 * LARGEST_ANSWER
    assert told["kept"] == 40
    assert 10 < len(told["notices"]) < 20
    assert told["notices"][0]["at"].endswith(".039Z")


def test_table_when_it_is_away_then_the_question_may_be_asked_again(bus: Bus) -> None:
    class Away(MemoryNotices):
        def of_task(self, vendor: str, task: str) -> Sequence[Notice]:
            raise StateUnavailable("the table is away")

    deployment = Deployment()
    door = NoticeDoor(lambda: SECRETS, lambda: bus, Away, deployment.clock)
    app = create_app(deployment.wiring.lifecycle, bucket="recordings", notices=door)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/v1/notices/agora/task")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
