"""What is asked of Lambda, Step Functions and Secrets Manager, and what becomes of their errors."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from everreel.aws.runner import AwsRunner
from everreel.aws.secrets import read_secret
from everreel.errors import Retry, ServiceFault, ServiceUnavailable
from everreel.state.recording import LapOrder

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
RECORDER = "arn:aws:lambda:eu-central-1:111122223333:function:everreel-record-lap:live"
LOOK = "arn:aws:lambda:eu-central-1:111122223333:function:everreel-look:live"
VERIFIER = "arn:aws:lambda:eu-central-1:111122223333:function:everreel-verify-recording:live"
MACHINE = "arn:aws:states:eu-central-1:111122223333:stateMachine:everreel-supervision"
LANES = "arn:aws:states:eu-central-1:111122223333:stateMachine:everreel-lane"


class Service:
    """A client of one service: remembers requests, fails when it was told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.requests: list[dict[str, Any]] = []

    def _answer(self, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        return answer

    def invoke(self, **request: Any) -> dict[str, Any]:
        return self._answer(request, {"ResponseMetadata": {"RequestId": "invocation-1"}})

    def start_execution(self, **request: Any) -> dict[str, Any]:
        return self._answer(request, {"executionArn": f"{MACHINE}:{SID}"})

    def get_secret_value(self, **request: Any) -> dict[str, Any]:
        return self._answer(request, {"SecretString": "hunter2"})


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Call",
    )


def runner(functions: Service, machines: Service) -> AwsRunner:
    return AwsRunner(
        record_function=RECORDER,
        state_machine=MACHINE,
        lane_machine=LANES,
        functions=functions,
        machines=machines,
        look_function=LOOK,
        verify_function=VERIFIER,
    )


def test_lap_when_invoked_then_is_asynchronous_and_its_request_id_is_answered() -> None:
    functions = Service()
    assert runner(functions, Service()).invoke_lap(LapOrder(SID, "a", 1)) == "invocation-1"
    [request] = functions.requests
    assert (request["FunctionName"], request["InvocationType"]) == (RECORDER, "Event")
    assert json.loads(request["Payload"]) == {"sid": SID, "lane": "a", "lap": 1}


def test_supervision_when_started_then_has_the_name_of_the_recording() -> None:
    machines = Service()
    runner(Service(), machines).supervise(SID, "ab")
    [request] = machines.requests
    assert (request["stateMachineArn"], request["name"]) == (MACHINE, SID)
    assert json.loads(request["input"]) == {"watch": {"sid": SID}, "lanes": ["a", "b"]}


def test_supervision_when_it_was_started_before_then_nothing_is_wrong() -> None:
    runner(Service(), Service(refused("ExecutionAlreadyExists"))).supervise(SID, "ab")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (refused("TooManyRequestsException", 429), ServiceUnavailable),
        (refused("ThrottlingException"), ServiceUnavailable),
        (refused("ServiceException", 500), ServiceUnavailable),
        (refused("Unknown", 503), ServiceUnavailable),
        (EndpointConnectionError(endpoint_url="https://lambda.example"), ServiceUnavailable),
        (ReadTimeoutError(endpoint_url="https://lambda.example"), ServiceUnavailable),
        (refused("AccessDeniedException", 403), ServiceFault),
        (refused("ResourceNotFoundException", 404), ServiceFault),
        (refused("StateMachineDoesNotExist"), ServiceFault),
    ],
)
def test_service_when_it_fails_then_busy_is_told_from_broken(
    failure: Exception, kind: type[ServiceFault]
) -> None:
    broken = runner(Service(failure), Service(failure))
    for call in (
        lambda: broken.invoke_lap(LapOrder(SID, "a", 1)),
        lambda: broken.supervise(SID, "ab"),
    ):
        with pytest.raises(ServiceFault) as caught:
            call()
        assert type(caught.value) is kind
        assert (caught.value.retry is Retry.SAME) == (kind is ServiceUnavailable)


def test_secret_when_read_then_is_its_text_and_a_failure_does_not_show_it() -> None:
    assert read_secret(Service(), "arn:secret") == "hunter2"
    for failure in (refused("AccessDeniedException"), EndpointConnectionError(endpoint_url="x")):
        with pytest.raises(ServiceFault, match="cannot be read"):
            read_secret(Service(failure), "arn:secret")


def test_look_when_asked_for_then_is_asynchronous_and_told_the_recording_alone() -> None:
    functions = Service()
    runner(functions, Service()).wake(SID)
    [request] = functions.requests
    assert (request["FunctionName"], request["InvocationType"]) == (LOOK, "Event")
    assert json.loads(request["Payload"]) == {"watch": {"sid": SID}}


def test_look_when_lambda_is_busy_then_may_be_asked_for_again() -> None:
    functions = Service(refused("TooManyRequestsException", 429))
    with pytest.raises(ServiceUnavailable):
        runner(functions, Service()).wake(SID)


def test_verification_when_asked_for_then_is_asynchronous_and_its_request_id_is_answered() -> None:
    functions = Service()
    assert runner(functions, Service()).verify(SID) == "invocation-1"
    [request] = functions.requests
    assert (request["FunctionName"], request["InvocationType"]) == (VERIFIER, "Event")
    assert json.loads(request["Payload"]) == {"sid": SID}
    with pytest.raises(ServiceUnavailable, match="verification"):
        runner(Service(refused("TooManyRequestsException", 429)), Service()).verify(SID)
