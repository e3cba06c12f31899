"""Looks at a living table: when they come, what they find, and that they end."""

from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from everreel.contract.events import LapLost, RecordingFailed
from everreel.errors import ServiceFault
from everreel.events.memory import MemoryBus
from everreel.events.ports import Event, Happening
from everreel.state.recording import LapState, Reason
from everreel.state.status import Status
from everreel.supervisor.verdict import Action
from tests.unit.supervisor.world import SID, World

BEAT_S = 3.0


class DeafBus(MemoryBus):
    def publish(self, *events: Event) -> None:
        raise ServiceFault("the bus is away")


def beating(world: World, since_s: float, until_s: float) -> None:
    world.at(since_s, world.claim)
    second = since_s + BEAT_S
    while second < until_s:
        world.at(second, partial(world.beat, Status.IN_PROGRESS))
        second += BEAT_S


def started(max_idle_s: int = 30) -> World:
    world = World()
    world.create(max_idle_s)
    world.invoke()
    return world


def test_start_when_nothing_claims_it_then_is_given_up_after_ninety_seconds() -> None:
    world = started()
    assert world.watch() is Action.SEAL
    assert world.look_times() == [5, 8, 12, 18, 27, 40, 60, 90]
    assert world.recording.status is Status.ABNORMAL
    assert world.recording.reason is Reason.NEVER_STARTED


def test_start_when_its_starter_died_before_the_lap_was_noted_then_is_given_up() -> None:
    world = World()
    world.create()
    assert world.watch() is Action.SEAL
    assert world.now_s == pytest.approx(90)
    assert world.recording.reason is Reason.NEVER_STARTED


def test_start_when_it_was_refused_then_is_forgotten_after_thirty_five_seconds() -> None:
    world = World()
    assert world.watch() is Action.DONE
    assert world.look_times() == [5, 10, 20, 35]
    assert world.bus.published == []


def test_row_when_it_comes_after_the_first_look_then_is_watched() -> None:
    world = World()
    world.at(7, world.create)
    world.at(8, world.invoke)
    beating(world, 9, 30)
    world.at(30, partial(world.end, Reason.IDLE))
    assert world.watch() is Action.SEAL
    assert world.recording.status is Status.STOPPED


def test_lap_when_it_confirms_then_looks_become_steady() -> None:
    world = started()
    beating(world, 1, 700)
    world.at(700, partial(world.end, Reason.IDLE))
    assert world.watch() is Action.SEAL
    assert world.look_times() == [5, 65, 125, 215, 335, 515, 815]
    assert not world.buried


def test_lap_when_it_hangs_then_is_dead_after_five_ten_and_fifteen_seconds() -> None:
    world = started()
    beating(world, 1, 30)
    assert world.watch() is Action.SEAL
    # Steady looks at 5 and 65; by then the pulse is lost, and three more looks must agree.
    assert world.look_times() == [5, 65, 70, 80, 95]
    assert world.recording.status is Status.ABNORMAL
    assert world.recording.reason is Reason.RECORDER_DIED


def test_lap_when_it_is_buried_then_the_bus_is_told() -> None:
    world = started()
    world.watch()
    lost, failed = world.bus.published
    assert (lost.kind, failed.kind) == (Happening.LAP_LOST, Happening.FAILED)
    for event, words in ((lost, LapLost), (failed, RecordingFailed)):
        told = words.model_validate({"sid": event.sid, **event.detail})
        assert told.error.code == "recorder_died"
        assert (told.lane, told.lap) == ("a", 1)


def test_lap_when_the_bus_is_away_then_is_buried_all_the_same() -> None:
    world = started()
    world.bus = DeafBus()
    assert world.watch() is Action.SEAL
    assert world.buried


def test_lap_when_it_beats_again_while_suspected_then_lives() -> None:
    world = started()
    beating(world, 1, 30)
    world.at(90, partial(world.beat, Status.IN_PROGRESS))
    second = 93.0
    while second < 300:
        world.at(second, partial(world.beat, Status.IN_PROGRESS))
        second += BEAT_S
    world.at(300, partial(world.end, Reason.STOPPED))
    assert world.watch() is Action.SEAL
    assert not world.buried
    assert world.recording.reason is Reason.STOPPED


