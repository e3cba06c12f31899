"""A bus that keeps what it is given, for the command line and for tests."""

from everreel.events.ports import Event


class MemoryBus:
    """Remembers events in `published`, oldest first."""

    def __init__(self) -> None:
        """Start empty."""
        self.published: list[Event] = []

    def publish(self, *events: Event) -> None:
        """Remember events."""
        self.published.extend(events)
