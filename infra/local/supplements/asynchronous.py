"""Asynchronous invocations: one life per event, with the alias's own retry and age settings.

AWS: an event invoked with `InvocationType=Event` through an alias obeys that alias's
EventInvokeConfig; all attempts share one request id; a throttled attempt goes back to the queue and
does not count as a retry; an event older than `MaximumEventAgeInSeconds` is dropped; in the end the
OnSuccess or OnFailure destination gets an envelope, a dead-letter queue the bare event.

Engine: looks at `$LATEST`'s settings only, changes the id at each attempt, counts a throttle as a
failure, never serves OnSuccess, sends the envelope to dead-letter queues too.

Known difference kept: retries wait 1 s and 2 s instead of one and two minutes.

Tests: `test_async_invocation_*`.
"""

import contextvars
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import ministack.services.lambda_svc as engine_lambda

from infra.local.supplements import destinations, request_ids

Record = dict[str, Any]

DEFAULT_RETRIES = 2
DEFAULT_AGE = 21_600
_log = logging.getLogger("everreel.asynchronous")


@dataclass(slots=True)
class Delivery:
    """One event on its way to one function."""

    func: Record
    event: Any
    request_id: str
    accepted: float = field(default_factory=time.time)
    attempts: int = 0

    @property
    def config(self) -> Record:
        """The configuration of the version that runs."""
        config: Record = self.func.get("config") or self.func
        return config

    @property
    def arn(self) -> str:
        """The function's ARN with the qualifier it was called by."""
        arn: str = self.config["FunctionArn"]
        return arn if len(arn.split(":")) > 7 else f"{arn}:$LATEST"

    def settings(self) -> Record:
        """Give the EventInvokeConfig of the qualifier the function was called by."""
        base = engine_lambda._functions.get(self.config["FunctionName"]) or self.func
        configs = base.get("event_invoke_configs") or {}
        qualifier = self.arn.split(":")[7]
        chosen: Record = configs.get(qualifier) or {}
        if not chosen and qualifier == "$LATEST":
            chosen = configs.get("") or base.get("event_invoke_config") or {}
        return chosen

    def run(self) -> None:
        """Invoke until it succeeds, the retries are used up, or the event is too old."""
        engine_lambda._request_account_id.set(self.arn.split(":")[4])
        engine_lambda._request_region.set(self.arn.split(":")[3])
        request_ids.assume(self.request_id)
        settings = self.settings()
        retries = int(settings.get("MaximumRetryAttempts", DEFAULT_RETRIES))
        expires = self.accepted + int(settings.get("MaximumEventAgeInSeconds", DEFAULT_AGE))
        result: Record | None = None
        failures = throttles = 0
        while True:
            outcome: Record = engine_lambda._execute_function(self.func, self.event)
            if outcome.get("throttle"):
                throttles += 1
                wait = min(2.0 ** (throttles - 1), engine_lambda._LAMBDA_ASYNC_RETRY_MAX_SECONDS)
            else:
                self.attempts += 1
                result = outcome
                if not outcome.get("error"):
                    self.report(settings, "Success", result)
                    return
                failures += 1
                if failures > retries:
                    self.report(settings, "RetriesExhausted", result)
                    return
                wait = engine_lambda._LAMBDA_ASYNC_RETRY_BASE_SECONDS * 2.0 ** (failures - 1)
            if time.time() + wait > expires:
                self.report(settings, "EventAgeExceeded", result)
                return
            time.sleep(wait)

    def report(self, settings: Record, condition: str, result: Record | None) -> None:
        """Tell the destination, and the dead-letter queue of a failure."""
        succeeded = condition == "Success"
        chosen = (settings.get("DestinationConfig") or {}).get(
            "OnSuccess" if succeeded else "OnFailure"
        ) or {}
        body = (result or {}).get("body")
        if chosen.get("Destination"):
            envelope = destinations.Envelope(
                request_id=self.request_id,
                function_arn=self.arn,
                condition=condition,
                attempts=self.attempts,
                version=self.config.get("Version", "$LATEST"),
                request=self.event,
                response=body,
                ran=result is not None,
            )
            destinations.deliver(chosen["Destination"], envelope)
        dead_letters = (self.config.get("DeadLetterConfig") or {}).get("TargetArn")
        if dead_letters and not succeeded:
            message = body.get("errorMessage", "") if isinstance(body, dict) else str(body)
            attributes = {
                "RequestID": self.request_id,
                "ErrorCode": "200",
                "ErrorMessage": message[:1024] or condition,
            }
            destinations.send_message(dead_letters, self.event, attributes)
        if not succeeded:
            _log.warning("%s: %s after %d attempts: %s", self.arn, condition, self.attempts, body)


def invoke(func: Record, event: object) -> str:
    """Accept an event for a function and answer at once with its request id."""
    delivery = Delivery(func, event, request_ids.current())
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(delivery.run,), daemon=True).start()
    return delivery.request_id


def install() -> None:
    """Take over every asynchronous invocation (Invoke, S3 and rules)."""
    engine_lambda.invoke_async_with_retry = invoke
