"""Notices in the state table: one conditional write each, one query per task."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from everreel.clock import MICROSECONDS, Clock
from everreel.patience import Patience
from everreel.state import rows
from everreel.state.dynamodb_table import ABSENT, Table, Write, connect
from everreel.state.notices import NOTICE_KEPT_S, Notice, place

_FIRST, _LAST = "0", "~"


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
        key = {**_partition(notice.vendor, notice.task), rows.SORT_KEY: place(notice)}
        expires = {rows.EXPIRES: utc_us // MICROSECONDS + NOTICE_KEPT_S}
        row = {**asdict(notice), **expires}
        return self._table.write(Write("Put", key, row=row, condition=ABSENT)).done

    def of_task(self, vendor: str, task: str) -> Sequence[Notice]:
        """Return the notices about a task."""
        found = self._table.rows(_partition(vendor, task)[rows.PARTITION_KEY], _FIRST, _LAST)
        return [
            Notice(**{name: row[name] for name in Notice.__dataclass_fields__}) for row in found
        ]


def _partition(vendor: str, task: str) -> rows.Values:
    return {rows.PARTITION_KEY: f"NOTICE#{vendor}#{task}"}
