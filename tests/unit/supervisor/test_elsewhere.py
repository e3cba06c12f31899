"""Looks at a recording that runs at a vendor: one caller at a time, its end, and what is told."""

from dataclasses import replace
from itertools import pairwise
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.state.recording import ProviderName, Reason
from everreel.state.status import Status
from everreel.state.vendor import Call, VendorTask, VendorWatch
from everreel.supervisor.backoff import MOST_LOOKS
from everreel.supervisor.elsewhere import BUSY_S, KEYLESS_S
from everreel.supervisor.practices import CLOUD_RECORDING
from everreel.supervisor.provider import Answer
from everreel.supervisor.sweep import sweep
from everreel.supervisor.verdict import Action
from tests.unit.supervisor.scripted_vendor import (
    BROKEN,
    EXITED,
    FAILED,
    GONE,
    NAMELESS,
    ORDER,
    RUNNING,
    SID,
    STARTED,
    STARTING,
    STOPPED,
)
from tests.unit.supervisor.vendor_world import VendorWorld

# ---------------------------------------------------------------------- a life


def test_recording_when_all_is_well_then_runs_is_stopped_and_sealed() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    assert world.recording.status is Status.IN_PROGRESS
    assert world.told == ["RecordingStarted"]
    assert world.stop().action is Action.DONE
    assert world.times(Call.STOP) == [30]
    assert (world.recording.status, world.recording.reason) == (Status.EXITED, Reason.STOPPED)
    assert world.recording.sealed_utc_us == world.clock.utc_us()
    last = world.run()
    assert last is not None
    assert last.action is Action.DONE
    assert world.told == ["RecordingStarted", "RecordingSealed"]


def test_recording_when_the_door_wakes_then_starts_at_once_and_the_machine_goes_on() -> None:
    world = VendorWorld()
    assert world.wake().wait_s == 5
    assert world.times(Call.START) == [0]
    world.run(until_s=70)
    assert world.times(Call.START) == [0]
    assert world.times(Call.QUERY) == [5, 65]


def test_events_when_told_then_name_the_task_and_its_playlist() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    world.stop()
    started, sealed = world.bus.published
    assert started.detail["provider"] == sealed.detail["provider"] == "agora"
    assert started.detail["task"] == sealed.detail["task"] == "task"
    assert started.detail["playlist"] == sealed.detail["playlist"] == "task_lobby.m3u8"
    assert sealed.detail["status"] == 8


@pytest.mark.parametrize(
    ("script", "status", "reason", "code"),
    [
        ({Call.QUERY: [RUNNING, EXITED]}, Status.EXITED, Reason.VENDOR_EXITED, None),
        (
            {Call.START: [Answer(400, code=2, field="storageConfig", message="invalid")]},
            Status.ABNORMAL,
            Reason.VENDOR_FAILED,
            "vendor_refused",
        ),
        ({Call.START: [BROKEN]}, Status.ABNORMAL, Reason.NEVER_STARTED, "vendor_never_started"),
        (
            {Call.QUERY: [RUNNING, FAILED] * 9},
            Status.ABNORMAL,
            Reason.VENDOR_FAILED,
            "vendor_lost",
        ),
        (
            {Call.ACQUIRE: [Answer(400, code=406)]},
            Status.ABNORMAL,
            Reason.VENDOR_FAILED,
            "vendor_no_room",
        ),
        (
            {Call.ACQUIRE: [Answer(429)]},
            Status.ABNORMAL,
            Reason.NEVER_STARTED,
            "vendor_never_started",
        ),
    ],
    ids=["exited", "refused", "never started", "lost", "no room", "too many calls"],
)
def test_recording_when_its_task_is_over_then_ends_with_the_reason(
    script: dict[Call, list[Answer]], status: Status, reason: Reason, code: str | None
) -> None:
    world = VendorWorld(script)
    last = world.run()
    assert last is not None
    assert last.action is Action.DONE
    recording = world.recording
    assert (recording.status, recording.reason) == (status, reason)
    assert (recording.failure.code if recording.failure else None) == code
    assert recording.sealed_utc_us
    assert world.tasks.live(ProviderName.AGORA, "app") == []
    assert world.told.count("RecordingSealed") == 1
    assert world.told.count("RecordingFailed") == (1 if code else 0)


