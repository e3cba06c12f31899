"""The state machine: a sound graph, and on the local engine it does as every look says."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from everreel.contract.orders import LookAnswer, LookOrder, SealAnswer, SealOrder, WatchMessage
from everreel.supervisor.backoff import CONFIRM_S
from everreel.supervisor.verdict import Action
from infra.local.engine import LocalEngine
from infra.registry import LOOK, SEALER
from layers.build import ROOT, host_python
from tests.e2e.probe_stack import until
from tests.stack.assembly import Assembly, Json, targets

MACHINE: Json = json.loads((ROOT / "infra" / "supervision.asl.json").read_text())
STATES: dict[str, Json] = MACHINE["States"]
SID = "0123456789abcdef0123456789abcdef"


def followers(state: Json) -> set[str]:
    """Name the states that may come next."""
    found = {state[key] for key in ("Next", "Default") if key in state}
    found |= {choice["Next"] for choice in state.get("Choices", [])}
    return found | {catcher["Next"] for catcher in state.get("Catch", [])}


def reached(start: str) -> set[str]:
    found, open_ones = {start}, [start]
    while open_ones:
        new = followers(STATES[open_ones.pop()]) - found
        found |= new
        open_ones += new
    return found


# --- the graph -----------------------------------------------------------------------------------


def test_machine_when_followed_then_every_state_is_reached() -> None:
    assert reached(MACHINE["StartAt"]) == set(STATES)


def test_machine_when_followed_then_every_path_can_end() -> None:
    ends = {name for name, state in STATES.items() if state["Type"] == "Succeed"}
    assert ends == {"Sealed", "Done"}
    for name in STATES:
        assert reached(name) & ends, name


def test_machine_when_anything_fails_then_it_never_gives_up_a_recording() -> None:
    assert not [name for name, state in STATES.items() if state["Type"] == "Fail"]
    assert "TimeoutSeconds" not in MACHINE
    for name, state in STATES.items():
        if state["Type"] == "Task":
            (retrier,), (catcher,) = state["Retry"], state["Catch"]
            assert retrier["ErrorEquals"] == catcher["ErrorEquals"] == ["States.ALL"], name
            assert STATES[catcher["Next"]]["Type"] == "Wait"
            # What is carried between looks must survive the failure.
            assert catcher["ResultPath"] == "$.failure"


def test_machine_when_a_service_fails_then_it_tries_again_after_5_10_20_and_30_seconds() -> None:
    for state in STATES.values():
        for retrier in state.get("Retry", []):
            waits = [
                min(
                    retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n,
                    retrier["MaxDelaySeconds"],
                )
                for n in range(retrier["MaxAttempts"])
            ]
            assert waits == [5, 10, 20, 30]


def test_machine_when_it_loops_then_every_round_waits() -> None:
    """Without its waits the graph has no circle: nothing can spin."""
    steady = {name: followers(s) for name, s in STATES.items() if s["Type"] != "Wait"}
    while steady:
        loose = [name for name, after in steady.items() if not after & set(steady)]
        assert loose, f"a circle without a wait: {sorted(steady)}"
        for name in loose:
            del steady[name]


def test_machine_when_it_chooses_then_it_knows_every_action_a_look_can_answer() -> None:
    known = {choice["StringEquals"] for choice in STATES["What next?"]["Choices"]}
    assert known == {action.value for action in Action} - {Action.BURY.value}


def test_machine_when_started_then_the_first_look_is_the_schedules_first() -> None:
    assert STATES[MACHINE["StartAt"]]["Seconds"] == CONFIRM_S[0]


def test_machine_when_it_waits_for_a_function_then_longer_than_the_function_may_run() -> None:
    assert STATES["Look"]["TimeoutSeconds"] > LOOK.timeout_s
    assert STATES["Seal"]["TimeoutSeconds"] > SEALER.timeout_s


def test_machine_when_deployed_then_logged_traced_and_calling_the_aliases(
    either: Assembly,
) -> None:
    machine = either.only("AWS::StepFunctions::StateMachine")
    assert json.loads(machine["DefinitionString"]) == MACHINE
    called = {
        word: either.function_of(next(targets(either, value)))
        for word, value in machine["DefinitionSubstitutions"].items()
    }
    assert called == {"LookFunction": "look", "SealFunction": "seal_recording"}
    assert machine["StateMachineType"] == "STANDARD"
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ALL"


# --- run on the local engine ---------------------------------------------------------------------

SCRIPTED = """
import json, pathlib

class StateUnavailable(Exception):
    pass

def handler(event, context):
    script = pathlib.Path({script!r})
    answers = json.loads(script.read_text())
    kind, answer = answers.pop(0)
    script.write_text(json.dumps(answers))
    with open(str(script) + ".seen", "a") as seen:
        seen.write(json.dumps(event) + "\\n")
    assert kind == ("look" if "watch" in event else "seal"), (kind, event)
    if answer is None:
        raise StateUnavailable("the table does not answer")
    return answer
