"""Who records for us elsewhere: what is asked of a vendor, and what it may answer, in our words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from everreel.state.vendor import Call, VendorOrder, VendorWatch


class Health(StrEnum):
    """How a task is, whatever the vendor calls it."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor said.

    Attributes:
        status: of HTTP; 0 if nobody answered.
        code: the vendor's own, 0 if none.
        message: its words, redacted.
        field: of the request that is at fault, if it says so.
        ticket: of an acquire.
        task: of a start.
        health: of a query.
        recorded: of a query: some media has come, so the task does more than wait for it.
        playlist: name of the task's playlist, if this answer tells it.
    """

    status: int
    code: int = 0
    message: str = ""
    field: str = ""
    ticket: str = ""
    task: str = ""
    health: Health = Health.UNKNOWN
    recorded: bool = False
    playlist: str = ""


class Provider(Protocol):
    """A vendor's API (tests/contract/test_vendor_provider.py).

    Promises: one call is one request at most, to the address that `watch.domain` picks; it takes
    ten seconds at most; whatever happens on the wire is an `Answer`. No redirect is followed, and
    no credential is in an answer.
    """

    def ask(self, call: Call, order: VendorOrder, watch: VendorWatch) -> Answer:
        """Make one call.

        Raises: ServiceFault if the deployment has no credentials for the vendor.
        """
        ...
