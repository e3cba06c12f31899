"""Make the virtual environments from the pinned requirements, with nothing but Python.

Runs under any Python >= 3.8 and uses only the standard library; the environments get the best
interpreter found (3.13, as in the cloud, else the newest >= 3.11). A second run is a no-op until
a lock file, the project file or the interpreter changes.

    python infra/local/bootstrap.py         make or refresh .venv, .engine and .lambda
    python infra/local/bootstrap.py lock    resolve pyproject.toml again into requirements/*.txt
"""

# Syntax and annotations stay within what Python 3.8 understands, so that an old Python can say
# what is missing instead of failing to parse.
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PREFERRED = (3, 13)
OLDEST = (3, 11)
NEWEST = (3, 14)
UV = "uv==0.13.8"
# Environment folder -> its lock files.
ENVIRONMENTS: Dict[str, List[str]] = {
    ".venv": ["dev.txt"],
    ".engine": ["engine.txt"],
    ".lambda": ["lambda.txt"],
}
# Lock file -> arguments that tell uv what to resolve. The later ones follow the first one's choice.
LOCKS: Dict[str, List[str]] = {
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


def brief(error: SetupError) -> str:
    """Give the end of a long complaint, where tools say what mattered."""
    return " / ".join(line[-200:] for line in str(error).splitlines()[-4:] if line)


def version_of(python: str) -> Optional[Tuple[int, int]]:
    """Ask an interpreter for its version; None when it does not run (a shim, a broken link)."""
    probe = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", probe],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=True,
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(answer[0]), int(answer[1])


def candidates() -> List[str]:
    """List interpreters worth asking: PATH, pyenv's versions, and the one running this."""
    minors = sorted(range(OLDEST[1], NEWEST[1] + 1), key=lambda m: (m == PREFERRED[1], m))[::-1]
    found: List[str] = []
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for minor in minors:
        on_path = shutil.which(f"python3.{minor}")
        if on_path:
            found.append(on_path)
        kept = sorted((pyenv / "versions").glob(f"3.{minor}.*/bin/python3"), reverse=True)
        found += [str(python) for python in kept]
    found.append(sys.executable)
    # An environment of ours may be the active one; it must not be made from itself.
    return [python for python in found if ROOT not in Path(python).parents]


def find_python() -> str:
    """Choose the interpreter of the environments.

    Raises:
        SetupError: no Python from 3.11 on is to be found.
    """
    best: Optional[Tuple[Tuple[int, int], str]] = None
    for python in candidates():
        version = version_of(python)
        if version == PREFERRED:
            return python
        if version and OLDEST <= version <= NEWEST and (best is None or version > best[0]):
            best = (version, python)
    if best is None:
        this = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"everreel needs Python 3.11 to 3.14 (3.13 is best); this is Python {this} and no "
            "fitting one is on PATH or under ~/.pyenv/versions.\n"
            "Install one (Debian 12+: apt-get install python3 python3-venv; pyenv: pyenv install "
            "3.13) and run make setup again."
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
        list(command),
        cwd=str(ROOT),
        env=environment,
        check=False,
        encoding="utf-8",
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if done.returncode:
        raise SetupError(f"{done.stdout or ''}\nfailed: {' '.join(command)}")


def stamp_of(python: str, locks: Sequence[str]) -> str:
    """Fingerprint everything an environment is made from."""
    digest = hashlib.sha256(f"{python} {UV}".encode())
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
        message = f"{error}\n{python} cannot make a virtual environment. {APT_HINT}"
        raise SetupError(message) from error


def install(folder: Path, locks: Sequence[str], uv: Optional[str]) -> None:
    """Bring an environment to exactly its locks, by uv or, when uv fails, by its own pip."""
    python = str(folder / "bin" / "python")
    paths = [str((REQUIREMENTS / name).relative_to(ROOT)) for name in locks]
    if uv:
        try:
            run([uv, "pip", "sync", "--python", python, "--require-hashes", *paths])
        except SetupError as error:
            say(f"  uv could not do it, trying pip (slower): {brief(error)}")
        else:
            return
    files = [argument for path in paths for argument in ("-r", path)]
    run([python, "-m", "pip", "install", "--quiet", "--require-hashes", *files])


def install_project(folder: Path, uv: Optional[str]) -> None:
    """Put the work tree itself on the environment's path, with the `everreel` command."""
    python = str(folder / "bin" / "python")
    options = ["--no-deps", "--no-build-isolation", "--editable", "."]
    if uv:
        try:
            run([uv, "pip", "install", "--python", python, *options])
        except SetupError as error:
            say(f"  uv could not do it, trying pip: {brief(error)}")
        else:
            return
    run([python, "-m", "pip", "install", "--quiet", *options])


def find_uv() -> Optional[str]:
    """Give the path of the pinned uv kept in .venv, or None when it is not there."""
    # It lives beside the environment's own tools, out of reach of the lock's sync.
    path = ROOT / ".venv" / "tools" / "bin" / "uv"
    return str(path) if path.exists() else None


def ensure_uv() -> Optional[str]:
    """Install the pinned uv into .venv; None (and a word about it) when that fails."""
    found = find_uv()
    if found:
        return found
    python = str(ROOT / ".venv" / "bin" / "python")
    target = str(ROOT / ".venv" / "tools")
    try:
        run([python, "-m", "pip", "install", "--quiet", "--target", target, UV])
    except SetupError as error:
        say(f"  no uv, going on with pip (minutes instead of seconds): {brief(error)}")
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
            say(f"Python: {python}")
        changed = True
        say(f"{name}: installing {', '.join('requirements/' + lock for lock in locks)}")
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
        say(f"{name}: ready in {time.monotonic() - started:.0f} s")
    if changed:
        say(f"Set up in {time.monotonic() - began:.0f} s. Next: make demo, or make check.")


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
        compile_lock = [uv, "pip", "compile", *arguments, "--universal", "--generate-hashes"]
        compile_lock += ["--no-emit-index-url", "--no-emit-find-links", "--output-file", target]
        run([*compile_lock, "--python-version", f"{OLDEST[0]}.{OLDEST[1]}"])
        say(f"{target}: {count_packages(ROOT / target)} packages")


def count_packages(path: Path) -> int:
    """Count the pins of a lock file."""
    return sum("==" in line for line in path.read_text().splitlines() if line[:1].isalnum())


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks; explain instead of tracing back when something is missing."""
    if list(arguments) not in ([], ["lock"]):
        say(__doc__ or "")
        return 2
    try:
        # Two terminals may ask at once: the second one waits, then finds everything done.
        with Path(__file__).open() as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            lock() if arguments else setup()
    except SetupError as error:
        say(f"\nmake setup stopped: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
