from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError

from everreel.clock import ManualClock
from everreel.errors import EverreelError, FenceLost, ServiceFault, StateUnavailable
from everreel.media.index import InitRow
from everreel.state import rows
from everreel.state.dynamodb import DynamoRecordings
from everreel.state.dynamodb_table import connect
from everreel.state.moves import started
from everreel.state.ports import Ticket
from everreel.state.recording import Progress, Reason
from everreel.state.status import Status
from tests.contract.cloud import dynamodb, make_table, pretended_cloud
from tests.contract.test_recordings import T0, a_recording, a_segment, a_ticket, sid_of
from tests.unit.store.scripted_aws import Answer, Script, Step, scripted

SID = sid_of(1)
TABLE = "recordings"
BUSY = Answer.dynamodb_error("ProvisionedThroughputExceededException")
ROW = {"Item": rows.attributes({"resource_id": "t", "app": "a", "channel": "c",
    "recorder_uid": "r", "expires_utc_us": 5, "used_by": ""})}  # fmt: skip


def cancelled(*codes: str) -> Answer:
    reasons = [{"Code": code} for code in codes]
    return Answer.dynamodb_error("TransactionCanceledException", CancellationReasons=reasons)


def answering(*answers: Step) -> tuple[DynamoRecordings, Script]:
    client, script = scripted("dynamodb", *answers)
    return DynamoRecordings(TABLE, client, ManualClock(T0)), script


def stored_recording() -> Answer:
    """What the table answers when it is asked for a recording that has just been created."""
    values = rows.session_values(started(a_recording()))
    return Answer.json({"Item": rows.attributes({**values, "revision": 0})})


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "first",
    [
        BUSY,
        Answer.dynamodb_error("ThrottlingException"),
        Answer.dynamodb_error("InternalServerError", 500),
        Answer.dynamodb_error("Whatever", 503),
        ReadTimeoutError(endpoint_url="https://x"),
        ConnectTimeoutError(endpoint_url="https://x"),
    ],
    ids=str,
)
def test_request_when_the_table_is_busy_then_is_asked_again(first: Step) -> None:
    recordings, script = answering(first, Answer.json(ROW))
    assert recordings.ticket("t") == Ticket("t", "a", "c", "r", 5)
    assert script.asked == ["GetItem", "GetItem"]


def test_request_when_the_table_stays_busy_then_state_unavailable_soon() -> None:
    client, script = scripted("dynamodb", *[BUSY] * 9)
    clock = ManualClock(T0)
    with pytest.raises(StateUnavailable, match="ProvisionedThroughputExceeded"):
        DynamoRecordings(TABLE, client, clock).find("x")
    assert len(script.requests) == 5
    assert clock.monotonic() < 3


@pytest.mark.parametrize(
    "answer",
    [
        Answer.dynamodb_error("AccessDeniedException"),
        Answer.dynamodb_error("ResourceNotFoundException"),
        Answer.dynamodb_error("ValidationException"),
        NoCredentialsError(),
    ],
    ids=str,
)
def test_request_when_refused_then_service_fault_without_their_words(answer: Step) -> None:
    recordings, script = answering(answer)
    with pytest.raises(ServiceFault, match=TABLE) as caught:
        recordings.find("x")
    assert type(caught.value) is ServiceFault
    assert "secret" not in caught.value.message
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "codes", [("None", "TransactionConflict"), ("ThrottlingError", "None")], ids=str
)
def test_commit_when_the_transaction_conflicts_then_is_repeated_with_the_same_token(
    codes: tuple[str, ...],
) -> None:
    recordings, script = answering(cancelled(*codes), Answer.json({}))
    assert recordings.commit("x", a_segment(0), 1)
    first, second = [str(request.body) for request in script.requests]
    assert first == second
    assert "ClientRequestToken" in first


def test_commit_when_its_answer_was_lost_then_the_repeat_is_true() -> None:
    lost = ReadTimeoutError(endpoint_url="https://x")
    recordings, _ = answering(lost, Answer.json({}))
    assert recordings.commit("x", a_segment(0), 1)


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        (("ConditionalCheckFailed", "None"), False),
        (("ConditionalCheckFailed", "TransactionConflict"), False),
    ],
)
def test_commit_when_only_the_bucket_is_taken_then_false(
    codes: tuple[str, ...], wanted: bool
) -> None:
    recordings, _ = answering(cancelled(*codes))
    assert recordings.commit("x", a_segment(0), 1) is wanted


def test_moves_when_others_never_let_us_then_state_unavailable() -> None:
    failed = cancelled("ConditionalCheckFailed")
    recordings, script = answering(*[stored_recording(), failed] * 20)
    with pytest.raises(StateUnavailable, match="too many"):
        recordings.request_stop(SID, T0)
    assert len(script.requests) == 40


def test_claim_when_its_answer_was_lost_then_the_repeat_carries_the_token() -> None:
    lost = ReadTimeoutError(endpoint_url="https://x")
    recordings, script = answering(stored_recording(), Answer.json({}), lost, Answer.json({}))
    assert recordings.claim(SID, "A", 1, "request-1", T0).fence == {"A": 1}
    assert script.asked == ["GetItem", "GetItem", "TransactWriteItems", "TransactWriteItems"]
    assert script.requests[2].body == script.requests[3].body


