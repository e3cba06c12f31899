"""Make the virtual environments from the pinned requirements, with nothing but Python.

Runs under any Python >= 3.8 and uses only the standard library; the environments get the best
interpreter found (3.13, as in the cloud, else the newest >= 3.11). A second run is a no-op until
a lock file, the project file or the interpreter changes.

    python infra/local/bootstrap.py         make or refresh .venv, .engine and .lambda
    python infra/local/bootstrap.py lock    resolve pyproject.toml again into requirements/*.txt
"""

# No `from __future__ import annotations` here: this file must at least parse on old Pythons so
# that they can say what is missing. Annotations are limited to what Python 3.8 understands.
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple  # noqa: UP035 - runs on 3.8 as well

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PREFERRED = (3, 13)
OLDEST = (3, 11)
NEWEST = (3, 14)
UV = "uv==0.13.8"
# Environment folder -> its lock files. Each one holds exactly these and pip-less otherwise.
ENVIRONMENTS: Dict[str, List[str]] = {  # noqa: UP006
    ".venv": ["dev.txt"],
    ".engine": ["engine.txt"],
    ".lambda": ["lambda.txt"],
}
# Lock file -> arguments that tell uv what to resolve. The later ones follow the first one's choice.
LOCKS: Dict[str, List[str]] = {  # noqa: UP006
    "dev.txt": ["pyproject.toml", "--group", "dev"],
    "layer-runtime.txt": ["pyproject.toml", "--constraint", "requirements/dev.txt"],
    "layer-media.txt": ["--group", "layer-media", "--constraint", "requirements/dev.txt"],
    "engine.txt": ["--group", "engine"],
    "lambda.txt": ["--group", "lambda"],
}
APT_HINT = "On Debian or Ubuntu: apt-get install python3-venv (or python3.X-venv for your version)."


class SetupError(Exception):
    """Something this machine lacks; the message says how to get it."""


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(text, flush=True)


def version_of(python: str) -> Optional[Tuple[int, int]]:  # noqa: UP006, UP045
    """Ask an interpreter for its version; None when it does not run (a shim, a broken link)."""
    probe = "import sys; print('%d %d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30,
            check=True,
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(answer[0]), int(answer[1])


def candidates() -> List[str]:  # noqa: UP006
    """List interpreters worth asking: PATH, pyenv's versions, and the one running this."""
    minors = [PREFERRED[1]] + [m for m in range(NEWEST[1], OLDEST[1] - 1, -1) if m != PREFERRED[1]]
    found: List[str] = []  # noqa: UP006
    pyenv = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    for minor in minors:
        on_path = shutil.which("python3.%d" % minor)
        if on_path:
            found.append(on_path)
        found += sorted(glob.glob("%s/versions/3.%d.*/bin/python3" % (pyenv, minor)), reverse=True)
    found.append(sys.executable)
    return found


def find_python() -> str:
    """Choose the interpreter of the environments.

    Raises:
        SetupError: no Python from 3.11 on is to be found.
    """
    best: Optional[Tuple[Tuple[int, int], str]] = None  # noqa: UP006, UP045
    for python in candidates():
        version = version_of(python)
        if version == PREFERRED:
            return python
        if version and OLDEST <= version <= NEWEST and (best is None or version > best[0]):
            best = (version, python)
    if best is None:
        raise SetupError(
            "everreel needs Python 3.11 or newer (3.13 is best); this is Python %d.%d and no newer "
            "one is on PATH or under ~/.pyenv/versions.\n"
            "Install one (Debian 12+: apt-get install python3 python3-venv; pyenv: pyenv install "
            "3.13) and run make setup again." % sys.version_info[:2]
        )
    return best[1]


def run(command: Sequence[str], quiet: bool = True) -> None:
    """Run a command in the repository; on failure show what it said.

    Raises:
        SetupError: it ended with a status other than 0.
    """
    environment = dict(
        os.environ,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        UV_CUSTOM_COMPILE_COMMAND="python infra/local/bootstrap.py lock",
        UV_NO_PROGRESS="1",
    )
    # An activated environment must not attract what is meant for ours.
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        list(command), cwd=str(ROOT), env=environment, check=False, encoding="utf-8",
        stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT if quiet else None,
    )
    if done.returncode:
        raise SetupError("%s\nfailed: %s" % (done.stdout or "", " ".join(command)))


