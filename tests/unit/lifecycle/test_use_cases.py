"""Acquire, start, query, list and stop over a table in memory: repeats, crashes, races."""

from dataclasses import replace
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import (
    AlreadyEnded,
    FenceLost,
    InvalidRequest,
    RecordingConflict,
    RecordingNotFound,
    ServiceUnavailable,
    SourceRefused,
    StateUnavailable,
    TicketExpired,
)
from everreel.events.memory import MemoryBus
from everreel.lifecycle.at_vendors import AtVendors
from everreel.lifecycle.memory import MemoryRunner
from everreel.lifecycle.requests import StartRequest
from everreel.lifecycle.use_cases import REQUEST_KEY_S, TICKET_S, Lifecycle
from everreel.protocols.guard import Guard
from everreel.state.memory import MemoryRecordings
from everreel.state.notices import MemoryNotices
from everreel.state.recording import (
    UNKNOWN,
    LapOrigin,
    LapState,
    Mode,
    Options,
    Reason,
    Recording,
)
from everreel.state.status import LIVE, Status
from everreel.state.vendor import MemoryVendorTasks
from everreel.supervisor.look import look
from everreel.supervisor.verdict import Action, Watch

TEMPLATE = "rtmp://media.example/live/{channel}-{uid}"
WISH = StartRequest(
    app="",
    channel="lobby",
    uid="camera-1",
    recorder_uid="",
    source="",
    mode=Mode.INDIVIDUAL,
    options=Options(),
)


class DyingRecordings(MemoryRecordings):
    """A table whose caller dies, before or after the write takes effect, at a chosen write.

    Attributes:
        die_at: number of the write from 1; 0 for never.
    """

    def __init__(self, die_at: int = 0, *, after: bool = False) -> None:
        super().__init__()
        self.die_at = die_at
        self.after = after
        self.writes = 0

    def create(self, recording: Recording) -> Recording:
        self._die(after=False)
        created = super().create(recording)
        self._die(after=True)
        return created

    def invoked(
        self,
        sid: str,
        lane: str,
        lap: int,
        request_id: str,
        utc_us: int,
        origin: LapOrigin = UNKNOWN,
    ) -> None:
        self._die(after=False)
        super().invoked(sid, lane, lap, request_id, utc_us, origin)
        self._die(after=True)

    def _die(self, *, after: bool) -> None:
        if not after:
            self.writes += 1
        if self.writes == self.die_at and after is self.after:
            raise StateUnavailable("the table did not answer")


class House:
    """The use cases over fakes."""

    def __init__(
        self,
        recordings: MemoryRecordings | None = None,
        template: str = TEMPLATE,
        max_duration_s: int = 0,
    ) -> None:
        self.recordings = recordings if recordings is not None else MemoryRecordings()
        self.runner = MemoryRunner()
        self.clock = ManualClock()
        self.lifecycle = Lifecycle(
            self.recordings,
            self.runner,
            self.clock,
            check_source=Guard(False).check_syntax,
            vendors=AtVendors(MemoryVendorTasks(), MemoryNotices(), self.runner),
            source_template=template,
            max_duration_s=max_duration_s,
        )

    def ticket(self, channel: str = "lobby", recorder_uid: str = "recorder") -> str:
        return self.lifecycle.acquire("app", channel, recorder_uid).resource_id

    def claim(self, sid: str, request_id: str) -> None:
        self.recordings.claim(sid, "a", 1, request_id, self.clock.utc_us())

    def end(self, sid: str, reason: Reason = Reason.STOPPED) -> None:
        progress = self.recordings.laps(sid)[0].progress
        self.recordings.end_lap(sid, "a", 1, reason, None, progress, self.clock.utc_us())

    def look_until_over(self, sid: str) -> None:
        watch = Watch(sid)
        self.clock.advance(5)
        for _ in range(20):
            verdict, watch = look(
                watch, recordings=self.recordings, bus=MemoryBus(), clock=self.clock
            )
            if verdict.action in {Action.SEAL, Action.DONE}:
                return
            self.clock.advance(verdict.wait_s)
        raise AssertionError("the supervisor does not come to an end")


def test_start_when_acquired_then_is_supervised_invoked_and_answered() -> None:
    house = House()
    recording = house.lifecycle.start(house.ticket(), WISH)
    assert recording.status is Status.STARTING
    assert recording.request_id == "invocation-1"
    assert (recording.app, recording.recorder_uid) == ("app", "recorder")
    assert recording.source == "rtmp://media.example/live/lobby-camera-1"
    assert house.runner.supervised == [recording.sid]
    assert [(order.sid, order.lane, order.lap) for order in house.runner.laps] == [
        (recording.sid, "a", 1)
    ]


def test_start_when_repeated_then_is_the_same_recording_invoked_once() -> None:
    house = House()
    ticket = house.ticket()
    first = house.lifecycle.start(ticket, WISH)
    house.clock.advance(TICKET_S + 1)
    assert house.lifecycle.start(ticket, WISH) == first
    assert len(house.runner.laps) == 1