def test_connect_when_made_then_fails_soon_and_never_repeats_by_itself() -> None:
    config = connect(region="us-east-1").meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}


# ---------------------------------------------------------------------- cost, expiry, pages


class Counting:
    """A client that notes which requests were sent."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.asked.append(name)
            return getattr(self._client, name)(**request)

        return call


@pytest.fixture
def client() -> Generator[Counting]:
    with pretended_cloud():
        made = dynamodb()
        make_table(made, TABLE)
        yield Counting(made)


def running(recordings: DynamoRecordings) -> None:
    recordings.put_ticket(a_ticket())
    recordings.create(a_recording())
    recordings.claim(SID, "A", 1, "request-1", T0)


def test_beat_when_the_status_is_known_then_costs_one_request(client: Counting) -> None:
    recordings = DynamoRecordings(TABLE, client, ManualClock(T0))
    running(recordings)
    recordings.beat(SID, "A", 1, Progress(Status.IN_PROGRESS), T0 + 1)
    client.asked.clear()
    for number in range(5):
        recordings.beat(SID, "A", 1, Progress(Status.IN_PROGRESS, number), T0 + 2 + number)
    assert client.asked == ["update_item"] * 5


def test_beat_when_stop_was_requested_then_costs_one_request(client: Counting) -> None:
    recordings = DynamoRecordings(TABLE, client, ManualClock(T0))
    running(recordings)
    recordings.request_stop(SID, T0)
    recordings.beat(SID, "A", 1, Progress(Status.READY), T0 + 1)
    client.asked.clear()
    assert recordings.beat(SID, "A", 1, Progress(Status.READY), T0 + 2).stop
    assert client.asked == ["update_item"]


def test_commit_when_many_then_each_costs_one_request(client: Counting) -> None:
    recordings = DynamoRecordings(TABLE, client, ManualClock(T0))
    running(recordings)
    client.asked.clear()
    for k in range(20):
        assert recordings.commit(SID, a_segment(k), 1)
    assert client.asked == ["transact_write_items"] * 20


def test_segments_when_more_than_a_page_then_pages_are_fetched_as_they_are_read(
    client: Counting,
) -> None:
    recordings = DynamoRecordings(TABLE, client, ManualClock(T0))
    for k in range(300):
        large = replace(a_segment(k), key="x" * 9_000)
        item = rows.attributes({**rows.segment_values(large), **rows.segment_key(SID, k)})
        client._client.put_item(TableName=TABLE, Item=item)
    client.asked.clear()
    found = recordings.segments(SID)
    assert next(found).k == 0
    assert client.asked == ["query"]
    assert [row.k for row in found] == list(range(1, 300))
    assert len(client.asked) == 3


def expiries(client: Counting) -> dict[str, int | None]:
    """Give the TTL of each row in the table, by sort key."""
    items = client._client.scan(TableName=TABLE)["Items"]
    return {
        item["SK"]["S"]: int(item["expires_at"]["N"]) if "expires_at" in item else None
        for item in items
    }


def everything(recordings: DynamoRecordings, clock: ManualClock) -> None:
    running(recordings)
    recordings.put_init(SID, InitRow(1, (), {}))
    recordings.commit(SID, a_segment(0), 1)
    clock.advance(60)
    recordings.end_lap(SID, "A", 1, Reason.IDLE, None, Progress(Status.READY), T0)


def test_rows_when_nothing_is_said_of_retention_then_only_the_ticket_expires(
    client: Counting,
) -> None:
    clock = ManualClock(T0)
    everything(DynamoRecordings(TABLE, client, clock), clock)
    day = 86_400
    assert {name: at for name, at in expiries(client).items() if at is not None} == {
        "TICKET": T0 // 1_000_000 + 300 + day
    }


def test_rows_when_retention_is_given_then_all_expire_and_the_recording_last(
    client: Counting,
) -> None:
    clock = ManualClock(T0)
    recordings = DynamoRecordings(TABLE, client, clock, retention_days=7)
    everything(recordings, clock)
    kept = T0 // 1_000_000 + 7 * 86_400
    found = expiries(client)
    del found["TICKET"]
    assert found == {
        "INIT#000001": kept,
        "LAP#A#000001": kept + 60,
        "REC": kept + 60,
        "SEG#0000000000": kept,
    }


def test_recording_when_it_runs_then_does_not_expire(client: Counting) -> None:
    recordings = DynamoRecordings(TABLE, client, ManualClock(T0), retention_days=7)
    running(recordings)
    assert (expiries(client)["REC"], expiries(client)["LIVE"]) == (None, None)


def test_errors_when_raised_then_are_everreels(client: Counting) -> None:
    recordings = DynamoRecordings(TABLE, client, ManualClock(T0))
    running(recordings)
    with pytest.raises(EverreelError) as caught:
        recordings.commit(SID, a_segment(0), 7)
    assert type(caught.value) is FenceLost
