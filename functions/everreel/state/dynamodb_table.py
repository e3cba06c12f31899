"""Single requests to a DynamoDB table: conditional writes, reads, errors in everreel's words."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from everreel.clock import Clock, SystemClock
from everreel.errors import ServiceFault, StateUnavailable
from everreel.patience import Patience, persist
from everreel.state.rows import PARTITION_KEY, SORT_KEY, Values, attributes, pack, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botocore.exceptions import BotoCoreError, ClientError

ABSENT = f"attribute_not_exists({PARTITION_KEY})"

Answer = TypeVar("Answer")

_WORD = re.compile(r"#\w+")
_VALUE = re.compile(r":\w+")
_FAILED = "ConditionalCheckFailed"
_CANCELLED = "TransactionCanceledException"
_BUSY = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@dataclass(frozen=True, slots=True)
class Write:
    """One conditional write, alone or as part of a transaction.

    Expressions are DynamoDB's; `#status` stands for the attribute `status` (many of our words are
    reserved there), `:name` for `values["name"]`.

    Attributes:
        kind: which request it is.
        key: of the row.
        row: all attributes beside the key, for Put.
        update: expression, for Update.
        condition: expression that must hold, or nothing is written.
        values: for the expressions; those that none of them names are left out.
        names: what a `#word` stands for where it is not the word itself.
    """

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    key: Values
    row: Values | None = None
    update: str = ""
    condition: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write.

    Attributes:
        done: everything was written; otherwise nothing was, because a condition did not hold.
        rows: per write whose condition did not hold the row it found, {} if there is none; None
            for the others. After an Update by itself that was done: the new row.
    """

    done: bool
    rows: tuple[Values | None, ...] = ()


def connect(endpoint_url: str = "", region: str = "") -> Any:
    """Make a client that fails soon and never repeats by itself: `Table` decides on that.

    Units: connect within 1 s, no more than 3 s without a byte.
    """
    import boto3  # noqa: PLC0415 - 0.2 s of start-up that only this adapter pays
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint_url or None,
        region_name=region or None,
        config=Config(
            connect_timeout=1,
            read_timeout=3,
            retries={"mode": "standard", "total_max_attempts": 1},
        ),
    )


