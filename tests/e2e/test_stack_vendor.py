"""Recordings that run at a vendor, supervised by the deployed stack: Agora played on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from everreel.clock import SystemClock
from everreel.events.fan_in import notice_of
from everreel.state.dynamodb_notices import DynamoNotices
from tests.e2e.deployment import EXITED, IN_PROGRESS, Answer, Deployment, Json
from tests.lab.fake_agora import BLIP, CUT, DOWN, KEY, UNFINISHED, FakeAgora, Fault
from tests.lab.process import LabError

pytestmark = pytest.mark.timeout(600)

TOKEN, BACKUP_TOKEN, STORE_KEY = "006main-t0k3n", "006backup-t0k3n", "st0re-s3cret"
STORAGE = {"vendor": 1, "bucket": "theirs", "secretKey": STORE_KEY, "fileNamePrefix": ["team"]}
APP = "0123456789abcdef0123456789abcdef"
LOBBY, ATTIC, CELLAR = "lobby-at-agora", "attic-at-agora", "cellar-at-agora"


def wish(channel: str, **changes: Any) -> Json:
    """Ask for a recording at Agora."""
    return {
        "channel": channel,
        "uid": "0",
        "provider": "agora",
        "recorderUid": "101",
        "backupRecorderUid": "102",
        "vendor": {
            "appId": APP,
            "token": TOKEN,
            "backupToken": BACKUP_TOKEN,
            "request": {"storageConfig": STORAGE, "recordingConfig": {"channelType": 1}},
        },
        **changes,
    }


TRANSCODING = {
    "appId": APP,
    "token": TOKEN,
    "request": {
        "services": {
            "cloudTranscoder": {
                "config": {"transcoder": {"outputs": [{"rtc": {"rtcChannel": CELLAR}}]}}
            }
        }
    },
}


def until(what: str, fits: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is so at the vendor."""
    deadline = time.monotonic() + seconds
    while not fits():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


def at(agora: FakeAgora, channel: str) -> list[Any]:
    """List the tasks of a channel, oldest first."""
    return [task for task in agora.tasks.values() if task.channel == channel]


@dataclass
class Story:
    """What a caller saw, step by step."""

    start: Answer
    steps: dict[str, Json]


def start(deployed: Deployment, body: Json) -> Answer:
    answer = deployed.call("POST", "/v1/start", body)
    assert answer.status == 202, answer
    return answer


def running(deployed: Deployment, sid: str, seconds: float = 90) -> Json:
    return deployed.until(
        sid,
        "running at the vendor",
        lambda r: r["status"] == IN_PROGRESS and r["vendor"]["health"] == "running",
        seconds,
    )


def signed(deployed: Deployment, task: str) -> tuple[bytes, str]:
    """Write a notice as Agora does, signed with the secret that both sides hold."""
    told = deployed.engine.client("secretsmanager").get_secret_value(
        SecretId=deployed.outputs["NoticeSecretsArn"]
    )
    secret = json.loads(told["SecretString"])["agora"]
    body = json.dumps(
        {
            "noticeId": f"notice-{task}",
            "productId": 3,
            "eventType": 33,
            "notifyMs": 1_767_225_600_000,
            "payload": {
                "cname": LOBBY,
                "uid": "101",
                "sid": task,
                "sequence": 7,
                "sendts": 1_767_225_600_000,
                "details": {"msgName": "uploading_progress", "progress": 2500},
            },
        }
    ).encode()
    return body, hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def hear(deployed: Deployment, task: str) -> Answer:
    """Tell a notice and let it be kept, as the fan-in does with what the bus brings."""
    body, signature = signed(deployed, task)
    answer = deployed.call(
        "POST", "/v1/notices/agora", raw=body, authorization="", agora_signature_v2=signature
    )
    event = deployed.event(
        "the notice", lambda e: e["detail-type"] == "VendorNotice" and e["detail"]["task"] == task
    )
    kept = DynamoNotices(deployed.outputs["TableName"], deployed.engine.client("dynamodb"))
    kept.remember(notice_of(event["detail"]), SystemClock().utc_us())
    return answer


# ---------------------------------------------------------------------- three stories at once


