"""The event bus as domain code sees it. Delivery is at least once and unordered: hints only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

SOURCE = "everreel"
"""The source of our own events; requests come from any other."""


class Happening(StrEnum):
    """Detail types of our own events (contract/events.py has their payloads)."""

    REQUESTED = "RecordingRequested"
    STARTED = "RecordingStarted"
    SEGMENT = "SegmentCommitted"
    LAP_STARTED = "LapStarted"
    LAP_ENDED = "LapEnded"
    LAP_LOST = "LapLost"
    SEALED = "RecordingSealed"
    FAILED = "RecordingFailed"
    NOTICE = "VendorNotice"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: detail type on the bus.
        sid: the recording it is about.
        detail: JSON-ready payload; never holds a credential.
    """

    kind: Happening
    sid: str
    detail: Mapping[str, object]


class EventBus(Protocol):
    """Where events leave (tests/contract/test_event_bus.py).

    Promise: what was published reaches the bus at least once, or `ServiceFault` is raised.
    """

    def publish(self, *events: Event) -> None:
        """Publish events."""
        ...
