"""Units that wait, with their arrival, until it is known where they belong."""

from collections.abc import Iterator

from everreel.media.access_unit import AccessUnit, TrackFormat
from everreel.media.tolerances import HELD_BYTES

Arrived = tuple[int, AccessUnit]
"""A unit and when it arrived, microseconds."""


class HeldUnits:
    """Units and the formats between them, in order of arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self._events: list[tuple[int, AccessUnit | TrackFormat]] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._events)

    def __iter__(self) -> Iterator[tuple[int, AccessUnit | TrackFormat]]:
        return iter(self._events)

    @property
    def full(self) -> bool:
        """Whether it holds more than memory should."""
        return self._bytes > HELD_BYTES

    @property
    def first(self) -> Arrived:
        """The unit that has waited for longest; there is one."""
        return next((at, unit) for at, unit in self if isinstance(unit, AccessUnit))

    @property
    def newest(self) -> Arrived:
        """The unit that came last; there is one."""
        return next(
            (at, unit) for at, unit in reversed(self._events) if isinstance(unit, AccessUnit)
        )

    def add(self, now_us: int, event: AccessUnit | TrackFormat) -> None:
        """Keep what arrived at `now_us`."""
        self._events.append((now_us, event))
        if isinstance(event, AccessUnit):
            self._bytes += len(event.data)

    def take(self) -> list[tuple[int, AccessUnit | TrackFormat]]:
        """Give out everything and start empty."""
        events, self._events, self._bytes = self._events, [], 0
        return events
