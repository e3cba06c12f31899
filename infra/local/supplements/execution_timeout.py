"""A state machine's own `TimeoutSeconds` ends its execution.

AWS: the execution becomes TIMED_OUT; an execution that has ended never changes its status again.

Engine: ignores the field; a task that fails after StopExecution turns ABORTED into FAILED.

Known difference kept: the execution's thread sleeps on inside a Wait that is already moot.

Test: `test_execution_when_it_takes_too_long_*`.
"""

import contextvars
import json
import threading
from typing import Any

import ministack.services.stepfunctions as engine_states

Record = dict[str, Any]

_plain_run = engine_states._run_execution
_plain_fail = engine_states._fail_execution


def expire(execution: Record) -> None:
    """End a running execution as timed out and tell the bus."""
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "TIMED_OUT"
    execution["stopDate"] = engine_states.now_iso()
    engine_states._add_event(execution, "ExecutionTimedOut", {})
    engine_states._emit_execution_status_event(execution)


def run(arn: str) -> None:
    """Run an execution under its machine's time limit."""
    execution = engine_states._executions.get(arn)
    machine = execution and engine_states._state_machines.get(execution["stateMachineArn"])
    limit = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    timer = None
    if limit:
        context = contextvars.copy_context()
        timer = threading.Timer(limit, context.run, args=(expire, execution))
        timer.daemon = True
        timer.start()
    try:
        _plain_run(arn)
    finally:
        if timer:
            timer.cancel()


def fail(execution: Record, error: str, cause: str) -> None:
    """Fail an execution unless it has ended already."""
    if execution["status"] == "RUNNING":
        _plain_fail(execution, error, cause)


def install() -> None:
    """Take over running and failing executions."""
    engine_states._run_execution = run
    engine_states._fail_execution = fail