"""

Run = Callable[..., tuple[list[str], list[Json]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the machine, its waits shortened, against a function that answers from a script."""
    folder = tmp_path_factory.mktemp("supervision")
    script = folder / "script.json"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("scripted.py", SCRIPTED.format(script=str(script)))
    text = (ROOT / "infra" / "supervision.asl.json").read_text()
    for word in ("LookFunction", "SealFunction"):
        text = text.replace(f"${{{word}}}", "scripted")
    machine = json.loads(text)
    for state in machine["States"].values():
        if "Seconds" in state:
            state["Seconds"] = 0
        for retrier in state.get("Retry", []):
            retrier |= {"IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 1}
    with LocalEngine(folder / "engine") as engine:
        engine.client("lambda").create_function(
            FunctionName="scripted",
            Runtime=f"python{host_python()}",
            Role="arn:aws:iam::000000000000:role/scripted",
            Handler="scripted.handler",
            Code={"ZipFile": code.getvalue()},
            Timeout=20,
        )
        states = engine.client("stepfunctions")
        arn = states.create_state_machine(
            name="supervision",
            definition=json.dumps(machine),
            roleArn="arn:aws:iam::000000000000:role/supervision",
        )["stateMachineArn"]

        def once(*answers: tuple[str, Any]) -> tuple[list[str], list[Json]]:
            seen = Path(f"{script}.seen")
            seen.unlink(missing_ok=True)
            script.write_text(json.dumps(answers))
            execution = states.start_execution(
                stateMachineArn=arn, input=json.dumps({"watch": {"sid": SID}})
            )["executionArn"]
            ended = until(
                lambda: states.describe_execution(executionArn=execution),
                20,
                lambda e: e["status"] != "RUNNING",
            )
            assert ended["status"] == "SUCCEEDED", ended
            assert json.loads(script.read_text()) == [], "answers were left over"
            events = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
            entered = [
                e["stateEnteredEventDetails"]["name"]
                for e in events
                if "stateEnteredEventDetails" in e
            ]
            return entered, [json.loads(line) for line in seen.read_text().splitlines()]

        yield once


def look(action: str, looks: int = 1) -> tuple[str, Json]:
    watch = WatchMessage(sid=SID, looks=looks)
    return "look", LookAnswer(action=action, wait_s=0, why="scripted", watch=watch).dump()


def seal(*, sealed: bool) -> tuple[str, Json]:
    answer = SealAnswer(sid=SID, sealed=sealed, status=8, segments=2, media_us=12_000_000)
    return "seal", answer.dump()


def test_run_when_a_recording_goes_well_then_watched_and_sealed(run: Run) -> None:
    entered, seen = run(look("wait", 1), look("wait", 2), look("seal", 3), seal(sealed=True))
    assert entered == [
        "Wait for the first look",
        *("Look", "What next?", "Wait") * 2,
        *("Look", "What next?", "Seal", "Is it sealed?", "Sealed"),
    ]
    assert LookOrder.model_validate(seen[0]).watch.looks == 0
    assert LookOrder.model_validate(seen[2]).watch.looks == 2
    assert SealOrder.model_validate(seen[3]).sid == SID


def test_run_when_somebody_else_has_sealed_then_done(run: Run) -> None:
    entered, _ = run(look("done"))
    assert entered == ["Wait for the first look", "Look", "What next?", "Done"]


def test_run_when_a_lap_is_still_live_at_the_seal_then_it_looks_again(run: Run) -> None:
    entered, seen = run(look("seal"), seal(sealed=False), look("seal", 2), seal(sealed=True))
    assert entered[3:7] == ["Seal", "Is it sealed?", "Wait for the last lap", "Look"]
    assert LookOrder.model_validate(seen[2]).watch.looks == 1
    assert entered[-1] == "Sealed"


def test_run_when_looks_fail_for_long_then_it_goes_on_with_what_it_knew(run: Run) -> None:
    broken = ("look", None)
    entered, seen = run(look("wait", 7), broken, broken, broken, look("done"))
    assert entered.count("Wait after a failure") == 1
    assert [LookOrder.model_validate(event).watch.looks for event in seen] == [0, 7, 7, 7, 7]
    assert entered[-1] == "Done"


def test_run_when_the_seal_fails_for_long_then_it_looks_and_seals_again(run: Run) -> None:
    broken = ("seal", None)
    entered, _ = run(look("seal"), broken, broken, look("seal", 2), seal(sealed=True))
    assert entered[3:6] == ["Seal", "Wait after a failure", "Look"]
    assert entered[-1] == "Sealed"


def test_run_when_a_look_answers_a_word_of_tomorrow_then_it_looks_again(run: Run) -> None:
    entered, _ = run(look("renew"), look("done"))
    assert entered[2:5] == ["What next?", "Wait after a failure", "Look"]
    assert entered[-1] == "Done"
