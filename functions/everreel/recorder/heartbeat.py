"""The lap's pulse: tells its progress every few seconds and brings back orders."""

import logging
import threading
from collections.abc import Callable

from everreel.clock import Clock
from everreel.errors import EverreelError
from everreel.recorder.task import LapTask
from everreel.state.ports import Orders, Recordings
from everreel.state.recording import Progress

log = logging.getLogger(__name__)


LONGEST_TURN_S = 45.0
"""A full upload queue may hold the loop for half a minute; longer, and it hangs."""


class Heartbeat:
    """Beats on a thread of its own, so that a lap that hangs in the store still tells the truth.

    Attributes:
        stop: set once somebody asked the recording to stop.
        gone: set once no source is of use any more: a stop that no successor waits behind.
        fenced: set once another lap owns the lane.
        relieved: set once the successor has committed.
        heir_k: the bucket from which on a successor builds all of them, -1 while none does.
    """

    def __init__(
        self,
        recordings: Recordings,
        lap: tuple[str, str, int],
        progress: Callable[[], Progress],
        *,
        every_s: float,
        clock: Clock,
        task: LapTask | None = None,
    ) -> None:
        """Prepare to beat for `lap` (sid, lane, lap number) every `every_s` seconds."""
        self.stop = threading.Event()
        self.gone = threading.Event()
        self.fenced = threading.Event()
        self.relieved = threading.Event()
        self.heir_k = -1
        self._recordings = recordings
        self._lap = lap
        self._progress = progress
        self._every_s = every_s
        self._clock = clock
        self._task = task
        self._turned_s = clock.monotonic()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat, the first time at once."""
        self._thread.start()

    def turn(self, spare_s: float = 0.0) -> None:
        """Tell that the lap's loop goes round: a pulse without it would hide a hang.

        The next turn may take `spare_s` seconds longer than usual.
        """
        self._turned_s = self._clock.monotonic() + spare_s

    def now(self) -> None:
        """Beat now: something changed that a caller waits for."""
        self._wake.set()

    def close(self) -> None:
        """Stop beating; returns when no beat is under way (at most a few seconds)."""
        self._closed = True
        self._wake.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            if self._clock.monotonic() - self._turned_s > LONGEST_TURN_S:
                log.error("the lap hangs: no beat until it goes on")
            else:
                self._beat()
            self._wake.wait(self._every_s)

    def _beat(self) -> None:
        sid, lane, lap = self._lap
        try:
            orders: Orders = self._recordings.beat(
                sid, lane, lap, self._progress(), self._clock.utc_us()
            )
        except EverreelError as error:
            # Recording goes on without a pulse: media is worth more than the report of it. The
            # supervisor sees the missing beats, and the fence keeps two writers apart.
            log.warning("beat failed", extra={"error": error.message})
            return
        if orders.fenced:
            self.fenced.set()
        elif self._task is not None:
            self._task.beat()
        if orders.heir_k >= 0:
            self.heir_k = orders.heir_k
        if orders.relieved:
            self.relieved.set()
        if orders.stop:
            self.stop.set()
            if self.heir_k < 0:
                self.gone.set()
