"""Clients of the cloud's services. Importing this does nothing heavy."""

from typing import Any


def client(service: str) -> Any:
    """Make a boto3 client that gives up soon enough for its caller to act."""
    from boto3.session import Session  # noqa: PLC0415 - 0.2 s that not every function pays
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 4}
    )
    make: Any = Session().client
    return make(service, config=config)
