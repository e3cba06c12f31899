"""Supervision: a sound graph, and on the local engine it does as every look says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from everreel.contract.orders import LookAnswer, LookOrder, SealAnswer, SealOrder, WatchMessage
from everreel.supervisor.backoff import CONFIRM_S, MOST_LOOKS
from everreel.supervisor.sweep import lane_name, supervision_name
from everreel.supervisor.verdict import Action
from infra.registry import LOOK, SEALER
from tests.stack.assembly import Assembly, Json, machines, targets
from tests.stack.machines import (
    ROLE,
    Run,
    Scripted,
    all_states,
    circles_without_a_wait,
    inner,
    reached,
    read,
    scripted,
)

MACHINE = read("supervision")
STATES: dict[str, Json] = MACHINE["States"]
SID = "0123456789abcdef0123456789abcdef"
LANES = "arn:aws:states:us-east-1:000000000000:stateMachine:pretended-lane"


# --- the graph -----------------------------------------------------------------------------------


def test_machine_when_followed_then_every_state_is_reached() -> None:
    assert reached(MACHINE, MACHINE["StartAt"]) == set(STATES)
    lanes = inner(STATES["Start the lanes"])
    assert reached(lanes, lanes["StartAt"]) == set(lanes["States"])


def test_machine_when_followed_then_every_path_can_end() -> None:
    ends = {name for name, state in STATES.items() if state["Type"] == "Succeed"}
    assert ends == {"Sealed", "Done"}
    for name in STATES:
        assert reached(MACHINE, name) & ends, name


def test_machine_when_anything_fails_then_it_never_gives_up_a_recording() -> None:
    assert not [name for name, state in all_states(MACHINE) if state["Type"] == "Fail"]
    assert "TimeoutSeconds" not in MACHINE
    for name, state in all_states(MACHINE):
        if state["Type"] == "Task":
            (retrier,), (catcher,) = state["Retry"], state["Catch"]
            assert retrier["ErrorEquals"] == catcher["ErrorEquals"] == ["States.ALL"], name
            # What is carried between looks must survive the failure.
            assert catcher["ResultPath"] == "$.failure"
            if name in STATES:
                assert STATES[catcher["Next"]]["Type"] == "Wait"


def test_machine_when_a_function_fails_then_it_tries_again_after_5_10_20_and_30_seconds() -> None:
    for name in ("Look", "Seal"):
        (retrier,) = STATES[name]["Retry"]
        waits = [
            min(
                retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n, retrier["MaxDelaySeconds"]
            )
            for n in range(retrier["MaxAttempts"])
        ]
        assert waits == [5, 10, 20, 30]


def test_machine_when_it_loops_then_every_round_waits() -> None:
    assert not circles_without_a_wait(MACHINE)


def test_machine_when_it_chooses_then_it_knows_every_action_a_look_can_answer() -> None:
    known = {choice["StringEquals"] for choice in STATES["What next?"]["Choices"]}
    done_by_the_look = {Action.BURY.value, Action.GIVE_UP.value}
    assert known == {action.value for action in Action} - done_by_the_look


def test_machine_when_started_then_the_first_look_is_the_schedules_first() -> None:
    start = STATES[MACHINE["StartAt"]]
    assert STATES[start["Next"]]["Seconds"] == CONFIRM_S[0]


def test_machine_when_it_waits_for_a_function_then_longer_than_the_function_may_run() -> None:
    assert STATES["Look"]["TimeoutSeconds"] > LOOK.timeout_s
    assert STATES["Seal"]["TimeoutSeconds"] > SEALER.timeout_s


def test_machine_when_it_is_renewed_then_long_before_its_history_is_full() -> None:
    # Entered and left: three states; for the task scheduled, started and ended besides.
    assert MOST_LOOKS * (3 * 2 + 3) < 25_000


def test_machine_when_deployed_then_logged_traced_and_calling_the_aliases(
    either: Assembly,
) -> None:
    machine = either.of_type("AWS::StepFunctions::StateMachine")[
        either.id_of("AWS::StepFunctions::StateMachine", "WorkflowSupervision")
    ]["Properties"]
    assert json.loads(machine["DefinitionString"]) == MACHINE
    substitutions = machine["DefinitionSubstitutions"]
    assert machines(substitutions.pop("LaneMachine")) == {"lane"}
    called = {
        word: either.function_of(next(targets(either, value)))
        for word, value in substitutions.items()
    }
    assert called == {"LookFunction": "look", "SealFunction": "seal_recording"}
    assert machine["StateMachineType"] == "STANDARD"
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ALL"


# --- run on the local engine ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("supervision"), "supervision", LaneMachine=LANES) as made:
        nothing = {
            "StartAt": "Wait",
            "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}},
        }
        made.states.create_state_machine(
            name="pretended-lane", definition=json.dumps(nothing), roleArn=ROLE
        )
        yield made


def supervise(machine: Scripted, *answers: tuple[str, Any], lanes: str = "") -> Run:
    return machine.run({"watch": {"sid": SID}, "lanes": list(lanes)}, *answers)


def look(action: str, looks: int = 1, name: str = "") -> tuple[str, Json]:
    watch = WatchMessage(sid=SID, looks=looks)
    answer = LookAnswer(action=action, wait_s=0, why="scripted", watch=watch, name=name)
    return "look", answer.dump()


def seal(*, sealed: bool) -> tuple[str, Json]:
    answer = SealAnswer(sid=SID, sealed=sealed, status=8, segments=2, media_us=12_000_000)
    return "seal", answer.dump()


BEGIN = ["Start the lanes", "Wait for the first look"]


def test_run_when_a_recording_goes_well_then_watched_and_sealed(machine: Scripted) -> None:
    run = supervise(machine, look("wait", 1), look("wait", 2), look("seal", 3), seal(sealed=True))
    assert run.entered == [
        *BEGIN,
        *("Look", "What next?", "Wait") * 2,
        *("Look", "What next?", "Seal", "Is it sealed?", "Sealed"),
    ]
    assert LookOrder.model_validate(run.seen[0]).watch.looks == 0
    assert LookOrder.model_validate(run.seen[2]).watch.looks == 2
    assert SealOrder.model_validate(run.seen[3]).sid == SID


def test_run_when_it_begins_then_its_lanes_begin_once(machine: Scripted) -> None:
    for _ in range(2):  # the second finds that they run, and goes on
        run = supervise(machine, look("done"), lanes="ab")
        assert run.entered == [*BEGIN, "Look", "What next?", "Done"]
        lanes = machine.states.list_executions(stateMachineArn=LANES)["executions"]
        assert sorted(each["name"] for each in lanes) == [f"{SID}-a", f"{SID}-b"]
        told = machine.states.describe_execution(executionArn=lanes[0]["executionArn"])["input"]
        assert json.loads(told)["watch"]["sid"] == SID
        assert json.loads(told)["watch"]["lane"] in "ab"


def test_names_when_lanes_are_resumed_then_tell_them_from_supervision() -> None:
    assert supervision_name(SID, 7) == f"{SID}-s7"
    assert lane_name(SID, "a", 7) == f"{SID}-a7"
    assert len(supervision_name(SID, 10**12)) <= 80


def test_run_when_somebody_else_has_sealed_then_done(machine: Scripted) -> None:
    run = supervise(machine, look("done"))
    assert run.entered == [*BEGIN, "Look", "What next?", "Done"]


def test_run_when_it_is_long_then_another_execution_goes_on(machine: Scripted) -> None:
    name = supervision_name(SID, 1)
    run = supervise(machine, look("renew", 1500, name), look("done"))
    assert run.entered[-2:] == ["Go on in another execution", "Done"]
    other = machine.states.describe_execution(
        executionArn=machine.arn.replace(":stateMachine:", ":execution:") + f":{name}"
    )
    assert json.loads(other["input"]) == {"watch": {"sid": SID}, "lanes": []}
    assert LookOrder.model_validate(run.seen[1]).watch.looks == 0


def test_run_when_a_lap_is_still_live_at_the_seal_then_it_looks_again(machine: Scripted) -> None:
    run = supervise(machine, look("seal"), seal(sealed=False), look("seal", 2), seal(sealed=True))
    assert run.entered[4:8] == ["Seal", "Is it sealed?", "Wait for the last lap", "Look"]
    assert LookOrder.model_validate(run.seen[2]).watch.looks == 1
    assert run.entered[-1] == "Sealed"


def test_run_when_looks_fail_for_long_then_it_goes_on_with_what_it_knew(machine: Scripted) -> None:
    broken = ("look", None)
    run = supervise(machine, look("wait", 7), broken, broken, broken, look("done"))
    assert run.entered.count("Wait after a failure") == 1
    assert [LookOrder.model_validate(event).watch.looks for event in run.seen] == [0, 7, 7, 7, 7]
    assert run.entered[-1] == "Done"


def test_run_when_the_seal_fails_for_long_then_it_looks_and_seals_again(machine: Scripted) -> None:
    broken = ("seal", None)
    run = supervise(machine, look("seal"), broken, broken, look("seal", 2), seal(sealed=True))
    assert run.entered[4:7] == ["Seal", "Wait after a failure", "Look"]
    assert run.entered[-1] == "Sealed"


def test_run_when_a_look_answers_a_word_of_tomorrow_then_it_looks_again(machine: Scripted) -> None:
    run = supervise(machine, look("dance"), look("done"))
    assert run.entered[3:6] == ["What next?", "Wait after a failure", "Look"]
    assert run.entered[-1] == "Done"
