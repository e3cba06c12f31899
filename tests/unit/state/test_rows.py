import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import InvalidRequest, ServiceFault
from everreel.media.hls import Shown
from everreel.media.index import Container, InitRow, SegmentRow, TrackDescription
from everreel.media.segment import Cause, Gap, TrackRange
from everreel.state import rows
from everreel.state.moves import Session
from everreel.state.ports import Ticket
from everreel.state.recording import (
    Failure,
    Lap,
    Mode,
    Options,
    Progress,
    Recording,
    Subscribe,
)
from everreel.state.status import Status

numbers = st.integers(0, 2**53)
texts = st.text(max_size=20)
words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
failures = st.none() | st.builds(Failure, texts, texts, texts, st.none() | texts)
statuses = st.sampled_from(list(Status))
progresses = st.builds(
    Progress,
    statuses,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    texts,
    marks=st.lists(st.tuples(numbers, texts), max_size=3).map(tuple),
    zero_us=st.none() | numbers,
    audio_zero_us=st.none() | numbers,
    shown=st.none() | st.builds(Shown, numbers, numbers, numbers, numbers, numbers),
)
options = st.builds(
    Options,
    segment_s=numbers,
    max_idle_s=numbers,
    max_duration_s=numbers,
    container=st.sampled_from(list(Container)),
    subscribe=st.sampled_from(list(Subscribe)),
    mp4=st.booleans(),
    prefix=texts,
)
recordings = st.builds(
    Recording,
    mode=st.sampled_from(list(Mode)),
    sid=words,
    app=words,
    source=texts,
    options=options,
    failure=failures,
    created_utc_us=numbers,
    fence=st.dictionaries(words, numbers, max_size=3),
)
sessions = st.builds(Session, recordings, st.frozensets(words, max_size=3))
laps = st.builds(Lap, progress=progresses, failure=failures)
tracks = st.lists(st.builds(TrackRange, words, numbers, numbers, numbers), max_size=3).map(tuple)
gaps = st.none() | st.builds(Gap, st.sampled_from(list(Cause)), numbers, numbers)
segments = st.builds(SegmentRow, tracks=tracks, gap=gaps, whole=st.booleans())
descriptions = st.lists(st.builds(TrackDescription), max_size=3).map(tuple)
inits = st.builds(InitRow, tracks=descriptions, keys=st.dictionaries(words, texts, max_size=3))


def through_the_table(row: rows.Values) -> rows.Values:
    return rows.values(rows.attributes({**row, "PK": "REC#x", "SK": "y", "expires_at": 9}))


@given(sessions)
def test_session_when_written_and_read_then_is_the_same(session: Session) -> None:
    assert rows.read_session(through_the_table(rows.session_values(session))) == session


@given(laps)
def test_lap_when_written_and_read_then_is_the_same(lap: Lap) -> None:
    assert rows.read_lap(through_the_table(rows.lap_values(lap))) == lap


@given(segments)
def test_segment_when_written_and_read_then_is_the_same(segment: SegmentRow) -> None:
    assert rows.read_segment(through_the_table(rows.segment_values(segment))) == segment


@given(inits)
def test_init_when_written_and_read_then_is_the_same(init: InitRow) -> None:
    assert rows.read_init(through_the_table(rows.init_values(init))) == init


@given(st.builds(Ticket))
def test_ticket_when_written_and_read_then_is_the_same(ticket: Ticket) -> None:
    assert rows.read_ticket(through_the_table(rows.ticket_values(ticket))) == ticket


@given(sessions)
def test_words_when_read_then_have_their_own_types(session: Session) -> None:
    read = rows.read_session(through_the_table(rows.session_values(session))).recording
    assert type(read.status) is Status
    assert type(read.options.container) is Container
    assert type(read.mode) is Mode


def item_bytes(item: dict[str, Any]) -> int:
    """Size of an item as DynamoDB bills it, rounded up."""

    def size(value: dict[str, Any]) -> int:
        ((kind, content),) = value.items()
        match kind:
            case "S":
                return len(content.encode())
            case "N":
                return len(content) // 2 + 2
            case "L":
                return 3 + sum(1 + size(each) for each in content)
            case "M":
                return 3 + sum(1 + len(name) + size(each) for name, each in content.items())
            case _:
                return 1

    return sum(len(name) + size(value) for name, value in item.items())


def test_segment_when_stored_then_costs_one_write_unit() -> None:
    row = SegmentRow(
        k=10**10 - 1,
        key="segments/1234567890-999999.m4s",
        init=999,
        start_us=2**50,
        duration_us=60_000_000,
        utc_us=2**52,
        size=2**33,
        sha256="f" * 64,
        tracks=tuple(TrackRange("video", 2**33, 2**33, 10_000) for _ in range(8)),
        discontinuity=True,
        gap=Gap(Cause.JUMP, 2**50, 2**50),
        independent=False,
        lane="A",
        lap=999_999,
        whole=False,
    )
    key = rows.segment_key("f" * 32, row.k)
    item = rows.attributes({**rows.segment_values(row), **key, "expires_at": 2**33})
    assert item_bytes(item) <= 700


@given(numbers, numbers)
def test_segment_key_when_compared_then_orders_as_buckets_do(one: int, other: int) -> None:
    one, other = one % 10**10, other % 10**10
    first, second = (rows.segment_key("x", k)["SK"] for k in (one, other))
    assert (first < second) is (one < other)


@pytest.mark.parametrize("k", [-1, 10**10])
def test_segment_key_when_bucket_cannot_be_then_service_fault(k: int) -> None:
    with pytest.raises(ServiceFault):
        rows.segment_key("x", k)


def test_pack_when_the_type_is_unknown_then_service_fault() -> None:
    with pytest.raises(ServiceFault, match="float"):
        rows.pack(1.5)


@given(recordings)
def test_page_token_when_read_then_is_the_place_of_the_recording(recording: Recording) -> None:
    place = rows.read_page_token(rows.page_token(recording), recording.app)
    assert place == (recording.created_utc_us, recording.sid)


@given(recordings, words)
def test_page_token_when_of_another_app_then_invalid_request(
    recording: Recording, app: str
) -> None:
    token = rows.page_token(replace(recording, app=f"{app}x"))
    with pytest.raises(InvalidRequest):
        rows.read_page_token(token, app)


@given(st.text(max_size=60))
def test_page_token_when_made_up_then_invalid_request(token: str) -> None:
    with pytest.raises(InvalidRequest):
        rows.read_page_token(token, "live")
