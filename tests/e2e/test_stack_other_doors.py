"""Starts through the bus and through the console's test tab, with the samples of events/."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.engine import ROOT
from tests.e2e.deployment import EXITED, Deployment, Json, Wish
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp

SAMPLES = sorted(
    path
    for path in (ROOT / "events" / "start_recording").glob("*.json")
    if "provider" not in json.loads(path.read_text())  # what vendors record: test_stack_vendor
)


def _refusal(deployed: Deployment, event_id: str) -> Json:
    told: Json = deployed.event(
        f"RecordingFailed for {event_id}",
        lambda e: e["detail-type"] == "RecordingFailed" and e["detail"].get("eventId") == event_id,
    )["detail"]
    return told


# --- the bus -------------------------------------------------------------------------------------


def test_bus_when_a_recording_is_requested_then_it_is_recorded_to_its_end(
    deployed: Deployment, nginx: NginxRtmp, live: Publisher
) -> None:
    wish = Wish(nginx.rtmp_url(), "by-bus", options={"maxDurationSeconds": 6})
    deployed.publish(detail=wish.body())
    started = deployed.event(
        "RecordingStarted",
        lambda e: e["detail-type"] == "RecordingStarted" and "by-bus" in str(e["detail"]),
        seconds=40,
    )

    found = deployed.sealed(started["detail"]["sid"])

    assert (found["status"], found["reason"]) == (EXITED, "max_duration")
    assert found["recordedSeconds"] > 3
    assert f"by-bus/{found['sid']}/recording.mp4" in deployed.keys("by-bus/")


def test_bus_when_the_same_event_is_delivered_twice_then_there_is_one_recording(
    deployed: Deployment, nginx: NginxRtmp, live: Publisher
) -> None:
    event = json.loads((ROOT / "events" / "start_recording" / "bus.json").read_text())
    event["id"] = "once-and-again"
    event["detail"] = Wish(nginx.rtmp_url(), "by-bus-twice").body()

    first, second = (deployed.invoke("StartFunction", event) for _ in range(2))

    assert first["statusCode"] == second["statusCode"] == 202
    assert first["body"]["sid"] == second["body"]["sid"]
    assert first["body"]["requestId"] == second["body"]["requestId"]
    assert len(deployed.of_channel("by-bus-twice")) == 1
    found = deployed.in_progress(first["body"]["sid"])
    assert len(found["laps"]) == 1
    deployed.stopped(found["sid"])


@pytest.mark.parametrize(
    ("detail", "field", "word"),
    [
        ({"uid": "camera", "source": "rtmp://127.0.0.1/live/x"}, "channel", "missing"),
        ({"channel": "wrong", "uid": 7, "source": "rtmp://127.0.0.1/live/x"}, "uid", "string"),
        ({"channel": "wrong", "uid": "u", "sauce": "rtmp://127.0.0.1/live/x"}, "sauce", "field"),
        ({"channel": "wrong", "uid": "u", "source": "srt://127.0.0.1:9000"}, "source", "SRT"),
        ({"channel": "wrong", "uid": "u"}, "source", "no source"),
        (["not", "an", "object"], None, "JSON object"),
    ],
    ids=["no-channel", "uid-a-number", "unknown-field", "scheme", "no-source", "no-object"],
)
def test_bus_when_a_request_is_wrong_then_recording_failed_names_the_field_and_nothing_is_made(
    deployed: Deployment, detail: Any, field: str | None, word: str
) -> None:
    event_id = deployed.publish(detail=detail)

    told = _refusal(deployed, event_id)

    assert told["error"]["field"] == field
    assert word.lower() in told["error"]["message"].lower()
    assert told["sid"] == ""
    assert deployed.of_channel("wrong") == []
    assert deployed.keys("wrong/") == []
    assert not any(event_id in body for bodies in deployed.queued().values() for body in bodies)


def test_bus_when_an_event_is_of_another_kind_then_nothing_happens(
    deployed: Deployment, nginx: NginxRtmp
) -> None:
    before = deployed.logs("start-recording")
    deployed.publish(detail=Wish(nginx.rtmp_url(), "other-kind").body(), kind="RecordingWished")
    event_id = deployed.publish(detail={"channel": "wrong"})

    _refusal(deployed, event_id)

    assert deployed.of_channel("other-kind") == []
    new = deployed.logs("start-recording")[len(before) :]
    assert not any("other-kind" in line or "RecordingWished" in line for line in new)


# --- the console ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_console_when_a_sample_is_pasted_then_it_records(
    deployed: Deployment, nginx: NginxRtmp, live: Publisher, path: Any
) -> None:
    sample = json.loads(path.read_text())
    wish = sample.get("detail", sample)
    wish["source"] = nginx.rtmp_url()
    wish["channel"] = f"pasted-{path.stem}"
    wish["options"]["segmentSeconds"] = 2

    answer = deployed.invoke("StartFunction", sample)

    assert answer["statusCode"] == 202
    running = deployed.in_progress(answer["body"]["sid"])
    assert running["requestId"] == answer["body"]["requestId"]
    again = deployed.invoke("StartFunction", sample)
    assert again["body"]["sid"] == running["sid"], "the samples carry a key of their own"
    assert deployed.stopped(running["sid"])["status"] == EXITED


def test_console_when_a_request_is_pasted_without_a_key_then_each_press_is_a_new_request(
    deployed: Deployment, nginx: NginxRtmp, live: Publisher
) -> None:
    body = Wish(nginx.rtmp_url(), "pressed").body()

    first = deployed.invoke("StartFunction", body)
    second = deployed.invoke("StartFunction", body)

    assert (first["statusCode"], second["statusCode"]) == (202, 409)
    assert second["body"]["code"] == "recording_conflict"
    assert first["body"]["sid"] in second["body"]["detail"]
    deployed.in_progress(first["body"]["sid"])
    deployed.stopped(first["body"]["sid"])


def test_console_when_the_api_samples_are_pasted_then_the_api_answers_them(
    deployed: Deployment,
) -> None:
    folder = ROOT / "events" / "http_api"
    client = deployed.engine.client("lambda")
    name = deployed.outputs["StartFunction"].replace("start-recording", "http-api")
    seen = {}
    for sample in ("acquire", "list", "query", "stop"):
        payload = (folder / f"{sample}.json").read_text()
        answer = json.loads(client.invoke(FunctionName=name, Payload=payload)["Payload"].read())
        seen[sample] = answer["statusCode"]

    assert seen == {"acquire": 200, "list": 200, "query": 404, "stop": 404}
