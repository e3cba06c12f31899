"""Build the Lambda layers without Docker: wheels for the target, packed the same way each time.

    python -m layers.build                      both architectures, for the cloud's Python
    python -m layers.build --arch host --python host    what the local engine runs
    python layers/build.py --host | --all       the same two, for make

Gives `layers/dist/<layer>-<arch>-<python>.zip`. A second build does nothing while the lock files
stay the same.
"""

import argparse
import compileall
import hashlib
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "layers" / "dist"
CLOUD_PYTHON = "3.13"
LAYERS = ("runtime", "media")
# AWS: 250 MB for a function's code and all its layers together, unpacked.
LIMIT_BYTES = 250 * 1024**2
MARGIN_BYTES = 10 * 1024**2
# Part of every stamp: raise it when this file packs differently.
FORMAT = 1
_PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
_SAME_TIME = (1980, 1, 1, 0, 0, 0)
_DEAD_WEIGHT = ("bin", "share", "*.dist-info/RECORD", "*.dist-info/direct_url.json")


class LayerError(Exception):
    """A layer could not be built, or is too large; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """The machine a layer is for."""

    arch: str
    python: str

    @classmethod
    def host(cls) -> "Target":
        """This machine and this interpreter, as the local engine runs functions."""
        return cls(host_arch(), host_python())

    @property
    def compiles(self) -> bool:
        """Whether this interpreter writes bytecode that the target reads."""
        return self.python == host_python()


def host_arch() -> str:
    """Name this machine's architecture in Lambda's words.

    Raises:
        LayerError: Lambda knows no such architecture.
    """
    machine = platform.machine().lower()
    names = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
    if machine not in names:
        raise LayerError(f"no Lambda architecture for this machine ({machine}): say --arch")
    return names[machine]


def host_python() -> str:
    """Name the running interpreter's minor version."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def layer_zip(layer: str, target: Target) -> Path:
    """Say where a layer's zip is, or will be."""
    return DIST / f"{layer}-{target.arch}-{target.python}.zip"


def lock_file(layer: str) -> Path:
    """Say which lock file a layer is made from."""
    return ROOT / "requirements" / f"layer-{layer}.txt"


def find_uv() -> str:
    """Find the uv that `make setup` keeps in .venv, else one on the machine.

    Raises:
        LayerError: there is none.
    """
    kept = (ROOT / ".venv" / "tools" / "bin" / "uv", Path(sys.executable).parent / "uv")
    for path in kept:
        if path.exists():
            return str(path)
    on_path = shutil.which("uv")
    if on_path is None:
        raise LayerError("uv is missing: run `make setup`")
    return on_path


