"""Lambda's records of dead laps, read or refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import parse_iso
from everreel.errors import InvalidRequest
from everreel.events.own import LONGEST_ERROR, DeadLap, notice_of_dead_lap, read_failure
from tests.unit.doors.memory import SID
from tests.unit.events.lives import Json, died

RECORD: Json = died("b", 12, 3)["detail"]
ABSENT = object()
WORDS = (
    "requestContext requestPayload responsePayload timestamp sid lane lap requestId condition "
    "errorType errorMessage"
).split()


def changed(path: str, value: object) -> Json:
    """Give the record with one field changed, or without it."""
    *outer, name = path.split(".")
    made = {key: dict(each) if isinstance(each, dict) else each for key, each in RECORD.items()}
    place: dict[str, Any] = made[outer[0]] if outer else made
    if value is ABSENT:
        del place[name]
    else:
        place[name] = value
    return made


def test_record_when_read_then_says_which_lap_died_and_of_what() -> None:
    assert read_failure(RECORD) == DeadLap(
        sid=SID,
        lane="b",
        lap=12,
        request_id="4f1c8b1e-2a55-4b0e-9d2b-000000000003",
        condition="RetriesExhausted",
        error="Runtime.ExitError: RequestId: 4f1c Error: Runtime exited with error: signal: killed",
        utc_us=parse_iso("2026-01-01T00:03:00.123Z"),
    )


@pytest.mark.parametrize(
    ("left", "error"),
    [
        (None, ""),
        ("text", ""),
        ({}, ""),
        ({"errorType": 7, "errorMessage": ["x"]}, ""),
        (
            {"errorMessage": "Task timed out after 900.00 seconds"},
            "Task timed out after 900.00 seconds",
        ),
        ({"errorType": "Sandbox.Timedout", "errorMessage": "late"}, "Sandbox.Timedout: late"),
        ({"errorType": "E", "errorMessage": "x" * 9999}, ("E: " + "x" * 9999)[:LONGEST_ERROR]),
    ],
)
def test_record_when_the_lap_left_this_or_nothing_behind_then_is_read(
    left: object, error: str
) -> None:
    assert read_failure(changed("responsePayload", left)).error == error


def test_record_when_it_never_ran_then_says_so() -> None:
    dead = read_failure(
        {**changed("requestContext.condition", "EventAgeExceeded"), "responsePayload": None}
    )
    assert (dead.condition, dead.error) == ("EventAgeExceeded", "")


def test_record_when_its_error_holds_an_address_then_its_credentials_are_hidden() -> None:
    left = {"errorType": "E", "errorMessage": "no rtmp://user:secret@media.example/live/streamkey"}
    dead = read_failure(changed("responsePayload", left))
    for told in (dead.error, notice_of_dead_lap(dead).detail):
        assert "media.example" in told
        assert "secret" not in told
        assert "streamkey" not in told


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("requestContext", [ABSENT, None, [], "x"]),
        ("requestPayload", [ABSENT, None, [], "x"]),
        ("requestPayload.sid", [ABSENT, None, 7, "", SID[:-1], SID.upper(), SID + "\n"]),
        ("requestPayload.lane", [ABSENT, None, "", "ab", "A", "a\n", 1]),
        ("requestPayload.lap", [ABSENT, None, 0, -1, True, "1", 1.0, 10**6]),
        ("requestContext.requestId", [ABSENT, None, "", "a#b", "a b", "x" * 129]),
        ("requestContext.condition", [ABSENT, None, "", "two words", 7]),
        ("timestamp", [ABSENT, None, "", "soon", 7, "2026-01-01T00:00:00"]),
    ],
)
def test_record_when_a_field_is_wrong_then_is_refused_by_its_name(
    field: str, values: list[object]
) -> None:
    for value in values:
        with pytest.raises(InvalidRequest) as caught:
            read_failure(changed(field, value))
        assert caught.value.field == field, value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(WORDS),
                inner,
            )
        ),
        max_leaves=20,
    ).filter(lambda value: isinstance(value, dict))
)
def test_record_when_it_is_anything_then_is_read_or_refused(record: Json) -> None:
    with suppress(InvalidRequest):
        assert notice_of_dead_lap(read_failure(record)).task == record["requestPayload"]["sid"]


def test_deaths_when_of_two_invocations_of_one_lap_then_both_are_kept() -> None:
    one, other = (
        notice_of_dead_lap(
            read_failure(died("a", 1, n, timestamp="2026-01-01T00:00:00Z")["detail"])
        )
        for n in (1, 2)
    )
    assert (one.task, one.uid) == (other.task, other.uid)
    assert one.mark != other.mark
