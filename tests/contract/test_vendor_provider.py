"""The promises of `supervisor.provider.Provider`, and supervision through a vendor's bad days."""

import json
import time
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import ServiceFault
from everreel.state.vendor import Call, Layout, VendorOrder, VendorWatch
from everreel.supervisor.practices import Practices
from everreel.supervisor.provider import Answer, Health, Provider
from everreel.supervisor.tend import tend
from everreel.supervisor.vendor import Ending
from everreel.vendors.agora import AgoraApi, CloudRecording, CloudTranscoder
from everreel.vendors.agora_keys import AgoraKeys, read_key
from everreel.vendors.json_api import origin
from everreel.vendors.pace import Pace
from tests.lab.fake_agora import (
    BLIP,
    CUT,
    CUT_AFTER,
    DOWN,
    ELSEWHERE,
    GARBAGE,
    KEY,
    SLOW,
    UNFINISHED,
    FakeAgora,
    Fault,
)

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
STORAGE = {"vendor": 1, "bucket": "recordings", "fileNamePrefix": ["team", "2026"]}
RECORDING = VendorOrder(
    "app id", "lobby.1", ("101", "102"), tokens={"101": "token-1", "102": "token-2"}
)
TRANSCODING = VendorOrder(
    "app",
    "lobby",
    ("101", "102"),
    request={
        "services": {
            "cloudTranscoder": {
                "config": {"transcoder": {"outputs": [{"rtc": {"rtcChannel": "out", "rtcUid": 0}}]}}
            }
        }
    },
    tokens={"101": "token-1", "102": "token-2"},
)
UNBROKEN_S = 0.4


class Deployment:
    """A vendor, its provider, and the machine that waits, on a clock of its own."""

    def __init__(self, agora: FakeAgora, kind: str, secret: dict[str, object]) -> None:
        self.agora = agora
        self.clock = ManualClock()
        self.secret = {**secret, "api": agora.urls}
        self.reads = 0
        service: type[CloudRecording] | type[CloudTranscoder] = (
            CloudRecording if kind == "recording" else CloudTranscoder
        )
        self.order = {"recording": RECORDING, "transcoder": TRANSCODING}[kind]
        self.practices: Practices = service.practices
        api = AgoraApi(
            AgoraKeys(self._read, self.clock),
            practices=self.practices,
            clock=self.clock,
            total_s=UNBROKEN_S,
        )
        self.provider: Provider = service(api)
        self.watch = VendorWatch(SID)
        self.began_us = self.clock.utc_us()

    def _read(self) -> str:
        self.reads += 1
        return json.dumps(self.secret)

    @property
    def now_s(self) -> float:
        return (self.clock.utc_us() - self.began_us) / MICROSECONDS

    def ask(self, call: Call, **changes: Any) -> Answer:
        return self.provider.ask(call, self.order, replace(self.watch, **changes))

    def supervise(self, until_s: float = 150, *, stop: bool = False) -> Ending | None:
        while True:
            step, self.watch = tend(
                self.order,
                self.watch,
                provider=self.provider,
                practices=self.practices,
                clock=self.clock,
                stop=stop,
            )
            if step.ending or self.now_s + step.wait_s > until_s:
                return step.ending
            self.clock.advance(step.wait_s)

    @property
    def running(self) -> bool:
        """Whether the vendor runs the task that is watched, and the watch knows it."""
        task = self.agora.tasks.get(self.watch.task)
        return task is not None and task.live and self.watch.running_utc_us != 0


@pytest.fixture
def agora() -> Generator[FakeAgora]:
    with FakeAgora() as vendor:
        yield vendor


@pytest.fixture(params=["recording", "transcoder"])
def world(request: pytest.FixtureRequest, agora: FakeAgora) -> Deployment:
    return Deployment(agora, request.param, {**KEY, "storageConfig": STORAGE})


