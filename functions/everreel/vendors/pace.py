"""Keeps the calls of this process below what a vendor allows."""

from threading import Lock

from everreel.clock import Clock


class Pace:
    """Lets calls through evenly, `per_s` a second at most; safe for threads."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        """Take time from `clock`."""
        self._apart_s = 1 / per_s
        self._clock = clock
        self._lock = Lock()
        self._next_s = clock.monotonic()

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now_s = self._clock.monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._apart_s
        if turn_s > now_s:
            self._clock.sleep(turn_s - now_s)
