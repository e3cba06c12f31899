"""What was told about tasks, kept once: the port, and its adapter for tests and simulations.

Rows live in the state table and expire (`NOTICE_KEPT_S`):

    notice      NOTICE#<vendor>#<task>                 <event:06d>#<uid>#<mark>
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

NOTICE_KEPT_S = 31 * 86_400
"""A task at a vendor lives 30 days at most."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that somebody says has happened. Without credentials.

    Attributes:
        vendor: who says so: `agora`, `tencent`, or `everreel` of its own recordings.
        task: the vendor's id of what it is about (sid, taskId).
        event: the vendor's number of its kind.
        uid: of the recorder, or "": after a failover another one tells its own series.
        mark: tells this notice from others of its kind, and is the same in every repeat of it.
        channel: that is recorded, if it says so.
        utc_us: when it happened, in the vendor's words.
        detail: the rest of it, as JSON.
        notice_id: the vendor's, "" if it has none.
    """

    vendor: str
    task: str
    event: int
    uid: str
    mark: str
    channel: str
    utc_us: int
    detail: str
    notice_id: str = ""


class Notices(Protocol):
    """The notices seen (tests/contract/test_notices.py).

    Promises: of any number of repeats, at once or over time, one is kept, and it is the one that
    `weight` puts last: what is kept depends on what was told, never on its order. Notices of other
    tasks, kinds, uids or marks are others. Errors: StateUnavailable, after which the same may be
    asked again; ServiceFault.
    """

    def remember(self, notice: Notice, utc_us: int) -> bool:
        """Keep a notice that came at `utc_us`; False if it, or a repeat of it, is known already.

        Of any number of repeats at most one is new. Whoever acts on a notice must act on repeats
        as well: the first may have been taken by an invocation that died before it could act.
        """
        ...

    def of_task(self, vendor: str, task: str) -> Sequence[Notice]:
        """Return the notices about a task, in an order that does not depend on when they came."""
        ...


def place(notice: Notice) -> str:
    """Return the place of a notice among those of its task."""
    return f"{notice.event:06d}#{notice.uid}#{notice.mark}"


def weight(notice: Notice) -> tuple[int, str, str, str]:
    """Order the repeats of a notice: the last that was told counts, ties broken by content."""
    return notice.utc_us, notice.detail, notice.notice_id, notice.channel


class MemoryNotices:
    """Keeps notices in a dict; safe for threads. Nothing expires."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = RLock()
        self._kept: dict[tuple[str, str], dict[str, Notice]] = {}

    def remember(self, notice: Notice, utc_us: int) -> bool:  # noqa: ARG002 - nothing expires
        """Keep a notice; False if it is known already."""
        with self._lock:
            kept = self._kept.setdefault((notice.vendor, notice.task), {})
            known = kept.get(place(notice))
            if known is None or weight(notice) > weight(known):
                kept[place(notice)] = notice
            return known is None

    def of_task(self, vendor: str, task: str) -> Sequence[Notice]:
        """Return the notices about a task."""
        with self._lock:
            kept = self._kept.get((vendor, task), {})
            return [kept[key] for key in sorted(kept)]
