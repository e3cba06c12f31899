"""The machine of a lane: a sound graph, and on the local engine it does as every plan says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from everreel.contract.orders import LaneAnswer, LaneOrder, LaneWatchMessage
from everreel.recorder.orders import LapSettings
from everreel.supervisor.lane import MOST_PLANS
from everreel.supervisor.relay import LONGEST_WAIT_S, PULSE_LOST_S, Act
from everreel.supervisor.sweep import lane_name
from infra.registry import RECORDER, RELAY
from tests.stack.assembly import Assembly, Json, targets
from tests.stack.machines import Run, Scripted, circles_without_a_wait, reached, read, scripted

MACHINE = read("lane")
STATES: dict[str, Json] = MACHINE["States"]
SID = "0123456789abcdef0123456789abcdef"
PLANS = ("Plan the next lap", "Plan after a loss")


# --- the graph -----------------------------------------------------------------------------------


def test_machine_when_followed_then_every_state_is_reached_and_every_path_can_end() -> None:
    assert reached(MACHINE, MACHINE["StartAt"]) == set(STATES)
    for name in STATES:
        assert "Done" in reached(MACHINE, name), name


def test_machine_when_anything_fails_then_it_never_gives_up_a_lane() -> None:
    assert not [name for name, state in STATES.items() if state["Type"] == "Fail"]
    assert "TimeoutSeconds" not in MACHINE
    for name, state in STATES.items():
        if state["Type"] == "Task":
            (catcher,) = state["Catch"]
            assert catcher["ErrorEquals"] == ["States.ALL"], name
            # What is carried from plan to plan must survive the failure.
            assert catcher["ResultPath"].startswith("$."), name


def test_machine_when_a_lap_cannot_be_started_then_it_plans_again_instead_of_repeating() -> None:
    # A repeat would have another token, of which the lap that may run already knows nothing.
    assert "Retry" not in STATES["Record a lap"]
    assert STATES["Record a lap"]["Catch"][0]["Next"] == "Plan after a loss"


def test_machine_when_it_loops_then_every_round_waits() -> None:
    assert not circles_without_a_wait(MACHINE)


def test_machine_when_it_chooses_then_it_knows_every_action_a_plan_can_answer() -> None:
    known = {choice["StringEquals"] for choice in STATES["What next?"]["Choices"]}
    assert known == {act.value for act in Act} - {Act.BURY.value, Act.GIVE_UP.value} | {"renew"}


def test_machine_when_it_waits_then_as_long_as_laps_and_their_beats_take() -> None:
    lap = STATES["Record a lap"]
    assert lap["HeartbeatSeconds"] == PULSE_LOST_S == 5 * LapSettings().beat_s
    assert lap["TimeoutSeconds"] > RECORDER.timeout_s + RECORDER.asynchronous.longest_wait_s
    for name in PLANS:
        assert STATES[name]["TimeoutSeconds"] > RELAY.timeout_s
    assert RECORDER.timeout_s >= LONGEST_WAIT_S


def test_machine_when_it_is_renewed_then_long_before_its_history_is_full() -> None:
    # Plan, choice, lap or wait: entered and left; two tasks scheduled, started and ended.
    assert MOST_PLANS * (3 * 2 + 2 * 4) < 25_000


def test_machine_when_deployed_then_logged_traced_and_calling_the_alias(either: Assembly) -> None:
    machine = either.of_type("AWS::StepFunctions::StateMachine")[
        either.id_of("AWS::StepFunctions::StateMachine", "WorkflowLane")
    ]["Properties"]
    assert json.loads(machine["DefinitionString"]) == MACHINE
    ((word, value),) = machine["DefinitionSubstitutions"].items()
    assert (word, either.function_of(next(targets(either, value)))) == (
        "RelayFunction",
        "relay_lap",
    )
    assert machine["StateMachineType"] == "STANDARD"
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ALL"


# --- run on the local engine ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("lane"), "lane") as made:
        yield made


def plan(action: str, plans: int = 1, *, kind: str = "plan", name: str = "") -> tuple[str, Json]:
    watch = LaneWatchMessage(sid=SID, lane="a", plans=plans)
    answer = LaneAnswer(action=action, wait_s=0, why="scripted", watch=watch, name=name)
    return kind, answer.dump()


STARTED = ("start", {"lap": "a1"})


def follow(machine: Scripted, *answers: tuple[str, Any], **options: Any) -> Run:
    return machine.run({"watch": {"sid": SID, "lane": "a"}}, *answers, **options)


def test_run_when_laps_end_well_then_one_after_another(machine: Scripted) -> None:
    def beat_and_end(token: str) -> None:
        machine.states.send_task_heartbeat(taskToken=token)
        machine.states.send_task_success(taskToken=token, output='{"ended": "handed_over"}')

    answers = (plan("wait"), plan("run", 2), STARTED, plan("run", 3), STARTED, plan("done", 4))
    run = follow(machine, *answers, end=beat_and_end)
    assert run.entered == [
        *("Plan the next lap", "What next?", "Wait"),
        *("Plan the next lap", "What next?", "Record a lap") * 2,
        *("Plan the next lap", "What next?", "Done"),
    ]
    orders = [LaneOrder.model_validate(event) for event in run.seen]
    assert [order.watch.plans for order in orders] == [0, 1, 2, 2, 3, 3]
    assert {order.owner for order in orders} == {run.name}
    tokens = [order.token for order in orders if order.token]
    assert len(set(tokens)) == len(tokens) == 2
    assert [order.lost.Error for order in orders] == [""] * 6


def test_run_when_a_lap_crashes_then_the_plan_learns_it(machine: Scripted) -> None:
    def die(token: str) -> None:
        machine.states.send_task_failure(
            taskToken=token, error="LapDied", cause="Runtime.ExitError"
        )

    answers = (plan("run"), STARTED, plan("wait", 2, kind="loss"), plan("done", 3))
    run = follow(machine, *answers, end=die)
    assert run.entered[3:6] == ["Plan after a loss", "What next?", "Wait"]
    order = LaneOrder.model_validate(run.seen[2])
    assert (order.lost.Error, order.watch.plans, order.token) == ("LapDied", 1, "")
    # What was lost once is not told again.
    assert "lost" not in run.seen[3]


def test_run_when_a_lap_does_not_beat_then_its_heartbeat_is_missed(machine: Scripted) -> None:
    run = follow(machine, plan("run"), STARTED, plan("done", 2, kind="loss"))
    order = LaneOrder.model_validate(run.seen[2])
    assert order.lost.Error in {"States.HeartbeatTimeout", "States.Timeout"}


def test_run_when_a_lap_cannot_be_started_then_planned_again(machine: Scripted) -> None:
    run = follow(machine, plan("run"), ("start", None), plan("done", 2, kind="loss"))
    assert run.entered[2:4] == ["Record a lap", "Plan after a loss"]
    assert LaneOrder.model_validate(run.seen[2]).lost.Error


def test_run_when_it_is_long_then_another_execution_goes_on(machine: Scripted) -> None:
    name = lane_name(SID, "a", 1)
    run = follow(machine, plan("renew", 800, name=name), plan("done"))
    assert run.entered[-2:] == ["Go on in another execution", "Done"]
    other = machine.states.describe_execution(
        executionArn=machine.arn.replace(":stateMachine:", ":execution:") + f":{name}"
    )
    assert json.loads(other["input"]) == {"watch": {"sid": SID, "lane": "a"}}
    assert LaneOrder.model_validate(run.seen[1]).owner == name


def test_run_when_another_execution_cannot_begin_then_it_plans_again(machine: Scripted) -> None:
    name = lane_name(SID, "a", 2)
    follow(machine, plan("renew", 800, name=name), plan("done"))
    taken = follow(machine, plan("renew", 800, name=name), plan("done", 801))
    assert taken.entered[2:5] == [
        "Go on in another execution",
        "Wait after a failure",
        "Plan the next lap",
    ]
    assert LaneOrder.model_validate(taken.seen[1]).watch.plans == 800


@pytest.mark.parametrize("kind", ["plan", "loss"])
def test_run_when_plans_fail_for_long_then_it_goes_on_with_what_it_knew(
    machine: Scripted, kind: str
) -> None:
    before = (plan("run", 7), ("start", None)) if kind == "loss" else (plan("wait", 7),)
    run = follow(machine, *before, (kind, None), (kind, None), plan("done", 8))
    assert run.entered.count("Wait after a failure") == 1
    assert LaneOrder.model_validate(run.seen[-1]).watch.plans == 7


def test_run_when_a_plan_answers_a_word_of_tomorrow_then_it_plans_again(machine: Scripted) -> None:
    run = follow(machine, plan("dance"), plan("done"))
    assert run.entered[1:4] == ["What next?", "Wait after a failure", "Plan the next lap"]
