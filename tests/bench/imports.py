"""What a cold start pays before the first line of a handler runs, against `import boto3`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import ROOT, Running
from tests.bench.registry import Group, Metric, Pair, Round, Setting

_FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
_ENVIRONMENT = {"AWS_DEFAULT_REGION": "eu-central-1", "POWERTOOLS_SERVICE_NAME": "everreel"}


@contextmanager
def _open(setting: Setting) -> Iterator[Round]:
    log = setting.scratch / "imports.log"
    yield lambda number: {f"import_{name}": _measure(name, log, number) for name in _FUNCTIONS}


def _measure(name: str, log: Path, number: int) -> Pair:
    statements = {"ours": f"import {name}.handler", "peer": "import boto3"}
    order = list(statements) if number % 2 else list(reversed(statements))
    seconds = {
        who: Running([sys.executable, "-c", statements[who]], log, environment=_ENVIRONMENT)
        .cost()
        .cpu_s
        for who in order
    }
    return Pair(seconds["ours"], seconds["peer"])


GROUPS = [
    Group(
        name="imports",
        against="import boto3",
        metrics=tuple(Metric(f"import_{name}", "s") for name in _FUNCTIONS),
        rounds=7,
        open=_open,
    )
]
