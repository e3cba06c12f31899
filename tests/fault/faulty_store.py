"""Object stores that fail as real ones do: now and then, for a while, slowly, for good."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator

from everreel.errors import EverreelError, StoreDenied, StoreUnavailable
from everreel.store.ports import ObjectInfo, ObjectStore


class FaultyStore:
    """Hands everything to another store, after `before_write` had its say."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner
        self.failures = 0

    def before_write(self, key: str) -> None:
        """Raise, wait, or do nothing."""

    def after_write(self, key: str) -> None:
        """Raise though the object is stored, or do nothing."""

    def fail(self, error: EverreelError) -> None:
        """Count and raise."""
        self.failures += 1
        raise error

    def put_new(self, key: str, body: bytes, content_type: str) -> None:
        self.before_write(key)
        self.inner.put_new(key, body, content_type)
        self.after_write(key)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        self.before_write(key)
        self.inner.put(key, body, content_type)
        self.after_write(key)

    def put_stream(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        return self.inner.put_stream(key, chunks, content_type)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self.inner.get(key, start, length)

    def size(self, key: str) -> int | None:
        return self.inner.size(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(key)


class Throttled(FaultyStore):
    """Refuses a share of all writes with 503, some of them after it has stored them."""

    def __init__(self, inner: ObjectStore, seed: int, share: float = 0.5) -> None:
        super().__init__(inner)
        self._chance = random.Random(seed)
        self._share = share

    def before_write(self, key: str) -> None:
        if self._chance.random() < self._share * 0.7:
            self.fail(StoreUnavailable("503 SlowDown"))

    def after_write(self, key: str) -> None:
        if self._chance.random() < self._share * 0.3:
            self.fail(StoreUnavailable("the connection broke before the answer came"))


class DownFor(FaultyStore):
    """Takes nothing for some seconds after its first segment."""

    def __init__(self, inner: ObjectStore, seconds: float) -> None:
        super().__init__(inner)
        self._seconds = seconds
        self._back_at: float | None = None

    def before_write(self, key: str) -> None:
        if self._back_at is not None and time.monotonic() < self._back_at:
            self.fail(StoreUnavailable("500 InternalError"))

    def after_write(self, key: str) -> None:
        if self._back_at is None and "/segments/" in key:
            self._back_at = time.monotonic() + self._seconds


class Slow(FaultyStore):
    """Takes its time with every write."""

    def __init__(self, inner: ObjectStore, seconds: float) -> None:
        super().__init__(inner)
        self._seconds = seconds

    def before_write(self, key: str) -> None:
        time.sleep(self._seconds)


class Denied(FaultyStore):
    """Lets nobody write."""

    def before_write(self, key: str) -> None:
        self.fail(StoreDenied("403 AccessDenied: the bucket does not let us write"))


class Hanging(FaultyStore):
    """Takes the first segments and then never answers until released."""

    def __init__(self, inner: ObjectStore, after: int) -> None:
        super().__init__(inner)
        self._left = after
        self.released = threading.Event()

    def before_write(self, key: str) -> None:
        if "/segments/" in key:
            self._left -= 1
        if self._left < 0:
            self.released.wait(60)