def stamp_of(python: str, locks: Sequence[str]) -> str:
    """Fingerprint everything an environment is made from."""
    digest = hashlib.sha256(("%s %s %s" % (python, version_of(python), UV)).encode())
    for path in [REQUIREMENTS / name for name in locks] + [ROOT / "pyproject.toml"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make_environment(python: str, folder: Path) -> None:
    """Make an empty virtual environment.

    Raises:
        SetupError: the interpreter cannot (Debian ships venv in a package of its own).
    """
    if folder.exists():
        shutil.rmtree(str(folder))
    try:
        run([python, "-m", "venv", str(folder)])
    except SetupError as error:
        shutil.rmtree(str(folder), ignore_errors=True)
        raise SetupError("%s\n%s cannot make a virtual environment. %s" % (error, python, APT_HINT))


def install(folder: Path, locks: Sequence[str], uv: Optional[str]) -> None:  # noqa: UP045
    """Bring an environment to exactly its locks, by uv or, when uv fails, by its own pip."""
    python = str(folder / "bin" / "python")
    paths = [str((REQUIREMENTS / name).relative_to(ROOT)) for name in locks]
    if uv:
        try:
            run([uv, "pip", "sync", "--python", python, "--require-hashes", "--link-mode", "copy"]
                + paths)
        except SetupError as error:
            say("  uv could not do it, trying pip (slower):\n%s" % error)
        else:
            return
    files = [argument for path in paths for argument in ("-r", path)]
    run([python, "-m", "pip", "install", "--quiet", "--require-hashes"] + files)


def install_project(folder: Path, uv: Optional[str]) -> None:  # noqa: UP045
    """Put the work tree itself on the environment's path, with the `everreel` command."""
    python = str(folder / "bin" / "python")
    options = ["--no-deps", "--no-build-isolation", "--editable", "."]
    if uv:
        try:
            run([uv, "pip", "install", "--python", python] + options)
        except SetupError as error:
            say("  uv could not do it, trying pip:\n%s" % error)
        else:
            return
    run([python, "-m", "pip", "install", "--quiet"] + options)


def find_uv() -> Optional[str]:  # noqa: UP045
    """Give the path of the pinned uv kept in .venv, or None when it is not there."""
    # It lives beside the environment's own tools, out of reach of the lock's sync.
    path = ROOT / ".venv" / "tools" / "bin" / "uv"
    return str(path) if path.exists() else None


def ensure_uv() -> Optional[str]:  # noqa: UP045
    """Install the pinned uv into .venv; None (and a word about it) when that fails."""
    found = find_uv()
    if found:
        return found
    python = str(ROOT / ".venv" / "bin" / "python")
    target = str(ROOT / ".venv" / "tools")
    try:
        run([python, "-m", "pip", "install", "--quiet", "--target", target, UV])
    except SetupError as error:
        say("  no uv, going on with pip (slower):\n%s" % error)
    return find_uv()


def setup() -> None:
    """Make or refresh every environment that is out of date."""
    began = time.monotonic()
    python = find_python()
    changed = False
    for name, locks in ENVIRONMENTS.items():
        folder = ROOT / name
        stamp_file, stamp = folder / ".everreel-stamp", stamp_of(python, locks)
        if stamp_file.exists() and stamp_file.read_text() == stamp:
            continue
        if not changed:
            say("Python: %s (%d.%d)" % ((python,) + (version_of(python) or OLDEST)))
        changed = True
        say("%s: installing %s" % (name, ", ".join("requirements/" + lock for lock in locks)))
        started = time.monotonic()
        if not environment_fits(folder, python):
            make_environment(python, folder)
        elif stamp_file.exists():
            stamp_file.unlink()
        uv = ensure_uv()
        install(folder, locks, uv)
        if name == ".venv":
            install_project(folder, uv)
        stamp_file.write_text(stamp)
        say("%s: ready in %.0f s" % (name, time.monotonic() - started))
    if changed:
        say("Set up in %.0f s. Next: make demo, or make check." % (time.monotonic() - began))


def environment_fits(folder: Path, python: str) -> bool:
    """Tell whether an existing environment runs and has the wanted Python version."""
    existing = folder / "bin" / "python"
    return existing.exists() and version_of(str(existing)) == version_of(python)


def lock() -> None:
    """Resolve pyproject.toml into requirements/*.txt: hashes, every platform, no addresses.

    Raises:
        SetupError: no uv, or no resolution.
    """
    uv = ensure_uv()
    if uv is None:
        raise SetupError("locking needs uv: run make setup first, with the package index reachable")
    REQUIREMENTS.mkdir(exist_ok=True)
    for name, arguments in LOCKS.items():
        target = "requirements/" + name
        run([
            uv, "pip", "compile", *arguments, "--universal", "--generate-hashes", "--no-emit-index-url",
            "--no-emit-find-links", "--python-version", "%d.%d" % OLDEST,
            "--output-file", target,
        ])
        say("%s: %d packages" % (target, count_packages(ROOT / target)))


def count_packages(path: Path) -> int:
    """Count the pins of a lock file."""
    return sum("==" in line for line in path.read_text().splitlines() if line[:1].isalnum())


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks; explain instead of tracing back when something is missing."""
    if list(arguments) not in ([], ["lock"]):
        say(__doc__ or "")
        return 2
    try:
        lock() if arguments else setup()
    except SetupError as error:
        say("\nmake setup stopped: %s" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
