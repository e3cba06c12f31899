"""What the machine of a lane hears of a lap, and what it does not hear of one that hangs."""

import threading

import pytest

from everreel.clock import ManualClock
from everreel.errors import ServiceUnavailable, StateUnavailable
from everreel.recorder.heartbeat import LONGEST_TURN_S, Heartbeat
from everreel.recorder.task import LapTask
from everreel.state.lanes import Hold, MemoryLanes
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Orders
from everreel.state.recording import LapOrder, Progress
from everreel.state.status import Status
from everreel.supervisor.memory import MemoryTasks

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
ORDER = LapOrder(SID, "b", 3)


class AwayLanes(MemoryLanes):
    def held(self, sid: str, lane: str) -> Hold | None:
        raise StateUnavailable("the table is away")


class Lane:
    """A lane whose execution waits for laps."""

    def __init__(self) -> None:
        self.lanes = MemoryLanes()
        self.tasks = MemoryTasks()
        self.task = LapTask(ORDER, self.lanes, self.tasks)

    def wait(self, token: str, lap: int = 3, owner: str = "first") -> None:
        self.lanes.take(SID, "b", owner)
        self.lanes.hold(SID, "b", Hold(owner, lap, token))
        self.tasks.wait(token)


def test_lap_when_somebody_waits_for_it_then_beaten_and_ended() -> None:
    lane = Lane()
    lane.wait("token")
    for _ in range(3):
        lane.task.beat()
    assert lane.tasks.beats == {"token": 3}
    lane.task.end("handed_over")
    assert lane.tasks.outputs == {"token": {"ended": "handed_over"}}


def test_token_when_it_comes_late_then_found_with_a_later_beat() -> None:
    lane = Lane()
    lane.task.beat()
    lane.task.beat()
    lane.wait("token")
    lane.task.beat()
    assert lane.tasks.beats == {"token": 1}


def test_token_when_it_comes_after_the_last_beat_then_ended_all_the_same() -> None:
    lane = Lane()
    lane.task.beat()
    lane.wait("token")
    lane.task.end("idle")
    assert lane.tasks.outputs == {"token": {"ended": "idle"}}


def test_token_when_replaced_then_the_lap_turns_to_the_new_one() -> None:
    lane = Lane()
    lane.wait("old")
    lane.task.beat()
    lane.wait("new", owner="second")
    lane.tasks.succeed("old", {})  # what the new execution does to the old one's task
    lane.task.beat()
    lane.task.beat()
    assert lane.tasks.beats == {"old": 1, "new": 1}


def test_token_when_replaced_after_the_last_beat_then_the_new_one_is_ended() -> None:
    lane = Lane()
    lane.wait("old")
    lane.task.beat()
    lane.tasks.fail("old", "States.HeartbeatTimeout", "")
    lane.wait("new", owner="second")
    lane.task.end("stopped")
    assert lane.tasks.outputs == {"new": {"ended": "stopped"}}


def test_token_when_it_is_another_laps_then_left_alone() -> None:
    lane = Lane()
    lane.wait("token", lap=4)
    lane.task.beat()
    lane.task.end("stopped")
    assert lane.tasks.beats == {"token": 0}
    assert lane.tasks.is_waiting("token")


def test_service_when_it_fails_then_the_lap_records_on_and_tells_it_next_time() -> None:
    lane = Lane()
    lane.wait("token")
    lane.tasks.failures = [ServiceUnavailable("away")]
    lane.task.beat()
    lane.task.beat()
    assert lane.tasks.beats == {"token": 1}
    lane.tasks.failures = [ServiceUnavailable("away")]
    lane.task.end("stopped")
    assert lane.tasks.is_waiting("token"), "the missing beats tell it within fifteen seconds"


def test_table_when_away_then_the_lap_records_on() -> None:
    tasks = MemoryTasks()
    task = LapTask(ORDER, AwayLanes(), tasks)
    task.beat()
    task.end("stopped")
    assert not tasks.outputs


# --- the pulse -----------------------------------------------------------------------------------


class CountedRecordings(MemoryRecordings):
    """Answers beats by itself and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.beats = 0
        self.fenced = False
        self.beaten = threading.Condition()

    def beat(self, sid: str, lane: str, lap: int, progress: Progress, utc_us: int) -> Orders:
        with self.beaten:
            self.beats += 1
            self.beaten.notify_all()
        return Orders(stop=False, fenced=self.fenced)

    def after(self, more: int) -> bool:
        with self.beaten:
            wanted = self.beats + more
            return self.beaten.wait_for(lambda: self.beats >= wanted, 20.0)


@pytest.fixture
def pulse() -> tuple[Heartbeat, CountedRecordings, ManualClock, Lane]:
    lane, recordings, clock = Lane(), CountedRecordings(), ManualClock()
    lane.wait("token")
    heart = Heartbeat(
        recordings,
        (SID, "b", 3),
        lambda: Progress(Status.IN_PROGRESS),
        every_s=0.005,
        clock=clock,
        task=lane.task,
    )
    return heart, recordings, clock, lane


Pulse = tuple[Heartbeat, CountedRecordings, ManualClock, Lane]


def test_pulse_when_the_loop_hangs_then_stops_until_it_goes_on(pulse: Pulse) -> None:
    heart, recordings, clock, lane = pulse
    heart.start()
    assert recordings.after(3)
    clock.advance(LONGEST_TURN_S + 1)
    # One beat may have been under way when time moved; then there is none.
    recordings.after(0)
    silent = [recordings.beats]
    for _ in range(40):
        heart.now()
        threading.Event().wait(0.005)
        silent.append(recordings.beats)
    assert silent[-1] <= silent[0] + 1
    heart.turn()
    assert recordings.after(2)
    heart.close()
    assert 0 < lane.tasks.beats["token"] <= recordings.beats


def test_pulse_when_the_loop_has_leave_then_goes_on_for_longer(pulse: Pulse) -> None:
    heart, recordings, clock, _ = pulse
    heart.turn(spare_s=120.0)
    heart.start()
    clock.advance(LONGEST_TURN_S + 119)
    assert recordings.after(3)
    heart.close()


def test_pulse_when_fenced_then_the_machine_hears_nothing_more(pulse: Pulse) -> None:
    heart, recordings, _, lane = pulse
    recordings.fenced = True
    heart.start()
    assert recordings.after(3)
    heart.close()
    assert heart.fenced.is_set()
    assert lane.tasks.beats == {"token": 0}
