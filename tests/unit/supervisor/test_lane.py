"""One step of a lane's machine: who may make it, what it starts, what it tells."""

from dataclasses import asdict, dataclass, field, replace

import pytest

from everreel.clock import ManualClock
from everreel.errors import EverreelError, ServiceFault, ServiceUnavailable
from everreel.events.memory import MemoryBus
from everreel.events.own import DeadLap
from everreel.events.ports import Event, Happening
from everreel.lifecycle.memory import MemoryRunner
from everreel.state.lanes import Hold, MemoryLanes
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import (
    BY_THE_DOOR,
    Failure,
    LapState,
    Options,
    Progress,
    Reason,
    Reliability,
)
from everreel.state.status import Status
from everreel.supervisor.lane import (
    ABSENT_S,
    MOST_PLANS,
    LaneKeeper,
    LaneVerdict,
    LaneWatch,
    lap_died,
)
from everreel.supervisor.memory import MemoryTasks
from everreel.supervisor.relay import DOOR_S, Pace
from tests.unit.supervisor import test_verdict
from tests.unit.supervisor.test_verdict import SID

ME, OTHER = f"{SID}-a", f"{SID}-a99"


class DeafBus(MemoryBus):
    def publish(self, *events: Event) -> None:
        raise ServiceFault("the bus is away")


@dataclass
class Lane:
    """Lane a of a recording and everything its machine touches."""

    bus: MemoryBus = field(default_factory=MemoryBus)

    def __post_init__(self) -> None:
        self.clock = ManualClock(test_verdict.T0)
        self.recordings = MemoryRecordings()
        self.lanes = MemoryLanes()
        self.tasks = MemoryTasks()
        self.runner = MemoryRunner()
        self.keeper = LaneKeeper(
            recordings=self.recordings,
            lanes=self.lanes,
            starter=self.runner,
            tasks=self.tasks,
            bus=self.bus,
            clock=self.clock,
            pace=Pace(100, 20),
        )
        self.watch = LaneWatch(SID, "a")

    def create(self) -> None:
        now_us = self.clock.utc_us()
        self.recordings.put_ticket(Ticket("ticket", "app", "lobby", "recorder", now_us + 1))
        wish = test_verdict.recording(Status.STARTING)
        self.recordings.create(replace(wish, options=Options(reliability=Reliability.ECONOMY)))

    def door(self, request_id: str = "door") -> None:
        self.recordings.invoked(SID, "a", 1, "", self.clock.utc_us(), BY_THE_DOOR)
        if request_id:
            self.recordings.invoked(SID, "a", 1, request_id, self.clock.utc_us())

    def plan(self, owner: str = ME, lost: str = "") -> LaneVerdict:
        verdict, self.watch = self.keeper.plan(LaneWatch(**asdict(self.watch)), owner, lost)
        return verdict

    def start(self, token: str, owner: str = ME) -> str:
        self.tasks.wait(token)
        return self.keeper.start(self.watch, owner, token)

    def held(self) -> Hold:
        held = self.lanes.held(SID, "a")
        assert held is not None
        return held

    def kinds(self) -> list[Happening]:
        return [event.kind for event in self.bus.published]


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    made.create()
    return made


def running(lane: Lane) -> None:
    lane.door()
    lane.recordings.claim(SID, "a", 1, "door", lane.clock.utc_us())


# --- the first lap -------------------------------------------------------------------------------


def test_plan_when_the_row_is_not_there_yet_then_waits_a_little_and_then_leaves() -> None:
    lane = Lane()
    verdicts = [lane.plan() for _ in range(len(ABSENT_S) + 1)]
    assert [each.wait_s for each in verdicts] == [*ABSENT_S, 0]
    assert verdicts[-1].action == "done"


def test_plan_when_the_row_comes_late_then_absences_are_forgotten() -> None:
    lane = Lane()
    lane.plan()
    lane.create()
    assert lane.plan().action == "wait"
    assert lane.watch.absences == 0


@pytest.mark.parametrize("request_id", ["door", ""])
def test_first_lap_when_the_door_invokes_it_then_adopted_and_not_invoked_again(
    lane: Lane, request_id: str
) -> None:
    lane.door(request_id)
    assert lane.plan().action == "run"
    assert lane.start("token") == "a1"
    assert lane.runner.laps == []
    assert lane.held() == Hold(ME, 1, "token")
    assert lane.kinds() == []


