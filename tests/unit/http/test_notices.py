"""The routes for vendors' notices, as the vendors meet them."""

from collections.abc import Generator

import pytest
from fastapi.testclient import TestClient

from everreel.errors import ServiceFault, SignatureRefused
from everreel.events.fan_in import NoticeDoor
from everreel.events.memory import MemoryBus
from everreel.events.ports import Event
from everreel.http.app import create_app
from everreel.settings import Settings
from everreel.wiring import Wiring
from tests.unit.doors.memory import Deployment
from tests.unit.events.test_notices import (
    AGORA_BODY,
    AGORA_SHA1,
    AGORA_SHA256,
    TENCENT_BODY,
    TENCENT_SIGN,
    agora_body,
    raw,
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
def api(bus: Bus) -> Generator[TestClient]:
    deployment = Deployment()
    notices = deployment.notices
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
