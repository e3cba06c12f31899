"""Starts laps on Lambda and supervision on Step Functions."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from everreel.errors import ServiceFault, ServiceUnavailable
from everreel.state.recording import LapOrder

TRANSIENT = frozenset({"TooManyRequestsException", "ServiceException", "ThrottlingException"})
"""Error codes after which the same call may succeed, besides every HTTP status from 500 on."""


class AwsRunner:
    """Implements `lifecycle.ports.Runner`."""

    def __init__(
        self,
        *,
        record_function: str,
        state_machine: str,
        functions: Any,
        machines: Any,
        verify_function: str = "",
    ) -> None:
        """Invoke `record_function` (alias ARN) and start executions of `state_machine` (ARN).

        `verify_function` is the alias ARN of what verifies, "" where nobody asks for that.
        `functions` and `machines` are boto3 clients of Lambda and Step Functions.
        """
        self._record_function = record_function
        self._verify_function = verify_function
        self._state_machine = state_machine
        self._functions = functions
        self._machines = machines

    def invoke_lap(self, order: LapOrder) -> str:
        """Queue a recorder invocation; return its request id at once.

        Raises: ServiceUnavailable, ServiceFault.
        """
        payload: dict[str, object] = {"sid": order.sid, "lane": order.lane, "lap": order.lap}
        if order.follows:
            payload["follows"] = order.follows
        return self._invoke(self._record_function, payload, "the recorder could not be invoked")

    def verify(self, sid: str) -> str:
        """Queue a verification; return its request id at once.

        Raises: ServiceUnavailable, ServiceFault.
        """
        what = "the verification could not be invoked"
        return self._invoke(self._verify_function, {"sid": sid}, what)

    def _invoke(self, function: str, payload: dict[str, object], failed: str) -> str:
        try:
            answer = self._functions.invoke(
                FunctionName=function,
                InvocationType="Event",
                Payload=json.dumps(payload).encode(),
            )
        except (ClientError, BotoCoreError) as error:
            raise _fault(failed, error) from error
        request_id: str = answer["ResponseMetadata"]["RequestId"]
        return request_id

    def supervise(self, sid: str) -> None:
        """Start the supervision of a recording; its name is the sid, so a repeat changes nothing.

        Raises: ServiceUnavailable, ServiceFault.
        Source: StartExecution is idempotent for the same name and input while it runs, and says
        ExecutionAlreadyExists afterwards.
        """
        try:
            self._machines.start_execution(
                stateMachineArn=self._state_machine,
                name=sid,
                input=json.dumps({"watch": {"sid": sid}}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise _fault("supervision could not be started", error) from error
        except BotoCoreError as error:
            raise _fault("supervision could not be started", error) from error


def _fault(what: str, error: ClientError | BotoCoreError) -> ServiceFault:
    """Tell a service that is busy or away from one that refuses."""
    if isinstance(error, BotoCoreError):
        return ServiceUnavailable(f"{what}: {type(error).__name__}")
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    if code in TRANSIENT or status >= 500:
        return ServiceUnavailable(f"{what}: {code}")
    return ServiceFault(f"{what}: {code}")
