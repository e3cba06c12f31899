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
        executions: names of the machines that run; take one away and it is lost.
        woken: sids to be looked at, in the order they came.
        verified: sids to verify in the order they came, repeats included.
        failures: errors to raise, one per call, before anything is remembered.
    """

    def __init__(self) -> None:
        """Start with nothing running."""
        self.laps: list[LapOrder] = []
        self.supervised: list[str] = []
        self.executions: set[str] = set()
        self.woken: list[str] = []
        self.verified: list[str] = []
        self.failures: list[EverreelError] = []

    def invoke_lap(self, order: LapOrder) -> str:
        """Remember an invocation; return its request id."""
        self._fail_if_told()
        self.laps.append(order)
        return f"invocation-{len(self.laps)}"

    def wake(self, sid: str) -> None:
        """Remember that somebody is to look."""
        self._fail_if_told()
        self.woken.append(sid)

    def verify(self, sid: str) -> str:
        """Remember a verification; return its request id."""
        self._fail_if_told()
        self.verified.append(sid)
        return f"verification-{len(self.verified)}"

    def supervise(self, sid: str, lanes: str) -> None:
        """Remember a supervision and its lanes; again for the same sid changes nothing."""
        self._fail_if_told()
        if sid not in self.supervised:
            self.supervised.append(sid)
            self.executions |= {sid, *(f"{sid}-{lane}" for lane in lanes)}

    def running(self) -> set[str]:
        """Return the names of all machines that run."""
        self._fail_if_told()
        return set(self.executions)

    def resume_supervision(self, sid: str, name: str) -> None:  # noqa: ARG002 - the name has it
        """Remember another supervision."""
        self._fail_if_told()
        self.executions.add(name)

    def resume_lane(self, sid: str, lane: str, name: str) -> None:  # noqa: ARG002 - as above
        """Remember another machine of a lane."""
        self._fail_if_told()
        self.executions.add(name)

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