def test_recording_when_the_vendor_refuses_then_the_field_and_its_words_are_told() -> None:
    refusal = Answer(400, code=2, field="storageConfig", message="invalid storageConfig")
    world = VendorWorld({Call.START: [refusal]})
    world.run()
    assert world.recording.failure is not None
    assert world.recording.failure.field == "vendor.request.storageConfig"
    assert "answered 400, code 2 (invalid storageConfig)" in world.recording.failure.message


def test_recording_when_it_is_over_then_the_order_holds_nothing_that_lets_anybody_in() -> None:
    world = VendorWorld(ordered=False)
    world.order(replace(ORDER, request={"storageConfig": {}}, tokens={"101": "token-1"}))
    world.run(until_s=30)
    world.stop()
    assert (world.task.order.request, world.task.order.tokens) == ({}, {})


def test_recording_when_its_task_is_lost_then_the_next_one_runs_and_the_first_is_told_of() -> None:
    starts = [STARTED, replace(STARTED, task="task-2")]
    world = VendorWorld({Call.QUERY: [RUNNING, FAILED, RUNNING], Call.START: starts})
    world.run(until_s=100)
    [attempt] = world.task.attempts
    assert (attempt.uid, attempt.task) == ("101", "task")
    assert "failed" in attempt.why
    assert world.task.watch.task == "task-2"
    assert world.task.watch.restarts == 1
    assert world.recording.status is Status.IN_PROGRESS
    assert world.told == ["RecordingStarted"]
    # What was lost was not waited for: the machine's look made both.
    assert world.times(Call.START) == [5, 70]


def test_recording_when_it_may_not_last_longer_then_is_stopped_in_time() -> None:
    world = VendorWorld(max_duration_s=100)
    last = world.run()
    assert last is not None
    assert world.times(Call.STOP) == [10 + 100]
    assert world.recording.reason is Reason.MAX_DURATION
    assert world.recording.status is Status.EXITED


# ---------------------------------------------------------------------- stop


def test_stop_when_asked_for_during_a_call_then_follows_in_the_same_look() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    waken: list[int] = []

    def stop_meanwhile() -> None:
        waken.append(world.stop().wait_s)

    world.during = [stop_meanwhile]
    world.run(until_s=75)
    assert waken == [5], "the second look left it to the first"
    assert world.times(Call.STOP) == world.times(Call.QUERY)[-1:]
    assert world.recording.status is Status.EXITED


def test_stop_when_it_fails_then_is_tried_again_while_the_look_lasts() -> None:
    world = VendorWorld({Call.STOP: [BROKEN, BROKEN, STOPPED]})
    world.run(until_s=30)
    assert world.stop().action is Action.DONE
    assert world.times(Call.STOP) == [30, 35, 45]


def test_stop_when_it_goes_on_failing_then_the_machine_goes_on_and_says_so_in_the_end() -> None:
    world = VendorWorld({Call.STOP: [BROKEN]})
    world.run(until_s=30)
    assert world.stop().action is Action.WAIT
    assert world.times(Call.STOP) == [30, 35, 45]
    last = world.run()
    assert last is not None
    assert len(world.times(Call.STOP)) == 5
    failure = world.recording.failure
    assert failure is not None
    assert failure.code == "vendor_stop_unconfirmed"


def test_stop_when_nothing_was_begun_then_the_vendor_is_not_asked() -> None:
    world = VendorWorld()
    assert world.stop().action is Action.DONE
    assert world.asked == []
    assert world.recording.status is Status.EXITED


def test_stop_when_repeated_then_the_vendor_is_asked_once() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    world.stop()
    assert world.wake().action is Action.DONE
    assert world.times(Call.STOP) == [30]


# ---------------------------------------------------------------------- two at once


