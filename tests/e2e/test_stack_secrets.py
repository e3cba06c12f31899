"""What lets somebody in is in the table and nowhere else: not in logs, events, texts or objects."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.e2e.deployment import EXITED, Deployment, Json, Wish
from tests.e2e.web_server import Page, web_server
from tests.lab import clips
from tests.lab.process import free_port
from tests.lab.publisher import Publisher
from tests.lab.servers import GstRtsp, NginxRtmp

USER, PASSWORD, KEY, TOKEN = "us3rn4me", "p4ssw0rd", "str3amk3y", "t0k3nv4lue"
SECRETS = (USER, PASSWORD, KEY, TOKEN)


@dataclass
class Seen:
    """Everything that went out while streams with credentials were recorded, by where it went."""

    places: dict[str, str]
    ends: dict[str, Json]


def _with_secrets(scheme: str, place: str) -> str:
    return f"{scheme}://{USER}:{PASSWORD}@{place}?token={TOKEN}&n=1"


def _executions(deployed: Deployment, sids: list[str]) -> str:
    machine = deployed.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    client = deployed.engine.client("stepfunctions")
    histories = [client.get_execution_history(executionArn=f"{machine}:{sid}") for sid in sids]
    return json.dumps(histories, default=str)


def _objects(deployed: Deployment, sid: str) -> str:
    texts = []
    for key in deployed.keys(f"/{sid}/"):
        body = deployed.s3.get_object(Bucket=deployed.bucket, Key=key)
        texts += [key, str(body["Metadata"]), body["Body"].read().decode("latin-1")]
    return "\n".join(texts)


@pytest.fixture(scope="module")
def seen(deployed: Deployment, nginx: NginxRtmp) -> Seen:
    """A good recording, failing ones and refused ones, all with credentials in their URLs."""
    redirect = {"Location": _with_secrets("http", f"127.0.0.1:{free_port()}/away")}
    pages = {
        "/denied": Page(status=401, headers={"WWW-Authenticate": 'Basic realm="lab"'}),
        "/moved": Page(status=302, headers=redirect),
    }
    with (
        web_server(pages) as web,
        GstRtsp() as rtsp,
        Publisher(clips.MAIN, nginx.rtmp_url(KEY)),
    ):
        host = f"127.0.0.1:{web.port}"
        sources = {
            "good": _with_secrets("rtmp", f"127.0.0.1:{nginx.rtmp_port}/live/{KEY}"),
            "nowhere": _with_secrets("rtmp", f"127.0.0.1:{free_port()}/live/{KEY}"),
            "unknown": _with_secrets("rtsp", f"127.0.0.1:{rtsp.port}/nothing"),
            "denied": _with_secrets("http", f"{host}/denied"),
            "moved": f"{web.url}/moved?token={TOKEN}",
        }
        answers = {name: deployed.start(Wish(url, name, idle_s=5)) for name, url in sources.items()}
        sids = {name: answer["sid"] for name, answer in answers.items()}
        wrong = _with_secrets("srt", f"127.0.0.1:9000/live/{KEY}")
        refused = [
            deployed.call("POST", "/v1/start", Wish(wrong, "refused").body()),
            deployed.call("POST", "/v1/start", Wish(wrong + " ", "refused").body()),
            deployed.call("POST", "/v1/start", {"source": wrong, "channel": "refused"}),
            deployed.invoke("StartFunction", Wish(wrong, "refused").body()),
        ]
        event_id = deployed.publish(detail=Wish(wrong, "refused").body())
        deployed.event("RecordingFailed", lambda e: e["detail"].get("eventId") == event_id)
        running = deployed.in_progress(sids["good"], 2)
        deployed.stopped(sids["good"])
        ends = {name: deployed.sealed(sid, 60) for name, sid in sids.items()}
        for sid in sids.values():
            deployed.event_of(sid, "RecordingSealed")
    places = {
        "logs": "\n".join(deployed.logs()),
        "events": json.dumps(deployed.events()),
        "answers": repr([answers, refused, running, ends, deployed.call("GET", "/v1/recordings")]),
        "executions": _executions(deployed, list(sids.values())),
        "objects": "\n".join(_objects(deployed, sid) for sid in sids.values()),
        "queues": json.dumps(deployed.queued()),
        "engine": deployed.engine.log_path.read_text(errors="replace"),
    }
    return Seen(places, ends)


def test_credentials_when_streams_are_recorded_with_them_then_they_are_used(seen: Seen) -> None:
    assert seen.ends["good"]["status"] == EXITED
    assert seen.ends["good"]["segments"] >= 2
    others = {name: end["error"]["code"] for name, end in seen.ends.items() if name != "good"}
    assert others == {
        "nowhere": "source_unreachable",
        "unknown": "source_not_found",
        "denied": "source_denied",
        "moved": "source_unreachable",
    }
    assert seen.ends["good"]["source"].startswith("rtmp://***@127.0.0.1:")


@pytest.mark.parametrize(
    "place", ["logs", "events", "answers", "executions", "objects", "queues", "engine"]
)
def test_credentials_when_streams_are_recorded_with_them_then_none_of_them_goes_out(
    seen: Seen, place: str
) -> None:
    text = seen.places[place]
    found = [
        text[max(0, text.find(secret) - 150) : text.find(secret) + 60]
        for secret in SECRETS
        if secret in text
    ]

    assert found == []


def test_logs_when_streams_were_recorded_then_they_were_read_at_all(seen: Seen) -> None:
    for name in ("good", "nowhere", "denied"):
        assert seen.ends[name]["requestId"] in seen.places["logs"]
        assert seen.ends[name]["sid"] in seen.places["events"]
