"""The deployed probe stack and short words for what the engine's tests do with it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.engine import LocalEngine


class Stack:
    """The deployed probe stack and short words for what the tests do with it."""

    def __init__(self, engine: LocalEngine, outputs: dict[str, str], folder: Path) -> None:
        self.engine = engine
        self.outputs = outputs
        self.folder = folder
        self.aws = {
            name: engine.client(name)
            for name in ("lambda", "sqs", "s3", "dynamodb", "stepfunctions", "events")
        }

    def invoke(self, function: str, event: object, **options: Any) -> Any:
        answer = self.aws["lambda"].invoke(
            FunctionName=function, Payload=json.dumps(event), **options
        )
        return json.loads(answer["Payload"].read())

    def invoke_event(self, event: object, **target: str) -> str:
        answer = self.aws["lambda"].invoke(
            InvocationType="Event", Payload=json.dumps(event), **target
        )
        assert answer["StatusCode"] == 202
        request_id: str = answer["ResponseMetadata"]["RequestId"]
        return request_id

    def message(self, queue: str, matches: Callable[[Any], bool] = bool) -> Any:
        """Wait for a message of a queue whose JSON body fits; others are dropped."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            answer = self.aws["sqs"].receive_message(
                QueueUrl=self.outputs[queue],
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                MaxNumberOfMessages=10,
            )
            for message in answer.get("Messages", []):
                body = json.loads(message["Body"])
                self.aws["sqs"].delete_message(
                    QueueUrl=self.outputs[queue], ReceiptHandle=message["ReceiptHandle"]
                )
                if matches(body):
                    return {**message, "Body": body}
        raise AssertionError(f"no message in {queue}\n{self.engine.log_tail()}")

    def machine(self, name: str, states: dict[str, Any], **fields: Any) -> str:
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        arn: str = self.aws["stepfunctions"].create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::000000000000:role/probe",
        )["stateMachineArn"]
        return arn

    def run(self, name: str, states: dict[str, Any], value: object = None, **fields: Any) -> Any:
        """Run a machine to its end."""
        execution = self.aws["stepfunctions"].start_execution(
            stateMachineArn=self.machine(name, states, **fields), input=json.dumps(value or {})
        )["executionArn"]
        return self.ended(execution)

    def ended(self, execution: str, seconds: float = 15) -> Any:
        return until(
            lambda: self._described(execution), seconds, lambda e: e["status"] != "RUNNING"
        )

    def _described(self, execution: str) -> Any:
        return self.aws["stepfunctions"].describe_execution(executionArn=execution)


def until(read: Callable[[], Any], seconds: float, fits: Callable[[Any], Any] = bool) -> Any:
    deadline = time.monotonic() + seconds
    while not fits(value := read()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.03)
    return value


def notes(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def task(function: str, payload: object, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        "OutputPath": "$.Payload",
        "End": True,
        **fields,
    }
