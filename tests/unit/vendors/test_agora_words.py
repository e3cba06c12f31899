"""Agora's words, each in ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import ManualClock
from everreel.state.vendor import Call, VendorOrder, VendorWatch
from everreel.supervisor.practices import CLOUD_RECORDING
from everreel.supervisor.provider import Health
from everreel.vendors import agora_words as words
from everreel.vendors.agora import AgoraApi, CloudRecording, CloudTranscoder, Request
from everreel.vendors.agora_keys import AgoraKeys
from everreel.vendors.json_api import Reply

S, R, E, D, F, U = (
    Health.STARTING,
    Health.RUNNING,
    Health.ENDING,
    Health.ENDED,
    Health.FAILED,
    Health.UNKNOWN,
)


@pytest.mark.parametrize(
    ("status", "health"),
    [(0, S), (1, S), (2, S), (3, S), (4, R), (5, R), (6, E), (7, D), (8, D), (20, F), (9, U)],
)
def test_recording_when_queried_then_its_number_is_read(status: int, health: Health) -> None:
    assert words.recording_health({"serverResponse": {"status": status}}) is health


@pytest.mark.parametrize(
    ("task", "service", "health"),
    [
        ("IDLE", None, S),
        ("PREPARED", "serviceIdle", S),
        ("STARTING", "serviceStarted", S),
        ("CREATED", None, S),
        ("STARTED", None, R),
        ("STARTED", "serviceIdle", S),
        ("STARTED", "serviceReady", R),
        ("IN_PROGRESS", "serviceInProgress", R),
        ("IN_PROGRESS", None, R),
        ("IN_PROGRESS", "serviceUnknown", R),
        ("IN_PROGRESS", "serviceCompleted", D),
        ("IN_PROGRESS", "servicePartialCompleted", D),
        ("IN_PROGRESS", "serviceValidationFailed", F),
        ("IN_PROGRESS", "serviceAbnormal", F),
        ("STOPPING", "serviceInProgress", E),
        ("STOPPED", "serviceInProgress", D),
        ("EXIT", "serviceInProgress", D),
        ("FAILURE_STOP", "serviceInProgress", F),
        ("something new", None, U),
        ("something new", "serviceReady", R),
    ],
)
def test_transcoder_when_queried_then_its_words_are_read(
    task: str, service: str | None, health: Health
) -> None:
    services = {"cloudTranscoder": {"status": service}} if service else {}
    assert words.transcoder_health({"status": task, "services": services}) is health


@pytest.mark.parametrize(("status", "media"), [(3, False), (4, False), (5, True), (6, False)])
def test_recording_when_queried_then_tells_whether_media_has_come(status: int, media: bool) -> None:
    assert words.recording_has_media({"serverResponse": {"status": status}}) is media


@pytest.mark.parametrize(
    ("task", "service", "media"),
    [
        ("STARTED", "serviceReady", False),
        ("IN_PROGRESS", "serviceReady", False),
        ("IN_PROGRESS", "serviceInProgress", True),
        ("IN_PROGRESS", None, True),
        ("STARTED", None, False),
    ],
)
def test_transcoder_when_queried_then_tells_whether_media_has_come(
    task: str, service: str | None, media: bool
) -> None:
    services = {"cloudTranscoder": {"status": service}} if service else {}
    assert words.transcoder_has_media({"status": task, "services": services}) is media


@given(
    st.dictionaries(st.sampled_from(["serverResponse", "status", "services", "code"]), st.none())
)
def test_reply_when_its_parts_are_missing_then_unknown(reply: dict[str, None]) -> None:
    assert words.recording_health(reply) is U
    assert words.transcoder_health(reply) is U
    assert words.playlist_in(reply) == ""
    assert words.code_of(reply) == 0


def test_playlist_when_named_then_signs_of_the_channel_are_replaced() -> None:
    signs = "!@#$%^&*()+_.=[]{}~|,;:?<>"
    assert words.playlist_of_mix("s", f"a{signs}b c-d", []) == f"s_a{'-' * len(signs)}b c-d.m3u8"
    assert words.playlist_of_mix("s", "x", ["a", "b"]) == "a/b/s_x.m3u8"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ("s_x.m3u8", "s_x.m3u8"),
        ("", ""),
        ([], ""),
        (None, ""),
        ([{"fileName": "a.ts"}, {"fileName": "a.m3u8"}, {"fileName": "b.m3u8"}], "a.m3u8"),
        ([{"fileName": 1}, "x"], ""),
    ],
)
def test_playlist_when_a_query_tells_it_then_is_found(files: object, name: str) -> None:
    assert words.playlist_in({"serverResponse": {"fileList": files}}) == name


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("Acquire: invalid resourceExpiredHour value!", "resourceExpiredHour"),
        ("invalid_channel_name", "channel_name"),
        ("task conflict", ""),
    ],
)
def test_error_when_it_names_a_field_then_it_is_found(message: str, field: str) -> None:
    assert words.culprit(message) == field


def test_message_when_it_holds_an_address_then_its_secrets_are_hidden_and_it_is_short() -> None:
    told = words.message_of({"reason": "no https://u:p@x/y?key=z " + "x" * 1000})
    assert told.startswith("no https://***@x/y?***")
    assert len(told) == words.LONGEST_MESSAGE


# ---------------------------------------------------------------------- anything

NAMES = ["serverResponse", "status", "fileList", "fileName", "sid", "taskId", "resourceId",
         "tokenName", "services", "cloudTranscoder", "code", "reason", "message"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=15,
)


class Garbler(AgoraApi):
    """Answers what it is told to."""

    reply = Reply(200, {})

    def send(self, made: Request, watch: VendorWatch) -> Reply:
        return self.reply


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6),
    st.sampled_from([200, 201, 206, 400, 404, 500]),
    st.sampled_from(Call),
)
def test_answer_when_the_body_is_any_json_then_is_one_that_can_be_kept(
    body: dict[str, Any], status: int, call: Call
) -> None:
    keys = AgoraKeys(lambda: '{"customerId": "x", "customerSecret": "y"}', ManualClock())
    api = Garbler(keys, practices=CLOUD_RECORDING)
    api.reply = Reply(status, body)
    order = VendorOrder("app", "lobby", ("101", "102"))
    for service in (CloudRecording(api), CloudTranscoder(api)):
        answer = service.ask(call, order, VendorWatch("0" * 32, ticket="t", task="x"))
        assert answer.status == status
        for text in (answer.ticket, answer.task, answer.playlist, answer.message, answer.field):
            assert len(text.encode()) <= 20_000


@pytest.mark.parametrize("text", ["\ud800", "x" * 5000, "", 7, ["x"], {"x": 1}])
def test_text_when_it_cannot_be_kept_then_is_none(text: object) -> None:
    assert words.text_in({"resourceId": text}, "resourceId") == ""
    assert words.playlist_in({"serverResponse": {"fileList": text}}) == ""


@pytest.mark.parametrize("text", ["a b", "", "x" * 257, "\ud800", None, 7])
def test_task_when_no_notice_could_name_it_then_is_none(text: object) -> None:
    assert words.task_in({"sid": text}, "sid") == ""


def test_message_when_it_holds_half_a_character_then_can_be_written() -> None:
    assert words.message_of({"reason": "bad \ud800 thing"}) == "bad ? thing"
