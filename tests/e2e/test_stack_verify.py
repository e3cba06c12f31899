"""A recording in the deployed bucket, verified through the API: whole, then tampered with."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest

from tests.e2e.deployment import Deployment, Json, Wish
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp

CHANNEL = "verified"


@pytest.fixture(scope="module")
def sealed(deployed: Deployment, nginx: NginxRtmp, live: Publisher) -> Json:
    """A short recording; while it ran, a verification was refused."""
    sid = deployed.start(Wish(nginx.rtmp_url(), CHANNEL))["sid"]
    deployed.in_progress(sid, segments=3)
    refused = deployed.call("POST", f"/v1/recordings/{sid}/verify")
    assert (refused.status, refused.body["code"]) == (409, "recording_live")
    assert deployed.call("GET", f"/v1/recordings/{sid}/verify").body["status"] == "none"
    return deployed.stopped(sid)


def verified(deployed: Deployment, sid: str) -> Json:
    """Ask for a verification and wait for what it finds."""
    answer = deployed.call("POST", f"/v1/recordings/{sid}/verify")
    assert answer.status == 202, answer
    deadline = time.monotonic() + 90
    while (found := deployed.call("GET", f"/v1/recordings/{sid}/verify")).body["status"] != "done":
        assert found.body["status"] in {"queued", "running"}, found
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found.body


def test_verify_when_nothing_was_touched_then_it_is_whole_and_drawn(
    deployed: Deployment, sealed: Json
) -> None:
    sid = sealed["sid"]
    found = verified(deployed, sid)

    assert found["report"]["problems"] == []
    assert found["whole"]
    assert found["complete"]
    assert found["report"]["sealed"]
    assert found["report"]["coverage"] == 1.0
    assert found["read"] == found["segments"] == sealed["segments"]
    assert found["files"] == [f"{CHANNEL}/{sid}/verify.json", f"{CHANNEL}/{sid}/timeline.svg"]
    picture = deployed.s3.get_object(Bucket=deployed.bucket, Key=found["files"][1])
    assert picture["ContentType"] == "image/svg+xml"
    assert ElementTree.fromstring(picture["Body"].read()).tag.endswith("svg")


def test_verify_when_one_byte_was_changed_in_the_bucket_then_the_segment_is_named(
    deployed: Deployment, sealed: Json
) -> None:
    sid = sealed["sid"]
    key = sorted(deployed.keys(f"{sid}/segments/"))[1]
    body = deployed.s3.get_object(Bucket=deployed.bucket, Key=key)["Body"].read()
    at = len(body) // 2
    changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
    deployed.s3.put_object(Bucket=deployed.bucket, Key=key, Body=changed)
    found = verified(deployed, sid)

    assert not found["whole"]
    [problem] = found["report"]["problems"]
    assert (problem["trouble"], problem["k"]) == ("tampered", 1)
    assert key.endswith(problem["object"])
    picture = deployed.s3.get_object(Bucket=deployed.bucket, Key=found["files"][1])["Body"].read()
    assert b"something is wrong here" in picture

    deployed.s3.put_object(Bucket=deployed.bucket, Key=key, Body=body)
    assert verified(deployed, sid)["whole"]
