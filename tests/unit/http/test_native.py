"""The native API as a caller meets it, over a deployment in memory."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from everreel.clock import MICROSECONDS
from everreel.errors import ServiceUnavailable, StateUnavailable
from everreel.http.app import create_app
from everreel.http.problems import LARGEST_BODY
from everreel.media.index import InitRow, SegmentRow
from everreel.media.segment import Cause, Gap
from everreel.state.recording import Failure, Progress, Reason
from everreel.state.status import Status
from everreel.supervisor.bury import bury
from tests.unit.doors.memory import SID, Deployment

START = {"channel": "lobby", "uid": "camera-1"}
PROBLEM = "application/problem+json"


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def api(deployment: Deployment) -> Generator[TestClient]:
    app = create_app(deployment.wiring.lifecycle, bucket="recordings")
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def problem(answer: Any, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["code"], found["field"]) == (status, code, field), found
    assert found["type"] == f"urn:everreel:problem:{code}"
    assert found["title"]
    assert found["detail"]
    assert found["fix"]
    return found


# ---------------------------------------------------------------------- the life of a recording


def test_acquire_and_start_when_called_then_answer_at_once(
    api: TestClient, deployment: Deployment
) -> None:
    ticket = api.post("/v1/acquire", json={"channel": "lobby"}).json()["resourceId"]
    answer = api.post("/v1/start", json={**START, "resourceId": ticket})
    assert answer.status_code == 202
    started = answer.json()
    assert started["resourceId"] == ticket
    assert started["requestId"] == "invocation-1"
    assert (started["status"], started["statusText"]) == (2, "starting")
    assert api.get(started["links"]["self"]).json()["sid"] == started["sid"]
    assert api.post(started["links"]["stop"]).json()["status"] == 6
    assert (
        api.post("/v1/start", json={**START, "resourceId": ticket}).json()["sid"]
        == (started["sid"])
    )
    assert len(deployment.runner.laps) == 1


def test_start_in_one_step_when_repeated_with_its_key_then_is_one_recording(
    api: TestClient, deployment: Deployment
) -> None:
    key = {"Idempotency-Key": "nightly 2026-01-01"}
    first = api.post("/v1/start", json=START, headers=key)
    assert first.status_code == 202
    assert api.post("/v1/start", json=START, headers=key).json() == first.json()
    assert len(deployment.runner.laps) == 1
    other_app = {**START, "app": "other"}
    assert api.post("/v1/start", json=other_app, headers=key).json()["sid"] != first.json()["sid"]
    other_channel = {**START, "channel": "attic"}
    problem(
        api.post("/v1/start", json=other_channel, headers=key), 400, "invalid_request", "channel"
    )


def test_start_in_one_step_when_repeated_without_a_key_then_is_a_conflict(api: TestClient) -> None:
    sid = api.post("/v1/start", json=START).json()["sid"]
    found = problem(api.post("/v1/start", json=START), 409, "recording_conflict", "recorderUid")
    assert sid in found["detail"]


def test_start_when_a_service_is_busy_then_the_same_request_may_be_sent_again(
    api: TestClient, deployment: Deployment
) -> None:
    ticket = api.post("/v1/acquire", json={"channel": "lobby"}).json()["resourceId"]
    body = {**START, "resourceId": ticket}
    deployment.runner.failures.append(ServiceUnavailable("Lambda is busy"))
    answer = api.post("/v1/start", json=body)
    assert problem(answer, 503, "service_unavailable")["fix"] == "send the same request again"
    assert answer.headers["retry-after"] == "1"
    assert api.post("/v1/start", json=body).status_code == 202


def test_ticket_when_expired_or_for_another_channel_then_is_named(
    api: TestClient, deployment: Deployment
) -> None:
    ticket = api.post("/v1/acquire", json={"channel": "attic"}).json()["resourceId"]
    body = {**START, "resourceId": ticket}
    problem(api.post("/v1/start", json=body), 400, "invalid_request", "channel")
    deployment.clock.advance(300)
    expired = {**body, "channel": "attic"}
    problem(api.post("/v1/start", json=expired), 410, "resource_expired", "resourceId")


def test_query_when_recording_then_tells_progress_and_hides_credentials(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording(source="rtsp://user:hunter2@media.example/lobby?token=hunter2")
    play(deployment)
    found = api.get(f"/v1/recordings/{SID}").json()
    assert "hunter2" not in str(found)
    assert found["source"] == "rtsp://***@media.example/lobby?***"
    assert (found["status"], found["statusText"]) == (5, "in_progress")
    assert (found["segments"], found["bytes"]) == (3, 3000)
    # 18 s on the timeline, 4 of them a gap; received 20.5 s; origin 25 s ago.
    assert found["recordedSeconds"] == 14.0
    assert found["receivedSeconds"] == 20.5
    assert found["gapSeconds"] == 4.0
    assert found["elapsedSeconds"] == 25.0
    assert found["coverage"] == 0.56
    assert found["idleSeconds"] == 4.5
    assert found["note"] == "waiting for the source"
    [lap] = found["laps"]
    assert (lap["lane"], lap["lap"], lap["state"], lap["requestId"]) == ("a", 1, "running", "r")
    assert lap["beatAgeSeconds"] == 2.0
    assert found["segmentPage"] is None
    ready = {each["kind"]: each["ready"] for each in found["files"]}
    assert ready == {
        "live": True,
        "index": True,
        "init": True,
        "init-video": True,
        "init-audio": True,
        "manifest": False,
        "mpd": False,
        "mp4": False,
        "poster": False,
    }
    live = next(each for each in found["files"] if each["kind"] == "live")
    assert live["bucket"] == "recordings"
    assert live["key"] == f"team/lobby/{SID}/live.m3u8"


def test_query_when_segments_are_asked_for_then_they_come_in_pages(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording()
    play(deployment)
    path = f"/v1/recordings/{SID}?segments=true&limit=2"
    first = api.get(path).json()["segmentPage"]
    assert [each["k"] for each in first["items"]] == [0, 1]
    assert first["nextAfter"] == 1
    second = api.get(f"{path}&after=1").json()["segmentPage"]
    assert second["nextAfter"] is None
    [last] = second["items"]
    assert last["key"] == f"team/lobby/{SID}/segments/00000002-1.m4s"
    assert last["gap"] == {"cause": "outage", "startSeconds": 12.0, "durationSeconds": 4.0}
    assert last["startTime"] == "2026-01-01T00:00:12.000Z"


def test_query_when_it_died_then_says_why_and_coverage_stands_still(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording()
    play(deployment)
    beat_us = deployment.recordings.laps(SID)[0].beat_utc_us
    failure = Failure("recorder_died", "service", "the recorder stopped answering")
    deployment.recordings.declare_dead(
        SID, "a", 1, failure, deployment.clock.utc_us(), unchanged_since=beat_us
    )
    deployment.clock.advance(1000)
    found = api.get(f"/v1/recordings/{SID}").json()
    assert (found["status"], found["reason"]) == (20, "recorder_died")
    assert found["error"] == {
        "code": "recorder_died",
        "blame": "service",
        "message": "the recorder stopped answering",
        "field": None,
    }
    assert found["elapsedSeconds"] == 20.5
    assert found["coverage"] == round(14 / 20.5, 4)
    assert (found["idleSeconds"], found["note"]) == (0.0, "")
    assert found["laps"][0]["beatAgeSeconds"] is None
    deployment.recordings.mark_sealed(SID, deployment.clock.utc_us())
    files = api.get(f"/v1/recordings/{SID}").json()["files"]
    ready = {each["kind"]: each["ready"] for each in files}
    assert (ready["manifest"], ready["mpd"], ready["mp4"], ready["poster"]) == (
        True,
        True,
        None,
        None,
    )


def test_query_when_it_died_after_its_last_beat_then_counts_what_it_committed_since(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording()
    play(deployment)
    recordings = deployment.recordings
    last = list(recordings.segments(SID))[-1]
    untold = replace(last, k=3, key="segments/00000003-1.m4s", start_us=19 * MICROSECONDS, gap=None)
    assert recordings.commit(SID, untold, 1)
    beat_us = recordings.laps(SID)[0].beat_utc_us
    assert api.get(f"/v1/recordings/{SID}").json()["segments"] == 3
    assert bury(
        SID,
        ("a", 1, beat_us),
        "it died",
        recordings=recordings,
        bus=deployment.bus,
        clock=deployment.clock,
    )
    found = api.get(f"/v1/recordings/{SID}").json()
    assert (found["segments"], found["bytes"]) == (4, 4000)
    assert (found["recordedSeconds"], found["laps"][0]["segments"]) == (16.0, 4)
    assert (found["receivedSeconds"], found["elapsedSeconds"]) == (21.0, 21.0)
    # Who takes over reckons from the last beat where the recording must be by now.
    lap = recordings.laps(SID)[0]
    assert (lap.beat_utc_us, lap.progress.received_us) == (beat_us, 20_500_000)


def test_query_when_nothing_came_yet_then_lists_no_file(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording()
    found = api.get(f"/v1/recordings/{SID}").json()
    assert found["files"] == []
    assert found["coverage"] is None
    assert found["originAt"] is None


def test_query_when_a_keyframe_came_and_the_store_took_nothing_then_lists_no_file(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording()
    deployment.recordings.set_origin(SID, deployment.clock.utc_us())
    found = api.get(f"/v1/recordings/{SID}").json()
    assert found["originAt"]
    assert found["files"] == []


def test_stop_when_repeated_and_after_the_end_then_is_heard_once_and_refused(
    api: TestClient, deployment: Deployment
) -> None:
    deployment.add_recording()
    path = f"/v1/recordings/{SID}/stop"
    assert api.post(path).status_code == 202
    assert api.post(path, json={}).status_code == 202
    now_us = deployment.clock.utc_us()
    deployment.recordings.claim(SID, "a", 1, "r", now_us)
    progress = Progress(Status.IN_PROGRESS)
    deployment.recordings.end_lap(SID, "a", 1, Reason.STOPPED, None, progress, now_us)
    problem(api.post(path), 409, "already_ended", "sid")
    assert api.get(f"/v1/recordings/{SID}").json()["status"] == 7


def test_list_when_paged_then_gives_everything_once_newest_first(
    api: TestClient, deployment: Deployment
) -> None:
    sids = []
    for number in range(5):
        deployment.clock.advance(1)
        body = {**START, "recorderUid": f"r{number}"}
        sids.append(api.post("/v1/start", json=body).json()["sid"])
    found: list[str] = []
    page: dict[str, Any] = {"nextToken": ""}
    while page["nextToken"] is not None:
        query = {"limit": "2", "token": page["nextToken"]}
        page = api.get("/v1/recordings", params=query).json()
        found += [each["sid"] for each in page["recordings"]]
    assert found == sids[::-1]
    assert api.get("/v1/recordings?app=other").json() == {"recordings": [], "nextToken": None}
    problem(api.get("/v1/recordings?token=forged"), 400, "invalid_request", "token")


def play(deployment: Deployment) -> None:
    """Let a lap record three segments with a gap before the last one."""
    recordings, clock = deployment.recordings, deployment.clock
    session = recordings._sessions[SID]
    options = replace(session.recording.options, prefix="team")
    recordings._sessions[SID] = replace(
        session, recording=replace(session.recording, options=options)
    )
    recordings.set_origin(SID, clock.utc_us())
    recordings.claim(SID, "a", 1, "r", clock.utc_us())
    recordings.put_init(
        SID,
        InitRow(
            1,
            (),
            {"all": "init-1.mp4", "video": "init-1-video.mp4", "audio": "init-1-audio.mp4"},
        ),
    )
    for k, (start_s, duration_s) in enumerate([(0, 6), (6, 6), (16, 2)]):
        start_us = start_s * MICROSECONDS
        lost = Gap(Cause.OUTAGE, 12 * MICROSECONDS, 4 * MICROSECONDS) if k == 2 else None
        row = SegmentRow(
            k=k,
            key=f"segments/{k:08d}-1.m4s",
            init=1,
            start_us=start_us,
            duration_us=duration_s * MICROSECONDS,
            utc_us=clock.utc_us() + (12 if k == 2 else start_s) * MICROSECONDS,
            size=1000,
            sha256="0" * 64,
            tracks=(),
            discontinuity=k == 2,
            gap=lost,
            independent=True,
            lane="a",
            lap=1,
        )
        assert recordings.commit(SID, row, 1)
    clock.advance(23)
    told = Progress(
        Status.IN_PROGRESS,
        segments=3,
        bytes=3000,
        media_us=18 * MICROSECONDS,
        received_us=20_500_000,
        idle_us=4_500_000,
        note="waiting for the source",
        recorded_us=14 * MICROSECONDS,
    )
    recordings.beat(SID, "a", 1, told, clock.utc_us())
    clock.advance(2)


# ---------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "channel"),
        ({"channel": "lobby"}, "uid"),
        ({**START, "uid": 7}, "uid"),
        ({**START, "channel": "../x"}, "channel"),
        ({**START, "unknown": 1}, "unknown"),
        ({**START, "mode": "mix"}, "mode"),
        ({**START, "options": {"segmentSeconds": 31}}, "options.segmentSeconds"),
        ({**START, "options": {"container": "avi"}}, "options.container"),
        ({**START, "options": {"colour": "red"}}, "options.colour"),
        ({**START, "options": []}, "options"),
        ([], None),
        ("start", None),
        (None, None),
    ],
)
def test_start_when_a_field_is_wrong_then_is_named_and_nothing_is_begun(
    body: object, field: str | None, api: TestClient, deployment: Deployment
) -> None:
    problem(api.post("/v1/start", json=body), 400, "invalid_request", field)
    assert not deployment.runner.supervised


@pytest.mark.parametrize(
    "source",
    [
        "rtmp://127.0.0.1/live/x",
        "rtmp://localhost/live/x",
        "http://169.254.169.254/latest/meta-data",
        "http://2130706433/x.flv",
        "http://[::ffff:127.0.0.1]/x.flv",
        "file:///etc/passwd",
        "ftp://media.example/x",
        "not a url",
        "rtmp://",
    ],
)
def test_start_when_the_source_is_hostile_then_is_refused(
    source: str, api: TestClient, deployment: Deployment
) -> None:
    problem(
        api.post("/v1/start", json={**START, "source": source}), 400, "source_refused", "source"
    )
    assert not deployment.runner.supervised


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'{"channel": NaN}', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b"channel=lobby", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
        (b"{}", ""),
    ],
)
def test_body_when_it_is_no_json_object_then_is_a_problem(
    content: bytes, kind: str, api: TestClient
) -> None:
    answer = api.post("/v1/start", content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["code"] == "invalid_request"


def test_body_when_too_large_then_is_refused_however_it_comes(api: TestClient) -> None:
    large = b'{"channel": "' + b"a" * LARGEST_BODY + b'"}'
    headers = {"content-type": "application/json"}
    announced = api.post("/v1/start", content=large, headers=headers)
    problem(announced, 413, "body_too_large")
    pieces = [large[at : at + 1000] for at in range(0, len(large), 1000)]
    problem(api.post("/v1/start", content=iter(pieces), headers=headers), 413, "body_too_large")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/recordings?limt=3", "limt"),
        ("/v1/recordings?limit=many", "limit"),
        ("/v1/recordings?limit=0", "limit"),
        ("/v1/recordings?app=a/b", "app"),
        (f"/v1/recordings/{SID}?segments=perhaps", "segments"),
        (f"/v1/recordings/{SID}?after=-2", "after"),
        ("/v1/recordings/not-a-sid", "sid"),
    ],
)
def test_query_when_a_parameter_is_wrong_then_is_named(
    path: str, field: str, api: TestClient
) -> None:
    problem(api.get(path), 400, "invalid_request", field)


def test_sid_when_unknown_then_is_not_found(api: TestClient) -> None:
    for answer in (api.get(f"/v1/recordings/{SID}"), api.post(f"/v1/recordings/{SID}/stop")):
        problem(answer, 404, "recording_not_found", "sid")


def test_route_when_unknown_or_method_wrong_then_is_a_problem(api: TestClient) -> None:
    problem(api.get("/v1/nothing"), 404, "no_such_route")
    problem(api.get("/"), 404, "no_such_route")
    problem(api.post("/v1/start/"), 404, "no_such_route")
    wrong = api.put("/v1/start")
    problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


def test_idempotency_key_when_empty_or_endless_then_is_named(api: TestClient) -> None:
    for key in ("", "x" * 256):
        answer = api.post("/v1/start", json=START, headers={"Idempotency-Key": key})
        problem(answer, 400, "invalid_request", "Idempotency-Key")


def test_table_when_busy_then_the_answer_says_try_again(
    api: TestClient, deployment: Deployment
) -> None:
    def busy(resource_id: str) -> None:
        raise StateUnavailable("table recordings is busy")

    deployment.recordings.ticket = busy  # type: ignore[method-assign]
    answer = api.post("/v1/start", json=START)
    problem(answer, 503, "state_unavailable")
    assert answer.headers["retry-after"] == "1"


def test_bug_when_it_happens_then_the_caller_sees_nothing_of_it(
    api: TestClient, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(sid: str) -> None:
        raise ZeroDivisionError("hunter2 in a bug")

    deployment.recordings.find = broken  # type: ignore[method-assign]
    answer = api.get(f"/v1/recordings/{SID}")
    problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_health_when_asked_then_needs_nothing(api: TestClient) -> None:
    assert api.get("/v1/health").json()["status"] == "ok"
