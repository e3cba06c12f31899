"""Brings the functions' logs out of the engine before it ends, for whoever wants to know more."""

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError


def save_logs(logs: Any, folder: Path) -> None:
    """Write each log group to a file of its own; an engine that is gone has none.

    Args:
        logs: boto3 client of CloudWatch Logs.
        folder: where the files go.
    """
    try:
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                name = group["logGroupName"]
                lines = _lines(logs, name)
                if lines:
                    path = folder / f"{name.strip('/').replace('/', '-')}.log"
                    path.write_text("\n".join(lines) + "\n")
    except (BotoCoreError, ClientError) as error:
        (folder / "logs-missing.txt").write_text(f"the engine gave no logs: {error}\n")


def _lines(logs: Any, name: str) -> list[str]:
    """Read all lines of a group, oldest first."""
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
    events = [event for page in pages for event in page["events"]]
    events.sort(key=lambda event: event["timestamp"])
    return [event["message"].rstrip("\n") for event in events]