@pytest.fixture
def recording(agora: FakeAgora) -> Deployment:
    return Deployment(agora, "recording", {**KEY, "storageConfig": STORAGE})


# ---------------------------------------------------------------------- one call


def test_calls_when_all_is_well_then_follow_a_task_through_its_life(world: Deployment) -> None:
    ticket = world.ask(Call.ACQUIRE).ticket
    started = world.ask(Call.START, ticket=ticket)
    assert (started.status, len(started.task)) == (200, 32)
    at = {"ticket": ticket, "task": started.task}
    assert world.ask(Call.QUERY, **at).health is Health.RUNNING
    assert world.ask(Call.STOP, **at).status == 200
    assert world.ask(Call.QUERY, **at).status == 404
    assert [call for call, _, _ in world.agora.seen] == [
        "acquire", "start", "query", "stop", "query",
    ]  # fmt: skip


@pytest.mark.parametrize("fault", [CUT, SLOW], ids=["cut", "slow"])
def test_call_when_nobody_answers_then_says_so_in_time(world: Deployment, fault: Fault) -> None:
    world.agora.faults["acquire"].append(fault)
    began = time.monotonic()
    assert world.ask(Call.ACQUIRE) == Answer(0)
    assert time.monotonic() - began < UNBROKEN_S + 1


def test_call_when_nothing_listens_then_is_not_answered(agora: FakeAgora) -> None:
    with FakeAgora(1) as gone:
        url = gone.url()
    secret = json.dumps({**KEY, "api": [url]})
    api = AgoraApi(AgoraKeys(lambda: secret, ManualClock()), practices=CloudRecording.practices)
    assert CloudRecording(api).ask(Call.ACQUIRE, RECORDING, VendorWatch(SID)) == Answer(0)


def test_call_when_redirected_then_the_credentials_stay(world: Deployment) -> None:
    world.agora.faults["acquire"].append(ELSEWHERE)
    assert world.ask(Call.ACQUIRE).status == 302
    assert len(world.agora.seen) == 1


@pytest.mark.parametrize("fault", [GARBAGE, Fault(200, ["list"])])
def test_call_when_the_answer_is_garbage_then_it_is_none(world: Deployment, fault: Fault) -> None:
    world.agora.faults["acquire"].append(fault)
    assert world.ask(Call.ACQUIRE) == Answer(0)


def test_call_when_the_answer_has_other_types_then_holds_nothing(world: Deployment) -> None:
    body = {"resourceId": 7, "tokenName": [], "code": "x"}
    world.agora.faults["acquire"].append(Fault(200, body))
    assert world.ask(Call.ACQUIRE) == Answer(200)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_call_when_the_domain_is_switched_then_goes_to_the_other_address(
    world: Deployment, number: int
) -> None:
    world.ask(Call.ACQUIRE, domain=number)
    assert world.agora.seen[0][1] == number % 2


def test_call_when_refused_then_the_answer_names_the_field_and_no_credential(
    recording: Deployment,
) -> None:
    secret = "https://user:hunter2@storage.example/x?key=hunter2"
    reason = f"Acquire: invalid resourceExpiredHour value! {secret}"
    recording.agora.faults["acquire"].append(Fault(400, {"code": 2, "reason": reason}))
    answer = recording.ask(Call.ACQUIRE)
    assert (answer.status, answer.code, answer.field) == (400, 2, "resourceExpiredHour")
    assert "hunter2" not in repr(answer)


def test_call_when_refused_in_words_that_we_sent_then_the_answer_hides_them(
    world: Deployment,
) -> None:
    world.order = replace(world.order, tokens={"101": "006tok3n", "102": "006other"})
    ticket = world.ask(Call.ACQUIRE).ticket
    reason = f"invalid token 006tok3n of the bucket {STORAGE['bucket']}"
    world.agora.faults["start"].append(Fault(400, {"code": 2, "reason": reason}))
    answer = world.ask(Call.START, ticket=ticket)
    assert answer.message.startswith("invalid token ***")
    assert answer.field == "token"


