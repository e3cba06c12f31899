"""Who gets in: keys by Bearer and Basic, and nobody when the keys cannot be read."""

import base64
import json
from typing import Any

import pytest

from authorize_call.handler import handler
from everreel.auth import REMEMBERED_S, Credentials, KeyRing, credentials, read_keys
from everreel.clock import ManualClock
from everreel.errors import ServiceFault
from everreel.wiring import Wiring, rewired
from tests.unit.doors.memory import Context

TWO_KEYS = json.dumps({"keys": {"studio": "s3cret-one", "archive": "s3cret-two"}})


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("header", "holder"),
    [
        ("Bearer s3cret-one", "studio"),
        ("bearer   s3cret-two ", "archive"),
        (basic("studio:s3cret-one"), "studio"),
        (basic("archive:s3cret-one"), None),
        (basic("studio:"), None),
        (basic(":s3cret-one"), None),
        (basic("s3cret-one"), None),
        ("Basic not!base64", None),
        ("Basic /////w==", None),
        ("Bearer S3CRET-ONE", None),
        ("Bearer s3cret-onex", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Digest s3cret-one", None),
        ("s3cret-one", None),
        ("", None),
        ("Bearer \u00e9\udcff", None),
    ],
)
def test_key_when_shown_then_only_the_right_one_gets_in(header: str, holder: str | None) -> None:
    assert KeyRing(lambda: TWO_KEYS, ManualClock()).holder(header) == holder


def test_secret_with_colons_when_shown_by_basic_then_gets_in() -> None:
    ring = KeyRing(lambda: '{"id": "a", "secret": "b:c:d"}', ManualClock())
    assert ring.holder(basic("a:b:c:d")) == "a"


def test_keys_when_replaced_then_the_old_one_ends_after_five_minutes() -> None:
    texts = ['{"id": "a", "secret": "old"}']
    clock = ManualClock()
    ring = KeyRing(lambda: texts[-1], clock)
    assert ring.holder("Bearer old") == "a"
    texts.append('{"id": "a", "secret": "new"}')
    clock.advance(REMEMBERED_S - 1)
    assert ring.holder("Bearer old") == "a"
    clock.advance(1)
    assert ring.holder("Bearer old") is None
    assert ring.holder("Bearer new") == "a"


def test_keys_when_they_cannot_be_read_then_nobody_gets_in_on_what_was_remembered() -> None:
    answers: list[str | ServiceFault] = ['{"id": "a", "secret": "old"}', ServiceFault("away")]

    def read() -> str:
        answer = answers.pop(0)
        if isinstance(answer, ServiceFault):
            raise answer
        return answer

    clock = ManualClock()
    ring = KeyRing(read, clock)
    assert ring.holder("Bearer old") == "a"
    clock.advance(REMEMBERED_S)
    with pytest.raises(ServiceFault):
        ring.holder("Bearer old")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "[]",
        "{}",
        '{"id": "a"}',
        '{"id": "a", "secret": ""}',
        '{"id": "", "secret": "hunter2"}',
        '{"keys": {}}',
        '{"keys": {"a": 7}}',
        '{"keys": "hunter2"}',
    ],
)
def test_secret_when_it_is_not_what_we_read_then_lets_nobody_in_and_is_not_shown(text: str) -> None:
    with pytest.raises(ServiceFault) as caught:
        read_keys(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_when_printed_then_hide_the_secret() -> None:
    assert credentials("Bearer hunter2") == Credentials("", "hunter2")
    assert "hunter2" not in repr(credentials("Bearer hunter2"))


@pytest.mark.parametrize("headers", [None, {}, {"X-Other": "1"}])
def test_call_when_it_shows_nothing_then_is_refused(headers: dict[str, str] | None) -> None:
    with rewired(Wiring(keys=KeyRing(lambda: TWO_KEYS, ManualClock()))):
        event: dict[str, Any] = {"headers": headers}
        assert handler(event, Context())["isAuthorized"] is False  # type: ignore[arg-type]


def test_call_when_its_header_is_written_in_capitals_then_counts_all_the_same() -> None:
    with rewired(Wiring(keys=KeyRing(lambda: TWO_KEYS, ManualClock()))):
        event = {"headers": {"AUTHORIZATION": "Bearer s3cret-one"}}
        answer = handler(event, Context())  # type: ignore[arg-type]
    assert answer == {"isAuthorized": True, "context": {"keyId": "studio"}}


def test_call_when_the_keys_cannot_be_read_then_fails_instead_of_deciding() -> None:
    def away() -> str:
        raise ServiceFault("away")

    event = {"headers": {"authorization": "Bearer s3cret-one"}}
    with (
        rewired(Wiring(keys=KeyRing(away, ManualClock()))),
        pytest.raises(ServiceFault),
    ):
        handler(event, Context())  # type: ignore[arg-type]
