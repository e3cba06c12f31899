"""What the notices about a task add up to: facts that only grow, so their order is of no account.

Joining facts is commutative, associative and idempotent; folding the notices of a task gives one
result for every order and any number of repeats.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from everreel.events.notices import AGORA, TENCENT
from everreel.events.own import EVERREEL, Own
from everreel.state.notices import Notice

Reader = Callable[[Mapping[str, Any]], "Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a task by hearsay.

    Attributes:
        started: it has begun to record.
        exited: it has come to an end.
        abnormal: and not as it should.
        stored: its files have reached the bucket they were meant for.
        backed_up: some wait in the vendor's backup store.
        progress: of the upload, in ten-thousandths.
        uids: of recorders that spoke about it or took it over; of our own recordings, the laps.
        files: names that were told.
        errors: codes that were told.
        newest_utc_us: when the newest of all this happened.
    """

    started: bool = False
    exited: bool = False
    abnormal: bool = False
    stored: bool = False
    backed_up: bool = False
    progress: int = 0
    uids: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()
    newest_utc_us: int = 0

    def __or__(self, other: "Facts") -> "Facts":
        """Join what two notices tell."""
        return Facts(
            started=self.started or other.started,
            exited=self.exited or other.exited,
            abnormal=self.abnormal or other.abnormal,
            stored=self.stored or other.stored,
            backed_up=self.backed_up or other.backed_up,
            progress=max(self.progress, other.progress),
            uids=self.uids | other.uids,
            files=self.files | other.files,
            errors=self.errors | other.errors,
            newest_utc_us=max(self.newest_utc_us, other.newest_utc_us),
        )


def facts_of(notices: Iterable[Notice]) -> Facts:
    """Add up the notices of one task."""
    return reduce(Facts.__or__, map(fact_of, notices), Facts())


def fact_of(notice: Notice) -> Facts:
    """Read one notice; what it says and we do not know is no fact."""
    detail = json.loads(notice.detail)
    told: Mapping[str, Any] = detail if isinstance(detail, dict) else {}
    said = _READERS[notice.vendor].get(notice.event, _nothing)(told)
    heard = frozenset({notice.uid} - {""})
    files = frozenset() if (notice.vendor, notice.event) in _PASSING else _files(told)
    return said | Facts(uids=heard, files=files, newest_utc_us=notice.utc_us)


def _nothing(_: Mapping[str, Any]) -> Facts:
    return Facts()


def _started(told: Mapping[str, Any]) -> Facts:
    return Facts(started=_number(told, "status", "Status") == 0)


def _failed(told: Mapping[str, Any]) -> Facts:
    code = _number(told, "errorCode", "Code")
    return Facts(errors=frozenset({str(code)}))


def _agora_status(told: Mapping[str, Any]) -> Facts:
    status = _number(told, "status")
    return Facts(started=4 <= status <= 8, exited=status in {8, 20}, abnormal=status == 20)


def _agora_failover(told: Mapping[str, Any]) -> Facts:
    return Facts(uids=frozenset({str(told["newUid"])}) if "newUid" in told else frozenset())


_AGORA: dict[int, Reader] = {
    1: _failed,
    3: _agora_status,
    11: lambda told: Facts(exited=True, abnormal=_number(told, "exitStatus") == 1),
    12: _agora_failover,
    31: lambda _: Facts(exited=True, stored=True),
    32: lambda _: Facts(exited=True, backed_up=True),
    33: lambda told: Facts(progress=min(10_000, _number(told, "progress"))),
    40: _started,
    42: lambda _: Facts(started=True),
    70: lambda _: Facts(started=True),
    71: lambda told: Facts(exited=True, abnormal=_number(told, "code") > 1),
    110: lambda _: Facts(started=True),
    111: lambda _: Facts(exited=True),
    112: lambda told: Facts(
        started=told.get("state") == "running", abnormal=told.get("state") == "failed"
    ),
}
"""Agora's event numbers; those that are missing tell nothing that we need."""

_KICKED = frozenset({3, 4, 100, 101})

_TENCENT: dict[int, Reader] = {
    301: _started,
    302: lambda told: Facts(exited=True, abnormal=_number(told, "LeaveCode") in _KICKED),
    305: lambda told: Facts(
        stored=_number(told, "LeaveCode", "Status") in {0, 2},
        backed_up=_number(told, "LeaveCode", "Status") == 1,
    ),
    307: lambda _: Facts(started=True),
    308: _failed,
    310: lambda told: Facts(stored=_number(told, "Status") == 0),
    312: lambda told: Facts(stored=_number(told, "Status") == 0),
}


_OWN: dict[int, Reader] = {
    Own.RECORDING_STARTED: lambda _: Facts(started=True),
    Own.LAP_ENDED: lambda told: Facts(started=True, errors=_error_code(told)),
    Own.RECORDING_SEALED: lambda told: Facts(
        exited=True, stored=True, abnormal=_number(told, "status") == 20
    ),
    Own.LAP_LOST: lambda told: Facts(errors=_error_code(told)),
    Own.RECORDING_FAILED: lambda told: Facts(errors=_error_code(told)),
    # As the supervisor calls it when it buries the lap.
    Own.LAP_DIED: lambda _: Facts(errors=frozenset({"recorder_died"})),
}
"""Only a seal ends a recording: whether another lap follows a failed one, supervision decides."""

_PASSING = frozenset({(AGORA, 45), (TENCENT, 307)})
"""Snapshots and slices: they come by the thousand and only the last is kept."""

_READERS: Mapping[str, Mapping[int, Reader]] = {AGORA: _AGORA, TENCENT: _TENCENT, EVERREEL: _OWN}


def _error_code(told: Mapping[str, Any]) -> frozenset[str]:
    error = told.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return frozenset({code}) if isinstance(code, str) else frozenset()


def _number(told: Mapping[str, Any], *names: str) -> int:
    """Read the first of these fields that is there; -1 if none is, or if it is no number."""
    value = next((told[name] for name in names if name in told), None)
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _files(told: Mapping[str, Any]) -> frozenset[str]:
    """Find the file names in whichever of the vendors' shapes they come."""
    found = []
    for name in ("fileList", "FileList", "fileName", "FileName"):
        value = told.get(name, ())
        for each in value if isinstance(value, list) else [value]:
            inner = each if isinstance(each, dict) else {"fileName": each}
            found.append(inner.get("fileName") or inner.get("filename"))
    return frozenset(each for each in found if isinstance(each, str) and each)
