"""What supervision needs of the cloud besides the table."""

from typing import Protocol

from everreel.state.recording import LapOrder


class Starter(Protocol):
    """Runs laps."""

    def invoke_lap(self, order: LapOrder) -> str:
        """Queue a recorder invocation; return its request id at once.

        Raises: ServiceUnavailable, after which the same call may be made again; ServiceFault.
        """
        ...


class Tasks(Protocol):
    """Tasks of a state machine that wait for their token (tests/contract/test_tasks.py).

    Promise: a token whose task is over is no error. Errors: ServiceUnavailable, after which the
    same call may be made again; ServiceFault.
    """

    def beat(self, token: str) -> bool:
        """Tell that the task goes on; False if it is over."""
        ...

    def succeed(self, token: str, output: dict[str, object]) -> bool:
        """End the task with an output; False if it was over."""
        ...

    def fail(self, token: str, error: str, cause: str) -> bool:
        """End the task with an error; False if it was over."""
        ...
