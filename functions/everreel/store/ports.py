"""The object store everything is written to, as the recorder and the sealer see it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing tells. Units: bytes; microseconds since the Unix epoch."""

    key: str
    size: int
    modified_utc_us: int


class ObjectStore(Protocol):
    """A bucket. Keys are relative paths with `/`, no leading slash, as `media.names` makes them.

    Promises (tests/contract/test_object_store.py, one test per sentence):
    a returned write is durable and visible to every reader; `put_new` never overwrites, also when
    many race; `put` replaces whole objects atomically, a reader sees the old or the new one;
    `get` of part returns exactly the asked range; `list` returns keys in ascending order;
    `delete` of a missing key is no error; `put_stream` leaves either the whole object or none.
    Errors are `StoreDenied`, `StoreUnavailable`, `ObjectExists`, `ObjectMissing` and no other; a
    key that is no relative path (empty, absolute, with `..`) is `StoreDenied` everywhere.
    """

    def put_new(self, key: str, body: bytes, content_type: str) -> None:
        """Create an object. Raises: ObjectExists if the key is taken."""
        ...

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Create or replace an object: for playlists and manifests only."""
        ...

    def put_stream(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        """Create or replace a large object from chunks of any size; return its length in bytes.

        Holds at most a few parts in memory. If `chunks` raises, its error comes out as it is, no
        object is made, and one that was there stays.
        """
        ...

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object, or `length` bytes from `start`; fewer where it ends before that.

        Raises: ObjectMissing.
        """
        ...

    def size(self, key: str) -> int | None:
        """Return the length in bytes, None if there is no such object."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List all objects whose key starts with `prefix`. Not for any path of a live segment."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object."""
        ...
