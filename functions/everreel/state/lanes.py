"""Who runs a lane: the execution that plans its laps, and the task it waits for now.

One row per lane, kept apart from the lap's: a task token is long, and a lap's row is written with
every beat. The table's promises are in tests/contract/test_lanes.py.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hold:
    """A lane as its row tells.

    Attributes:
        owner: name of the execution that runs the lane.
        lap: that it waits for, 0 while it waits for none.
        token: with which that lap tells that it lives, "" for none.
    """

    owner: str
    lap: int = 0
    token: str = ""


class Lanes(Protocol):
    """The lanes of all recordings. Errors: `StateUnavailable`, after which to ask again."""

    def take(self, sid: str, lane: str, owner: str) -> None:
        """Let an execution run the lane from now on, whoever ran it before."""
        ...

    def hold(self, sid: str, lane: str, hold: Hold) -> bool:
        """Note the task that `hold.owner` waits for; False if another execution took the lane."""
        ...

    def held(self, sid: str, lane: str) -> Hold | None:
        """Return who runs a lane, None if nobody ever did."""
        ...


class MemoryLanes:
    """Keeps lanes in this process, for tests and simulations; safe for threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = Lock()
        self._holds: dict[tuple[str, str], Hold] = {}

    def take(self, sid: str, lane: str, owner: str) -> None:
        """Let an execution run the lane from now on."""
        with self._lock:
            self._holds[sid, lane] = Hold(owner)

    def hold(self, sid: str, lane: str, hold: Hold) -> bool:
        """Note the task that an execution waits for; False if another one took the lane."""
        with self._lock:
            known = self._holds.get((sid, lane))
            if known is None or known.owner != hold.owner:
                return False
            self._holds[sid, lane] = hold
            return True

    def held(self, sid: str, lane: str) -> Hold | None:
        """Return who runs a lane."""
        with self._lock:
            return self._holds.get((sid, lane))
