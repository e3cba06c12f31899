"""The promises of `supervisor.ports.Tasks`, held by the adapter to Step Functions and the fake."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from everreel.aws.tasks import StepTasks
from everreel.errors import ServiceFault, ServiceUnavailable
from everreel.supervisor.memory import MemoryTasks
from everreel.supervisor.ports import Tasks


def refused(code: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SendTask")  # type: ignore[arg-type]


class ScriptedMachines:
    """Step Functions with one task whose token is `token`."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.over = "TaskTimedOut"
        self.waits = True
        self.requests: list[dict[str, Any]] = []

    def _take(self, request: dict[str, Any], *, ends: bool) -> None:
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        if request["taskToken"] != "token":
            raise refused("InvalidToken")
        if not self.waits:
            raise refused(self.over)
        self.waits = not ends

    def send_task_heartbeat(self, **request: Any) -> None:
        self._take(request, ends=False)

    def send_task_success(self, **request: Any) -> None:
        self._take(request, ends=True)

    def send_task_failure(self, **request: Any) -> None:
        self._take(request, ends=True)


@pytest.fixture(params=["memory", "step functions"])
def tasks(request: pytest.FixtureRequest) -> Tasks:
    if request.param == "memory":
        memory = MemoryTasks()
        memory.wait("token")
        return memory
    return StepTasks(ScriptedMachines())


def test_task_when_it_waits_then_beaten_until_it_ends(tasks: Tasks) -> None:
    assert tasks.beat("token")
    assert tasks.beat("token")
    assert tasks.succeed("token", {"ended": "stopped"})
    assert not tasks.beat("token")
    assert not tasks.succeed("token", {})
    assert not tasks.fail("token", "LapDied", "late")


def test_task_when_failed_then_over(tasks: Tasks) -> None:
    assert tasks.fail("token", "LapDied", "Runtime.ExitError")
    assert not tasks.beat("token")
    assert not tasks.fail("token", "LapDied", "again")


def test_token_when_of_no_task_then_no_error(tasks: Tasks) -> None:
    assert not tasks.beat("another")
    assert not tasks.succeed("another", {})
    assert not tasks.fail("another", "e", "c")


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_service_when_it_says_that_a_task_is_over_then_false(code: str) -> None:
    machines = ScriptedMachines()
    machines.waits, machines.over = False, code
    assert not StepTasks(machines).beat("token")


def test_service_when_told_then_in_its_words() -> None:
    machines = ScriptedMachines()
    StepTasks(machines).beat("token")
    StepTasks(machines).succeed("token", {"ended": "stopped"})
    StepTasks(machines).fail("token", "LapDied", "why")
    assert machines.requests[0] == {"taskToken": "token"}
    assert json.loads(machines.requests[1]["output"]) == {"ended": "stopped"}
    assert machines.requests[2] == {"taskToken": "token", "error": "LapDied", "cause": "why"}


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (refused("ThrottlingException"), ServiceUnavailable),
        (refused("InternalError", 500), ServiceUnavailable),
        (ConnectTimeoutError(endpoint_url="https://states"), ServiceUnavailable),
        (refused("AccessDeniedException"), ServiceFault),
        (refused("InvalidOutput"), ServiceFault),
    ],
)
def test_service_when_it_fails_then_busy_is_told_from_broken(
    failure: Exception, kind: type[ServiceFault]
) -> None:
    tasks = StepTasks(ScriptedMachines(failure))
    for call in (
        lambda: tasks.beat("token"),
        lambda: tasks.succeed("token", {}),
        lambda: tasks.fail("token", "e", "c"),
    ):
        with pytest.raises(ServiceFault) as caught:
            call()
        assert type(caught.value) is kind


def test_memory_when_told_to_fail_then_fails_once_and_changes_nothing() -> None:
    tasks = MemoryTasks()
    tasks.wait("token")
    tasks.failures = [ServiceUnavailable("away")]
    with pytest.raises(ServiceUnavailable):
        tasks.succeed("token", {})
    assert tasks.is_waiting("token")
    assert tasks.beat("token")
    assert tasks.beats == {"token": 1}