def test_key_when_it_names_no_address_then_is_good_at_the_usual_ones() -> None:
    key = read_key(json.dumps(KEY))
    assert [where.host for where in key.origins] == ["api.agora.io", "api.sd-rtn.com"]
    assert all(where.secure for where in key.origins)


def test_key_when_replaced_then_the_call_is_made_with_the_new_one(world: Deployment) -> None:
    world.ask(Call.ACQUIRE)
    world.secret["customerSecret"] = "new"
    world.agora.authorization = "Basic Y3VzdG9tZXI6bmV3"
    assert world.ask(Call.ACQUIRE).status == 200
    assert world.agora.unauthorised == 1
    assert world.reads == 2


def test_key_when_wrong_then_is_tried_once(world: Deployment) -> None:
    world.secret["customerSecret"] = "wrong"
    assert world.ask(Call.ACQUIRE).status == 401
    assert world.agora.unauthorised == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"customerId": "x"}',
        '{"customerId": 1}',
        '{"customerId": "x", "customerSecret": "y", "api": "https://api.example"}',
        '{"customerId": "x", "customerSecret": "y", "api": []}',
        '{"customerId": "x", "customerSecret": "y", "api": [1]}',
        '{"customerId": "x", "customerSecret": "y", "storageConfig": []}',
        '{"customerId": "x", "customerSecret": "y", "storageConfig": {"fileNamePrefix": null}}',
    ],
)
def test_key_when_the_secret_is_none_then_the_fault_tells_nothing_of_it(text: str) -> None:
    keys = AgoraKeys(lambda: text, ManualClock())
    with pytest.raises(ServiceFault, match="customerSecret"):
        keys.key()


def test_repr_when_printed_then_shows_no_credential() -> None:
    keys = AgoraKeys(lambda: json.dumps({**KEY, "storageConfig": STORAGE}), ManualClock())
    assert "Basic" not in repr(keys.key())
    assert "token-1" not in repr(RECORDING)


@pytest.mark.parametrize(
    "url", ["http://api.agora.io", "api.agora.io", "https://", "https://x/path", "ftp://x"]
)
def test_domain_when_it_is_no_https_origin_then_is_refused(url: str) -> None:
    with pytest.raises(ServiceFault, match="https://host"):
        origin(url)


def test_pace_when_many_calls_come_at_once_then_they_are_spread() -> None:
    clock = ManualClock()
    pace = Pace(10, clock)
    for _ in range(11):
        pace.wait()
    assert clock.monotonic() == pytest.approx(1.0)


# ---------------------------------------------------------------------- what is sent


def test_start_when_sent_then_completed_by_the_deployment(recording: Deployment) -> None:
    recording.order = replace(recording.order, max_idle_s=60)
    recording.supervise(until_s=10)
    [task] = recording.agora.tasks.values()
    assert (task.channel, task.uid) == ("lobby.1", "101")
    assert task.request["clientRequest"] == {
        "storageConfig": STORAGE,
        "token": "token-1",
        "recordingConfig": {"maxIdleTime": 60},
    }
    assert recording.watch.playlist == f"team/2026/{task.task}_lobby-1.m3u8"


def test_start_when_it_brings_its_own_storage_then_that_counts(recording: Deployment) -> None:
    own = {"vendor": 2, "bucket": "theirs"}
    recording.order = replace(recording.order, request={"storageConfig": own})
    recording.supervise(until_s=10)
    [task] = recording.agora.tasks.values()
    assert task.request["clientRequest"]["storageConfig"] == own


def test_playlist_when_individual_then_the_query_tells_its_name(recording: Deployment) -> None:
    recording.order = replace(recording.order, layout=Layout.INDIVIDUAL)
    recording.supervise(until_s=10)
    assert recording.watch.playlist.endswith("__uid_s_1__uid_e_av.m3u8")


