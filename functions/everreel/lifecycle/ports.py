"""What the use cases need of the cloud besides the table: something that runs laps and looks."""

from typing import Protocol

from everreel.state.recording import LapOrder


class Runner(Protocol):
    """Starts the asynchronous work of a recording."""

    def invoke_lap(self, order: LapOrder) -> str:
        """Queue a recorder invocation; return its request id at once.

        Raises: ServiceUnavailable, after which the same call may be made again; ServiceFault.
        """
        ...

    def wake(self, sid: str) -> None:
        """Have a recording looked at now, besides what its state machine does; return at once.

        Raises: ServiceUnavailable, after which the same call may be made again; ServiceFault.
        """
        ...

    def verify(self, sid: str) -> str:
        """Queue a verification of an ended recording; return its request id at once.

        Raises: ServiceUnavailable, after which the same call may be made again; ServiceFault.
        """
        ...

    def supervise(self, sid: str, lanes: str) -> None:
        """Start the supervision of a recording and its lanes ("ab"); again changes nothing.

        Raises: ServiceUnavailable, after which the same call may be made again; ServiceFault.
        """
        ...
