"""Lives of tasks as vendors, the bus and Lambda tell them, and the ways in which they repeat it."""

import base64
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from everreel.events.fan_in import FAILURE, FROM_LAMBDA
from everreel.events.ports import SOURCE, Happening
from everreel.state.lanes import MemoryLanes
from everreel.state.memory import MemoryRecordings
from everreel.supervisor.memory import MemoryTasks
from tests.unit.doors.memory import NOTICE_SECRETS, SID, Deployment

Json = dict[str, Any]

T0_MS = 1_767_225_600_000
RECORDING, WEB, TRANSCODER = "1f2e3d4c5b6a79880102030405060708", "0a" * 16, "transcoder-task-1"
TENCENT_TASK = "-m52SqIMc."
SECRETS: Mapping[str, str] = json.loads(NOTICE_SECRETS)


def agora(task: str, event: int, n: int, details: Json | None = None, *, uid: str = "101") -> Json:
    """Tell the `n`th thing of a series as Agora's notification service does."""
    named = {"taskId": task} if task == TRANSCODER else {"sid": task, "uid": uid, "cname": "lobby"}
    return {
        "noticeId": f"2000001428:{event}:{uid}:{n}",
        "productId": 3,
        "eventType": event,
        "notifyMs": T0_MS + n * 1000 + 300,
        "payload": {
            **named,
            "sequence": n,
            "sendts": T0_MS + n * 1000,
            "serviceType": 0,
            "details": details or {},
        },
    }


def tencent(event: int, n: int, payload: Json) -> Json:
    """Tell a thing as Tencent's cloud recording does."""
    return {
        "EventGroupId": 3,
        "EventType": event,
        "CallbackTs": T0_MS + n * 1000 + 300,
        "EventInfo": {
            "RoomId": 20015,
            "EventTs": (T0_MS + n * 1000) // 1000,
            "EventMsTs": T0_MS + n * 1000,
            "UserId": "robot",
            "TaskId": TENCENT_TASK,
            "Payload": payload,
        },
    }


def on_bus(kind: str, n: int, detail: Json, source: str = SOURCE) -> Json:
    """Tell a thing as the bus hands it to its targets."""
    return {
        "version": "0",
        "id": f"17793124-05d4-b198-2fde-{n:012d}",
        "detail-type": kind,
        "source": source,
        "account": "111122223333",
        "time": f"2026-01-01T00:{n:02d}:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    }


def died(lane: str, lap: int, n: int, **changes: Any) -> Json:
    """Tell of a dead lap as Lambda's on-failure destination does."""
    record = {
        "version": "1.0",
        "timestamp": f"2026-01-01T00:{n:02d}:00.123Z",
        "requestContext": {
            "requestId": f"4f1c8b1e-2a55-4b0e-9d2b-{n:012d}",
            "functionArn": "arn:aws:lambda:eu-central-1:111122223333:function:E-record-lap:live",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"sid": SID, "lane": lane, "lap": lap, "follows": "", "standby": 0.5},
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: 4f1c Error: Runtime exited with error: signal: killed",
        },
    }
    return on_bus(FAILURE, n, {**record, **changes}, FROM_LAMBDA)


def hls(name: str) -> list[Json]:
    return [{"fileName": name, "trackType": "audio_and_video", "uid": "0", "isPlayable": True}]


