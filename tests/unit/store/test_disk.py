import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from everreel.errors import StoreDenied, StoreUnavailable
from everreel.store.disk import INCOMING, DiskStore, meaning


@pytest.mark.parametrize("size", [4_000, 40_000, 400_000])
def test_write_when_the_file_may_not_grow_then_store_unavailable_and_nothing_is_left(
    tmp_path: Path, size: int
) -> None:
    store = DiskStore(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="no room left"):
            store.put_new("a/b", bytes(size), "video/mp4")
        with pytest.raises(StoreUnavailable, match="no room left"):
            store.put("a/b", bytes(size), "video/mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_disk_when_full_then_store_unavailable_says_so(code: int) -> None:
    error = meaning(OSError(code, os.strerror(code)), Path("/x/y"))
    assert type(error) is StoreUnavailable
    assert "no room left" in error.message
    assert "/x/y" in error.message


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_disk_when_not_allowed_then_store_denied_names_the_path(code: int) -> None:
    error = meaning(OSError(code, os.strerror(code)), Path("/x/y"))
    assert type(error) is StoreDenied
    assert "/x/y" in error.message


def test_disk_when_it_fails_otherwise_then_store_unavailable() -> None:
    assert type(meaning(OSError(errno.EIO, "I/O error"), Path("/x"))) is StoreUnavailable


def test_write_when_a_part_of_the_key_is_an_object_then_store_denied(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "root")
    store.put("a", b"x", "")
    for write in (store.put, store.put_new):
        with pytest.raises(StoreDenied, match="a/b"):
            write("a/b", b"x", "")
    assert list((tmp_path / "root" / INCOMING).iterdir()) == []


def test_write_when_done_then_leaves_only_the_object(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "root")
    store.put_new("a/b/c", b"1", "")
    store.put("a/b/c", b"2", "")
    store.put_stream("d", [b"3", b"4"], "")
    files = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["c", "d"]


def test_list_when_a_write_is_under_way_then_shows_no_part_of_it(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "root")

    def chunks() -> Iterator[bytes]:
        yield b"first"
        seen.extend(info.key for info in store.list(""))
        yield b"second"

    seen: list[str] = []
    store.put_stream("a", chunks(), "")
    assert seen == []
    assert store.get("a") == b"firstsecond"


def test_key_when_it_points_into_the_incoming_folder_then_store_denied(tmp_path: Path) -> None:
    with pytest.raises(StoreDenied):
        DiskStore(tmp_path).put(f"{INCOMING}/x", b"", "")


def test_store_when_opened_by_a_relative_root_then_survives_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = DiskStore(Path("root"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put("a", b"x", "")
    assert (tmp_path / "root" / "a").read_bytes() == b"x"