def badly_started(deployed: Deployment, agora: FakeAgora, sid: str) -> dict[str, Json]:
    """No credentials at first; then a start that fails thrice and a query that is not finished."""
    steps = {"running": running(deployed, sid)}
    task = steps["running"]["vendor"]["task"]
    assert hear(deployed, task).status == 200
    steps["told"] = deployed.query(sid)
    stop = deployed.stop(sid)
    assert stop.status == 202, stop
    until("the task stopped", lambda: not agora.tasks[task].live, 30)
    steps["sealed"] = deployed.sealed(sid)
    steps["stop again"] = deployed.stop(sid).body
    steps["execution"] = {"status": deployed.supervised_to_the_end(sid, 120)}
    return steps


def lost(deployed: Deployment, agora: FakeAgora) -> Story:
    """Not found at first, then running, then failed at the vendor."""
    body = wish(ATTIC, recorderUid="201", backupRecorderUid="202")
    answer = start(deployed, body)
    sid = answer.body["sid"]
    again = deployed.call("POST", "/v1/start", body)
    steps = {"conflict": again.body, "running": running(deployed, sid)}
    [first] = at(agora, ATTIC)
    first.health = 20
    until("started anew", lambda: len(at(agora, ATTIC)) == 2)
    steps["anew"] = deployed.until(
        sid, "the second runs", lambda r: r["vendor"]["task"] == at(agora, ATTIC)[1].task
    )
    steps["anew"] = running(deployed, sid)
    deployed.stop(sid)
    steps["sealed"] = deployed.sealed(sid)
    return Story(answer, steps)


def transcoded(deployed: Deployment, agora: FakeAgora) -> Story:
    """Asked for by an event; its stop fails at first."""
    body = wish(CELLAR, provider="agora-transcoder", recorderUid="301", backupRecorderUid="302")
    deployed.publish(detail={**body, "vendor": TRANSCODING})
    until("the recording is listed", lambda: deployed.of_channel(CELLAR))
    [listed] = deployed.of_channel(CELLAR)
    sid = listed["sid"]
    steps = {"listed": listed, "running": running(deployed, sid)}
    deployed.stop(sid)
    until("the task stopped", lambda: not agora.live_in(CELLAR), 30)
    steps["sealed"] = deployed.sealed(sid)
    return Story(Answer(202, {"sid": sid}, {}), steps)


@pytest.fixture(scope="module")
def agora() -> Iterator[FakeAgora]:
    with FakeAgora() as vendor:
        vendor.faults["start"] += [replace(fault, channel=LOBBY) for fault in (DOWN, CUT, DOWN)]
        started = Fault(201, {"code": 7}, after=True, told=True, channel=LOBBY)
        vendor.faults["start"].append(started)
        vendor.faults["query"].append(replace(UNFINISHED, channel=LOBBY))
        vendor.faults["query"] += [replace(BLIP, channel=ATTIC)] * 2
        vendor.faults["stop"].append(replace(DOWN, channel=CELLAR))
        yield vendor


@pytest.fixture(scope="module")
def stories(deployed: Deployment, agora: FakeAgora) -> dict[str, Story]:
    """Three recordings, told once for all tests below."""
    first = start(deployed, wish(LOBBY))
    sid = first.body["sid"]
    keyless = deployed.until(
        sid, "there is no key", lambda r: r["vendor"] and "customerSecret" in r["vendor"]["note"]
    )
    deployed.engine.client("secretsmanager").put_secret_value(
        SecretId=deployed.outputs["AgoraKeySecretArn"],
        SecretString=json.dumps({**KEY, "api": agora.urls}),
    )
    with ThreadPoolExecutor() as pool:
        others = {
            "lost": pool.submit(lost, deployed, agora),
            "transcoded": pool.submit(transcoded, deployed, agora),
        }
        steps = {"keyless": keyless, **badly_started(deployed, agora, sid)}
        return {
            "bad start": Story(first, steps),
            **{name: each.result() for name, each in others.items()},
        }


def test_start_when_the_deployment_has_no_key_then_says_so_and_goes_on_once_it_has(
    stories: dict[str, Story],
) -> None:
    keyless = stories["bad start"].steps["keyless"]

    assert keyless["status"] == 2
    assert keyless["vendor"]["task"] is None
    assert stories["bad start"].steps["running"]["status"] == IN_PROGRESS


