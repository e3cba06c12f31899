"""A task that is gone: whether it has exited by itself, or was lost and is started anew."""

import json
from dataclasses import replace

import pytest

from everreel.state.notices import Notice
from everreel.state.recording import Reason
from everreel.state.status import Status
from everreel.state.vendor import Call
from everreel.supervisor.practices import CLOUD_TRANSCODER
from everreel.supervisor.provider import Answer
from everreel.supervisor.vendor import Ending
from tests.unit.supervisor.scripted_vendor import (
    GONE,
    ORDER,
    RECORDING,
    RUNNING,
    STARTED,
    STARTING,
    Vendor,
)
from tests.unit.supervisor.vendor_world import VendorWorld

CONFIRMED = [GONE] * 4


def notice(task: str, event: int = 11, **detail: int) -> Notice:
    return Notice("agora", task, event, "101", "last", "lobby", 1, json.dumps(detail))


# ---------------------------------------------------------------------- with notices


def test_task_when_gone_and_said_to_have_exited_then_that_is_the_end() -> None:
    vendor = Vendor({Call.QUERY: [RECORDING, *CONFIRMED]}, exited=True)
    assert vendor.supervise() is Ending.EXITED
    assert vendor.times(Call.QUERY) == [5, 65, 70, 80, 95]
    assert vendor.times(Call.ACQUIRE) == [0]


@pytest.mark.parametrize("answers", [[RECORDING], [RECORDING, *[GONE] * 3, RECORDING]])
def test_task_when_said_to_have_exited_and_found_then_is_watched_on(answers: list[Answer]) -> None:
    vendor = Vendor({Call.QUERY: answers}, exited=True)
    assert vendor.supervise(until_s=1000) is None
    assert vendor.times(Call.ACQUIRE) == [0]


def test_task_when_said_to_have_exited_before_it_ran_then_is_a_start_that_failed() -> None:
    vendor = Vendor({Call.QUERY: [STARTING, *CONFIRMED, RECORDING]}, exited=True)
    assert vendor.supervise(until_s=200) is None
    assert vendor.uids() == ["101", "102"]


@pytest.mark.parametrize(
    ("notices", "reason"),
    [
        ([notice("task", exitStatus=0)], Reason.VENDOR_EXITED),
        ([notice("task", 31)], Reason.VENDOR_EXITED),
        ([notice("task", exitStatus=1)], Reason.VENDOR_FAILED),
        ([notice("task", exitStatus=0), notice("task", 3, status=20)], Reason.VENDOR_FAILED),
        ([notice("another", exitStatus=0)], Reason.VENDOR_FAILED),
        ([notice("task", 33, progress=1)], Reason.VENDOR_FAILED),
        ([], Reason.VENDOR_FAILED),
    ],
    ids=["exit", "uploaded", "abnormal", "contradicting", "another task", "progress", "none"],
)
def test_recording_when_its_task_is_gone_then_the_notices_of_that_task_tell_why(
    notices: list[Notice], reason: Reason
) -> None:
    world = VendorWorld({Call.QUERY: [RECORDING, *CONFIRMED]}, ordered=False)
    world.order(replace(ORDER, restarts=0))
    for each in notices:
        world.notices.remember(each, 1)
    assert world.run()
    assert world.recording.reason is reason
    ended = Status.EXITED if reason is Reason.VENDOR_EXITED else Status.ABNORMAL
    assert world.recording.status is ended


def test_recording_when_another_task_is_gone_then_the_exit_of_the_first_counts_not() -> None:
    starts = [STARTED, replace(STARTED, task="task-2"), replace(STARTED, task="task-3")]
    queries = [RECORDING, *CONFIRMED, RECORDING, *CONFIRMED, RECORDING]
    world = VendorWorld({Call.QUERY: queries, Call.START: starts})
    world.run(until_s=120)
    world.notices.remember(notice("task", exitStatus=0), 1)
    world.run(until_s=400)
    assert world.task.watch.task == "task-3"


# ---------------------------------------------------------------------- without


def test_task_when_started_anew_and_gone_without_media_then_has_exited() -> None:
    vendor = Vendor({Call.QUERY: [RECORDING, *CONFIRMED, RUNNING, RUNNING, *CONFIRMED]})
    assert vendor.supervise() is Ending.EXITED
    assert vendor.uids() == ["101", "102"]


def test_task_when_started_anew_and_gone_before_its_idle_time_then_is_lost() -> None:
    order = replace(ORDER, max_idle_s=300)
    vendor = Vendor({Call.QUERY: [RECORDING, *CONFIRMED, RUNNING, *CONFIRMED, RECORDING]}, order)
    assert vendor.supervise(until_s=600) is None
    assert vendor.uids() == ["101", "102", "101"]


def test_task_when_started_anew_and_gone_after_media_then_is_lost() -> None:
    answers = [RECORDING, *CONFIRMED, RUNNING, RECORDING, RUNNING, *CONFIRMED, RECORDING]
    vendor = Vendor({Call.QUERY: answers})
    assert vendor.supervise(until_s=600) is None
    assert vendor.uids() == ["101", "102", "101"]


def test_task_when_it_was_the_first_and_gone_without_media_then_is_lost_once() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, *CONFIRMED, RECORDING]}, practices=CLOUD_TRANSCODER)
    assert vendor.supervise(until_s=1000) is None
    assert vendor.watch.restarts == 1


def test_queries_when_a_task_started_anew_has_no_media_then_come_within_its_idle_time() -> None:
    vendor = Vendor({Call.QUERY: [RECORDING, *CONFIRMED, RUNNING, RUNNING, RECORDING]})
    vendor.supervise(until_s=300)
    assert vendor.times(Call.QUERY)[5:] == [100, 129, 158, 218, 278]