def test_start_when_repeated_after_the_end_then_still_tells_of_the_first() -> None:
    house = House()
    ticket = house.ticket()
    first = house.lifecycle.start(ticket, WISH)
    house.claim(first.sid, first.request_id)
    house.end(first.sid)
    again = house.lifecycle.start(ticket, WISH)
    assert (again.sid, again.status) == (first.sid, Status.STOPPED)
    assert len(house.runner.laps) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("die_at", [1, 2, 3])
def test_start_when_it_died_at_any_write_then_its_repeat_completes_it(
    die_at: int, after: bool
) -> None:
    recordings = DyingRecordings(die_at, after=after)
    house = House(recordings)
    ticket = house.ticket()
    with pytest.raises(StateUnavailable):
        house.lifecycle.start(ticket, WISH)
    recordings.die_at = 0
    recording = house.lifecycle.start(ticket, WISH)
    assert recording.status in LIVE
    assert recording.request_id
    assert recording.sid in house.runner.supervised
    assert house.runner.laps[-1].sid == recording.sid
    # However often it was queued, one invocation takes the lap and the next one leaves.
    house.claim(recording.sid, "invocation-1")
    with pytest.raises(FenceLost):
        house.claim(recording.sid, "invocation-2")
    assert len(house.lifecycle.list("app", limit=10, token="").recordings) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("die_at", [1, 2, 3])
def test_start_when_it_died_and_nobody_repeats_it_then_its_name_is_free_in_time(
    die_at: int, after: bool
) -> None:
    recordings = DyingRecordings(die_at, after=after)
    house = House(recordings)
    with pytest.raises(StateUnavailable):
        house.lifecycle.start(house.ticket(), WISH)
    recordings.die_at = 0
    [sid] = house.runner.supervised
    house.look_until_over(sid)
    assert house.lifecycle.start(house.ticket(), WISH).sid != sid


def test_start_when_supervision_cannot_be_had_then_nothing_is_written() -> None:
    house = House()
    ticket = house.ticket()
    house.runner.failures.append(ServiceUnavailable("busy"))
    with pytest.raises(ServiceUnavailable):
        house.lifecycle.start(ticket, WISH)
    assert not house.lifecycle.list("app", limit=10, token="").recordings
    assert house.lifecycle.start(ticket, WISH).request_id == "invocation-1"


def test_start_when_the_recorder_cannot_be_invoked_then_its_repeat_invokes_it() -> None:
    house = House()
    ticket = house.ticket()
    invoke, house.runner.invoke_lap = house.runner.invoke_lap, busy  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable):
        house.lifecycle.start(ticket, WISH)
    house.runner.invoke_lap = invoke  # type: ignore[method-assign]
    house.clock.advance(60)
    recording = house.lifecycle.start(ticket, WISH)
    assert recording.request_id == "invocation-1"
    assert recording.status in LIVE
    assert house.runner.supervised == [recording.sid]


def busy(order: object) -> str:
    raise ServiceUnavailable("busy")


def test_start_when_its_first_try_was_buried_then_says_so() -> None:
    house = House(DyingRecordings(2))
    ticket = house.ticket()
    with pytest.raises(StateUnavailable):
        house.lifecycle.start(ticket, WISH)
    house.look_until_over(house.runner.supervised[0])
    with pytest.raises(AlreadyEnded, match="new resource id") as caught:
        house.lifecycle.start(ticket, WISH)
    assert caught.value.field == "resource_id"
    assert not house.runner.laps


def test_start_when_a_late_answer_finds_the_lap_claimed_then_tells_the_one_that_runs() -> None:
    house = House(DyingRecordings(3))
    ticket = house.ticket()
    with pytest.raises(StateUnavailable):
        house.lifecycle.start(ticket, WISH)
    sid = house.runner.supervised[0]
    house.claim(sid, "invocation-1")
    assert house.lifecycle.start(ticket, WISH).request_id == "invocation-1"
    assert len(house.runner.laps) == 1


def test_start_when_many_come_at_once_then_one_recording_is_made() -> None:
    house = House()
    ticket = house.ticket()
    answers: list[Recording] = []
    gate = Barrier(8)

    def start() -> None:
        gate.wait()
        answers.append(house.lifecycle.start(ticket, WISH))

    threads = [Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.sid for answer in answers}) == 1
    assert all(answer.request_id for answer in answers)
    assert {order.sid for order in house.runner.laps} == {answers[0].sid}


def test_start_when_the_channel_is_being_recorded_then_names_the_recording() -> None:
    house = House()
    first = house.lifecycle.start(house.ticket(), WISH)
    with pytest.raises(RecordingConflict, match=first.sid):
        house.lifecycle.start(house.ticket(), WISH)
    assert house.lifecycle.start(house.ticket(recorder_uid="other"), WISH).sid != first.sid


