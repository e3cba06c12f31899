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
        look_function: str = "",
    ) -> None:
        """Invoke `record_function` and `look_function` (alias ARNs), execute `state_machine` (ARN).

        `functions` and `machines` are boto3 clients of Lambda and Step Functions.
        """
        self._record_function = record_function
        self._look_function = look_function
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
        try:
            answer = self._functions.invoke(
                FunctionName=self._record_function,
                InvocationType="Event",
                Payload=json.dumps(payload).encode(),
            )
        except (ClientError, BotoCoreError) as error:
            raise _fault("the recorder could not be invoked", error) from error
        request_id: str = answer["ResponseMetadata"]["RequestId"]
        return request_id

    def wake(self, sid: str) -> None:
        """Queue a look at a recording. Raises: ServiceUnavailable, ServiceFault."""
        try:
            self._functions.invoke(
                FunctionName=self._look_function,
                InvocationType="Event",
                Payload=json.dumps({"watch": {"sid": sid}}).encode(),
            )
        except (ClientError, BotoCoreError) as error:
            raise _fault("no look could be asked for", error) from error

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
