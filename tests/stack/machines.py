"""The state machines as the tests read and run them."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.engine import LocalEngine
from layers.build import ROOT, host_python
from tests.stack.assembly import Json

PATIENCE_S = 60.0
ROLE = "arn:aws:iam::000000000000:role/scripted"


def read(name: str) -> Json:
    """Read a definition of `infra/`."""
    machine: Json = json.loads((ROOT / "infra" / f"{name}.asl.json").read_text())
    return machine


def inner(state: Json) -> Json:
    """Give the machine inside a Map, {} for any other state."""
    found: Json = state.get("ItemProcessor", {})
    return found


def all_states(machine: Json) -> Iterator[tuple[str, Json]]:
    """Give every state, those inside others as well."""
    for name, state in machine.get("States", {}).items():
        yield name, state
        yield from all_states(inner(state))


def followers(state: Json) -> set[str]:
    """Name the states that may come next."""
    found = {state[key] for key in ("Next", "Default") if key in state}
    found |= {choice["Next"] for choice in state.get("Choices", [])}
    return found | {catcher["Next"] for catcher in state.get("Catch", [])}


def reached(machine: Json, start: str) -> set[str]:
    """Name the states that can follow `start`, itself included."""
    found, open_ones = {start}, [start]
    while open_ones:
        new = followers(machine["States"][open_ones.pop()]) - found
        found |= new
        open_ones += new
    return found


def circles_without_a_wait(machine: Json) -> set[str]:
    """Name states that can spin: without its waits a sound graph has no circle."""
    pauses = {
        name
        for name, state in machine["States"].items()
        if state["Type"] == "Wait" or "waitForTaskToken" in state.get("Resource", "")
    }
    left = {n: followers(s) for n, s in machine["States"].items() if n not in pauses}
    while loose := [name for name, after in left.items() if not after & set(left)]:
        for name in loose:
            del left[name]
    return set(left)


# --- on the local engine -------------------------------------------------------------------------

SCRIPTED = """
import json, os, pathlib

class StateUnavailable(Exception):
    pass

def handler(event, context):
    script = pathlib.Path({script!r})
    answers = json.loads(script.read_text())
    kind, answer = answers.pop(0)
    pathlib.Path(str(script) + ".new").write_text(json.dumps(answers))
    os.replace(str(script) + ".new", script)
    with open(str(script) + ".seen", "a") as seen:
        seen.write(json.dumps(event) + "\\n")
    is_kind = (
        "start" if "token" in event else "loss" if "lost" in event
        else "plan" if "owner" in event else "look" if "watch" in event else "seal"
    )
    assert kind == is_kind, (kind, event)
    if answer is None:
        raise StateUnavailable("the table does not answer")
    return answer
"""


def quickened(machine: Json, functions: str) -> Json:
    """Shorten the waits of a definition and let one function answer for all of them."""
    text = json.dumps(machine)
    for word in ("LookFunction", "SealFunction", "RelayFunction"):
        text = text.replace(f"${{{word}}}", functions)
    quick: Json = json.loads(text)
    for _, state in all_states(quick):
        if "Seconds" in state:
            state["Seconds"] = 0
        if "HeartbeatSeconds" in state:
            state["HeartbeatSeconds"] = 2
        for retrier in state.get("Retry", []):
            retrier |= {"IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 1}
    return quick


@dataclass
class Run:
    """What one execution did.

    Attributes:
        name: of the execution.
        entered: states in order, those of a Map left out.
        seen: events that the scripted function was given.
    """

    name: str
    entered: list[str] = field(default_factory=list)
    seen: list[Json] = field(default_factory=list)


class Scripted:
    """A machine on the local engine whose functions answer from a script."""

    def __init__(self, states: Any, script: Path, machine: Json, arn: str) -> None:
        self.states = states
        self.arn = arn
        self._script = script
        self._seen = Path(f"{script}.seen")
        self._inside = {n for s in machine["States"].values() for n, _ in all_states(inner(s))}

    def run(
        self,
        told: Json,
        *answers: tuple[str, Any],
        end: Callable[[str], None] = lambda token: None,
    ) -> Run:
        """Run to the end; `end` is what becomes of each task whose token was handed out."""
        self._seen.unlink(missing_ok=True)
        self._script.write_text(json.dumps(answers))
        execution = self.states.start_execution(stateMachineArn=self.arn, input=json.dumps(told))
        ended = self._wait(execution["executionArn"], end)
        assert ended["status"] == "SUCCEEDED", ended
        return Run(ended["name"], list(self._entered(execution["executionArn"])), self._events())

    def _wait(self, execution: str, end: Callable[[str], None]) -> Json:
        known: set[str] = set()
        ended: Json = {}
        until_s = time.monotonic() + PATIENCE_S
        while True:
            for token in [event["token"] for event in self._events() if "token" in event]:
                if token not in known:
                    known.add(token)
                    end(token)
            ended = self.states.describe_execution(executionArn=execution)
            if ended["status"] != "RUNNING" and json.loads(self._script.read_text()) == []:
                return ended
            left_over = self._script.read_text()
            assert time.monotonic() < until_s, f"no end: {ended}; left over: {left_over}"
            time.sleep(0.05)

    def _events(self) -> list[Json]:
        if not self._seen.exists():
            return []
        lines = self._seen.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def _entered(self, execution: str) -> Iterator[str]:
        history = self.states.get_execution_history(executionArn=execution, maxResults=1000)
        for event in history["events"]:
            details = event.get("stateEnteredEventDetails")
            if details and details["name"] not in self._inside:
                yield details["name"]


@contextmanager
def scripted(folder: Path, name: str, **substitutions: str) -> Iterator[Scripted]:
    """Run a machine of `infra/` on an engine of its own."""
    script = folder / "script.json"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("scripted.py", SCRIPTED.format(script=str(script)))
    with LocalEngine(folder / "engine") as engine:
        engine.client("lambda").create_function(
            FunctionName="scripted",
            Runtime=f"python{host_python()}",
            Role=ROLE,
            Handler="scripted.handler",
            Code={"ZipFile": code.getvalue()},
            Timeout=20,
        )
        states = engine.client("stepfunctions")
        text = json.dumps(quickened(read(name), "scripted"))
        for word, value in substitutions.items():
            text = text.replace(f"${{{word}}}", value)
        made = states.create_state_machine(name=name, definition=text, roleArn=ROLE)
        yield Scripted(states, script, read(name), made["stateMachineArn"])
