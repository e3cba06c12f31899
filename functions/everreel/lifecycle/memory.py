"""A runner that only remembers, for tests and simulations."""

from typing import TYPE_CHECKING

from everreel.state.recording import LapOrder

if TYPE_CHECKING:
    from everreel.errors import EverreelError


class MemoryRunner:
    """Remembers what it was asked to run; fails when told to.

    Attributes:
        laps: orders in the order they came, repeats included.
        supervised: sids under supervision, each once.
        verified: sids to verify in the order they came, repeats included.
        failures: errors to raise, one per call, before anything is remembered.
    """

    def __init__(self) -> None:
        """Start with nothing running."""
        self.laps: list[LapOrder] = []
        self.supervised: list[str] = []
        self.verified: list[str] = []
        self.failures: list[EverreelError] = []

    def invoke_lap(self, order: LapOrder) -> str:
        """Remember an invocation; return its request id."""
        self._fail_if_told()
        self.laps.append(order)
        return f"invocation-{len(self.laps)}"

    def verify(self, sid: str) -> str:
        """Remember a verification; return its request id."""
        self._fail_if_told()
        self.verified.append(sid)
        return f"verification-{len(self.verified)}"

    def supervise(self, sid: str) -> None:
        """Remember a supervision; again for the same sid changes nothing."""
        self._fail_if_told()
        if sid not in self.supervised:
            self.supervised.append(sid)

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
