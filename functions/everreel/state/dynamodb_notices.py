"""Notices in the state table: one conditional write each, one more if a repeat says it better."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from everreel.clock import MICROSECONDS, Clock
from everreel.patience import Patience
from everreel.state import rows
from everreel.state.dynamodb_table import ABSENT, Table, Write, connect
from everreel.state.notices import NOTICE_KEPT_S, Notice, place, weight

_FIRST, _LAST = "0", "~"
_WEIGHED = ("utc_us", "detail", "notice_id", "channel")
_UNCHANGED = " AND ".join(f"#{name} = :{name}" for name in _WEIGHED)


class DynamoNotices:
    """Implements `state.notices.Notices`; safe for threads."""

    def __init__(
        self,
        table_name: str,
        client: Any = None,
        clock: Clock | None = None,
        *,
        patience: Patience | None = None,
    ) -> None:
        """Use the table through `client`, or through a client of the environment's credentials."""
        self._table = Table(table_name, client or connect(), clock, patience)

    def remember(self, notice: Notice, utc_us: int) -> bool:
        """Keep a notice until it expires; False if it is known already."""
        known = self._replace(None, notice, utc_us)
        new = known is None
        # Each round that loses lost to a later telling, so there are as many as there are those.
        while known is not None and weight(notice) > weight(known):
            known = self._replace(known, notice, utc_us)
        return new

    def _replace(self, known: Notice | None, notice: Notice, utc_us: int) -> Notice | None:
        """Write a notice unless the row holds another one than `known`, which is returned."""
        key = {**_partition(notice.vendor, notice.task), rows.SORT_KEY: place(notice)}
        row = {**asdict(notice), rows.EXPIRES: utc_us // MICROSECONDS + NOTICE_KEPT_S}
        condition, held = ABSENT, {}
        if known is not None:
            condition, held = f"{ABSENT} OR ({_UNCHANGED})", asdict(known)
        outcome = self._table.write(Write("Put", key, row=row, condition=condition, values=held))
        if outcome.done:
            return None
        [found] = outcome.rows
        return _read(found or {})

    def of_task(self, vendor: str, task: str) -> Sequence[Notice]:
        """Return the notices about a task."""
        found = self._table.rows(_partition(vendor, task)[rows.PARTITION_KEY], _FIRST, _LAST)
        return [_read(row) for row in found]


def _read(row: rows.Values) -> Notice:
    return Notice(**{name: row[name] for name in Notice.__dataclass_fields__})


def _partition(vendor: str, task: str) -> rows.Values:
    return {rows.PARTITION_KEY: f"NOTICE#{vendor}#{task}"}
