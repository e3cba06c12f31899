"""DynamoDB and S3 in this process (moto), one request at a time as the real ones decide them."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import boto3
import pytest
from moto import mock_aws

from everreel.state import rows

REGION = "us-east-1"


class OneAtATime:
    """A client whose requests are decided one after the other, however many threads send them.

    moto checks a condition and writes in two steps, which threads can come between; the services
    do not.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**request: Any) -> Any:
            with self._lock:
                return method(**request)

        return call


@contextmanager
def pretended_cloud() -> Generator[None]:
    """Answer every AWS request from memory, with credentials that open nothing."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield


def dynamodb() -> Any:
    """Give a client of the pretended DynamoDB."""
    return OneAtATime(boto3.client("dynamodb", region_name=REGION))


def s3() -> Any:
    """Give a client of the pretended S3."""
    return OneAtATime(boto3.client("s3", region_name=REGION))


def make_table(client: Any, name: str) -> None:
    """Create a state table, as the template does."""
    keys = [rows.PARTITION_KEY, rows.SORT_KEY]
    indexes = {rows.INDEX: rows.INDEX_PARTITION_KEY, rows.UNSEALED_INDEX: rows.UNSEALED_KEY}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": "S"}
            for key in [*keys, rows.INDEX_SORT_KEY, *indexes.values()]
        ],
        KeySchema=[
            {"AttributeName": keys[0], "KeyType": "HASH"},
            {"AttributeName": keys[1], "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": rows.INDEX_SORT_KEY, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, partition in indexes.items()
        ],
    )
