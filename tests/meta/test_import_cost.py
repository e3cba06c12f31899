"""What the copy path may load: a lap starts in milliseconds because it imports next to nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.repository import LIBRARY

PURE = ("media", "protocols", "recorder", "store/ports", "state/ports", "errors", "ids", "clock")
HEAVY = frozenset(
    "aiohttp asyncio av boto3 botocore fastapi multiprocessing numpy pydantic requests starlette "
    "typing_extensions urllib3".split()
)
# The HTTP parser's library is small, but only what speaks HTTP may load it.
SPEAKS_HTTP = frozenset({"everreel.protocols.http"})

REPORT = """
import json, sys
before = set(sys.modules)
__import__(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def pure_modules() -> list[str]:
    """List the dotted names of every module of the copy path that exists."""
    found = []
    for part in PURE:
        path = LIBRARY / part
        files = (
            [path.with_suffix(".py")] if path.with_suffix(".py").exists() else path.rglob("*.py")
        )
        for file in files:
            names = file.relative_to(LIBRARY.parent).with_suffix("").parts
            found.append(".".join(names[:-1] if names[-1] == "__init__" else names))
    return sorted(found)


def loaded_by(module: str) -> set[str]:
    """Import a module in a fresh interpreter; give the names of all that came with it."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, module],
        cwd=Path(LIBRARY).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"import {module} failed:\n{done.stderr}"
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", pure_modules())
def test_copy_path_module_when_imported_then_loads_nothing_heavy(module: str) -> None:
    loaded = loaded_by(module)
    heavy = {name.split(".")[0] for name in loaded} & HEAVY
    assert not heavy, f"{module} loads {sorted(heavy)}: keep it off the copy path"
    if "h11" in loaded:
        assert module in SPEAKS_HTTP or SPEAKS_HTTP & loaded, f"{module} loads h11 by itself"
