"""The vendors' tasks in the state table: one conditional write each.

Request and tokens are kept as JSON text: vendors write fractions, which rows have none of.
"""

import json
from dataclasses import asdict
from typing import Any

from everreel.clock import MICROSECONDS, Clock, SystemClock
from everreel.patience import Patience
from everreel.state import rows
from everreel.state.dynamodb_table import ABSENT, Table, Write, connect
from everreel.state.recording import ProviderName
from everreel.state.vendor import (
    LIVE_KEPT_S,
    Attempt,
    Call,
    Layout,
    VendorOrder,
    VendorTask,
    VendorWatch,
    live_place,
    written,
)

DAY_S = 86_400
_FIRST, _LAST = "0", "~"


class DynamoVendorTasks:
    """Implements `state.vendor.VendorTasks`; safe for threads."""

    def __init__(
        self,
        table_name: str,
        client: Any = None,
        clock: Clock | None = None,
        *,
        retention_days: int = 0,
        patience: Patience | None = None,
    ) -> None:
        """Use the table through `client`, or through a client of the environment's credentials.

        With `retention_days` a task's row expires that long after it was closed; 0 keeps it.
        """
        self._clock = clock or SystemClock()
        self._table = Table(table_name, client or connect(), self._clock, patience)
        self._retention_s = retention_days * DAY_S

    def put(self, task: VendorTask) -> None:
        """Keep a new task and count it; if the recording has one already, change nothing."""
        expires = {rows.EXPIRES: task.created_utc_us // MICROSECONDS + LIVE_KEPT_S}
        self._table.transact(
            [
                Write("Put", _key(task.sid), row=task_values(task), condition=ABSENT),
                Write("Put", _live_key(task), row={"sid": task.sid, **expires}),
            ]
        )

    def find(self, sid: str) -> VendorTask | None:
        """Return the task of a recording, None if it has none."""
        row = self._table.get(_key(sid))
        return None if row is None else read_task(row)

    def save(self, task: VendorTask) -> VendorTask | None:
        """Write a task whose revision is still the same; None if somebody was faster."""
        saved = written(task)
        change = Write(
            "Put",
            _key(task.sid),
            row={**task_values(saved), **self._expiry(task)},
            condition="#revision = :revision",
            values={"revision": task.revision},
        )
        if not task.ending:
            return saved if self._table.write(change).done else None
        closed = self._table.transact([change, Write("Delete", _live_key(task))])
        return saved if closed.done else None

    def live(self, provider: ProviderName, app: str) -> list[str]:
        """Return the sids of an application's tasks that are not closed, oldest first."""
        found = self._table.rows(_partition(provider, app), _FIRST, _LAST)
        return [row["sid"] for row in found]

    def _expiry(self, task: VendorTask) -> rows.Values:
        if not self._retention_s or not task.ending:
            return {}
        return {rows.EXPIRES: self._clock.utc_us() // MICROSECONDS + self._retention_s}


def task_values(task: VendorTask) -> rows.Values:
    """Write a task; the key is not part of it."""
    return {
        **asdict(task),
        "order": json.dumps(asdict(task.order), separators=(",", ":")),
        "attempts": [asdict(each) for each in task.attempts],
    }


def read_task(row: rows.Values) -> VendorTask:
    """Read a task that `task_values` wrote."""
    order = json.loads(row["order"])
    watch = row["watch"]
    return VendorTask(
        **{
            **{name: row[name] for name in VendorTask.__dataclass_fields__},
            "provider": ProviderName(row["provider"]),
            "order": VendorOrder(
                **{**order, "uids": tuple(order["uids"]), "layout": Layout(order["layout"])}
            ),
            "watch": VendorWatch(**{**watch, "call": Call(watch["call"])}),
            "attempts": tuple(Attempt(**each) for each in row["attempts"]),
        }
    )


def _key(sid: str) -> rows.Values:
    return {**rows.recording_key(sid), rows.SORT_KEY: "VENDOR"}


def _partition(provider: ProviderName, app: str) -> str:
    return f"VENDOR#{provider.value}#{app}"


def _live_key(task: VendorTask) -> rows.Values:
    partition = _partition(task.provider, task.order.app)
    return {rows.PARTITION_KEY: partition, rows.SORT_KEY: live_place(task)}
