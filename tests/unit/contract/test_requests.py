"""What may come in: every field's limits, and the words for what may not."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel import ids
from everreel.contract.problems import Invalid, problem_of, read
from everreel.contract.requests import (
    AcquireBody,
    DescribeQuery,
    ListQuery,
    OptionsBody,
    RequestedBody,
    StartBody,
    StopBody,
)
from everreel.contract.wire import NAME_PATTERN, PREFIX_PATTERN, SID_PATTERN
from everreel.media import names

START: dict[str, Any] = {"channel": "lobby", "uid": "camera-1"}


def refused(model: type[Any], value: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(model, value)
    return caught.value


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("segmentSeconds", [2, 6, 30], [1, 31, 6.0, 6.5, "6", True, None]),
        ("maxIdleSeconds", [5, 2_592_000], [4, 2_592_001, "30"]),
        ("maxDurationSeconds", [0, 1, 2_592_000], [-1, 2_592_001]),
        ("container", ["fmp4", "mpegts"], ["mp4", "FMP4", 1, None]),
        ("subscribe", ["both", "audio", "video"], ["none", "", None]),
        ("mp4", [True, False], ["true", 1, None]),
        ("prefix", ["", "a", "team/2026", "a" * 128], ["/a", "a/", "a//b", "../b", "a b", "ä", 1]),
    ],
)
def test_option_when_at_its_limits_then_is_taken_and_beyond_them_named(
    field: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        read(StartBody, {**START, "options": {field: value}})
    for value in bad:
        error = refused(StartBody, {**START, "options": {field: value}})
        assert error.field == f"options.{field}", value


@pytest.mark.parametrize("field", ["channel", "uid", "app", "recorderUid"])
def test_name_when_unfit_for_a_store_then_is_named(field: str) -> None:
    read(StartBody, {**START, field: "a" * 128})
    unfit: list[object] = [
        "",
        " ",
        "a/b",
        "..",
        ".a",
        "-a",
        "a" * 129,
        "a\n",
        "ä",
        "a b",
        7,
        ["a"],
        {},
    ]
    for bad in unfit:
        assert refused(StartBody, {**START, field: bad}).field == field


@pytest.mark.parametrize("field", ["source", "resourceId", "app", "recorderUid"])
def test_optional_field_when_null_then_is_as_if_left_out(field: str) -> None:
    assert read(StartBody, {**START, field: None}) == read(StartBody, START)


def test_snake_case_when_sent_then_is_an_unknown_field_with_the_right_one_named() -> None:
    error = refused(StartBody, {**START, "resource_id": "x"})
    assert error.field == "resource_id"
    assert problem_of(error).fix == "write resourceId"


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ({**START, "chanel": 1}, "write channel"),
        ({**START, "options": {"segment_seconds": 6}}, "write segmentSeconds"),
        ({**START, "zzz": 1}, "remove it; there are channel, uid, source"),
    ],
)
def test_unknown_field_when_sent_then_the_fix_names_the_known(
    value: dict[str, Any], fix: str
) -> None:
    assert problem_of(refused(StartBody, value)).fix.startswith(fix)


def test_body_when_several_fields_are_wrong_then_all_are_told() -> None:
    error = refused(StartBody, {"uid": 1, "options": {"mp4": "yes"}})
    problem = problem_of(error)
    assert {each.field for each in problem.errors} == {"channel", "uid", "options.mp4"}
    assert problem.field == problem.errors[0].field
    assert all(each.fix and each.detail for each in problem.errors)


@pytest.mark.parametrize("value", [None, [], "x", 7, True])
def test_body_when_it_is_no_object_then_says_so(value: object) -> None:
    for model in (AcquireBody, StartBody, RequestedBody, StopBody):
        error = refused(model, value)
        assert error.field is None
        assert "must be a JSON object" in error.message


def test_request_when_it_is_wrong_then_what_was_sent_is_not_repeated() -> None:
    for value in (
        {**START, "source": ["rtmp://u:hunter2@h/a"]},
        {**START, "source": "x" * 3000 + "hunter2"},
        {**START, "options": "hunter2"},
        {**START, "uid": "hunter2 "},
    ):
        problem = problem_of(refused(StartBody, value))
        assert "hunter2" not in problem.model_dump_json()


@given(st.text(max_size=140) | st.from_regex(NAME_PATTERN))
def test_name_when_judged_here_and_below_then_they_agree(text: str) -> None:
    try:
        read(AcquireBody, {"channel": text})
    except Invalid:
        assert not ids.is_name(text)
    else:
        assert ids.is_name(text)


@given(st.text(max_size=20) | st.from_regex(PREFIX_PATTERN) | st.from_regex(r"\A[a./-]{0,12}\Z"))
def test_prefix_when_judged_here_and_below_then_they_agree(text: str) -> None:
    try:
        read(OptionsBody, {"prefix": text})
    except Invalid:
        assert not names.is_prefix(text)
    else:
        assert names.is_prefix(text)


def test_sid_when_judged_here_and_below_then_they_agree() -> None:
    for text in (ids.new_sid(), "0" * 31, "0" * 33, "G" * 32, "A" * 32, ""):
        assert (re.match(SID_PATTERN, text) is not None) == ids.is_sid(text)


def test_resource_id_when_we_made_it_then_is_taken_back() -> None:
    for made in (ids.new_resource_id(), ids.resource_id_of_request("bus", "event-1")):
        assert read(StartBody, {**START, "resourceId": made}).resource_id == made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
known = st.sampled_from([*START, "source", "mode", "app", "options", "resourceId", "recorderUid"])


@given(st.dictionaries(known | st.text(max_size=5), json_values, max_size=6) | json_values)
def test_anything_when_sent_then_is_taken_or_refused_in_words(value: object) -> None:
    for model in (StartBody, RequestedBody, AcquireBody):
        try:
            read(model, value)
        except Invalid as error:
            problem = problem_of(error)
            assert problem.status == 400
            assert problem.detail
            assert problem.fix
            assert "pydantic" not in problem.detail


def test_queries_when_empty_then_have_defaults() -> None:
    assert read(ListQuery, {}).limit == 50
    assert read(DescribeQuery, {}).after == -1
    assert refused(ListQuery, {"limit": "0"}).field == "limit"
    assert refused(DescribeQuery, {"after": "x"}).field == "after"