FAILED_OVER = [
    agora(RECORDING, 3, 0, {"status": 2}),
    agora(RECORDING, 13, 1),
    agora(RECORDING, 40, 2, {"status": 0}),
    agora(RECORDING, 30, 3, {"status": 0}),
    agora(RECORDING, 3, 4, {"status": 4}),
    agora(RECORDING, 42, 5, {"startUtcMs": T0_MS, "discontinueUtcMs": T0_MS, "streamUid": "7"}),
    agora(RECORDING, 4, 6, {"fileList": "x.m3u8"}),
    agora(RECORDING, 3, 7, {"status": 5}),
    agora(RECORDING, 43, 8, {"streamUid": "7", "state": 0, "UtcMs": T0_MS}),
    agora(RECORDING, 33, 9, {"progress": 900}),
    agora(RECORDING, 33, 10, {"progress": 2000}),
    agora(RECORDING, 45, 11, {"fileName": "p/1.jpg"}),
    agora(RECORDING, 45, 12, {"fileName": "p/2.jpg"}),
    agora(RECORDING, 1, 13, {"module": 1, "errorLevel": 4, "errorCode": 47, "stat": 0}),
    agora(RECORDING, 12, 14, {"newUid": 102}),
    agora(RECORDING, 40, 0, {"status": 0}, uid="102"),
    agora(RECORDING, 42, 1, {"startUtcMs": T0_MS, "streamUid": "7"}, uid="102"),
    agora(RECORDING, 4, 2, {"fileList": "bak0_x.m3u8"}, uid="102"),
    agora(RECORDING, 33, 15, {"progress": 10_000}, uid="102"),
    agora(RECORDING, 41, 16, {"leaveCode": 2}, uid="102"),
    agora(RECORDING, 31, 17, {"status": 0, "fileList": hls("bak0_x.m3u8")}, uid="102"),
    agora(RECORDING, 32, 18, {"status": 0, "fileList": hls("x.m3u8")}),
    agora(RECORDING, 11, 19, {"exitStatus": 0}, uid="102"),
    agora(RECORDING, 99, 20, {"from": "the future"}, uid="102"),
]
WEB_LIFE = [
    agora(WEB, 70, 0, {"recorderStartTime": T0_MS}),
    agora(WEB, 100, 1, {"rtmpUrl": "rtmp://live.example/app/key", "status": "publishing"}),
    agora(WEB, 72, 2, {"limitType": "WebGL"}),
    agora(WEB, 73, 3, {"reason": "audio_silence"}),
    agora(
        WEB, 71, 4, {"code": 6, "message": "recorder_error", "fileList": [{"filename": "w.mp4"}]}
    ),
    agora(WEB, 31, 5, {"status": 0}),
    agora(WEB, 11, 6, {"exitStatus": 1}),
]
TRANSCODER_LIFE = [
    agora(TRANSCODER, 112, 0, {"event": "cloud_transcoder_status", "state": "connecting"}),
    agora(TRANSCODER, 110, 1, {"state": "Transcoder success", "createTs": 1}),
    agora(TRANSCODER, 112, 2, {"event": "cloud_transcoder_status", "state": "running"}),
    agora(TRANSCODER, 113, 3, {"state": "running", "updateTs": 2}),
    agora(TRANSCODER, 111, 4, {"stopReason": "Stop request", "createTs": 1, "updateTs": 3}),
]
TENCENT_LIFE = [
    tencent(301, 0, {"Status": 0}),
    tencent(303, 1, {"Status": 0}),
    tencent(304, 2, {"FileList": "1400_20015.m3u8"}),
    *(tencent(307, 3 + n, {"FileName": f"{n}.ts", "BeginTimeStamp": n}) for n in range(4)),
    tencent(306, 7, {"Status": 0}),
    tencent(309, 8, {"Url": "https://pictures.example/a.png"}),
    tencent(308, 9, {"Code": 7, "Message": "denied"}),
    tencent(302, 10, {"LeaveCode": 99}),
    tencent(305, 11, {"LeaveCode": 1}),
    tencent(305, 12, {"LeaveCode": 2}),
    tencent(310, 13, {"Status": 0, "FileList": ["a.mp4"]}),
    tencent(310, 14, {"Status": 0, "FileList": ["b.mp4"]}),
    tencent(311, 15, {"Status": 0, "TencentVod": {"FileId": "1"}}),
    tencent(312, 16, {"Status": 0}),
]
OWN_LIFE = [
    on_bus(Happening.STARTED, 1, {"sid": SID, "startTime": "…", "playlist": "index.m3u8"}),
    on_bus(Happening.LAP_ENDED, 2, {"sid": SID, "lane": "a", "lap": 1, "reason": "handed_over"}),
    died("b", 1, 3),
    on_bus(
        Happening.FAILED,
        4,
        {"sid": SID, "lane": "b", "lap": 1, "error": {"code": "recorder_died", "message": "…"}},
    ),
    died("b", 1, 5, responsePayload=None, responseContext=None),
    on_bus(
        Happening.LAP_ENDED,
        6,
        {"sid": SID, "lane": "a", "lap": 2, "error": {"code": "source_denied", "message": "…"}},
    ),
    on_bus(Happening.SEALED, 7, {"sid": SID, "status": 8, "reason": "stopped", "segments": 3}),
]
LIVES = [*FAILED_OVER, *WEB_LIFE, *TRANSCODER_LIFE, *TENCENT_LIFE, *OWN_LIFE]
TASKS = [
    ("agora", RECORDING),
    ("agora", WEB),
    ("agora", TRANSCODER),
    ("tencent", TENCENT_TASK),
    ("everreel", SID),
]
PASSING = 1 + 1 + 3
"""Tellings that a later one of their kind makes superfluous: of progress, pictures and slices."""


def again(told: Json, variant: int) -> Json:
    """Tell a thing once more: as the same delivery, later, and down a second path under other ids.

    The end of a task may come under another sequence number as well.
    """
    if variant == 0:
        return told
    if "CallbackTs" in told:
        return {**told, "CallbackTs": told["CallbackTs"] + 10_000 * variant}
    if "detail-type" in told:
        return {**told, "id": f"00000000-0000-0000-0000-{variant:012d}"}
    later = {**told, "notifyMs": told["notifyMs"] + 10_000 * variant}
    if variant == 1:
        return later
    other = {**later, "noticeId": f"second-path-{variant}"}
    if told["eventType"] not in {11, 31, 32, 111}:
        return other
    return {**other, "payload": {**told["payload"], "sequence": 1000 + variant}}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def signed(told: Json) -> tuple[bytes, str]:
    """Write a notice and sign it as its vendor does."""
    body = raw(told)
    if "payload" in told:
        return body, hmac.new(SECRETS["agora"].encode(), body, "sha256").hexdigest()
    made = hmac.digest(SECRETS["tencent"].encode(), body, "sha256")
    return body, base64.b64encode(made).decode()


def brought_in(deployment: Deployment, told: Json) -> Json:
    """Bring a thing in by its own door; gives the event that the bus hands on."""
    if "detail-type" in told:
        event: Json = json.loads(json.dumps(told))
        return event
    body, signature = signed(told)
    if "payload" in told:
        deployment.wiring.notice_door.agora(body, sha1="", sha256=signature)
    else:
        deployment.wiring.notice_door.tencent(body, sign=signature)
    made = deployment.bus.published.pop()
    return on_bus(made.kind, 0, json.loads(json.dumps({"sid": made.sid, **made.detail})))


def events_of(told: Iterable[Json]) -> Sequence[Json]:
    """Bring several things in; gives their events in the same order."""
    deployment = Deployment()
    return [brought_in(deployment, each) for each in told]


def nobody_waits() -> dict[str, Any]:
    """Give the parts that look for whoever waits for a lap: there is nobody."""
    return {"recordings": MemoryRecordings(), "lanes": MemoryLanes(), "tasks": MemoryTasks()}
