"""A deployed everreel and short words for what callers, operators and tests do with it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.local.engine import LocalEngine, Worker
from tests.lab.process import LabError

Json = dict[str, Any]

IN_PROGRESS, STOP_REQUESTED, STOPPED, EXITED, ABNORMAL = 5, 6, 7, 8, 20
NOBODY = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered; header names are in lower case."""

    status: int
    body: Json
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wish:
    """A recording that a test asks for, short and quick to give up.

    Units: seconds.
    """

    source: str
    channel: str
    uid: str = "camera"
    recorder_uid: str = "recorder"
    segment_s: int = 2
    idle_s: int = 20
    options: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> Json:
        """Write it as the API, the bus and the console take it."""
        return {
            "channel": self.channel,
            "uid": self.uid,
            "recorderUid": self.recorder_uid,
            "source": self.source,
            "options": {
                "segmentSeconds": self.segment_s,
                "maxIdleSeconds": self.idle_s,
                **self.options,
            },
        }


class Deployment:
    """One stack in one engine. Everything goes through its outputs, as it would on AWS."""

    def __init__(self, engine: LocalEngine, outputs: dict[str, str], assembly: Path) -> None:
        self.engine = engine
        self.outputs = outputs
        self.assembly = assembly
        self.url = engine.api_url(outputs["ApiUrl"])
        self.bucket = outputs["BucketName"]
        self.s3 = engine.client("s3")
        self._bus = engine.client("events")
        self._sqs = engine.client("sqs")
        self._heard: list[Json] = []
        self._ear = self._listen()

    # ------------------------------------------------------------------ the HTTP door

    @cached_property
    def key(self) -> str:
        """The API key, read as its owner reads it."""
        secrets = self.engine.client("secretsmanager")
        told = secrets.get_secret_value(SecretId=self.outputs["ApiKeySecretArn"])
        secret: str = json.loads(told["SecretString"])["secret"]
        return secret

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        authorization: str | None = None,
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Call the API; `authorization=NOBODY` sends no credentials."""
        request = urllib.request.Request(self.url + path, method=method)
        shown = f"Bearer {self.key}" if authorization is None else authorization
        if shown:
            request.add_header("Authorization", shown)
        if body is not None or raw is not None:
            request.data = raw if raw is not None else json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=40) as reply:
                return _answer(reply)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)

    def acquire(self, channel: str, **more: str) -> str:
        """Get the right to start one recording."""
        answer = self.call("POST", "/v1/acquire", {"channel": channel, **more})
        assert answer.status == 200, answer
        resource_id: str = answer.body["resourceId"]
        return resource_id

    def start(self, wish: Wish) -> Json:
        """Start a recording in one step."""
        answer = self.call("POST", "/v1/start", wish.body())
        assert answer.status == 202, answer
        return answer.body

    def query(self, sid: str, *, segments: bool = False) -> Json:
        """Ask about a recording."""
        answer = self.call("GET", f"/v1/recordings/{sid}?segments={str(segments).lower()}")
        assert answer.status == 200, answer
        return answer.body

    def of_channel(self, channel: str) -> list[Json]:
        """List the recordings of a channel, among the newest."""
        answer = self.call("GET", "/v1/recordings?limit=200")
        assert answer.status == 200, answer
        return [each for each in answer.body["recordings"] if each["channel"] == channel]

    def stop(self, sid: str) -> Answer:
        """Ask a recording to stop."""
        return self.call("POST", f"/v1/recordings/{sid}/stop")

    def stopped(self, sid: str) -> Json:
        """Stop a recording and wait until it is sealed."""
        answer = self.stop(sid)
        assert answer.status == 202, answer
        return self.sealed(sid)

    def until(
        self, sid: str, what: str, fits: Callable[[Json], object], seconds: float = 30
    ) -> Json:
        """Query until the answer fits.

        Raises:
            LabError: it does not in time, or the recording was sealed without.
        """
        deadline = time.monotonic() + seconds
        while not fits(found := self.query(sid)):
            over = found["sealedAt"] is not None
            if over or time.monotonic() > deadline:
                when = "was sealed" if over else f"is {seconds:.0f} s on"
                shown = json.dumps({k: v for k, v in found.items() if k != "files"})
                raise LabError(f"{what}: the recording {when} without it: {shown}")
            time.sleep(0.2)
        return found

    def in_progress(self, sid: str, segments: int = 1, seconds: float = 40) -> Json:
        """Wait until so many segments are stored."""
        return self.until(
            sid,
            f"{segments} segments",
            lambda r: r["status"] == IN_PROGRESS and r["segments"] >= segments,
            seconds,
        )

    def sealed(self, sid: str, seconds: float = 40) -> Json:
        """Wait until a recording is sealed."""
        return self.until(sid, "sealed", lambda r: r["sealedAt"], seconds)

    # ------------------------------------------------------------------ the other doors

    def publish(self, *, detail: object, kind: str = "RecordingRequested") -> str:
        """Put an event of somebody else's on the bus; gives its id."""
        entry = {
            "EventBusName": self.outputs["BusName"],
            "Source": "test.schedule",
            "DetailType": kind,
            "Detail": detail if isinstance(detail, str) else json.dumps(detail),
        }
        answer = self._bus.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer
        event_id: str = answer["Entries"][0]["EventId"]
        return event_id

    def invoke(self, output: str, payload: object) -> Json:
        """Invoke a function as the console's test tab does."""
        answer = self.engine.client("lambda").invoke(
            FunctionName=self.outputs[output], Payload=json.dumps(payload)
        )
        told = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, told
        found: Json = told
        return found

    # ------------------------------------------------------------------ what an operator sees

    def recorder(self, request_id: str) -> Worker | None:
        """Find the process that serves an invocation of the recorder."""
        workers = self.engine.workers(self.outputs["RecordFunction"])
        return next((each for each in workers if each.request_id == request_id), None)

    def execution(self, sid: str) -> Json:
        """Describe the supervision of a recording."""
        machine = self.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
        described: Json = self.engine.client("stepfunctions").describe_execution(
            executionArn=f"{machine}:{sid}"
        )
        return described

    def supervised_to_the_end(self, sid: str, seconds: float = 90) -> str:
        """Wait until supervision is over; gives the execution's status."""
        deadline = time.monotonic() + seconds
        while (status := self.execution(sid)["status"]) == "RUNNING":
            assert time.monotonic() < deadline, self.execution(sid)
            time.sleep(0.3)
        ended: str = status
        return ended

    def keys(self, part: str = "") -> list[str]:
        """List the keys of the bucket that hold a text."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return [key for key in keys if part in key]

    def download(self, sid: str, folder: Path) -> Path:
        """Copy a recording out of the bucket; gives the folder with its playlists."""
        for key in self.keys(f"/{sid}/"):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        found = list(folder.glob(f"**/{sid}"))
        assert found, f"nothing of {sid} in the bucket"
        return found[0]

    def logs(self, function: str = "") -> list[str]:
        """Read every line of all log groups, or of those whose name holds a text."""
        logs = self.engine.client("logs")
        groups = logs.get_paginator("describe_log_groups").paginate()
        names = [group["logGroupName"] for page in groups for group in page["logGroups"]]
        lines: list[str] = []
        for name in names:
            if function in name:
                pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
                lines += [event["message"] for page in pages for event in page["events"]]
        return lines

    def queued(self) -> dict[str, list[str]]:
        """Read what lies in the stack's own queues (they should be empty), by their names."""
        found: dict[str, list[str]] = {}
        for url in self._sqs.list_queues(QueueNamePrefix=self.outputs["BusName"]).get(
            "QueueUrls", []
        ):
            if url == self._ear:
                continue
            answer = self._sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0
            )
            found[url.rpartition("/")[2]] = [m["Body"] for m in answer.get("Messages", [])]
        return found

    # ------------------------------------------------------------------ what the bus tells

    def _listen(self) -> str:
        """Put a queue of our own behind the bus: a subscriber like any other."""
        bus = self.outputs["BusName"]
        ear: str = self._sqs.create_queue(QueueName=f"{bus}-overheard")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=ear, AttributeNames=["QueueArn"])
        pattern = json.dumps({"source": ["everreel"]})
        self._bus.put_rule(Name="overhear", EventBusName=bus, EventPattern=pattern)
        target = {"Id": "ear", "Arn": arn["Attributes"]["QueueArn"]}
        self._bus.put_targets(Rule="overhear", EventBusName=bus, Targets=[target])
        return ear

    def events(self, fits: Callable[[Json], object] = bool) -> list[Json]:
        """List the events of ours that went over the bus so far and fit."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._ear, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                self._heard.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._ear, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in self._heard if fits(event)]

    def event(self, what: str, fits: Callable[[Json], object], seconds: float = 15) -> Json:
        """Wait for an event of ours.

        Raises:
            LabError: none came.
        """
        deadline = time.monotonic() + seconds
        while not (found := self.events(fits)):
            if time.monotonic() > deadline:
                raise LabError(f"{what}: no such event\n{self.engine.log_tail()}")
            time.sleep(0.2)
        return found[0]

    def event_of(self, sid: str, kind: str) -> Json:
        """Wait for an event of a recording."""
        return self.event(
            f"{kind} of {sid}",
            lambda event: event["detail-type"] == kind and event["detail"]["sid"] == sid,
        )

    def kinds(self, sid: str) -> list[str]:
        """List the types of a recording's events, in the order in which they came."""
        return [e["detail-type"] for e in self.events(lambda e: e["detail"]["sid"] == sid)]


def _answer(reply: Any) -> Answer:
    text = reply.read()
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return Answer(reply.status, json.loads(text) if text else {}, headers)
