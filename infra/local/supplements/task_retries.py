"""Retries of a task wait as long as the definition says, and a throttle has its own error name.

AWS: `MaxDelaySeconds` caps and `JitterStrategy: FULL` spreads the delay; a function that is
throttled fails the task with `Lambda.TooManyRequestsException`.

Engine: ignores both fields; calls a throttle `Lambda.Unknown`.

Known difference kept: no delay is longer than 60 s.

Tests: `test_task_when_*`.
"""

import json
import random
from typing import Any

import ministack.services.stepfunctions as engine_states

Record = dict[str, Any]

_plain_find = engine_states._find_matching_retrier
_plain_call = engine_states._call_lambda
_THROTTLED = "TooManyRequestsException"


def find_retrier(
    retriers: list[Record], error: str, counts: dict[int, int]
) -> tuple[Record | None, int]:
    """Choose the retrier for an error and work its next delay out."""
    retrier, index = _plain_find(retriers, error, counts)
    if retrier is None:
        return None, index
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(
        index, 0
    )
    delay = min(delay, retrier.get("MaxDelaySeconds", delay))
    if retrier.get("JitterStrategy") == "FULL":
        delay = random.uniform(0, delay)  # noqa: S311  # spreads load, guards nothing
    return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1}, index


def call_function(reference: str, event: object) -> object:
    """Invoke a function for a task; name a throttle as AWS does."""
    try:
        return _plain_call(reference, event)
    except engine_states._ExecutionError as error:
        cause = json.loads(error.cause) if str(error.cause).startswith("{") else {}
        if cause.get("__type") != _THROTTLED:
            raise
        raise engine_states._ExecutionError(f"Lambda.{_THROTTLED}", error.cause) from error


def install() -> None:
    """Take over delays and function calls."""
    engine_states._find_matching_retrier = find_retrier
    engine_states._call_lambda = call_function