def test_looks_when_several_come_at_once_then_one_task_is_started() -> None:
    world = VendorWorld()
    ready = Barrier(6)

    def come() -> None:
        ready.wait()
        world.wake()

    threads = [Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.times(Call.ACQUIRE)) == len(world.times(Call.START)) == 1


def test_look_when_another_one_is_calling_then_leaves_it_alone() -> None:
    world = VendorWorld()
    verdicts = []
    world.during = [lambda: verdicts.append(world.wake())]
    world.look()
    [verdict] = verdicts
    assert (verdict.action, verdict.wait_s) == (Action.WAIT, 5)
    assert len(world.times(Call.ACQUIRE)) == 1


def test_look_when_repeated_before_its_time_then_no_call_is_made() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    made = len(world.asked)
    waits = [world.wake().wait_s for _ in range(5)]
    assert len(world.asked) == made
    assert waits == [40] * 5


def test_look_when_one_died_in_its_call_then_the_next_one_goes_on_after_it() -> None:
    world = VendorWorld()
    world.die(0)
    assert world.wake().wait_s == 5
    world.run(until_s=BUSY_S + 20)
    assert world.recording.status is Status.IN_PROGRESS
    assert world.times(Call.START) == [BUSY_S]


def test_look_when_one_died_in_its_start_then_the_next_one_uses_the_same_ticket() -> None:
    world = VendorWorld()
    world.die(1)
    world.run(until_s=BUSY_S + 20)
    assert world.times(Call.ACQUIRE) == [0]
    assert world.times(Call.START) == [0, BUSY_S]
    assert not world.task.attempts


def test_look_when_its_answer_comes_after_another_took_over_then_is_dropped() -> None:
    world = VendorWorld()

    def be_slow() -> None:
        world.clock.advance(BUSY_S + 1)
        world.wake()

    world.during = [be_slow]
    assert world.wake().action is Action.WAIT
    assert world.task.watch.task == "task"
    assert world.task.revision == 6 - 1


# ---------------------------------------------------------------------- something is missing


def test_start_when_there_are_no_credentials_then_waits_for_them_and_says_so() -> None:
    world = VendorWorld(keyless=True)
    world.run(until_s=120)
    assert "the secret" in world.task.note
    assert world.task.watch == VendorWatch(SID)
    world.keyless = False
    world.run(until_s=160)
    assert world.task.first_running_utc_us


def test_start_when_there_never_are_credentials_then_is_given_up() -> None:
    world = VendorWorld(keyless=True)
    last = world.run()
    assert last is not None
    assert KEYLESS_S <= world.now_s <= KEYLESS_S + 20
    assert world.recording.reason is Reason.FAULT
    assert world.recording.failure is not None
    assert "the secret" in world.recording.failure.message


def test_task_when_credentials_vanish_then_is_not_given_up() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    world.keyless = True
    assert world.run(until_s=5000) is None
    world.keyless = False
    world.run(until_s=5100)
    assert not world.task.attempts
    assert world.task.note == "running"


def test_start_when_it_broke_off_before_the_order_then_ends_after_ninety_seconds() -> None:
    world = VendorWorld(ordered=False)
    last = world.run()
    assert last is not None
    assert 90 <= world.now_s <= 95
    assert world.recording.reason is Reason.NEVER_STARTED
    assert world.recording.sealed_utc_us
    assert world.asked == []


def test_start_when_its_repeat_brings_the_order_then_runs() -> None:
    world = VendorWorld(ordered=False)
    world.run(until_s=40)
    world.order()
    world.run(until_s=60)
    assert world.recording.status is Status.IN_PROGRESS


def test_order_when_it_comes_after_the_recording_was_given_up_then_nothing_is_started() -> None:
    world = VendorWorld(ordered=False)
    world.run()
    world.order()
    assert world.wake().action is Action.DONE
    assert world.asked == []
    assert world.tasks.live(ProviderName.AGORA, "app") == []


