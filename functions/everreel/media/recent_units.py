"""Remembers what was received lately, to recognise what a server sends again after a reopen."""

from collections import deque

from everreel.media.access_unit import Medium

REMEMBER_US = 20_000_000
"""Longer than the group of pictures that servers repeat to a new connection."""

REMEMBER_UNITS = 8192
"""The same bound in units, for sources with absurd rates."""

Mark = tuple[int, bytes, bytes]
"""Length, first and last bytes of a unit."""


class RecentUnits:
    """Presentation times and marks of the last 20 s of units.

    A mark is a unit's length with its first and last bytes: cheap, and two units that share time
    and mark are the same for any real stream.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._marks: dict[tuple[Medium, int], Mark] = {}
        self._order: deque[tuple[Medium, int]] = deque()

    def add(self, medium: Medium, pts_us: int, data: bytes) -> None:
        """Remember a unit and forget those that are too old."""
        key = (medium, pts_us)
        self._marks[key] = _mark(data)
        order = self._order
        order.append(key)
        while order[0][1] < pts_us - REMEMBER_US or len(order) > REMEMBER_UNITS:
            self._marks.pop(order.popleft(), None)

    def holds(self, medium: Medium, pts_us: int, data: bytes) -> bool | None:
        """Tell whether this very unit is known; None if nothing is known of its time."""
        mark = self._marks.get((medium, pts_us))
        return None if mark is None else mark == _mark(data)

    def moved_us(self, medium: Medium, pts_us: int, data: bytes) -> int:
        """Tell by how much later than `pts_us` this very unit was presented before.

        0 if it is not known, or if it cannot be told apart: pictures and silence repeat.
        """
        mark = _mark(data)
        known = [at for (of, at), other in self._marks.items() if of is medium and other == mark]
        return known[0] - pts_us if len(known) == 1 else 0

    def clear(self) -> None:
        """Forget everything: the clock changed, so times mean something else."""
        self._marks.clear()
        self._order.clear()


def _mark(data: bytes) -> Mark:
    return len(data), data[:24], data[-24:]
