"""Starting an execution twice under one name is one execution.

AWS: StartExecution of a standard workflow with the name and input of an execution that is still
running answers as the first call did; any other reuse of a name within 90 days is
`ExecutionAlreadyExists`.

Engine: refuses every reuse.

Test: `test_execution_when_started_twice_*`.
"""

from typing import Any

import ministack.services.stepfunctions as engine_states
from ministack.core.responses import get_account_id, get_region, json_response

_plain_start = engine_states._start_execution


def start(request: dict[str, Any]) -> object:
    """Start an execution, or answer with the running one of the same name and input."""
    machine_arn = engine_states._resolve_state_machine_arn(request.get("stateMachineArn", ""))
    machine = engine_states._state_machines.get(machine_arn) if machine_arn else None
    if machine and request.get("name"):
        arn = (
            f"arn:aws:states:{get_region()}:{get_account_id()}"
            f":execution:{machine['name']}:{request['name']}"
        )
        running = engine_states._executions.get(arn)
        same_input = running and running["input"] == request.get("input", "{}")
        if running and same_input and running["status"] == "RUNNING":
            return json_response({"executionArn": arn, "startDate": running["startDate"]})
    return _plain_start(request)


def install() -> None:
    """Take over StartExecution."""
    engine_states._start_execution = start