def test_first_lap_when_the_door_died_after_its_note_then_invoked(lane: Lane) -> None:
    lane.door("")
    lane.plan()
    lane.clock.advance(DOOR_S)
    lane.start("token")
    assert [order.name for order in lane.runner.laps] == ["a1"]
    [lap] = lane.recordings.laps(SID)
    assert lap.request_id == "invocation-1"


def test_first_lap_when_nobody_noted_it_then_started_with_its_reason(lane: Lane) -> None:
    assert lane.plan().wait_s == 1
    lane.clock.advance(DOOR_S)
    assert lane.plan().action == "run"
    assert lane.start("token") == "a1"
    [lap] = lane.recordings.laps(SID)
    assert (lap.origin.why, lap.request_id) == ("nobody started the first lap", "invocation-1")
    [event] = lane.bus.published
    assert event.kind is Happening.LAP_STARTED
    assert event.detail["follows"] is None


# --- tasks ---------------------------------------------------------------------------------------


def test_start_when_nothing_is_due_then_the_task_ends_at_once(lane: Lane) -> None:
    lane.plan()
    assert lane.start("token") == ""
    assert not lane.tasks.is_waiting("token")
    assert lane.runner.laps == []


def test_start_when_the_recording_is_gone_then_the_task_ends_at_once() -> None:
    lane = Lane()
    assert lane.start("token") == ""
    assert lane.tasks.outputs == {"token": {"ended": ""}}


def test_start_when_the_lap_ended_meanwhile_then_the_task_ends_at_once(lane: Lane) -> None:
    running(lane)
    lane.plan()

    class EndingLanes(MemoryLanes):
        """Between the note of the task and the invocation the lap ends, unaware of the task."""

        def hold(self, sid: str, which: str, hold: Hold) -> bool:
            progress = Progress(Status.IN_PROGRESS)
            now_us = lane.clock.utc_us()
            lane.recordings.end_lap(SID, "a", 1, Reason.LAP_LIMIT, None, progress, now_us)
            return super().hold(sid, which, hold)

    lane.keeper._lanes = EndingLanes()
    lane.keeper._lanes.take(SID, "a", ME)
    assert lane.start("token") == ""
    assert not lane.tasks.is_waiting("token"), "nobody else would ever end it"


def test_start_when_the_service_refuses_then_the_lap_is_invoked_by_the_next_plan(
    lane: Lane,
) -> None:
    lane.clock.advance(DOOR_S)
    lane.plan()
    lane.runner.failures = [ServiceUnavailable("throttled")]
    with pytest.raises(EverreelError):
        lane.start("token-1")
    again = lane.plan(lost="ServiceUnavailable")
    assert (again.action, again.wait_s) == ("wait", 1), "a machine that does not wait spins"
    assert lane.plan().action == "run"
    assert lane.start("token-2") == "a1"
    assert [order.name for order in lane.runner.laps] == ["a1"]
    assert lane.held().token == "token-2"


def test_start_when_the_bus_is_away_then_the_lap_runs_all_the_same() -> None:
    lane = Lane(DeafBus())
    lane.create()
    lane.clock.advance(DOOR_S)
    lane.plan()
    assert lane.start("token") == "a1"
    assert len(lane.runner.laps) == 1


# --- losses --------------------------------------------------------------------------------------


def test_plan_when_the_lap_crashed_then_buried_and_the_next_in_a_second(lane: Lane) -> None:
    running(lane)
    lane.plan()
    verdict = lane.plan(lost="LapDied")
    assert (verdict.action, verdict.wait_s) == ("wait", 1)
    assert lane.kinds() == [Happening.LAP_LOST]
    lane.clock.advance(1.0)
    lane.plan()
    assert lane.start("token") == "a2"
    assert lane.kinds() == [Happening.LAP_LOST, Happening.LAP_STARTED]
    first, second = lane.recordings.laps(SID)
    assert (first.state, second.state) == (LapState.DEAD, LapState.INVOKED)
    assert second.origin.why == "takeover: a1 recorder_died"


def test_plan_when_the_task_is_lost_and_the_lap_beats_then_waited_for_again(lane: Lane) -> None:
    running(lane)
    lane.plan()
    assert lane.plan(lost="States.HeartbeatTimeout").action == "run"
    assert lane.start("token") == "a1"
    assert lane.runner.laps == []
    assert lane.kinds() == []


