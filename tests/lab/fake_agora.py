"""Agora's cloud recording and cloud transcoder on loopback, misbehaving as they are told to.

What the documentation promises is kept: a resource id starts one task, (channel, uid) runs once, a
task that is gone is not found. Misbehaviour is told per call, one piece for each time it is made.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from infra.local.serving import Quiet, Serving

KEY = {"customerId": "customer", "customerSecret": "s3cr3t-of-the-customer"}
AUTHORIZATION = "Basic " + b64encode(":".join(KEY.values()).encode()).decode()

_PATHS = (
    ("acquire", "POST", r"/v1/apps/(?P<app>[^/]+)/cloud_recording/acquire"),
    ("start", "POST", r".*/resourceid/(?P<ticket>[^/]+)/mode/(?P<mode>\w+)/start"),
    ("query", "GET", r".*/resourceid/(?P<ticket>[^/]+)/sid/(?P<task>[^/]+)/mode/\w+/query"),
    ("stop", "POST", r".*/resourceid/(?P<ticket>[^/]+)/sid/(?P<task>[^/]+)/mode/\w+/stop"),
    ("acquire", "POST", r"/v1/projects/(?P<app>[^/]+)/rtsc/cloud-transcoder/builderTokens"),
    ("start", "POST", r".*/cloud-transcoder/tasks"),
    ("query", "GET", r".*/cloud-transcoder/tasks/(?P<task>[^/]+)"),
    ("stop", "DELETE", r".*/cloud-transcoder/tasks/(?P<task>[^/]+)"),
)


@dataclass(frozen=True)
class Fault:
    """One piece of misbehaviour.

    Attributes:
        status, body: what is answered instead; status 0: the connection is cut.
        after: do what was asked all the same: only the answer is lost.
        told: the body also holds what the answer would have told.
        slow_s: seconds between the bytes of the answer.
        channel: that it befalls alone, "" for any.
    """

    status: int = 0
    body: Any = field(default_factory=dict)
    after: bool = False
    slow_s: float = 0.0
    channel: str = ""
    told: bool = False


CUT = Fault()
CUT_AFTER = Fault(after=True)
SLOW = Fault(200, {"fileList": "x" * 400}, slow_s=0.05)
DOWN = Fault(503, {"message": "no healthy upstream"})
UNFINISHED = Fault(206, {"code": 65, "reason": "request not completed"})
BLIP = Fault(404, {"code": 404, "reason": "failed to find worker"})
GARBAGE = Fault(200, "<html>")
ELSEWHERE = Fault(302)


@dataclass
class Task:
    """What runs at the vendor. `health` is what a query tells: a number or two strings."""

    task: str
    channel: str
    uid: str
    request: dict[str, Any]
    live: bool = True
    health: Any = None


class FakeAgora:
    """The vendor, at as many addresses as it was given; `url(n)` is address number n.

    Attributes:
        faults: per call what goes wrong, oldest first.
        dead: numbers of the addresses that answer nothing.
        tasks: all that were ever started, by id.
        seen: (call, address, uid) of each request that carried the right credentials.
        key: that callers must show.
    """

    def __init__(self, addresses: int = 2) -> None:
        self.faults: dict[str, deque[Fault]] = {
            call: deque() for call in ("acquire", "start", "query", "stop")
        }
        self.dead: set[int] = set()
        self.tasks: dict[str, Task] = {}
        self.seen: list[tuple[str, int, str]] = []
        self.authorization = AUTHORIZATION
        self.unauthorised = 0
        self._tickets: dict[str, tuple[str, str, str]] = {}
        self._lock = threading.Lock()
        self._servers = [Serving(_Call, vendor=self, number=number) for number in range(addresses)]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for server in self._servers:
            self._running.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def url(self, number: int = 0) -> str:
        return self._servers[number].url

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self._servers]

    @property
    def live(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.live]

    def live_in(self, channel: str) -> list[Task]:
        return [task for task in self.live if task.channel == channel]

    def end(self, task: str) -> None:
        """Let a task exit by itself."""
        self.tasks[task].live = False

    # ------------------------------------------------------------------ what is asked

    def answer(self, call: str, place: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        with self._lock:
            return {
                "acquire": self._acquire,
                "start": self._start,
                "query": self._query,
                "stop": self._stop,
            }[call](place, body)

    def _acquire(self, place: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        ticket = f"ticket-{len(self._tickets) + 1}"
        transcodes = "instanceId" in body
        channel, uid = _named(body) if transcodes else (body["cname"], body["uid"])
        self._tickets[ticket] = (channel, uid, "")
        if transcodes:
            return 200, {"createTs": 1, "instanceId": body["instanceId"], "tokenName": ticket}
        return 200, {"cname": channel, "uid": uid, "resourceId": ticket}

    def _start(self, place: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        ticket = place["ticket"]
        if ticket not in self._tickets:
            return 400, {"code": 433, "reason": "resource expired"}
        channel, uid, task = self._tickets[ticket]
        if task:
            return 201, {"code": 7, "reason": "already started"}
        if any((each.channel, each.uid) == (channel, uid) for each in self.live):
            return 400, {"code": 53, "reason": "task conflict"}
        task = f"{len(self.tasks) + 1:032x}"
        self._tickets[ticket] = (channel, uid, task)
        self.tasks[task] = Task(task, channel, uid, body)
        if "services" in body:
            return 200, {"taskId": task, "createTs": 1, "status": "STARTING"}
        return 200, {"cname": channel, "uid": uid, "resourceId": ticket, "sid": task}

    def _query(self, place: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        task = self.tasks.get(place["task"])
        if task is None or not task.live:
            return 404, {"code": 404, "reason": "failed to find worker"}
        if "services" in task.request:
            state, service = task.health or ("IN_PROGRESS", "serviceInProgress")
            services = {"cloudTranscoder": {"status": service}}
            return 200, {"taskId": task.task, "status": state, "services": services}
        status = 5 if task.health is None else task.health
        return 200, {"sid": task.task, "serverResponse": {"status": status, **_files(task)}}

    def _stop(self, place: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        task = self.tasks.get(place["task"])
        if task is None or not task.live:
            return 404, {"code": 404, "reason": "failed to find worker"}
        task.live = False
        told = {"uploadingStatus": "uploaded", **_files(task)}
        return 200, {"sid": task.task, "serverResponse": told}

    def _fault(self, call: str, channel: str) -> Fault | None:
        """Take the oldest piece of misbehaviour that befalls this call."""
        with self._lock:
            waiting = self.faults[call]
            found = next((each for each in waiting if each.channel in ("", channel)), None)
            if found is not None:
                waiting.remove(found)
            return found

    # ------------------------------------------------------------------ the wire

    def handle(self, handler: BaseHTTPRequestHandler, number: int) -> None:
        """Answer a call at one of the addresses."""
        handler.close_connection = True
        length = int(handler.headers.get("Content-Length", 0))
        body = json.loads(handler.rfile.read(length) or b"{}")
        if number in self.dead:
            return
        parts = urlsplit(handler.path)
        for call, method, pattern in _PATHS:
            found = re.fullmatch(pattern, parts.path)
            if found is not None and method == handler.command:
                place = found.groupdict()
                if "builderToken" in parts.query:
                    place["ticket"] = parse_qs(parts.query)["builderToken"][0]
                self._reply(handler, number, call, place, body)
                return
        _write(handler, 404, {"message": "no Route matched with those values"})

    def _reply(
        self,
        handler: BaseHTTPRequestHandler,
        number: int,
        call: str,
        place: dict[str, str],
        body: dict[str, Any],
    ) -> None:
        if handler.headers.get("Authorization") != self.authorization:
            self.unauthorised += 1
            _write(handler, 401, {"message": "Invalid authentication credentials"})
            return
        known = self.tasks.get(place.get("task", ""))
        named = _named(body)[1] if "services" in body else ""
        self.seen.append((call, number, body.get("uid") or named or (known.uid if known else "")))
        channel = body.get("cname") or (known.channel if known else "")
        fault = self._fault(call, channel or (_named(body)[0] if named else ""))
        if fault is None:
            _write(handler, *self.answer(call, place, body))
            return
        answered = self.answer(call, place, body)[1] if fault.after else {}
        if fault.status:
            shown = {**answered, **fault.body} if fault.told else fault.body
            _write(handler, fault.status, shown, fault.slow_s)


def _files(task: Task) -> dict[str, Any]:
    files = [{"fileName": f"{task.task}_{task.channel}__uid_s_1__uid_e_av.m3u8"}]
    return {"fileListMode": "json", "fileList": files}


def _named(body: dict[str, Any]) -> tuple[str, str]:
    """Read the channel and uid of a transcoder's output."""
    config = body["services"]["cloudTranscoder"]["config"]["transcoder"]
    rtc = config["outputs"][0].get("rtc", {"rtcChannel": "cdn", "rtcUid": 0})
    return rtc["rtcChannel"], str(rtc["rtcUid"])


class _Call(Quiet):
    """A call at one of the vendor's addresses."""

    protocol_version = "HTTP/1.0"  # each call has a connection of its own
    vendor: FakeAgora
    number: int

    def do_GET(self) -> None:
        """Let the vendor answer, or not."""
        self.vendor.handle(self, self.number)

    do_POST = do_DELETE = do_GET


def _write(handler: BaseHTTPRequestHandler, status: int, body: Any, slow_s: float = 0) -> None:
    data = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    if status == 302:
        handler.send_header("Location", handler.path)
    handler.end_headers()
    pause = threading.Event()
    for start in range(0, len(data), 8) if slow_s else ():
        handler.wfile.write(data[start : start + 8])
        pause.wait(slow_s)
    if not slow_s:
        handler.wfile.write(data)