def test_playlist_when_individual_and_stopped_at_once_then_the_stop_tells_its_name(
    recording: Deployment,
) -> None:
    recording.order = replace(recording.order, layout=Layout.INDIVIDUAL)
    recording.supervise(until_s=2)
    assert recording.supervise(stop=True) is Ending.STOPPED
    assert recording.watch.playlist.endswith("__uid_s_1__uid_e_av.m3u8")


def test_transcoder_when_started_then_joins_under_its_uid(agora: FakeAgora) -> None:
    world = Deployment(agora, "transcoder", dict(KEY))
    world.order = replace(world.order, max_idle_s=600)
    world.supervise(until_s=10)
    [task] = agora.tasks.values()
    service = task.request["services"]["cloudTranscoder"]
    assert service["serviceType"] == "cloudTranscoderV2"
    assert service["config"]["transcoder"] == {
        "outputs": [{"rtc": {"rtcChannel": "out", "rtcUid": 101, "rtcToken": "token-1"}}],
        "idleTimeout": 600,
    }


# ---------------------------------------------------------------------- bad days

BAD_STARTS = {
    "errors then ok": [DOWN, DOWN, DOWN],
    "cut then ok": [CUT, CUT],
    "slow then ok": [SLOW],
    "timeout at the vendor": [Fault(206, {"message": "timeout"})] * 3,
    "unfinished twice": [UNFINISHED, UNFINISHED],
    "garbage": [GARBAGE],
    "redirected": [ELSEWHERE],
    "too many requests": [Fault(429, {"message": "API rate limit exceeded"})] * 2,
}


@pytest.mark.parametrize("faults", BAD_STARTS.values(), ids=BAD_STARTS)
@pytest.mark.parametrize("call", ["acquire", "start"])
def test_start_when_the_vendor_misbehaves_then_runs_under_the_first_uid(
    world: Deployment, faults: list[Fault], call: str
) -> None:
    world.agora.faults[call] = deque(faults)
    assert world.supervise() is None
    assert world.running
    assert {uid for _, _, uid in world.agora.seen} <= {"101"}
    assert len(world.agora.tasks) == 1


@pytest.mark.parametrize(
    "faults", [[DOWN] * 4, [UNFINISHED] * 3], ids=["errors for ever", "never finished"]
)
def test_start_when_repeats_do_not_help_then_runs_under_the_other_uid(
    world: Deployment, faults: list[Fault]
) -> None:
    world.agora.faults["start"] = deque(faults)
    assert world.supervise() is None
    assert world.running
    assert [task.uid for task in world.agora.live] == ["102"]


def test_start_when_only_its_answer_is_lost_then_a_task_we_know_runs(world: Deployment) -> None:
    world.agora.faults["start"].append(CUT_AFTER)
    assert world.supervise() is None
    assert world.running
    # The vendor says that the first one runs and not which it is.
    assert [task.uid for task in world.agora.live] == ["101", "102"]


def test_start_when_it_runs_already_and_the_vendor_names_it_then_is_watched(
    world: Deployment,
) -> None:
    world.agora.faults["start"].append(Fault(201, {"code": 7}, after=True, told=True))
    assert world.supervise() is None
    assert world.running
    assert len(world.agora.tasks) == 1


def test_start_when_the_uid_records_already_then_the_other_one_is_taken(
    recording: Deployment,
) -> None:
    ticket = recording.ask(Call.ACQUIRE).ticket
    recording.ask(Call.START, ticket=ticket)
    assert recording.supervise() is None
    assert recording.running
    assert [task.uid for task in recording.agora.live] == ["101", "102"]


def test_start_when_an_address_is_down_then_the_other_one_serves(world: Deployment) -> None:
    world.agora.dead.add(0)
    assert world.supervise() is None
    assert world.running
    assert {number for _, number, _ in world.agora.seen} == {1}