class Table:
    """A DynamoDB table with keys `PK` and `SK`; safe for threads.

    Each request is repeated a few times while DynamoDB is busy. A repeated transaction carries the
    token of the first, so that one whose answer was lost is not taken for somebody else's.
    """

    def __init__(
        self, name: str, client: Any, clock: Clock | None = None, patience: Patience | None = None
    ) -> None:
        """Use the table `name` through a low-level boto3 client."""
        self._name = name
        self._client = client
        self._clock = clock or SystemClock()
        self._patience = patience or Patience(attempts=5, first_s=0.05, longest_s=1.0, total_s=10.0)

    def get(self, key: Values) -> Values | None:
        """Read a row as it is now."""
        answer = self._ask(
            self._client.get_item,
            TableName=self._name,
            Key=attributes(key),
            ConsistentRead=True,
        )
        return values(answer["Item"]) if "Item" in answer else None

    def rows(self, partition: str, first: str, last: str) -> Iterator[Values]:
        """Read the rows of a partition from sort key `first` to `last`, page by page."""
        yield from self._query(
            KeyConditionExpression=f"{PARTITION_KEY} = :p AND {SORT_KEY} BETWEEN :a AND :b",
            ExpressionAttributeValues=attributes({":p": partition, ":a": first, ":b": last}),
            ConsistentRead=True,
        )

    def last(self, partition: str, first: str, last: str, count: int) -> list[Values]:
        """Read the last `count` rows of a partition between two sort keys; ascending."""
        found = self._query(
            KeyConditionExpression=f"{PARTITION_KEY} = :p AND {SORT_KEY} BETWEEN :a AND :b",
            ExpressionAttributeValues=attributes({":p": partition, ":a": first, ":b": last}),
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=count,
        )
        return list(islice(found, count))[::-1]

    def newest(
        self, index: str, partition: tuple[str, str], limit: int, after: Values | None
    ) -> Iterator[Values]:
        """Read an index backwards from `after` (a whole key), at most `limit` rows per request."""
        start = {"ExclusiveStartKey": attributes(after)} if after else {}
        yield from self._query(
            IndexName=index,
            KeyConditionExpression=f"{partition[0]} = :p",
            ExpressionAttributeValues=attributes({":p": partition[1]}),
            ScanIndexForward=False,
            Limit=limit,
            **start,
        )

    def of_index(self, index: str, partition: tuple[str, str]) -> Iterator[Values]:
        """Read a partition (key attribute, value) of an index in ascending order."""
        yield from self._query(
            IndexName=index,
            KeyConditionExpression=f"{partition[0]} = :p",
            ExpressionAttributeValues=attributes({":p": partition[1]}),
        )

    def write(self, write: Write) -> Outcome:
        """Make one write."""
        call = {
            "Put": self._client.put_item,
            "Update": self._client.update_item,
            "Delete": self._client.delete_item,
        }[write.kind]
        wanted = {"ReturnValues": "ALL_NEW"} if write.kind == "Update" else {}

        def once() -> Outcome:
            answer = call(**self._request(write), **wanted)
            return Outcome(done=True, rows=(values(answer.get("Attributes", {})),))

        return self._try(once)

    def transact(self, writes: Sequence[Write]) -> Outcome:
        """Make all writes or none."""
        items = [{write.kind: self._request(write)} for write in writes]
        token = secrets.token_hex(16)

        def once() -> Outcome:
            self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)
            return Outcome(done=True)

        return self._try(once)

    def _request(self, write: Write) -> dict[str, Any]:
        """Write a request as DynamoDB's API takes it, alone or in a transaction."""
        request: dict[str, Any] = {"TableName": self._name}
        if write.row is None:
            request["Key"] = attributes(write.key)
        else:
            request["Item"] = attributes({**write.row, **write.key})
        if write.update:
            request["UpdateExpression"] = write.update
        if write.condition:
            request["ConditionExpression"] = write.condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        text = f"{write.update} {write.condition}"
        if words := set(_WORD.findall(text)):
            request["ExpressionAttributeNames"] = {
                word: write.names.get(word[1:], word[1:]) for word in words
            }
        if named := set(_VALUE.findall(text)):
            request["ExpressionAttributeValues"] = {
                name: pack(write.values[name[1:]]) for name in named
            }
        return request

    def _query(self, **request: Any) -> Iterator[Values]:
        while True:
            answer = self._ask(self._client.query, TableName=self._name, **request)
            for row in answer["Items"]:
                yield values(row)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _ask(self, call: Callable[..., Any], **request: Any) -> Any:
        return self._persist(lambda: call(**request))

    def _try(self, call: Callable[[], Outcome]) -> Outcome:
        from botocore.exceptions import ClientError  # noqa: PLC0415

        def once() -> Outcome:
            try:
                return call()
            except ClientError as error:
                refused = _conditions_failed(error)
                if refused is None:
                    raise
                return refused

        return self._persist(once)

    def _persist(self, call: Callable[[], Answer]) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        def once() -> Answer:
            try:
                return call()
            except ClientError as error:
                raise self._refused(error) from error
            except BotoCoreError as error:
                raise self._lost(error) from error

        return persist(once, StateUnavailable, self._patience, self._clock)

    def _refused(self, error: ClientError) -> StateUnavailable | ServiceFault:
        code = error.response.get("Error", {}).get("Code", "")
        codes = {code, *(reason.get("Code", "") for reason in _reasons(error))} - {"None", ""}
        names = ", ".join(sorted(codes))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if _BUSY & codes or status >= 500:
            return StateUnavailable(f"table {self._name} is busy: {names}")
        return ServiceFault(
            f"table {self._name} refused a request: {names}; check that the table is the one of"
            " this deployment and that the function's role may use it"
        )

    def _lost(self, error: BotoCoreError) -> StateUnavailable | ServiceFault:
        from botocore import exceptions  # noqa: PLC0415

        name = type(error).__name__
        if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
            return StateUnavailable(f"table {self._name} did not answer: {name}")
        return ServiceFault(f"no request to table {self._name} could be made: {name}")


def _reasons(error: ClientError) -> list[dict[str, Any]]:
    """Return why a transaction was cancelled, one reason per write; [] for any other error."""
    answer: dict[str, Any] = dict(error.response)
    cancelled = answer.get("Error", {}).get("Code") == _CANCELLED
    return answer.get("CancellationReasons", []) if cancelled else []


def _conditions_failed(error: ClientError) -> Outcome | None:
    """Return the outcome of a write whose conditions did not hold, None for any other error."""
    answer: dict[str, Any] = dict(error.response)
    if answer.get("Error", {}).get("Code") == f"{_FAILED}Exception":
        return Outcome(done=False, rows=(values(answer.get("Item", {})),))
    reasons = _reasons(error)
    if _FAILED not in [reason.get("Code") for reason in reasons]:
        return None
    found = [
        values(reason.get("Item", {})) if reason.get("Code") == _FAILED else None
        for reason in reasons
    ]
    return Outcome(done=False, rows=tuple(found))
