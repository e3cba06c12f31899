"""What the deployed API refuses, and that a refused request leaves nothing behind."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from everreel.clock import MICROSECONDS, SystemClock
from everreel.ids import new_resource_id
from everreel.state.dynamodb import DynamoRecordings
from everreel.state.ports import Ticket
from tests.e2e.deployment import ABNORMAL, EXITED, NOBODY, Answer, Deployment, Wish
from tests.lab.process import free_port
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp

NO_SID = "0" * 32
ROUTES = (
    ("POST", "/v1/acquire"),
    ("POST", "/v1/start"),
    ("GET", "/v1/recordings"),
    ("GET", f"/v1/recordings/{NO_SID}"),
    ("POST", f"/v1/recordings/{NO_SID}/stop"),
    ("GET", "/v1/anything/else"),
)
OPEN_ROUTES = ("/v1/health", "/v1/openapi.json")


def _basic(key_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()


def _name_of_this_machine() -> str:
    """Find a name that only a resolver can tell from one outside."""
    for name in (socket.gethostname(), socket.getfqdn(), "ip6-localhost", "localhost.localdomain"):
        try:
            socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        except OSError:
            continue
        if name != "localhost":
            return name
    pytest.fail("no name leads to this machine: put its host name into /etc/hosts", pytrace=False)


def _is_problem(answer: Answer, status: int, code: str, field: str | None = None) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.body["code"], answer.body["status"]) == (code, status)
    assert answer.body["field"] == field, answer.body
    assert answer.body["detail"]
    assert answer.body["fix"]


# --- who may call --------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_route_when_called_without_or_with_wrong_credentials_then_it_is_closed(
    deployed: Deployment, method: str, path: str
) -> None:
    body = {"channel": "lobby"} if method == "POST" else None

    nobody = deployed.call(method, path, body, authorization=NOBODY)
    strangers = [
        deployed.call(method, path, body, authorization=shown)
        for shown in ("Bearer wrong", _basic("default", "wrong"), _basic("other", deployed.key))
    ]

    assert nobody.status == 401
    assert {each.status for each in strangers} == {403}


@pytest.mark.parametrize("path", OPEN_ROUTES)
def test_route_when_it_tells_nothing_of_anybodys_then_it_is_open(
    deployed: Deployment, path: str
) -> None:
    assert deployed.call("GET", path, authorization=NOBODY).status == 200


def test_route_when_the_key_is_shown_as_basic_then_it_opens(deployed: Deployment) -> None:
    answer = deployed.call("GET", "/v1/recordings", authorization=_basic("default", deployed.key))
    assert answer.status == 200


# --- requests that are wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channel": 7}, "channel"),
        ({"channel": "a/b"}, "channel"),
        ({"uid": None}, "uid"),
        ({"source": ["rtmp://127.0.0.1/live/x"]}, "source"),
        ({"mode": "mix"}, "mode"),
        ({"chanel": "lobby"}, "chanel"),
        ({"options": "fast"}, "options"),
        ({"options": {"segmentSeconds": "2"}}, "options.segmentSeconds"),
        ({"options": {"segmentSeconds": 1}}, "options.segmentSeconds"),
        ({"options": {"maxIdleSeconds": 2.5}}, "options.maxIdleSeconds"),
        ({"options": {"container": "webm"}}, "options.container"),
        ({"options": {"mp4": "yes"}}, "options.mp4"),
        ({"options": {"prefix": "../etc"}}, "options.prefix"),
        ({"options": {"bitrate": 1}}, "options.bitrate"),
    ],
    ids=str,
)
def test_start_when_a_field_is_wrong_then_400_names_it_and_nothing_is_started(
    deployed: Deployment, nginx: NginxRtmp, change: dict[str, Any], field: str
) -> None:
    body = {**Wish(nginx.rtmp_url(), "wrong").body(), **change}

    answer = deployed.call("POST", "/v1/start", body)

    _is_problem(answer, 400, "invalid_request", field)
    assert deployed.of_channel("wrong") == []


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff\xfe", b'"start"'], ids=repr)
def test_start_when_the_body_is_no_json_object_then_400_says_so(
    deployed: Deployment, raw: bytes
) -> None:
    _is_problem(deployed.call("POST", "/v1/start", raw=raw), 400, "invalid_request")


@pytest.mark.parametrize(
    "source",
    [
        "srt://127.0.0.1:9000",
        "ftp://127.0.0.1/live",
        "file:///etc/passwd",
        "127.0.0.1/live/x",
        "rtmp://",
        "rtmp://127.0.0.1:99999/live/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/",
        "http://[::ffff:169.254.169.254]/",
        "rtmp://0.0.0.0/live/x",
        "rtmp://ho st/live/x",
    ],
)
def test_start_when_the_source_may_never_be_reached_then_400_names_it_wherever_it_is_deployed(
    deployed: Deployment, source: str
) -> None:

    answer = deployed.call("POST", "/v1/start", Wish(source, "wrong").body())

    _is_problem(answer, 400, "source_refused", "source")
    assert deployed.of_channel("wrong") == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "localhost",
        "10.0.0.8",
        "192.168.1.1",
        "2130706433",
        "0x7f000001",
        "127.1",
    ],
)
def test_start_when_private_sources_are_not_allowed_then_400_refuses_them(
    strict: Deployment, host: str
) -> None:
    answer = strict.call("POST", "/v1/start", Wish(f"rtmp://{host}/live/x", "inside").body())

    _is_problem(answer, 400, "source_refused", "source")
    assert strict.of_channel("inside") == []


def test_start_when_only_the_name_leads_inside_then_the_recorder_refuses_it(
    strict: Deployment,
) -> None:
    """Whoever watches the port must hear nothing: the guard speaks before anything connects."""
    with socket.create_server(("", 0)) as listener:
        listener.settimeout(0.2)
        inside = f"rtmp://{_name_of_this_machine()}:{listener.getsockname()[1]}/live/x"
        sid = strict.start(Wish(inside, "by-name"))["sid"]
        found = strict.sealed(sid)
        with pytest.raises(TimeoutError):
            listener.accept()

    assert (found["status"], found["reason"]) == (ABNORMAL, "source_failed")
    error = found["error"]
    assert (error["code"], error["blame"], error["field"]) == ("source_refused", "caller", "source")
    assert strict.keys() == []


# --- the wrong moment ----------------------------------------------------------------------------


def test_start_when_the_channel_is_recorded_already_then_409_names_the_recording(
    deployed: Deployment, nginx: NginxRtmp, live: Publisher
) -> None:
    wish = Wish(nginx.rtmp_url(), "taken")
    sid = deployed.start(wish)["sid"]
    second = deployed.call("POST", "/v1/start", wish.body())
    other = Wish(nginx.rtmp_url(), "taken", recorder_uid="spare")
    beside = deployed.start(other)["sid"]

    _is_problem(second, 409, "recording_conflict", second.body["field"])
    assert sid in second.body["detail"]
    for each in (sid, beside):
        deployed.in_progress(each)
        assert deployed.stopped(each)["status"] == EXITED
    after = deployed.start(wish)["sid"]
    assert after != sid, "the name is free again once the recording has ended"
    deployed.in_progress(after)
    deployed.stopped(after)


def test_start_when_the_idempotency_key_repeats_then_it_is_the_same_recording(
    deployed: Deployment, nginx: NginxRtmp, live: Publisher
) -> None:
    body = Wish(nginx.rtmp_url(), "repeated").body()

    first, second = (
        deployed.call("POST", "/v1/start", body, Idempotency_Key="again") for _ in range(2)
    )

    assert first.status == second.status == 202
    assert first.body["sid"] == second.body["sid"]
    deployed.in_progress(first.body["sid"])
    deployed.stopped(first.body["sid"])


def test_start_when_the_resource_id_is_unknown_or_expired_then_410(
    deployed: Deployment, nginx: NginxRtmp
) -> None:
    clock = SystemClock()
    table = DynamoRecordings(
        deployed.outputs["TableName"], deployed.engine.client("dynamodb"), clock
    )
    old = new_resource_id()
    table.put_ticket(Ticket(old, "default", "late", "recorder", clock.utc_us() - MICROSECONDS))
    body = Wish(nginx.rtmp_url(), "late").body()

    for resource_id in (old, new_resource_id()):
        answer = deployed.call("POST", "/v1/start", {**body, "resourceId": resource_id})
        _is_problem(answer, 410, "resource_expired", "resourceId")
    assert deployed.keys("late/") == []


def test_start_when_the_resource_id_is_of_another_channel_then_400_names_the_channel(
    deployed: Deployment, nginx: NginxRtmp
) -> None:
    body = Wish(nginx.rtmp_url(), "elsewhere").body()

    answer = deployed.call(
        "POST", "/v1/start", {**body, "resourceId": deployed.acquire("somewhere")}
    )

    _is_problem(answer, 400, "invalid_request", "channel")


def test_recording_when_the_sid_is_unknown_or_no_sid_then_404_or_400(deployed: Deployment) -> None:
    for method, rest in (("GET", ""), ("POST", "/stop")):
        unknown = deployed.call(method, f"/v1/recordings/{NO_SID}{rest}")
        nonsense = deployed.call(method, f"/v1/recordings/lobby{rest}")
        _is_problem(unknown, 404, "recording_not_found", "sid")
        _is_problem(nonsense, 400, "invalid_request", "sid")


def test_route_when_there_is_none_then_404_and_a_wrong_method_405(deployed: Deployment) -> None:
    _is_problem(deployed.call("GET", "/v1/nothing"), 404, "no_such_route")
    _is_problem(deployed.call("GET", "/v1/start"), 405, "method_not_allowed")


def test_stop_when_asked_twice_while_it_stops_then_both_are_accepted(
    deployed: Deployment, nginx: NginxRtmp
) -> None:
    source = f"rtmp://127.0.0.1:{free_port()}/live/nobody"
    sid = deployed.start(Wish(source, "stopped-early"))["sid"]

    first, second = deployed.stop(sid), deployed.stop(sid)
    found = deployed.sealed(sid)

    assert (first.status, second.status) == (202, 202)
    assert (found["status"], found["reason"]) == (EXITED, "stopped")
    assert deployed.keys("stopped-early/") == []
    assert deployed.stop(sid).status == 409
