"""The tracked tree, as the rules about it see it."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "functions" / "everreel"


def tracked() -> list[Path]:
    """List what git tracks or would track, without what was deleted."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [ROOT / name for name in listing.split("\0") if name]
    return sorted({path for path in files if path.is_file()})


def python_files(*folders: str) -> list[Path]:
    """List the tracked Python files under some top folders."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders
    ]


def handler_folders() -> list[Path]:
    """List the folders that are functions of the stack."""
    return sorted(path.parent for path in (ROOT / "functions").glob("*/handler.py"))


def names_used(path: Path) -> set[str]:
    """List the dotted names and imported names of a file, as `module.name`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules_imported(path: Path) -> set[str]:
    """List the dotted modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from everreel import wiring` imports everreel.wiring.
            package = node.module == "everreel"
            found |= {f"everreel.{a.name}" for a in node.names} if package else {node.module}
    return found


def relative(path: Path) -> str:
    """Name a file as the reader knows it."""
    return path.relative_to(ROOT).as_posix()