def test_plan_when_stopping_and_the_lap_crashes_then_the_bus_hears_the_end(lane: Lane) -> None:
    running(lane)
    lane.plan()
    lane.recordings.request_stop(SID, lane.clock.utc_us())
    assert lane.plan(lost="LapDied").action == "done"
    assert lane.kinds() == [Happening.LAP_LOST, Happening.FAILED]
    recording = lane.recordings.find(SID)
    assert recording is not None
    assert recording.status is Status.ABNORMAL


def test_give_up_when_another_lane_has_a_lap_then_waits_for_it(lane: Lane) -> None:
    lane.door()
    lane.recordings.invoked(SID, "b", 1, "r", lane.clock.utc_us())
    lane.clock.advance(100.0)
    verdict = lane.plan()
    assert verdict.action == "wait", "b1 is for its own lane to bury"
    failure = Failure("recorder_died", "service", "it stopped answering")
    lane.recordings.declare_dead(SID, "b", 1, failure, lane.clock.utc_us(), unchanged_since=0)
    assert lane.plan().action == "done"
    assert lane.kinds() == [Happening.LAP_LOST, Happening.FAILED]


def died(lane: Lane, request_id: str = "door", lap: int = 1) -> bool:
    now_us = lane.clock.utc_us()
    dead = DeadLap(SID, "a", lap, request_id, "RetriesExhausted", "Runtime.ExitError", now_us)
    return lap_died(dead, recordings=lane.recordings, lanes=lane.lanes, tasks=lane.tasks)


def test_death_when_it_is_known_then_the_task_fails_once(lane: Lane) -> None:
    running(lane)
    lane.plan()
    lane.start("token")
    assert died(lane)
    assert lane.tasks.errors == {"token": ("LapDied", "Runtime.ExitError")}
    assert not died(lane), "the news comes at least once"


def test_death_when_of_somebody_else_then_the_lap_records_on(lane: Lane) -> None:
    running(lane)
    assert not died(lane), "nobody waits for it yet"
    lane.plan()
    lane.start("token")
    assert not died(lane, "duplicate"), "the duplicate of a lap that records"
    assert not died(lane, lap=2), "a lap nobody knows"
    lane.plan(lost="LapDied")
    lane.clock.advance(1.0)
    lane.plan()
    lane.start("next")
    assert not died(lane), "a lap that was replaced"
    assert lane.tasks.is_waiting("next")


# --- executions ----------------------------------------------------------------------------------


def test_lane_when_another_execution_takes_it_then_the_former_leaves_with_its_next_plan(
    lane: Lane,
) -> None:
    running(lane)
    lane.plan()
    lane.start("old")
    newer, seen = lane.keeper.plan(LaneWatch(SID, "a"), OTHER)
    assert newer.action == "run"
    assert lane.tasks.outputs["old"] == {"ended": "another execution runs this lane"}
    assert lane.plan().action == "done"
    lane.tasks.wait("new")
    assert lane.keeper.start(seen, OTHER, "new") == "a1"
    assert lane.held() == Hold(OTHER, 1, "new")
    assert lane.start("late") == ""
    assert not lane.tasks.is_waiting("late")
    assert lane.runner.laps == []


def test_lane_when_the_former_cannot_be_told_then_taken_all_the_same(lane: Lane) -> None:
    running(lane)
    lane.plan()
    lane.start("old")
    lane.tasks.failures = [ServiceUnavailable("away")]
    verdict, _ = lane.keeper.plan(LaneWatch(SID, "a"), OTHER)
    assert verdict.action == "run"
    assert lane.held().owner == OTHER


def test_plan_when_repeated_by_the_machine_then_its_own_task_goes_on(lane: Lane) -> None:
    running(lane)
    lane.plan()
    lane.start("token")
    # The first plan's answer was lost, so it is made again by the same execution.
    lane.keeper.plan(LaneWatch(SID, "a"), ME)
    assert lane.tasks.is_waiting("token")


def test_execution_when_it_made_many_plans_then_another_goes_on(lane: Lane) -> None:
    running(lane)
    lane.plan()
    lane.watch = LaneWatch(SID, "a", plans=MOST_PLANS - 2)
    assert lane.plan().action == "run"
    assert lane.plan().action == "renew"
    lane.recordings.request_stop(SID, lane.clock.utc_us())
    lane.recordings.end_lap(
        SID, "a", 1, Reason.STOPPED, None, Progress(Status.STARTING), lane.clock.utc_us()
    )
    assert lane.plan().action == "done", "an end is an end, however many plans there were"
