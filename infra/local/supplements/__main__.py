"""Start the engine with every supplement: `python -m infra.local.supplements <lambda python>`."""

import importlib.metadata
import os
import signal
import sys
import threading
from pathlib import Path

from infra.local.supplements import VERSION


def follow_owner() -> None:
    """End the whole process group when the pipe from the owner closes, however the owner ended."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Check the version, install the supplements, serve until told to stop."""
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise SystemExit(
            f"the supplements are written against ministack {VERSION}, this is {found}: "
            "run tests/e2e/test_engine_supplements.py against it, then change VERSION in "
            "infra/local/supplements/__init__.py"
        )
    if os.getpgrp() == os.getpid():
        threading.Thread(target=follow_owner, daemon=True).start()
    import ministack.app as engine

    from infra.local.supplements import (
        asynchronous,
        execution_names,
        execution_timeout,
        request_ids,
        reserved_concurrency,
        rule_targets,
        runtime_client,
        secret_references,
        task_invocation,
        task_retries,
        task_tokens,
        template_properties,
        template_types,
        workers,
    )

    runtime_client.install(Path(sys.argv[1]))
    asynchronous.install()
    for supplement in (
        execution_names,
        execution_timeout,
        reserved_concurrency,
        rule_targets,
        secret_references,
        task_invocation,
        task_retries,
        task_tokens,
        template_properties,
        template_types,
    ):
        supplement.install()
    engine.app = workers.around(request_ids.around(engine.app))
    sys.argv = ["ministack"]
    engine.main()


if __name__ == "__main__":
    main()
