"""The layer builder packs the same bytes each time and refuses what Lambda would refuse."""

import os
import zipfile
from pathlib import Path

import pytest

from layers import build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "python"
    (root / "package" / "nested").mkdir(parents=True)
    (root / "package" / "__init__.py").write_text("WORD = 1\n")
    (root / "package" / "nested" / "data.bin").write_bytes(b"\0" * 100)
    (root / "package" / "__init__.pyi").write_text("WORD: int\n")
    (root / "package-1.dist-info").mkdir()
    (root / "package-1.dist-info" / "RECORD").write_text("what the installer did")
    (root / "package-1.dist-info" / "LICENSE").write_text("free")
    (root / "bin").mkdir()
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    return root


def test_pack_when_files_were_touched_then_bytes_are_the_same(folder: Path, tmp_path: Path) -> None:
    build.pack(folder, tmp_path / "one.zip")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    build.pack(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_pack_when_unpacked_then_everything_is_under_python(folder: Path, tmp_path: Path) -> None:
    build.pack(folder, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = archive.namelist()
    assert all(name.startswith("python/") for name in names)


def test_prune_when_done_then_licences_stay_and_stubs_go(folder: Path) -> None:
    build.prune(folder)
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert left == {
        "package/__init__.py",
        "package/nested/data.bin",
        "package-1.dist-info/LICENSE",
    }


def test_bytecode_when_compiled_then_it_is_trusted_unread(folder: Path) -> None:
    build.compile_bytecode(folder)
    (compiled,) = (folder / "package" / "__pycache__").glob("*.pyc")
    hash_based_and_unchecked = b"\x01\0\0\0"
    assert compiled.read_bytes()[4:8] == hash_based_and_unchecked
    assert b"/opt/python/package/__init__.py" in compiled.read_bytes()


def test_bytecode_when_a_source_is_broken_then_an_error_says_where(folder: Path) -> None:
    (folder / "package" / "broken.py").write_text("def (:\n")
    with pytest.raises(build.LayerError, match="does not compile"):
        build.compile_bytecode(folder)


def test_size_when_it_nears_the_limit_then_an_error_names_the_layers(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "media-arm64-3.13.zip"
    build.pack(folder, path)
    used = build.unpacked_size([path]) + build.code_size()
    assert build.check_size([path], limit=used + 10, margin=10) == used
    with pytest.raises(build.LayerError, match=r"drop a dependency \(media-arm64-3\.13\.zip"):
        build.check_size([path], limit=used + 9, margin=10)


def test_build_when_nothing_changed_then_nothing_is_installed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "DIST", tmp_path)
    target = build.Target("arm64", "3.13")
    path = build.layer_zip("runtime", target)
    build.pack(folder, path)
    path.with_suffix(".stamp").write_text(build.stamp_of("runtime", target))
    before = path.stat().st_mtime_ns
    assert build.build("runtime", target) == path
    assert path.stat().st_mtime_ns == before


def test_stamp_when_the_target_differs_then_it_differs() -> None:
    targets = [build.Target(a, p) for a in ("arm64", "x86_64") for p in ("3.12", "3.13")]
    stamps = {build.stamp_of(layer, t) for layer in build.LAYERS for t in targets}
    assert len(stamps) == 8


def test_host_when_asked_then_names_are_lambdas() -> None:
    target = build.Target.host()
    assert target.arch in {"x86_64", "arm64"}
    assert target.compiles