def test_start_when_it_fails_thrice_then_one_task_runs_under_the_main_uid(
    agora: FakeAgora, stories: dict[str, Story]
) -> None:
    found = stories["bad start"].steps["running"]
    [task] = at(agora, LOBBY)
    calls = [(call, address) for call, address, uid in agora.seen if uid == "101"]

    assert found["vendor"]["task"] == task.task
    assert (found["vendor"]["uid"], found["vendor"]["attempts"]) == ("101", [])
    assert [call for call, _ in calls].count("acquire") == 1
    assert [call for call, _ in calls].count("start") == 4
    assert {address for _, address in calls} == {0, 1}, "the other address was asked as well"
    assert found["vendor"]["playlist"] == f"team/{task.task}_{LOBBY}.m3u8"
    assert task.request["clientRequest"]["token"] == TOKEN


def test_notice_when_told_then_is_a_hint_in_the_query(stories: dict[str, Story]) -> None:
    hints = stories["bad start"].steps["told"]["vendor"]["hints"]

    assert hints["progress"] == 2500
    assert hints["recorders"] == ["101"]
    assert stories["bad start"].steps["told"]["status"] == IN_PROGRESS


def test_stop_when_asked_for_then_the_recording_is_sealed_and_its_machine_ends(
    stories: dict[str, Story],
) -> None:
    steps = stories["bad start"].steps

    assert (steps["sealed"]["status"], steps["sealed"]["reason"]) == (EXITED, "stopped")
    assert steps["sealed"]["error"] is None
    assert steps["sealed"]["vendor"]["health"] == "ended"
    assert steps["stop again"]["code"] == "already_ended"
    assert steps["execution"]["status"] == "SUCCEEDED"


def test_task_when_it_fails_at_the_vendor_then_another_runs_under_the_backup_uid(
    agora: FakeAgora, stories: dict[str, Story]
) -> None:
    first, second = at(agora, ATTIC)
    found = stories["lost"].steps["anew"]

    assert stories["lost"].steps["running"]["vendor"]["task"] == first.task
    assert (first.uid, second.uid) == ("201", "202")
    assert second.request["clientRequest"]["token"] == BACKUP_TOKEN
    assert (found["vendor"]["task"], found["vendor"]["uid"]) == (second.task, "202")
    assert found["vendor"]["restarts"] == 1
    [attempt] = found["vendor"]["attempts"]
    assert (attempt["task"], attempt["uid"]) == (first.task, "201")
    assert "failed" in attempt["why"]
    assert stories["lost"].steps["sealed"]["status"] == EXITED


def test_start_when_the_name_is_being_recorded_then_409(stories: dict[str, Story]) -> None:
    conflict = stories["lost"].steps["conflict"]

    assert conflict["code"] == "recording_conflict"
    assert stories["lost"].start.body["sid"] in conflict["detail"]


def test_transcoder_when_asked_for_by_an_event_then_runs_and_stops(
    agora: FakeAgora, stories: dict[str, Story]
) -> None:
    steps = stories["transcoded"].steps
    [task] = at(agora, CELLAR)

    assert steps["listed"]["provider"] == "agora-transcoder"
    assert task.uid == "301"
    assert steps["running"]["vendor"]["task"] == task.task
    assert (steps["sealed"]["status"], steps["sealed"]["reason"]) == (EXITED, "stopped")


def test_events_when_recordings_run_at_a_vendor_then_the_bus_tells_their_story(
    deployed: Deployment, stories: dict[str, Story]
) -> None:
    for story in stories.values():
        sid = story.start.body["sid"]
        deployed.event_of(sid, "RecordingSealed")
        assert sorted(set(deployed.kinds(sid))) == ["RecordingSealed", "RecordingStarted"]
    sid = stories["bad start"].start.body["sid"]
    sealed = deployed.event_of(sid, "RecordingSealed")["detail"]
    assert sealed["provider"] == "agora"
    assert sealed["task"] == stories["bad start"].steps["running"]["vendor"]["task"]


def test_credentials_when_a_vendor_records_then_none_of_them_goes_out(
    deployed: Deployment, stories: dict[str, Story]
) -> None:
    machine = deployed.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    client = deployed.engine.client("stepfunctions")
    histories = [
        client.get_execution_history(executionArn=f"{machine}:{story.start.body['sid']}")
        for story in stories.values()
    ]
    places = {
        "logs": "\n".join(deployed.logs()),
        "events": json.dumps(deployed.events()),
        "answers": repr(stories),
        "executions": json.dumps(histories, default=str),
    }
    sid = stories["bad start"].start.body["sid"]
    assert sid in places["executions"]
    for place, text in places.items():
        for secret in (TOKEN, BACKUP_TOKEN, STORE_KEY, KEY["customerSecret"]):
            assert secret not in text, f"{place} tell a credential"
