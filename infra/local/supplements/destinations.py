"""Where the outcome of an asynchronous invocation goes, in AWS's envelope (version 1.0).

AWS: SQS, SNS and Lambda get the envelope; EventBridge gets it as the detail of an event from
source `lambda`, named `Lambda Function Invocation Result - Success` or `- Failure`.

Engine: knows SQS, SNS and Lambda, leaves out version, time, request id and the real count.

Tests: `test_async_invocation_when_it_fails_then_*`.
"""

import datetime
import json
import logging
from dataclasses import dataclass
from typing import Any

import ministack.services.eventbridge as engine_events
import ministack.services.lambda_svc as engine_lambda
import ministack.services.sns as engine_sns
import ministack.services.sqs as engine_sqs

_log = logging.getLogger("everreel.destinations")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The record of one asynchronous invocation."""

    request_id: str
    function_arn: str
    condition: str
    attempts: int
    version: str
    request: Any
    response: Any
    ran: bool

    def document(self) -> dict[str, Any]:
        """Write it in AWS's words."""
        now = datetime.datetime.now(datetime.UTC)
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": self.version}
        if self.condition != "Success":
            response["functionError"] = "Unhandled"
        return {
            "version": "1.0",
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": self.function_arn,
                "condition": self.condition,
                "approximateInvokeCount": self.attempts,
            },
            "requestPayload": self.request,
            "responseContext": response if self.ran else None,
            "responsePayload": self.response,
        }


def send_message(queue_arn: str, body: object, attributes: dict[str, str]) -> None:
    """Put a JSON message with string attributes into a queue."""
    queue = engine_sqs._queue_by_arn(queue_arn)
    if queue is None:
        _log.error("no queue %s", queue_arn)
        return
    _, _, _, region, account, name = queue_arn.split(":")
    url = engine_sqs._queue_name_to_url.get_scoped(account, region, name)
    message = {
        "QueueUrl": url,
        "MessageBody": json.dumps(body),
        "MessageAttributes": {
            key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()
        },
    }
    engine_sqs._act_send_message(message, url)
    engine_lambda.esm_wake.set()


def deliver(target_arn: str, envelope: Envelope) -> None:
    """Send an envelope to an SQS queue, an event bus, a function or a topic."""
    service = target_arn.split(":")[2]
    document = envelope.document()
    if service == "sqs":
        send_message(target_arn, document, {})
    elif service == "events":
        kind = "Success" if envelope.condition == "Success" else "Failure"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {kind}",
            "Detail": json.dumps(document),
            "EventBusName": target_arn.split("/", 1)[1],
            "Resources": [target_arn, envelope.function_arn],
        }
        engine_events._put_events({"Entries": [entry]}, allow_aws_source=True)
    elif service == "lambda":
        func, config, name = engine_lambda._get_func_record_for_ref(target_arn)
        if func is None:
            _log.error("no function %s", name)
            return
        record = engine_lambda._execution_record_for_config(func, config)
        engine_lambda.invoke_async_with_retry(record, document)
    elif service == "sns":
        engine_sns._fanout(target_arn, envelope.request_id, json.dumps(document), "", "", {})
    else:
        _log.error("no destination %s", target_arn)
