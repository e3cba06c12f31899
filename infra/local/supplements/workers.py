"""Say which processes run which functions, so that a test can kill the right one.

`GET /_everreel/workers` answers a list of `{"function", "version", "pid", "requestId"}`;
`requestId` is null while a worker waits for work. The invocation of a worker that is killed fails
with `Runtime.ExitError`, as on AWS.

Tests: `test_worker_*`.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import ministack.core.lambda_runtime as engine_runtime

Record = dict[str, Any]
Application = Callable[[Record, Any, Any], Awaitable[None]]

PATH = "/_everreel/workers"


def listing() -> list[Record]:
    """List the living workers of every function."""
    with engine_runtime._lock:
        workers = [worker for pool in engine_runtime._workers.values() for worker in pool]
    rows = []
    for worker in workers:
        process = worker._proc
        if process is None or process.poll() is not None:
            continue
        rows.append(
            {
                "function": worker.func_name,
                "version": worker.config.get("Version", "$LATEST"),
                "pid": process.pid,
                "requestId": getattr(worker, "_current_request_id", None),
            }
        )
    return rows


def around(application: Application) -> Application:
    """Wrap the engine's application with the listing."""

    async def answer(scope: Record, receive: object, send: Callable[[Record], Any]) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        body = json.dumps(listing()).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
