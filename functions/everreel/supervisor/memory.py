"""Tasks that live in this process, for tests and simulations."""

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everreel.errors import EverreelError


class MemoryTasks:
    """Keeps the tasks that wait; fails when told to. Safe for threads.

    Attributes:
        beats: how often each token was beaten while its task waited.
        outputs: of the tasks that ended well, by token.
        errors: error and cause of those that failed, by token.
        failures: errors to raise, one per call, before anything changes.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._lock = Lock()
        self.beats: dict[str, int] = {}
        self.outputs: dict[str, dict[str, object]] = {}
        self.errors: dict[str, tuple[str, str]] = {}
        self.failures: list[EverreelError] = []

    def wait(self, token: str) -> None:
        """Let a task wait for its token, as a state machine does."""
        with self._lock:
            self.beats[token] = 0

    def is_waiting(self, token: str) -> bool:
        """Tell whether a task waits for this token."""
        return token in self.beats and token not in self.outputs and token not in self.errors

    def beat(self, token: str) -> bool:
        """Tell that the task goes on; False if it is over."""
        with self._lock:
            if not self._waits(token):
                return False
            self.beats[token] += 1
            return True

    def succeed(self, token: str, output: dict[str, object]) -> bool:
        """End the task with an output; False if it was over."""
        with self._lock:
            if not self._waits(token):
                return False
            self.outputs[token] = output
            return True

    def fail(self, token: str, error: str, cause: str) -> bool:
        """End the task with an error; False if it was over."""
        with self._lock:
            if not self._waits(token):
                return False
            self.errors[token] = error, cause
            return True

    def _waits(self, token: str) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        return self.is_waiting(token)
