"""Starts laps on Lambda, supervision and lanes on Step Functions, and lists what runs there."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from everreel.aws.faults import fault
from everreel.state.recording import LapOrder


class AwsRunner:
    """Implements `lifecycle.ports.Runner`."""

    def __init__(
        self,
        *,
        record_function: str,
        state_machine: str,
        lane_machine: str,
        functions: Any,
        machines: Any,
        look_function: str = "",
        verify_function: str = "",
    ) -> None:
        """Invoke `record_function` and `look_function` (alias ARNs), execute the machines (ARNs).

        `verify_function` is the alias ARN of what verifies, "" where nobody asks for that.
        `functions` and `machines` are boto3 clients of Lambda and Step Functions.
        """
        self._record_function = record_function
        self._look_function = look_function
        self._verify_function = verify_function
        self._state_machine = state_machine
        self._lane_machine = lane_machine
        self._functions = functions
        self._machines = machines

    def invoke_lap(self, order: LapOrder) -> str:
        """Queue a recorder invocation; return its request id at once.

        Raises: ServiceUnavailable, ServiceFault.
        """
        payload: dict[str, object] = {"sid": order.sid, "lane": order.lane, "lap": order.lap}
        if order.follows:
            payload |= {"follows": order.follows, "relieves": order.relieves}
        if order.recorder_uid:
            payload["recorder_uid"] = order.recorder_uid
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
            raise fault(failed, error) from error
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
            raise fault("no look could be asked for", error) from error

    def supervise(self, sid: str, lanes: str) -> None:
        """Start the supervision of a recording, which starts its lanes.

        Its name is the sid, so a repeat changes nothing. Raises: ServiceUnavailable, ServiceFault.
        Source: StartExecution is idempotent for the same name and input while it runs, and says
        ExecutionAlreadyExists afterwards.
        """
        self._start(self._state_machine, sid, {"watch": {"sid": sid}, "lanes": list(lanes)})

    def resume_supervision(self, sid: str, name: str) -> None:
        """Start another execution for a recording whose supervision was lost.

        Raises: ServiceUnavailable, ServiceFault.
        """
        self._start(self._state_machine, name, {"watch": {"sid": sid}, "lanes": []})

    def resume_lane(self, sid: str, lane: str, name: str) -> None:
        """Start another execution for a lane whose own was lost.

        Raises: ServiceUnavailable, ServiceFault.
        """
        self._start(self._lane_machine, name, {"watch": {"sid": sid, "lane": lane}})

    def running(self) -> set[str]:
        """Return the names of all executions that run. Raises: ServiceUnavailable, ServiceFault.

        Source: ListExecutions is eventually consistent; what began a moment ago may be missing.
        """
        names: set[str] = set()
        for machine in (self._state_machine, self._lane_machine):
            pages = self._machines.get_paginator("list_executions").paginate(
                stateMachineArn=machine, statusFilter="RUNNING"
            )
            try:
                names.update(each["name"] for page in pages for each in page["executions"])
            except (ClientError, BotoCoreError) as error:
                raise fault("executions could not be listed", error) from error
        return names

    def _start(self, machine: str, name: str, told: dict[str, object]) -> None:
        try:
            self._machines.start_execution(
                stateMachineArn=machine, name=name, input=json.dumps(told)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise fault("an execution could not be started", error) from error
        except BotoCoreError as error:
            raise fault("an execution could not be started", error) from error
