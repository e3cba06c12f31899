"""An object store in this process, for tests and simulations."""

from collections.abc import Iterable, Iterator
from threading import Lock

from everreel.clock import Clock, SystemClock
from everreel.errors import ObjectExists, ObjectMissing
from everreel.store.keys import check_key, check_prefix
from everreel.store.ports import ObjectInfo


class MemoryStore:
    """Keeps whole objects in a dict; safe for threads."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Take modification times from `clock` (default: the machine's)."""
        self._clock = clock or SystemClock()
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._lock = Lock()

    def put_new(self, key: str, body: bytes, content_type: str) -> None:  # noqa: ARG002
        """Create an object. Raises: ObjectExists if the key is taken."""
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise ObjectExists(f"object {key} exists already")
            self._objects[key] = (bytes(body), self._clock.utc_us())

    def put(self, key: str, body: bytes, content_type: str) -> None:  # noqa: ARG002
        """Create or replace an object."""
        check_key(key)
        with self._lock:
            self._objects[key] = (bytes(body), self._clock.utc_us())

    def put_stream(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        """Create or replace an object from chunks of any size; return its length in bytes."""
        check_key(key)
        body = b"".join(chunks)
        self.put(key, body, content_type)
        return len(body)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object, or `length` bytes from `start`. Raises: ObjectMissing."""
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise ObjectMissing(f"there is no object {key}")
            body, _ = self._objects[key]
        return body[start:] if length is None else body[start : start + length]

    def size(self, key: str) -> int | None:
        """Return the length in bytes, None if there is no such object."""
        check_key(key)
        with self._lock:
            return len(self._objects[key][0]) if key in self._objects else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List all objects whose key starts with `prefix`, in ascending order."""
        check_prefix(prefix)
        with self._lock:
            found = [
                ObjectInfo(key, len(body), modified)
                for key, (body, modified) in sorted(self._objects.items())
                if key.startswith(prefix)
            ]
        yield from found

    def delete(self, key: str) -> None:
        """Remove an object."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)
