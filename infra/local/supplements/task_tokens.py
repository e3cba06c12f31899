"""A task that waits for its token ends when the beats stop.

AWS: with `.waitForTaskToken`, `HeartbeatSeconds` without SendTaskHeartbeat fails the task with
`States.HeartbeatTimeout` and `TimeoutSeconds` with `States.Timeout`; SendTask* with a token whose
task has ended answers `TaskTimedOut`; a call that fails before the token is used fails the task; a
token used while the call still runs ends the task.

Engine: ignores heartbeats, swallows a function's failure, waits for the call before it looks at the
token, forgets ended tokens.

Known difference kept: both fields are read as numbers only (no paths, no expressions).

Tests: `test_task_token_*`.
"""

import contextvars
import json
import threading
import time
from concurrent.futures import Future
from typing import Any

import ministack.services.stepfunctions as engine_states
from ministack.core.responses import error_response_json

Record = dict[str, Any]

_POLL = 0.05
_plain_heartbeat = engine_states._send_task_heartbeat
_plain_success = engine_states._send_task_success
_plain_failure = engine_states._send_task_failure
_ended: set[str] = set()


def call_in_background(resource: str, arguments: object) -> "Future[object]":
    """Make the task's call in a thread of its own."""
    future: Future[object] = Future()

    def call() -> None:
        try:
            future.set_result(engine_states._invoke_resource(resource, arguments))
        except engine_states._ExecutionError as error:
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(call,), daemon=True).start()
    return future


def limit_of(state: Record, name: str) -> float:
    """Read a time limit of a state; none is for ever."""
    value = state.get(name)
    if value is None and f"{name}Path" not in state:
        return float("inf")
    if not isinstance(value, int | float):
        raise engine_states._ExecutionError(
            "States.Runtime", f"the local engine reads {name} as a number only"
        )
    return float(value)


def await_token(resource: str, arguments: object, token: str, state: Record) -> object:
    """Make a task's call, then wait for its token within the state's limits."""
    silence, total = limit_of(state, "HeartbeatSeconds"), limit_of(state, "TimeoutSeconds")
    started = time.monotonic()
    task: Record = {
        "event": threading.Event(),
        "result": None,
        "error": None,
        "heartbeat": None,
        "beat": started,
    }
    engine_states._task_tokens[token] = task
    call = call_in_background(resource.replace(".waitForTaskToken", ""), arguments)
    try:
        while not task["event"].wait(_POLL):
            if call.done():
                call.result()
            now = time.monotonic()
            if now - started >= total:
                raise engine_states._ExecutionError("States.Timeout", "")
            if now - task["beat"] >= silence:
                raise engine_states._ExecutionError("States.HeartbeatTimeout", "")
    finally:
        engine_states._task_tokens.pop(token, None)
        _ended.add(token)
    if task["error"]:
        raise engine_states._ExecutionError(task["error"]["Error"], task["error"]["Cause"])
    return json.loads(task["result"])


def _timed_out(request: Record) -> object | None:
    if request.get("taskToken") not in _ended:
        return None
    message = "Task Timed Out: 'Provided task does not exist anymore'"
    answer: object = error_response_json("TaskTimedOut", message, 400)
    return answer


def heartbeat(request: Record) -> object:
    """Answer SendTaskHeartbeat: the task is alive."""
    task = engine_states._task_tokens.get(request.get("taskToken"))
    if task:
        task["beat"] = time.monotonic()
    return _timed_out(request) or _plain_heartbeat(request)


def success(request: Record) -> object:
    """Answer SendTaskSuccess."""
    return _timed_out(request) or _plain_success(request)


def failure(request: Record) -> object:
    """Answer SendTaskFailure."""
    return _timed_out(request) or _plain_failure(request)


def install() -> None:
    """Take over tasks with tokens."""
    engine_states._invoke_with_callback = await_token
    engine_states._send_task_heartbeat = heartbeat
    engine_states._send_task_success = success
    engine_states._send_task_failure = failure
