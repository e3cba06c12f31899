"""A task that invokes a function asynchronously goes on at once.

AWS: `lambda:invoke` with `InvocationType: Event` succeeds with StatusCode 202 as soon as the event
is accepted; the function's own asynchronous settings apply.

Engine: runs the function and waits for it.

Tests: `test_task_when_it_invokes_an_event_*`.
"""

from typing import Any

import ministack.services.lambda_svc as engine_lambda
import ministack.services.stepfunctions as engine_states

from infra.local.supplements import rule_targets

_plain_invoke = engine_states._invoke_resource


def invoke_event(reference: str, payload: object) -> dict[str, Any]:
    """Accept an event for a function on behalf of a task."""
    func, config, name = engine_lambda._get_func_record_for_ref(reference)
    if func is None or config is None:
        raise engine_states._ExecutionError(
            "Lambda.ResourceNotFoundException", f"Function not found: {name}"
        )
    record = engine_lambda._execution_record_for_config(
        func, rule_targets.qualified(config, reference)
    )
    request_id = engine_lambda.invoke_async_with_retry(record, payload)
    return {
        "ExecutedVersion": config.get("Version", "$LATEST"),
        "Payload": {},
        "SdkHttpMetadata": {"HttpStatusCode": 202},
        "SdkResponseMetadata": {"RequestId": request_id},
        "StatusCode": 202,
    }


def invoke(resource: str, arguments: Any) -> object:  # any JSON value
    """Run a task's resource."""
    if "states:::lambda:invoke" in resource and arguments.get("InvocationType") == "Event":
        reference = engine_states._resolve_lambda_function_ref(
            arguments.get("FunctionName", ""), optimized=True
        )
        return invoke_event(reference, arguments.get("Payload", {}))
    return _plain_invoke(resource, arguments)


def install() -> None:
    """Take over the resources of tasks."""
    engine_states._invoke_resource = invoke