def test_start_when_the_ticket_is_too_old_or_unknown_then_is_refused() -> None:
    house = House()
    ticket = house.ticket()
    house.clock.advance(TICKET_S)
    for resource_id in (ticket, "nobody-gave-this-out"):
        with pytest.raises(TicketExpired) as caught:
            house.lifecycle.start(resource_id, WISH)
        assert caught.value.field == "resource_id"
    assert not house.runner.supervised


@pytest.mark.parametrize(
    ("field", "wish"),
    [
        ("channel", replace(WISH, channel="attic")),
        ("app", replace(WISH, app="other")),
        ("recorder_uid", replace(WISH, recorder_uid="other")),
    ],
)
def test_start_when_it_is_not_what_was_acquired_then_names_the_field(
    field: str, wish: StartRequest
) -> None:
    house = House()
    ticket = house.ticket()
    for _ in range(2):
        with pytest.raises(InvalidRequest) as caught:
            house.lifecycle.start(ticket, wish)
        assert caught.value.field == field
    house.lifecycle.start(ticket, WISH)
    with pytest.raises(InvalidRequest):
        house.lifecycle.start(ticket, wish)


def test_start_when_the_source_is_not_allowed_then_nothing_is_begun() -> None:
    house = House()
    ticket = house.ticket()
    with pytest.raises(SourceRefused) as caught:
        house.lifecycle.start(ticket, replace(WISH, source="rtmp://127.0.0.1/live/x"))
    assert caught.value.field == "source"
    assert not house.runner.supervised
    assert house.lifecycle.start(ticket, WISH).request_id  # the ticket is still good


def test_start_when_no_source_and_no_template_then_names_the_field() -> None:
    house = House(template="")
    with pytest.raises(InvalidRequest) as caught:
        house.lifecycle.start(house.ticket(), WISH)
    assert caught.value.field == "source"


@given(wished=st.integers(0, 1000), limit=st.integers(0, 1000))
def test_duration_when_deployment_and_caller_limit_it_then_the_shorter_holds(
    wished: int, limit: int
) -> None:
    house = House(max_duration_s=limit)
    wish = replace(WISH, options=Options(max_duration_s=wished))
    held = house.lifecycle.start(house.ticket(), wish).options.max_duration_s
    assert held == min([each for each in (wished, limit) if each], default=0)


def test_one_step_start_when_repeated_with_its_key_then_is_the_same_recording() -> None:
    house = House()
    wish = replace(WISH, app="app", recorder_uid="recorder")
    first = house.lifecycle.start_now("key-1", wish)
    house.clock.advance(REQUEST_KEY_S + 1)
    assert house.lifecycle.start_now("key-1", wish).sid == first.sid
    with pytest.raises(RecordingConflict):
        house.lifecycle.start_now("key-2", wish)


def test_one_step_start_when_its_first_try_failed_then_its_repeat_minutes_later_starts() -> None:
    house = House()
    wish = replace(WISH, app="app", recorder_uid="recorder")
    house.runner.failures.append(ServiceUnavailable("busy"))
    with pytest.raises(ServiceUnavailable):
        house.lifecycle.start_now("key-1", wish)
    house.clock.advance(TICKET_S * 2)
    assert house.lifecycle.start_now("key-1", wish).request_id == "invocation-1"


def test_query_when_the_sid_is_unknown_then_says_so() -> None:
    house = House()
    for ask in (house.lifecycle.query, house.lifecycle.stop):
        with pytest.raises(RecordingNotFound) as caught:
            ask("0" * 32)
        assert caught.value.field == "sid"


def test_query_when_it_is_live_then_has_its_laps() -> None:
    house = House()
    sid = house.lifecycle.start(house.ticket(), WISH).sid
    snapshot = house.lifecycle.query(sid)
    assert [lap.state for lap in snapshot.laps] == [LapState.INVOKED]
    assert snapshot.taken_utc_us == house.clock.utc_us()


def test_stop_when_repeated_then_is_asked_once_and_refused_after_the_end() -> None:
    house = House()
    sid = house.lifecycle.start(house.ticket(), WISH).sid
    asked = house.lifecycle.stop(sid)
    house.clock.advance(1)
    assert house.lifecycle.stop(sid) == asked
    assert asked.stop_requested_utc_us == house.clock.utc_us() - MICROSECONDS
    house.claim(sid, "r")
    house.end(sid)
    with pytest.raises(AlreadyEnded):
        house.lifecycle.stop(sid)


@given(failures=st.lists(st.booleans(), max_size=6))
def test_start_when_it_fails_any_number_of_times_then_one_recording_comes_of_it(
    failures: list[bool],
) -> None:
    house = House()
    ticket = house.ticket()
    for fails in failures:
        house.runner.failures = [ServiceUnavailable("busy")] if fails else []
        try:
            house.lifecycle.start(ticket, WISH)
        except ServiceUnavailable:
            assert fails
    house.runner.failures = []
    sid = house.lifecycle.start(ticket, WISH).sid
    assert [each.sid for each in house.lifecycle.list("app", limit=9, token="").recordings] == [sid]
    assert len(house.runner.laps) == 1