def test_end_when_a_look_died_half_way_then_the_next_one_completes_it() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    for step, look in (("give_up", world.stop), ("mark_sealed", world.wake)):
        world.recordings.dies_at = step
        with pytest.raises(KeyboardInterrupt):
            look()
        assert not world.recording.sealed_utc_us
    assert world.wake().action is Action.DONE
    assert (world.recording.status, world.recording.reason) == (Status.EXITED, Reason.STOPPED)
    assert world.told[-1] == "RecordingSealed"


def test_end_when_the_bus_is_down_then_the_recording_ends_all_the_same() -> None:
    world = VendorWorld()
    world.bus.down = True
    world.run(until_s=30)
    world.stop()
    assert world.recording.status is Status.EXITED


# ---------------------------------------------------------------------- the budget


def crowd(world: VendorWorld, count: int, *, older: bool) -> None:
    for number in range(count):
        sid = f"{number:032x}"
        age_us = world.began_us + (-1 if older else 1)
        world.tasks.put(VendorTask(sid, ProviderName.AGORA, ORDER, VendorWatch(sid), age_us))


def test_start_when_the_application_is_full_then_the_vendor_is_not_asked() -> None:
    world = VendorWorld()
    crowd(world, CLOUD_RECORDING.tasks, older=True)
    world.run()
    assert world.asked == []
    assert world.recording.failure is not None
    assert world.recording.failure.code == "vendor_no_room"


def test_start_when_others_that_came_later_fill_it_then_has_its_place() -> None:
    world = VendorWorld()
    crowd(world, CLOUD_RECORDING.tasks, older=False)
    world.run(until_s=30)
    assert world.recording.status is Status.IN_PROGRESS


def test_queries_when_very_many_tasks_run_then_become_rarer() -> None:
    world = VendorWorld()
    crowd(world, 599, older=False)
    world.run(until_s=400)
    assert world.times(Call.QUERY) == [10, 130, 250, 370]


# ---------------------------------------------------------------------- anything

ANSWERS = st.sampled_from(
    [RUNNING, STARTING, GONE, BROKEN, FAILED, EXITED, NAMELESS, Answer(0), Answer(206, code=65)]
)


@given(
    st.lists(ANSWERS, min_size=1, max_size=12),
    st.lists(st.integers(0, 400), max_size=6),
    st.one_of(st.none(), st.integers(0, 400)),
)
def test_world_when_looks_come_at_any_time_then_calls_keep_their_distance_and_it_ends(
    answers: list[Answer], wakes: list[int], stop_s: int | None
) -> None:
    world = VendorWorld({Call.QUERY: answers}, max_duration_s=500)
    last = None
    for at_s in sorted({*wakes, *([stop_s] if stop_s is not None else [])}):
        last = last or world.run(until_s=at_s)
        if world.recording.status < Status.STOP_REQUESTED and at_s == stop_s:
            world.stop()
        world.wake()
    assert last or world.run()
    assert world.recording.sealed_utc_us
    queries = world.asked
    for (before_s, call, task), (after_s, after, same) in pairwise(queries):
        if call is after is Call.QUERY and task == same:
            assert after_s - before_s >= 1
    assert world.told.count("RecordingSealed") == 1
    assert SID not in world.tasks.live(ProviderName.AGORA, "app")


def test_machine_when_it_has_looked_very_often_then_another_execution_goes_on() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    world.machine = replace(world.machine, looks=MOST_LOOKS - 1)
    assert world.look().action is Action.RENEW
    assert world.stop().action is Action.DONE
    assert world.look().action is Action.DONE, "an end comes before a renewal"


class Machines:
    """No machine runs; remembers those that are started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def running(self) -> set[str]:
        return set()

    def resume_supervision(self, sid: str, name: str) -> None:
        self.started.append(f"supervision of {sid}")

    def resume_lane(self, sid: str, lane: str, name: str) -> None:
        self.started.append(f"lane {lane}")


def test_machine_when_it_was_lost_then_the_sweep_starts_supervision_and_no_lane() -> None:
    world, machines = VendorWorld(), Machines()
    world.run(until_s=120)
    sweep(recordings=world.recordings, runner=machines, clock=world.clock)
    assert machines.started == [f"supervision of {SID}"]
