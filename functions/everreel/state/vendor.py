"""Recordings that run at a vendor, as records: what was ordered, and how far it has come.

Rows of the state table, besides the recording's own:

    task        REC#<sid>                              VENDOR
    live task   VENDOR#<provider>#<app id>             <created_utc_us:020d>#<sid>

The task's row holds the order and with it whatever lets somebody in at the vendor; once the task
is closed the order is emptied. The live rows of an application are what its budget is counted by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import RLock
from typing import Any, Protocol

from everreel.state.recording import ProviderName

LIVE_KEPT_S = 31 * 86_400
"""A task at a vendor lives 30 days at most: a live row that is older was forgotten."""


class Call(StrEnum):
    """What can be asked of a vendor."""

    ACQUIRE = "acquire"
    START = "start"
    QUERY = "query"
    STOP = "stop"


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
        doubted: the ticket of the newest start that may have been taken without telling its task,
            "" if there is none or if a task is known since.
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
        recorded: it was seen to have recorded something.
        playlist: name of its playlist, once known.
        names_asked: queries in vain for that name.
    """

    sid: str
    call: Call = Call.ACQUIRE
    ticket: str = ""
    doubted: str = ""
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
    recorded: bool = False
    playlist: str = ""
    names_asked: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """An identity that was given up for the next one.

    Attributes:
        uid: under which it joined, or was to.
        task: the vendor's id of it, "" if there never was one.
        utc_us: when it was given up.
        why: in a few words.
    """

    uid: str
    task: str
    utc_us: int
    why: str


@dataclass(frozen=True, slots=True)
class VendorTask:
    """A recording at a vendor.

    Attributes:
        sid: of the recording.
        provider: who records.
        created_utc_us: when it was ordered.
        due_utc_us: no call is made before.
        busy_utc_us: until then another look may be calling; 0 if none is.
        first_running_utc_us: when a task was first seen to run, whatever became of it.
        note: what the last look found, in a few words.
        attempts: identities that were given up, oldest first.
        ending: why it is no longer watched (`supervisor.vendor.Ending`), "" while it is.
        culprit: field of the request that the vendor refuses, if that is the end.
        revision: grows with every write.
    """

    sid: str
    provider: ProviderName
    order: VendorOrder
    watch: VendorWatch
    created_utc_us: int
    due_utc_us: int = 0
    busy_utc_us: int = 0
    first_running_utc_us: int = 0
    note: str = ""
    attempts: tuple[Attempt, ...] = ()
    ending: str = ""
    culprit: str = ""
    revision: int = 0


class VendorTasks(Protocol):
    """The vendors' tasks in the state table (tests/contract/test_vendor_tasks.py).

    Promises: of any number of looks that read the same revision one may write, so a call to the
    vendor that is announced by a write is made once; a task that is closed holds no credential and
    is not counted. Errors: StateUnavailable, after which the same may be asked again (a repeat of a
    `save` that did get through is None); ServiceFault.
    """

    def put(self, task: VendorTask) -> None:
        """Keep a new task and count it; if the recording has one already, change nothing."""
        ...

    def find(self, sid: str) -> VendorTask | None:
        """Return the task of a recording, None if it has none."""
        ...

    def save(self, task: VendorTask) -> VendorTask | None:
        """Write a task whose revision is still `task.revision`; None if somebody was faster.

        With an `ending` it is closed: its order is emptied and it counts no more.
        """
        ...

    def live(self, provider: ProviderName, app: str) -> list[str]:
        """Return the sids of the tasks of an application that are not closed, oldest first."""
        ...


def written(task: VendorTask) -> VendorTask:
    """Return a task as its next write leaves it: without what it needs no more once closed."""
    order = replace(task.order, request={}, tokens={}) if task.ending else task.order
    return replace(task, order=order, revision=task.revision + 1)


def live_place(task: VendorTask) -> str:
    """Return the place of a task among those of its application: by age."""
    return f"{task.created_utc_us:020d}#{task.sid}"


class MemoryVendorTasks:
    """Keeps tasks in a dict; safe for threads. Nothing expires."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = RLock()
        self._kept: dict[str, VendorTask] = {}

    def put(self, task: VendorTask) -> None:
        """Keep a new task; if the recording has one already, change nothing."""
        with self._lock:
            self._kept.setdefault(task.sid, task)

    def find(self, sid: str) -> VendorTask | None:
        """Return the task of a recording, None if it has none."""
        with self._lock:
            return self._kept.get(sid)

    def save(self, task: VendorTask) -> VendorTask | None:
        """Write a task; None if somebody was faster."""
        with self._lock:
            known = self._kept.get(task.sid)
            if known is None or known.revision != task.revision:
                return None
            self._kept[task.sid] = written(task)
            return self._kept[task.sid]

    def live(self, provider: ProviderName, app: str) -> list[str]:
        """Return the sids of an application's tasks that are not closed, oldest first."""
        with self._lock:
            found: Sequence[VendorTask] = [
                task
                for task in self._kept.values()
                if (task.provider, task.order.app) == (provider, app) and not task.ending
            ]
        return [task.sid for task in sorted(found, key=live_place)]
