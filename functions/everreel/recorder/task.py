"""The task of a state machine that waits for a lap: beaten while it lives, ended when it ends."""

import logging

from everreel.errors import EverreelError
from everreel.state.lanes import Lanes
from everreel.state.recording import LapOrder
from everreel.supervisor.ports import Tasks

log = logging.getLogger(__name__)


class LapTask:
    """Tells the machine of the lane about one lap. What fails is logged: looks see the rows.

    The token is looked for in the lane's row, since a lap may run before anybody waits for it, and
    another execution may take over the waiting.
    """

    def __init__(self, order: LapOrder, lanes: Lanes, tasks: Tasks) -> None:
        """Tell about lap `order`."""
        self._order = order
        self._lanes = lanes
        self._tasks = tasks
        self._token = ""

    def beat(self) -> None:
        """Tell that the lap lives."""
        try:
            token = self._token or self._find()
            self._token = token if token and self._tasks.beat(token) else ""
        except EverreelError as error:
            log.warning("task not beaten: %s", error.message)

    def end(self, reason: str) -> None:
        """Tell that the lap has ended in order."""
        try:
            token = self._token or self._find()
            # A token may have been replaced since the last beat: then the new one is waited for.
            if token and not self._tasks.succeed(token, {"ended": reason}):
                token = self._find()
                if token:
                    self._tasks.succeed(token, {"ended": reason})
        except EverreelError as error:
            log.warning("nobody was told of the end: %s", error.message)

    def _find(self) -> str:
        held = self._lanes.held(self._order.sid, self._order.lane)
        return held.token if held is not None and held.lap == self._order.lap else ""