def test_stop_when_it_is_asked_for_then_looks_come_every_five_seconds() -> None:
    world = started()
    beating(world, 1, 81)
    world.at(62, lambda: world.recordings.request_stop(SID, world.clock.utc_us()))
    world.at(81, partial(world.end, Reason.STOPPED))
    assert world.watch() is Action.SEAL
    assert world.look_times() == [5, 65, 70, 75, 80, 85]
    assert world.recording.status is Status.STOPPED


def test_stop_when_the_lap_never_starts_then_ends_all_the_same() -> None:
    world = started()
    world.at(3, lambda: world.recordings.request_stop(SID, world.clock.utc_us()))
    assert world.watch() is Action.SEAL
    assert world.recording.status is Status.ABNORMAL


def test_idle_exit_when_the_lap_leaves_then_is_sealed_by_the_next_look() -> None:
    world = started(max_idle_s=30)
    world.at(1, world.claim)
    for second in range(4, 31, 3):
        world.at(second, partial(world.beat, Status.STARTING))
    world.at(31, partial(world.end, Reason.IDLE))
    assert world.watch() is Action.SEAL
    assert world.recording.reason is Reason.IDLE
    assert world.now_s <= 31 + 20


def test_recording_when_somebody_else_sealed_it_then_is_done() -> None:
    world = started()
    beating(world, 1, 10)
    world.at(10, partial(world.end, Reason.STOPPED))
    world.at(11, lambda: world.recordings.mark_sealed(SID, world.clock.utc_us()))
    assert world.watch() is Action.DONE


@given(
    claimed_s=st.one_of(st.none(), st.floats(0, 120)),
    gaps_s=st.lists(st.floats(0.1, 14.0), max_size=120),
    statuses=st.lists(
        st.sampled_from([Status.STARTING, Status.PARTLY_READY, Status.READY, Status.IN_PROGRESS])
    ),
    ends=st.one_of(st.none(), st.sampled_from(Reason)),
    stop_s=st.one_of(st.none(), st.floats(0, 1000)),
    noted=st.booleans(),
)
def test_looks_when_a_recorder_does_anything_then_end_and_never_bury_one_that_beats(
    claimed_s: float | None,
    gaps_s: list[float],
    statuses: list[Status],
    ends: Reason | None,
    stop_s: float | None,
    noted: bool,
) -> None:
    # The look that gives up on a start falls on its 90th second: either may be first there.
    assume(claimed_s is None or not 88 < claimed_s < 91)
    world = World()
    world.create()
    if noted:
        world.invoke()
    if stop_s is not None:
        world.at(stop_s, lambda: ask_to_stop(world))
    last_s = claimed_s
    if claimed_s is not None:
        world.at(claimed_s, world.claim)
        last_s = claimed_s
        for index, gap_s in enumerate(gaps_s):
            if last_s + gap_s > claimed_s + 900:
                break
            last_s += gap_s
            status = statuses[index] if index < len(statuses) else Status.IN_PROGRESS
            world.at(last_s, partial(world.beat, status))
        if ends is not None:
            world.at(last_s + 1, partial(world.end, ends))
    assert world.watch() is Action.SEAL
    assert world.now_s <= (last_s or 0) + 120 + 5 + 5 + 10 + 15 + 90
    if claimed_s is not None and claimed_s < 89 and ends is not None:
        assert not world.buried
        assert world.recording.reason is ends
    else:
        assert world.recording.status is Status.ABNORMAL
    assert all(lap.state in {LapState.ENDED, LapState.DEAD} for lap in world.recordings.laps(SID))


def ask_to_stop(world: World) -> None:
    if world.recording.status in {Status.STARTING, Status.PARTLY_READY, Status.IN_PROGRESS}:
        world.recordings.request_stop(SID, world.clock.utc_us())