def install(layer: str, target: Target, folder: Path) -> None:
    """Put a layer's wheels for the target into a folder.

    Raises:
        LayerError: a package has no wheel for the target, or a hash is wrong.
    """
    command = [find_uv(), "pip", "install", "--quiet", "--no-config", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--link-mode", "copy"]
    command += ["--python-platform", _PLATFORMS[target.arch], "--python-version", target.python]
    command += ["--python", sys.executable, "--target", str(folder), "-r", str(lock_file(layer))]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise LayerError(f"layer {layer} for {target.arch}: uv failed\n{done.stdout}")


def prune(folder: Path) -> None:
    """Remove what no function ever reads: scripts, type stubs, notes of the installer."""
    for pattern in _DEAD_WEIGHT:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for pattern in ("*.pyi", "*.pyx", "*.pxd"):
        for path in sorted(folder.rglob(pattern)):
            path.unlink()


def compile_bytecode(folder: Path) -> None:
    """Write bytecode beside the sources: `/opt` is read-only, so Lambda cannot keep its own.

    Raises:
        LayerError: a source file does not compile.
    """
    fine = compileall.compile_dir(
        str(folder),
        quiet=2,
        stripdir=str(folder),
        prependdir="/opt/python",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not fine:
        raise LayerError(f"a file under {folder} does not compile with Python {host_python()}")


def pack(folder: Path, path: Path) -> None:
    """Zip a folder under `python/`: sorted, one time for all entries, no owner."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for source in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(f"python/{source.relative_to(folder).as_posix()}", _SAME_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            executable = source.stat().st_mode & 0o100
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, source.read_bytes())


def stamp_of(layer: str, target: Target) -> str:
    """Fingerprint everything a layer's zip is made from."""
    digest = hashlib.sha256(f"{FORMAT} {target} {target.compiles}\n".encode())
    digest.update(lock_file(layer).read_bytes())
    return digest.hexdigest()


def build(layer: str, target: Target) -> Path:
    """Build one layer for one target unless it is up to date; give its zip.

    Raises:
        LayerError: the lock file is missing or the wheels cannot be installed.
    """
    path = layer_zip(layer, target)
    stamp_file = path.with_suffix(".stamp")
    if not lock_file(layer).exists():
        raise LayerError(f"{lock_file(layer).relative_to(ROOT)} is missing")
    stamp = stamp_of(layer, target)
    if path.exists() and stamp_file.exists() and stamp_file.read_text() == stamp:
        return path
    began = time.monotonic()
    print(f"layer {layer}: {target.arch}, Python {target.python} ...", flush=True)
    DIST.mkdir(parents=True, exist_ok=True)
    stamp_file.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=DIST, prefix=f".{layer}-") as work:
        folder, unfinished = Path(work) / "python", Path(work) / path.name
        install(layer, target, folder)
        prune(folder)
        if target.compiles:
            compile_bytecode(folder)
        else:
            print(f"  without bytecode (slower cold starts): this is Python {host_python()}")
        pack(folder, unfinished)
        unfinished.replace(path)
    stamp_file.write_text(stamp)
    packed, unpacked = path.stat().st_size / 1e6, unpacked_size([path]) / 1e6
    spent = time.monotonic() - began
    print(f"  {path.name}: {packed:.1f} MB, {unpacked:.1f} MB unpacked, {spent:.1f} s", flush=True)
    return path


def unpacked_size(zips: Iterable[Path]) -> int:
    """Add up what zips take when unpacked. Units: bytes."""
    total = 0
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            total += sum(entry.file_size for entry in archive.infolist())
    return total


def code_size() -> int:
    """Measure the code of the functions themselves. Units: bytes."""
    files = (ROOT / "functions").rglob("*")
    return sum(p.stat().st_size for p in files if p.is_file() and "__pycache__" not in p.parts)


def check_size(zips: Sequence[Path], limit: int = LIMIT_BYTES, margin: int = MARGIN_BYTES) -> int:
    """Check that a function with all these layers fits; give its unpacked size in bytes.

    Raises:
        LayerError: code and layers come within `margin` of `limit`.
    """
    total = unpacked_size(zips) + code_size()
    if total > limit - margin:
        sizes = ", ".join(f"{path.name} {unpacked_size([path]) / 2**20:.0f} MB" for path in zips)
        raise LayerError(
            f"code and layers unpack to {total / 2**20:.0f} MB; Lambda allows {limit / 2**20:.0f} "
            f"MB and we keep {margin / 2**20:.0f} MB free: drop a dependency ({sizes})"
        )
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m layers.build")
    parser.add_argument("--arch", choices=[*_PLATFORMS, "host"], help="default: both")
    parser.add_argument("--python", default=CLOUD_PYTHON, help="3.13, or host for this interpreter")
    parser.add_argument("--layer", choices=[*LAYERS, "all"], default="all")
    parser.add_argument("--host", action="store_true", help="--arch host --python host")
    parser.add_argument("--all", action="store_true", help="every layer, both architectures")
    options = parser.parse_args(arguments)
    try:
        python = host_python() if options.host or options.python == "host" else options.python
        if options.host or options.arch == "host":
            arches = [host_arch()]
        else:
            arches = list(_PLATFORMS) if options.all or not options.arch else [options.arch]
        layers = LAYERS if options.layer == "all" else (options.layer,)
        for arch in arches:
            zips = [build(layer, Target(arch, python)) for layer in layers]
            size = check_size(zips)
            print(f"{arch}, Python {python}: {size / 2**20:.0f} of {LIMIT_BYTES / 2**20:.0f} MB")
    except LayerError as error:
        print(f"layers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
