"""The bus on EventBridge."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from everreel.errors import ServiceFault
from everreel.events.ports import SOURCE, Event

BATCH = 10
"""PutEvents takes ten entries a call."""

TRIES = 3


class EventBridgeBus:
    """Publishes to one bus; entries that fail are sent again, alone."""

    def __init__(self, bus: str, client: Any) -> None:
        """Publish to `bus` (name or ARN) through a boto3 `events` client."""
        self._bus = bus
        self._client = client

    def publish(self, *events: Event) -> None:
        """Publish events. Raises: ServiceFault if some did not get through after three tries."""
        entries = [
            {
                "EventBusName": self._bus,
                "Source": SOURCE,
                "DetailType": event.kind.value,
                "Detail": json.dumps({"sid": event.sid, **event.detail}),
            }
            for event in events
        ]
        for start in range(0, len(entries), BATCH):
            self._send(entries[start : start + BATCH])

    def _send(self, entries: list[dict[str, str]]) -> None:
        left, why = entries, ""
        for _ in range(TRIES):
            try:
                answer = self._client.put_events(Entries=left)
            except (ClientError, BotoCoreError) as error:
                raise ServiceFault(f"events were not published: {error}") from error
            results = answer["Entries"]
            failed = [
                (entry, result)
                for entry, result in zip(left, results, strict=True)
                if result.get("ErrorCode")
            ]
            if not failed:
                return
            left = [entry for entry, _ in failed]
            why = failed[0][1].get("ErrorMessage", failed[0][1]["ErrorCode"])
        raise ServiceFault(f"{len(left)} events were not published: {why}")
