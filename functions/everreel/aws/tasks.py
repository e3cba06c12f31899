"""Tasks of Step Functions that wait for a token."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from everreel.aws.faults import fault

OVER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
"""What SendTask* answers when nobody waits with the token any more."""


class StepTasks:
    """Implements `supervisor.ports.Tasks`."""

    def __init__(self, machines: Any) -> None:
        """Use a boto3 client of Step Functions."""
        self._machines = machines

    def beat(self, token: str) -> bool:
        """Tell that the task goes on; False if it is over."""
        return self._send(self._machines.send_task_heartbeat, taskToken=token)

    def succeed(self, token: str, output: dict[str, object]) -> bool:
        """End the task with an output; False if it was over."""
        told = json.dumps(output)
        return self._send(self._machines.send_task_success, taskToken=token, output=told)

    def fail(self, token: str, error: str, cause: str) -> bool:
        """End the task with an error; False if it was over."""
        return self._send(
            self._machines.send_task_failure, taskToken=token, error=error, cause=cause
        )

    def _send(self, call: Any, **told: str) -> bool:
        try:
            call(**told)
        except ClientError as error:
            if error.response["Error"]["Code"] in OVER:
                return False
            raise fault("a task could not be told", error) from error
        except BotoCoreError as error:
            raise fault("a task could not be told", error) from error
        return True
