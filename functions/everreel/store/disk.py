"""An object store on a local disk or a mounted file system."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from everreel.errors import (
    DestinationError,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreUnavailable,
)
from everreel.store.keys import check_key, check_prefix
from everreel.store.ports import ObjectInfo

INCOMING = ".incoming"
"""Folder below the root that holds what is being written; nothing in it is an object."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WRONG_NAME = frozenset({errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


def meaning(error: OSError, path: Path) -> DestinationError:
    """Turn what the file system said about `path` into the store's words."""
    said = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return StoreUnavailable(f"no room left to write {path}: {said}; free space or raise quota")
    if error.errno in _DENIED:
        return StoreDenied(f"not allowed to use {path}: {said}; give this user write permission")
    if error.errno in _WRONG_NAME:
        return StoreDenied(f"{path} cannot be an object here: {said}")
    return StoreUnavailable(f"the disk failed at {path}: {said}")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise meaning(error, path) from error


def _write_all(file: FileIO, chunk: bytes) -> None:
    """Write a chunk whole: the system may take a part of it at a time."""
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


class DiskStore:
    """Keeps each object in a file below `root`.

    A write goes to a temporary file, is flushed to the disk, and only then gets its name: by a
    hard link where the name must be new (the file system refuses a second one), by a rename where
    it may be taken. The file system therefore has to know hard links, as every Unix one does.
    """

    def __init__(self, root: Path) -> None:
        """Keep objects below `root`, which is made with the first write."""
        self._root = root.absolute()

    def put_new(self, key: str, body: bytes, content_type: str) -> None:  # noqa: ARG002
        """Create an object. Raises: ObjectExists if the key is taken."""
        path = self._path(key)
        temporary, _ = self._write([body])
        with _translated(path):
            try:
                self._make_folder(path.parent)
                self._link(temporary, path, key)
                self._flush(path.parent)
            finally:
                temporary.unlink()

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Create or replace an object."""
        self.put_stream(key, [body], content_type)

    def put_stream(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:  # noqa: ARG002
        """Create or replace an object from chunks of any size; return its length in bytes."""
        path = self._path(key)
        temporary, length = self._write(chunks)
        with _translated(path):
            try:
                self._make_folder(path.parent)
                temporary.replace(path)
            except OSError:
                temporary.unlink()
                raise
            self._flush(path.parent)
        return length

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object, or `length` bytes from `start`. Raises: ObjectMissing."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except OSError as error:
            if error.errno in _ABSENT:
                raise ObjectMissing(f"there is no object {key} below {self._root}") from error
            raise meaning(error, path) from error

    def size(self, key: str) -> int | None:
        """Return the length in bytes, None if there is no such object."""
        path = self._path(key)
        try:
            status = path.stat()
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise meaning(error, path) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List all objects whose key starts with `prefix`, in ascending order."""
        check_prefix(prefix)
        folder = self._root / prefix.rpartition("/")[0]
        # Sorted as whole keys: "a-b" comes before "a/b", which no walk of folders yields.
        keys = sorted(key for key in self._keys_below(folder) if key.startswith(prefix))
        for key in keys:
            path = self._root / key
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # deleted while we listed
            except OSError as error:
                raise meaning(error, path) from error
            yield ObjectInfo(key, status.st_size, status.st_mtime_ns // 1000)

    def delete(self, key: str) -> None:
        """Remove an object."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise meaning(error, path) from error

    def _path(self, key: str) -> Path:
        check_key(key)
        if key.partition("/")[0] == INCOMING:
            raise StoreDenied(f"object key {key!r} may not begin with {INCOMING}")
        return self._root / key

    def _write(self, chunks: Iterable[bytes]) -> tuple[Path, int]:
        folder = self._root / INCOMING
        temporary = folder / os.urandom(16).hex()
        length = 0
        with _translated(temporary):
            self._make_folder(folder)
            # Without a buffer: closing one on a full disk would fail a second time.
            file = temporary.open("xb", buffering=0)
        try:
            with file:
                # Only our own part is translated: an OSError of `chunks` is its owner's business.
                for chunk in chunks:
                    with _translated(temporary):
                        _write_all(file, chunk)
                    length += len(chunk)
                with _translated(temporary):
                    os.fsync(file.fileno())
        except BaseException:
            temporary.unlink()
            raise
        return temporary, length

    def _link(self, temporary: Path, path: Path, key: str) -> None:
        try:
            path.hardlink_to(temporary)
        except FileExistsError as error:
            raise ObjectExists(f"object {key} exists already below {self._root}") from error

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its parents so that they survive a power cut."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            self._flush(each.parent)

    @staticmethod
    def _flush(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _keys_below(self, folder: Path) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            if error.errno not in _ABSENT:
                raise meaning(error, Path(error.filename)) from error

        for parent, folders, files in os.walk(folder, onerror=refuse):
            if Path(parent) == self._root and INCOMING in folders:
                folders.remove(INCOMING)
            for name in files:
                yield (Path(parent) / name).relative_to(self._root).as_posix()
