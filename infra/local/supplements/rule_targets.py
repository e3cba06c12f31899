"""A rule hands its event to a function asynchronously, and to a dead-letter queue when it cannot.

AWS: EventBridge invokes a function target asynchronously, so the function's retry, age and
destination settings apply; when the target itself cannot be invoked (gone, no such alias) the
event goes to the target's dead-letter queue with the attributes RULE_ARN, TARGET_ARN, ERROR_CODE
and ERROR_MESSAGE.

Engine: runs the function once in a thread and forgets a failure; has no target dead-letter queues.

Known difference kept: no retries of an impossible delivery; it goes to the queue at once.

Tests: `test_rule_*`.
"""

import json
import logging
from typing import Any

import ministack.services.eventbridge as engine_events
import ministack.services.lambda_svc as engine_lambda

from infra.local.supplements import destinations

Record = dict[str, Any]

_log = logging.getLogger("everreel.rules")
_plain_invoke_target = engine_events._invoke_target


def qualified(config: Record, arn: str) -> Record:
    """Keep the alias a function was called by: its settings are found by it."""
    return {**config, "FunctionArn": arn} if len(arn.split(":")) > 7 else config


def to_function(arn: str, payload: str) -> None:
    """Invoke a function asynchronously with a rule's event."""
    func, config, name = engine_lambda._get_func_record_for_ref(arn)
    if func is None or config is None:
        _log.warning("rule target %s does not exist", name)
        return
    record = engine_lambda._execution_record_for_config(func, qualified(config, arn))
    engine_lambda.invoke_async_with_retry(record, json.loads(payload))


def invoke_target(target: Record, event: Record, rule: Record, view: Any = None) -> None:
    """Deliver to a target, or to its dead-letter queue when the function is not there."""
    arn = target.get("Arn", "")
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if queue and ":lambda:" in arn and engine_lambda._get_func_record_for_ref(arn)[0] is None:
        attributes = {
            "RULE_ARN": rule.get("Arn", ""),
            "TARGET_ARN": arn,
            "ERROR_CODE": "RESOURCE_NOT_FOUND",
            "ERROR_MESSAGE": f"Function not found: {arn}",
        }
        body = (view or engine_events._pattern_event_view(event)).event_with_detail()
        destinations.send_message(queue, body, attributes)
        return
    _plain_invoke_target(target, event, rule, view)


def install() -> None:
    """Take over the function targets of rules."""
    engine_events._dispatch_to_lambda = to_function
    engine_events._invoke_target = invoke_target
