"""Who records for us elsewhere: what is asked of a vendor, and what it may answer, in our words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Call(StrEnum):
    """What can be asked of a vendor."""

    ACQUIRE = "acquire"
    START = "start"
    QUERY = "query"
    STOP = "stop"


class Health(StrEnum):
    """How a task is, whatever the vendor calls it."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


class Layout(StrEnum):
    """Whether a task makes one recording of all publishers or one of each."""

    INDIVIDUAL = "individual"
    MIX = "mix"


@dataclass(frozen=True, slots=True)
class VendorOrder:
    """What a vendor is to record. May hold credentials: it never leaves the table and the look.

    Attributes:
        app: the application's id at the vendor.
        channel: to record.
        uids: under which the vendor joins: main, backup. They alternate, so that a second recorder
            never throws a first one out that was taken for dead.
        layout: of a recording; a transcoder mixes.
        max_idle_s: seconds without a publisher after which the task exits by itself; 0: the
            vendor's default.
        request: the vendor's own start request, passed on but for what the other fields say.
        tokens: with which each of the uids may join, where the channel asks for one.
        restarts: how often a task that was running and is lost is started anew.
    """

    app: str
    channel: str
    uids: tuple[str, str]
    layout: Layout = Layout.MIX
    max_idle_s: int = 0
    request: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    restarts: int = 3


@dataclass(frozen=True, slots=True)
class VendorWatch:
    """What is carried from look to look; holds no credential.

    Attributes:
        sid: of our recording.
        call: to be made by the next look.
        ticket: what the vendor's acquire gave; good for one start.
        task: the vendor's id of what runs, "" before.
        starts: identities used up; an even number takes the main uid, an odd one the backup.
        failed_starts: in a row, since a task last ran.
        restarts: of tasks that had been running.
        domain: grows with each switch to the vendor's other address.
        tries: of `call` that failed in a row; of a query: that failed in the same way.
        trouble: how the last try failed.
        trouble_utc_us: since when queries have found nothing that runs, 0 if they do.
        looks: at this task.
        task_utc_us: when the vendor told its id.
        running_utc_us: when it was first seen to run.
        playlist: name of its playlist, once known.
        names_asked: queries in vain for that name.
    """

    sid: str
    call: Call = Call.ACQUIRE
    ticket: str = ""
    task: str = ""
    starts: int = 0
    failed_starts: int = 0
    restarts: int = 0
    domain: int = 0
    tries: int = 0
    trouble: str = ""
    trouble_utc_us: int = 0
    looks: int = 0
    task_utc_us: int = 0
    running_utc_us: int = 0
    playlist: str = ""
    names_asked: int = 0


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
        playlist: name of the task's playlist, if this answer tells it.
    """

    status: int
    code: int = 0
    message: str = ""
    field: str = ""
    ticket: str = ""
    task: str = ""
    health: Health = Health.UNKNOWN
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
