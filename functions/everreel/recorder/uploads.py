"""The bounded queue between the stream and the store: full is loud, never silent."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from everreel.clock import Clock
from everreel.errors import EverreelError, Retry, ServiceFault, StoreTooSlow

log = logging.getLogger(__name__)

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses between tries of a store that does not answer; the last one repeats."""


class Sized(Protocol):
    """Something that occupies memory until it is stored."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...


Item = TypeVar("Item", bound=Sized)


class UploadQueue(Generic[Item]):
    """Hands items to `store_one` in order on a thread of its own.

    A step that fails with a retryable error is tried again until it works or the queue is closed
    for good, so a store that is down for a minute loses nothing that fits into `limit_bytes`.
    Any other error stops the queue: `failure` holds it and nothing more is stored.
    """

    def __init__(
        self, store_one: Callable[[Item], None], *, limit_bytes: int, clock: Clock
    ) -> None:
        """Start the thread. At most `limit_bytes` wait, the item in work included."""
        self._store_one = store_one
        self._limit = limit_bytes
        self._clock = clock
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._abandoned = False
        self.failure: EverreelError | None = None
        self.waiting_for_store = ""
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._thread.start()

    @property
    def abandoned(self) -> bool:
        """Whether the lap ended without waiting any longer: nothing may be stored after it."""
        return self._abandoned

    @property
    def behind(self) -> bool:
        """Whether more waits than what is being stored."""
        return len(self._items) > 1

    def put(self, item: Item, *, wait_s: float) -> None:
        """Queue an item; wait for room at most `wait_s` seconds.

        Raises: StoreTooSlow if there is still no room; what stopped the queue, if it stopped.
        """
        deadline = self._clock.monotonic() + wait_s
        with self._changed:
            while self.failure is None and self._items and self._bytes + item.size > self._limit:
                left_s = deadline - self._clock.monotonic()
                if left_s <= 0:
                    raise StoreTooSlow(
                        f"{self._bytes} bytes wait for the store, which took none for "
                        f"{wait_s:.0f} s ({self.waiting_for_store or 'slow, no error'}); "
                        "check the bucket's health and its region"
                    )
                log.warning("upload queue full", extra={"queued_bytes": self._bytes})
                self._changed.wait(min(left_s, 1.0))
            if self.failure is not None:
                raise self.failure
            self._items.append(item)
            self._bytes += item.size
            self._changed.notify_all()

    @property
    def waiting(self) -> tuple[Item, ...]:
        """What is not stored yet, oldest first; the item in work is part of it."""
        with self._changed:
            return tuple(self._items)

    def close(self, *, drain_s: float) -> bool:
        """Store what is queued, for at most `drain_s` seconds; tell whether nothing is left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(drain_s)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            return not self._items and self.failure is None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._items and not self._closing:
                    self._changed.wait()
                if not self._items or self._abandoned:
                    return
                item = self._items[0]
            try:
                error = self._insist(item)
            except Exception as bug:
                # The outermost loop of this thread: were it to die in silence, so would the media.
                log.exception("storing failed")
                error = ServiceFault(f"storing a segment failed: {type(bug).__name__}; see the log")
            with self._changed:
                if error is not None:
                    self.failure = error
                    self._changed.notify_all()
                    return
                self._items.popleft()
                self._bytes -= item.size
                self._changed.notify_all()

    def _insist(self, item: Item) -> EverreelError | None:
        """Store one item; return the error that no retry mends."""
        tries = 0
        while True:
            try:
                self._store_one(item)
            except EverreelError as error:
                if error.retry is Retry.NEVER:
                    return error
                self.waiting_for_store = error.message
                log.warning("store does not answer", extra={"error": error.message})
            else:
                self.waiting_for_store = ""
                return None
            pause_s = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
            tries += 1
            with self._changed:
                self._changed.wait_for(lambda: self._abandoned, pause_s)
                if self._abandoned:
                    return StoreTooSlow(
                        f"gave up on the store when the lap had to end: {self.waiting_for_store}"
                    )