BAD_QUERIES = {
    "blips": [BLIP] * 3,
    "errors": [DOWN] * 4,
    "cut": [CUT] * 3,
    "slow": [SLOW],
    "unfinished": [UNFINISHED] * 2,
    "mixed": [BLIP, DOWN, BLIP, CUT, BLIP],
    "wrong": [Fault(400, {"code": 2})] * 2,
    "garbage": [GARBAGE] * 2,
    "busy": [Fault(429)] * 3,
}


@pytest.mark.parametrize("faults", BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_query_when_it_misbehaves_for_a_while_then_the_task_is_left_in_peace(
    world: Deployment, faults: list[Fault]
) -> None:
    world.supervise(until_s=30)
    world.agora.faults["query"] = deque(faults)
    assert world.supervise(until_s=600) is None
    assert world.running
    assert len(world.agora.tasks) == 1
    assert not world.watch.trouble


def test_query_when_the_address_in_use_dies_then_the_other_one_is_asked(
    world: Deployment,
) -> None:
    world.supervise(until_s=30)
    world.agora.dead.add(0)
    assert world.supervise(until_s=600) is None
    assert world.running
    assert len(world.agora.tasks) == 1


def test_task_when_it_vanishes_then_another_one_runs_under_the_other_uid(
    world: Deployment,
) -> None:
    world.supervise(until_s=30)
    world.agora.end(world.watch.task)
    assert world.supervise(until_s=400) is None
    assert world.running
    assert [task.uid for task in world.agora.live] == ["102"]
    assert world.watch.restarts == 1


@pytest.mark.parametrize(
    ("kind", "health"),
    [
        ("recording", 20),
        ("transcoder", ("IN_PROGRESS", "serviceAbnormal")),
        ("transcoder", ("FAILURE_STOP", "serviceInProgress")),
    ],
)
def test_task_when_it_fails_then_another_one_runs(
    agora: FakeAgora, kind: str, health: object
) -> None:
    world = Deployment(agora, kind, dict(KEY))
    world.supervise(until_s=30)
    first = agora.tasks[world.watch.task]
    first.health = health
    assert world.supervise(until_s=400) is None
    assert world.running
    assert world.watch.task != first.task


@pytest.mark.parametrize(
    ("kind", "health"), [("recording", 8), ("transcoder", ("EXIT", "serviceCompleted"))]
)
def test_task_when_it_exits_by_itself_then_supervision_ends(
    agora: FakeAgora, kind: str, health: object
) -> None:
    world = Deployment(agora, kind, dict(KEY))
    world.supervise(until_s=30)
    agora.tasks[world.watch.task].health = health
    assert world.supervise(until_s=400) is Ending.EXITED


@pytest.mark.parametrize(
    ("kind", "health"), [("recording", 3), ("transcoder", ("STARTING", "serviceIdle"))]
)
def test_task_when_it_does_not_get_ready_then_another_one_after_ninety_seconds(
    agora: FakeAgora, kind: str, health: object
) -> None:
    world = Deployment(agora, kind, dict(KEY))
    world.supervise(until_s=0)
    agora.tasks[world.watch.task].health = health
    assert world.supervise(until_s=89) is None
    assert len(agora.tasks) == 1
    assert world.supervise(until_s=200) is None
    assert world.running
    assert [task.uid for task in agora.tasks.values()] == ["101", "102"]


@pytest.mark.parametrize("faults", [[], [DOWN, DOWN], [CUT_AFTER], [UNFINISHED], [SLOW]])
def test_stop_when_it_misbehaves_then_the_task_stops_all_the_same(
    world: Deployment, faults: list[Fault]
) -> None:
    world.supervise(until_s=30)
    world.agora.faults["stop"] = deque(faults)
    assert world.supervise(until_s=600, stop=True) is Ending.STOPPED
    assert not world.agora.live
