"""A start whose answer is lost may have been taken: what a stop and a new ticket make of that."""

import pytest

from everreel.state.recording import Reason
from everreel.state.status import Status
from everreel.state.vendor import Call
from everreel.supervisor.answers import is_doubtful
from everreel.supervisor.elsewhere import BUSY_S
from everreel.supervisor.provider import Answer
from everreel.supervisor.vendor import Ending
from everreel.supervisor.verdict import Action
from tests.unit.supervisor.scripted_vendor import (
    ACQUIRED,
    BROKEN,
    SILENT,
    STARTED,
    THROTTLED,
    UNFINISHED,
    Vendor,
)
from tests.unit.supervisor.vendor_world import VendorWorld

LOST = [SILENT, BROKEN, UNFINISHED, Answer(504, code=62), Answer(206), Answer(400, code=62)]
ALREADY = Answer(201, code=7)


@pytest.mark.parametrize("answer", LOST, ids=repr)
def test_start_when_its_answer_tells_nothing_then_is_in_doubt(answer: Answer) -> None:
    assert is_doubtful(Call.START, answer)
    assert not is_doubtful(Call.ACQUIRE, answer)


@pytest.mark.parametrize("answer", [STARTED, THROTTLED, Answer(400, code=2), Answer(401)])
def test_start_when_its_answer_is_clear_then_is_not_in_doubt(answer: Answer) -> None:
    assert not is_doubtful(Call.START, answer)


# ---------------------------------------------------------------------- a new ticket


def test_start_when_it_runs_already_without_a_name_then_the_other_uid_at_once() -> None:
    vendor = Vendor({Call.START: [SILENT, ALREADY, STARTED]})
    vendor.supervise(until_s=60)
    assert vendor.times(Call.START) == [0, 3, 3]
    assert vendor.uids() == ["101", "102"]
    assert {made.domain for made in vendor.made[2:]} == {1}, "nothing is wrong with the address"


def test_start_when_it_always_runs_already_then_is_given_up_after_four_tickets() -> None:
    vendor = Vendor({Call.START: [ALREADY]})
    assert vendor.supervise() is Ending.NEVER_STARTED
    assert len(vendor.times(Call.START)) == 4


@pytest.mark.parametrize(
    ("answers", "told"), [([ALREADY], True), ([SILENT] * 4, True), ([Answer(409)], False)]
)
def test_attempt_when_it_may_record_on_then_says_so(answers: list[Answer], told: bool) -> None:
    world = VendorWorld({Call.START: [*answers, STARTED]})
    world.run(until_s=60)
    [attempt] = world.task.attempts
    assert (attempt.uid, attempt.task) == ("101", "")
    assert ("may have been taken and record on until its idle time" in attempt.why) is told
    assert world.recording.status is Status.IN_PROGRESS


# ---------------------------------------------------------------------- stop


@pytest.mark.parametrize("lost", [SILENT, BROKEN, UNFINISHED], ids=repr)
def test_stop_when_a_start_is_in_doubt_then_its_repeat_names_the_task_that_is_stopped(
    lost: Answer,
) -> None:
    vendor = Vendor({Call.START: [lost, STARTED]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.times(Call.START) == [0, 3]
    assert len(vendor.times(Call.STOP)) == 1


@pytest.mark.parametrize(
    "repeats", [[BROKEN], [Answer(400, code=2)], [Answer(400, code=53)], [ALREADY]], ids=repr
)
def test_stop_when_the_task_is_never_told_then_is_not_said_to_be_done(
    repeats: list[Answer],
) -> None:
    vendor = Vendor({Call.START: [SILENT, *repeats]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOP_UNCONFIRMED
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.times(Call.STOP) == []


def test_stop_when_a_ticket_in_doubt_was_given_up_then_is_not_said_to_be_done() -> None:
    script = {Call.START: [SILENT], Call.ACQUIRE: [ACQUIRED, BROKEN]}
    vendor = Vendor(script, stop_at_s=20)
    assert vendor.supervise() is Ending.STOP_UNCONFIRMED
    assert len(vendor.times(Call.START)) == 4


def test_stop_when_the_vendor_has_clearly_started_nothing_then_is_done() -> None:
    vendor = Vendor({Call.START: [THROTTLED]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.START) == [0]


def test_stop_when_the_next_identity_runs_then_is_done() -> None:
    vendor = Vendor({Call.START: [SILENT] * 4 + [STARTED]}, stop_at_s=30)
    assert vendor.supervise() is Ending.STOPPED


def test_recording_when_stopped_while_its_start_is_in_doubt_then_the_task_is_stopped() -> None:
    world = VendorWorld({Call.START: [SILENT, STARTED]})
    world.look()
    world.clock.advance(1)
    verdict = world.stop()
    assert (verdict.action, verdict.wait_s) == (Action.WAIT, 2)
    world.clock.advance(2)
    assert world.look().action is Action.DONE
    assert world.times(Call.STOP) == [3]
    assert (world.recording.status, world.recording.reason) == (Status.EXITED, Reason.STOPPED)


def test_recording_when_stopped_and_its_task_was_never_told_then_says_so() -> None:
    world = VendorWorld({Call.START: [SILENT, BROKEN]})
    world.look()
    world.stop()
    assert world.run()
    assert world.recording.status is Status.ABNORMAL
    assert world.recording.failure is not None
    assert world.recording.failure.code == "vendor_stop_unconfirmed"


def test_recording_when_stopped_after_a_look_died_in_its_start_then_the_task_is_stopped() -> None:
    world = VendorWorld()
    world.die(1)
    world.stop()
    world.clock.advance(BUSY_S)
    assert world.wake().action is Action.DONE
    assert [call for _, call, _ in world.asked] == [
        Call.ACQUIRE, Call.START, Call.START, Call.STOP,
    ]  # fmt: skip
