"""Signed notices through the deployed door, the bus and the fan-in, out of order and again."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from everreel.events.fan_in import FAILURE
from tests.e2e.deployment import NOBODY, Answer, Deployment, Json
from tests.unit.events import lives

AGORA = [told for told in lives.FAILED_OVER if told["eventType"] in {11, 12, 31, 32, 33, 40}]
TENCENT = [told for told in lives.TENCENT_LIFE if told["EventType"] in {301, 302, 305, 310}]
"""Parts of the lives: each delivery is a process here, and all run at once."""


@pytest.fixture(scope="module")
def told(deployed: Deployment) -> Deployment:
    """The deployment, once its operator has written down what vendors sign with."""
    deployed.engine.client("secretsmanager").put_secret_value(
        SecretId=deployed.outputs["NoticeSecretsArn"], SecretString=json.dumps(lives.SECRETS)
    )
    return deployed


def tell(deployment: Deployment, told: Json, **changed: str) -> Answer:
    """Call as the vendor does, without a key of ours."""
    body, signature = lives.signed(told)
    vendor, header = ("agora", "Agora_Signature_V2") if "payload" in told else ("tencent", "Sign")
    headers = {header: signature, **changed}
    path = f"/v1/notices/{vendor}"
    return deployment.call("POST", path, raw=body, authorization=NOBODY, **headers)


def of_task(told: Json, task: str) -> Json:
    """Give the same notice about another task: the deployment is shared."""
    if "payload" in told:
        return {**told, "payload": {**told["payload"], "sid": task}}
    return {**told, "EventInfo": {**told["EventInfo"], "TaskId": task}}


def heard(deployment: Deployment, vendor: str, task: str) -> Json:
    answer = deployment.call("GET", f"/v1/notices/{vendor}/{task}?limit=200")
    assert answer.status == 200, answer
    return answer.body


def until(
    what: str, ask: Callable[[], Any], fits: Callable[[Any], object] = bool, seconds: float = 90
) -> Any:
    """Ask until the answer fits."""
    deadline = time.monotonic() + seconds
    while not fits(found := ask()):
        assert time.monotonic() < deadline, (what, found)
        time.sleep(0.3)
    return found


def put(deployment: Deployment, kind: str, detail: Json, source: str) -> None:
    """Put an event on the bus as a service, or a fault of ours, would."""
    entry = {
        "EventBusName": deployment.outputs["BusName"],
        "Source": source,
        "DetailType": kind,
        "Detail": json.dumps(detail),
    }
    answer = deployment.engine.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer


@pytest.mark.parametrize(
    ("vendor", "life", "kept"),
    [("agora", AGORA, len(AGORA) - 1), ("tencent", TENCENT, len(TENCENT))],
    ids=["agora", "tencent"],
)
def test_notices_when_they_come_in_disorder_and_again_then_the_facts_are_those_of_the_life(
    told: Deployment, vendor: str, life: list[Json], kept: int
) -> None:
    task = uuid.uuid4().hex
    deliveries = [of_task(lives.again(each, n), task) for each in life for n in (0, 2)]
    random.Random(task).shuffle(deliveries)

    answers = [tell(told, each) for each in deliveries]

    assert {(answer.status, answer.body["code"]) for answer in answers} == {(200, 0)}
    until(
        "the door passes all of them on: it is the fan-in that knows repeats",
        lambda: len(told.events(lambda event: event["detail"].get("task") == task)),
        lambda count: count == len(deliveries),
    )
    last = until(
        f"{kept} things are heard, no more and no less",
        lambda: heard(told, vendor, task),
        lambda found: found["kept"] == kept,
    )
    facts = last["facts"]
    assert (facts["started"], facts["exited"], facts["abnormal"]) == (True, True, False)
    assert (facts["stored"], facts["backedUp"]) == (True, True)
    if vendor == "agora":
        assert facts["progress"] == 10_000
        assert facts["recorders"] == ["101", "102"]
        assert facts["files"] == ["bak0_x.m3u8", "x.m3u8"]
    else:
        assert facts["files"] == ["a.mp4", "b.mp4"]
    moments = [each["at"] for each in last["notices"]]
    assert moments == sorted(moments, reverse=True)


def test_notice_when_its_signature_is_wrong_then_it_is_refused_and_nobody_hears_of_it(
    told: Deployment,
) -> None:
    task = uuid.uuid4().hex
    agora, tencent = (of_task(life[0], task) for life in (lives.FAILED_OVER, lives.TENCENT_LIFE))

    refused = [
        tell(told, agora, Agora_Signature_V2="0" * 64),
        tell(told, agora, Agora_Signature="0" * 40),
        tell(told, agora, Agora_Signature_V2=""),
        tell(told, tencent, Sign="AAAA"),
        tell(told, tencent, Sign=""),
    ]
    good = tell(told, of_task(agora, f"{task}-good"))

    assert {(answer.status, answer.body["code"]) for answer in refused} == {
        (401, "signature_refused")
    }
    assert good.status == 200
    told.event("the good one", lambda e: e["detail"].get("task") == f"{task}-good")
    assert told.events(lambda e: e["detail"].get("task") == task) == []
    assert heard(told, "agora", task)["kept"] == heard(told, "tencent", task)["kept"] == 0


def test_hearsay_when_asked_for_without_a_key_then_is_refused(told: Deployment) -> None:
    path = f"/v1/notices/agora/{lives.RECORDING}"
    assert told.call("GET", path, authorization=NOBODY).status == 401
    assert told.call("GET", path, authorization="Bearer wrong").status == 403


def test_lap_when_lambda_says_that_it_died_then_it_is_kept_once_and_its_record_as_well(
    told: Deployment,
) -> None:
    sid, request_id = uuid.uuid4().hex, str(uuid.uuid4())
    record = lives.died("b", 3, 1)["detail"]
    record["requestPayload"]["sid"] = sid
    record["requestContext"]["requestId"] = request_id

    for _ in range(2):
        put(told, FAILURE, record, "lambda")

    until(
        "both records are kept",
        lambda: sum(request_id in body for body in letters(told, "Dead")),
        lambda count: count == 2,
    )
    found = until("it is heard", lambda: heard(told, "everreel", sid), lambda told: told["kept"])
    assert found["kept"] == 1
    assert found["facts"]["errors"] == ["recorder_died"]
    assert found["facts"]["recorders"] == ["b3"]
    assert "signal: killed" in found["notices"][0]["detail"]["error"]
    assert removed(told, request_id) == 2


def removed(deployment: Deployment, text: str) -> int:
    """Take the letters that hold a text out of the stack's queues, which others read as well."""
    sqs = deployment.engine.client("sqs")
    found = 0
    for url in sqs.list_queues(QueueNamePrefix=deployment.outputs["BusName"])["QueueUrls"]:
        if "overheard" in url:
            continue
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        for message in answer.get("Messages", []):
            if text in message["Body"]:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found += 1
    return found


def letters(deployment: Deployment, queue: str) -> list[str]:
    """Read what lies in a queue of the stack."""
    return [body for name, found in deployment.queued().items() if queue in name for body in found]


def test_notice_when_it_cannot_be_kept_then_it_lies_in_the_queue_and_counts_when_sent_again(
    told: Deployment,
) -> None:
    task = uuid.uuid4().hex
    body = of_task(lives.FAILED_OVER[2], task)
    # DynamoDB takes no key of more than 1,024 bytes: the table refuses this one, however often.
    event = lives.events_of([body])[0]["detail"] | {"mark": "m" * 2000}

    put(told, "VendorNotice", event, "everreel")

    [letter] = until(
        "it is given up", lambda: [each for each in letters(told, "Abandoned") if task in each]
    )
    record = json.loads(letter)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorType"]
    assert heard(told, "agora", task)["kept"] == 0
    mended = record["requestPayload"]
    mended["detail"]["mark"] = "n1"
    put(told, mended["detail-type"], mended["detail"], mended["source"])
    until("it is heard", lambda: heard(told, "agora", task)["kept"] == 1)
    assert removed(told, task) == 1
