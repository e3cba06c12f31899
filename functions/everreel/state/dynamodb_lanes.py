"""Lanes in the state table: one row each, changed a few times per lap."""

from typing import Any

from everreel.clock import MICROSECONDS, Clock, SystemClock
from everreel.patience import Patience
from everreel.state import rows
from everreel.state.dynamodb_table import Table, Write, connect
from everreel.state.lanes import Hold

KEPT_S = 7 * 86_400
"""After its last change a lane's row is of no use: laps change it several times an hour."""


class DynamoLanes:
    """Implements `state.lanes.Lanes`; safe for threads."""

    def __init__(
        self,
        table_name: str,
        client: Any = None,
        clock: Clock | None = None,
        *,
        patience: Patience | None = None,
    ) -> None:
        """Use the table through `client`, or through a client of the environment's credentials."""
        self._clock = clock or SystemClock()
        self._table = Table(table_name, client or connect(), self._clock, patience)

    def take(self, sid: str, lane: str, owner: str) -> None:
        """Let an execution run the lane from now on."""
        self._table.write(self._put(sid, lane, Hold(owner)))

    def hold(self, sid: str, lane: str, hold: Hold) -> bool:
        """Note the task that an execution waits for; False if another one took the lane."""
        return self._table.write(self._put(sid, lane, hold, condition="#owner = :owner")).done

    def held(self, sid: str, lane: str) -> Hold | None:
        """Return who runs a lane."""
        row = self._table.get(rows.lane_key(sid, lane))
        return None if row is None else Hold(row["owner"], row["lap"], row["token"])

    def _put(self, sid: str, lane: str, hold: Hold, condition: str = "") -> Write:
        expires = self._clock.utc_us() // MICROSECONDS + KEPT_S
        return Write(
            "Put",
            rows.lane_key(sid, lane),
            row={
                "owner": hold.owner,
                "lap": hold.lap,
                "token": hold.token,
                rows.EXPIRES: expires,
            },
            condition=condition,
            values={"owner": hold.owner},
        )
