"""The promises of `state.ports.Recordings`, held by every adapter."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    AlreadyEnded,
    EverreelError,
    FenceLost,
    InvalidRequest,
    RecordingConflict,
    RecordingNotFound,
    ServiceFault,
    TicketExpired,
)
from everreel.media.hls import Shown
from everreel.media.index import InitRow, SegmentRow, TrackDescription
from everreel.media.segment import Cause, Gap, TrackRange
from everreel.state.dynamodb import DynamoRecordings
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Recordings, Ticket
from everreel.state.recording import (
    PASSING_REASONS,
    Failure,
    LapOrigin,
    LapState,
    Mode,
    Options,
    Progress,
    ProviderName,
    Reason,
    Recording,
    Reliability,
)
from everreel.state.status import LIVE, Status, may_become
from tests.contract.cloud import dynamodb, make_table, pretended_cloud

T0 = 1_767_225_600_000_000
SECOND = 1_000_000
RACERS = 8
NUMBERS = count()
DIED = Failure("recorder_died", "service", "it stopped answering")
STARTING = Progress(Status.STARTING)


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    with pretended_cloud():
        yield dynamodb()


@pytest.fixture(params=["memory", "dynamodb"])
def recordings(request: pytest.FixtureRequest) -> Generator[Recordings]:
    if request.param == "memory":
        yield MemoryRecordings()
        return
    client = request.getfixturevalue("client")
    table = f"recordings-{next(NUMBERS)}"
    make_table(client, table)
    yield DynamoRecordings(table, client, ManualClock(T0))
    client.delete_table(TableName=table)


def sid_of(number: int) -> str:
    return f"{number:032x}"


def a_ticket(number: int = 1, **changes: Any) -> Ticket:
    wanted = Ticket(f"ticket-{number}", "live", "room", "rec", expires_utc_us=T0 + 300 * SECOND)
    return replace(wanted, **changes)


def a_recording(number: int = 1, **changes: Any) -> Recording:
    wanted = Recording(
        sid=sid_of(number),
        app="live",
        channel="room",
        uid="alice",
        recorder_uid="rec",
        resource_id=f"ticket-{number}",
        source="rtmp://user:secret@example.org/live/room",
        mode=Mode.INDIVIDUAL,
        options=Options(prefix="a/b", max_idle_s=12),
        status=Status.STARTING,
        created_utc_us=T0,
    )
    return replace(wanted, **changes)


def created(recordings: Recordings, number: int = 1, **changes: Any) -> str:
    recordings.put_ticket(a_ticket(number))
    return recordings.create(a_recording(number, **changes)).sid


def running(recordings: Recordings, number: int = 1, **changes: Any) -> str:
    """Give the sid of a recording whose lap A1 runs since T0."""
    sid = created(recordings, number, **changes)
    recordings.invoked(sid, "A", 1, "request-1", T0)
    recordings.claim(sid, "A", 1, "request-1", T0)
    return sid


def found(recordings: Recordings, sid: str) -> Recording:
    recording = recordings.find(sid)
    assert recording is not None
    return recording


def a_segment(k: int, lane: str = "A", lap: int = 1, **changes: Any) -> SegmentRow:
    wanted = SegmentRow(
        k=k,
        key=f"segments/{k:08d}-{lane}{lap}.m4s",
        init=1,
        start_us=k * 6 * SECOND,
        duration_us=6 * SECOND,
        utc_us=T0 + k * 6 * SECOND,
        size=1000 + k,
        sha256="ab" * 32,
        tracks=(TrackRange("video", 24, 700, 180), TrackRange("audio", 724, 276, 281)),
        discontinuity=False,
        gap=None,
        independent=True,
        lane=lane,
        lap=lap,
    )
    return replace(wanted, **changes)


def end(recordings: Recordings, sid: str, reason: Reason, at: int = T0 + 9 * SECOND) -> None:
    failure = None if reason is Reason.STOPPED else DIED
    progress = Progress(Status.IN_PROGRESS, 7)
    recordings.end_lap(sid, "A", 1, reason, failure, progress, at)


def race(racer: Callable[[int], object]) -> list[object]:
    """Let eight threads run at once; give what each returned or which error of ours it raised."""
    together = threading.Barrier(RACERS)

    def run(number: int) -> object:
        together.wait()
        try:
            return racer(number)
        except EverreelError as error:
            return error

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(run, range(RACERS)))


# ---------------------------------------------------------------------- tickets, create


def test_ticket_when_put_then_is_returned(recordings: Recordings) -> None:
    recordings.put_ticket(a_ticket())
    assert recordings.ticket("ticket-1") == a_ticket()


def test_ticket_when_unknown_then_none(recordings: Recordings) -> None:
    assert recordings.ticket("nobody") is None


def test_ticket_when_put_again_then_nothing_changes(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.put_ticket(a_ticket(channel="other"))
    assert recordings.ticket("ticket-1") == a_ticket(used_by=sid)


def test_create_when_ticket_is_good_then_returns_and_keeps_the_row(recordings: Recordings) -> None:
    recordings.put_ticket(a_ticket())
    recording = recordings.create(a_recording())
    assert recording == a_recording() == recordings.find(sid_of(1))


def test_create_when_given_an_earlier_status_then_writes_starting(recordings: Recordings) -> None:
    recordings.put_ticket(a_ticket())
    assert recordings.create(a_recording(status=Status.INITIALISED)).status is Status.STARTING


def test_create_when_ticket_was_used_then_returns_its_recording(recordings: Recordings) -> None:
    running(recordings)
    again = recordings.create(a_recording(1, sid=sid_of(99), created_utc_us=T0 + 10**12))
    assert again == recordings.find(sid_of(1))
    assert recordings.find(sid_of(99)) is None


def test_create_when_ticket_is_unknown_then_ticket_expired(recordings: Recordings) -> None:
    with pytest.raises(TicketExpired) as caught:
        recordings.create(a_recording())
    assert caught.value.field == "resource_id"
    assert recordings.find(sid_of(1)) is None


def test_create_when_ticket_is_too_old_then_ticket_expired(recordings: Recordings) -> None:
    recordings.put_ticket(a_ticket())
    with pytest.raises(TicketExpired):
        recordings.create(a_recording(created_utc_us=T0 + 300 * SECOND))
    assert recordings.ticket("ticket-1") == a_ticket()


def test_create_when_name_is_live_then_conflict_names_the_holder(recordings: Recordings) -> None:
    running(recordings)
    recordings.put_ticket(a_ticket(2))
    with pytest.raises(RecordingConflict, match=sid_of(1)):
        recordings.create(a_recording(2))
    assert recordings.find(sid_of(2)) is None
    assert recordings.ticket("ticket-2") == a_ticket(2), "a refused start must not use its ticket"


@pytest.mark.parametrize("other", [{"app": "x"}, {"channel": "x"}, {"recorder_uid": "x"}], ids=str)
def test_create_when_any_part_of_the_name_differs_then_starts(
    recordings: Recordings, other: dict[str, str]
) -> None:
    running(recordings)
    assert created(recordings, 2, **other) == sid_of(2)


def test_create_when_sid_was_given_out_before_then_service_fault(recordings: Recordings) -> None:
    running(recordings)
    recordings.put_ticket(a_ticket(2))
    with pytest.raises(ServiceFault, match="twice"):
        recordings.create(a_recording(2, sid=sid_of(1), channel="elsewhere"))


def test_create_when_racing_with_one_ticket_then_one_recording(recordings: Recordings) -> None:
    recordings.put_ticket(a_ticket())
    answers = race(lambda n: recordings.create(a_recording(1, sid=sid_of(n + 1))).sid)
    assert len(set(answers)) == 1
    assert [n for n in range(1, RACERS + 1) if recordings.find(sid_of(n))] == [
        int(str(answers[0]), 16)
    ]


def test_create_when_racing_for_one_name_then_one_wins(recordings: Recordings) -> None:
    for number in range(RACERS):
        recordings.put_ticket(a_ticket(number))
    answers = race(lambda number: recordings.create(a_recording(number)).sid)
    assert len([each for each in answers if isinstance(each, str)]) == 1
    assert len([each for each in answers if isinstance(each, RecordingConflict)]) == RACERS - 1


def test_find_when_unknown_then_none(recordings: Recordings) -> None:
    assert recordings.find(sid_of(404)) is None


# ---------------------------------------------------------------------- list


def test_list_when_pages_are_followed_then_gives_each_once_newest_first(
    recordings: Recordings,
) -> None:
    for number in range(7):
        created(recordings, number, channel=f"c{number}", created_utc_us=T0 + number // 2)
    created(recordings, 50, app="another")
    seen: list[str] = []
    sizes = []
    token = ""
    while True:
        page = recordings.list("live", limit=3, token=token)
        seen += [each.sid for each in page.recordings]
        sizes.append(len(page.recordings))
        token = page.next_token
        if not token:
            break
    assert seen == [sid_of(number) for number in (6, 5, 4, 3, 2, 1, 0)]
    assert sizes == [3, 3, 1]


def test_list_when_the_last_page_is_full_then_there_is_no_token(recordings: Recordings) -> None:
    for number in range(2):
        created(recordings, number, channel=f"c{number}")
    assert recordings.list("live", limit=2).next_token == ""


def test_list_when_app_has_none_then_empty(recordings: Recordings) -> None:
    page = recordings.list("nobody", limit=5)
    assert (list(page.recordings), page.next_token) == ([], "")


def test_list_when_listed_then_rows_are_whole_and_current(recordings: Recordings) -> None:
    sid = running(recordings)
    assert list(recordings.list("live", limit=5).recordings) == [recordings.find(sid)]


@pytest.mark.parametrize("token", ["x", "%%%", "YWJj", "ÄÖ", "MDAwMDAwMDAwMDAwMDAwMDAwMDA="])
def test_list_when_token_is_no_token_then_invalid_request(
    recordings: Recordings, token: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recordings.list("live", limit=5, token=token)
    assert caught.value.field == "token"


def test_list_when_token_is_of_another_app_then_invalid_request(recordings: Recordings) -> None:
    for number in range(2):
        created(recordings, number, channel=f"c{number}")
    token = recordings.list("live", limit=1).next_token
    with pytest.raises(InvalidRequest):
        recordings.list("other", limit=1, token=token)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_list_when_limit_is_out_of_range_then_invalid_request(
    recordings: Recordings, limit: int
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recordings.list("live", limit=limit)
    assert caught.value.field == "limit"


# ---------------------------------------------------------------------- invoked, claim


def test_invoked_when_first_then_gives_the_fence(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 1, "request-1", T0 + 5)
    recording = found(recordings, sid)
    assert (recording.fence, recording.request_id) == ({"A": 1}, "request-1")
    (lap,) = recordings.laps(sid)
    assert (lap.state, lap.invoked_utc_us, lap.beat_utc_us) == (LapState.INVOKED, T0 + 5, 0)


def test_invoked_when_repeated_then_nothing_changes(recordings: Recordings) -> None:
    sid = running(recordings)
    before = (recordings.find(sid), recordings.laps(sid))
    recordings.invoked(sid, "A", 1, "request-2", T0 + 5)
    assert (recordings.find(sid), recordings.laps(sid)) == before


def test_invoked_when_noted_before_its_request_id_was_known_then_fills_it_in(
    recordings: Recordings,
) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 1, "", T0)
    recordings.invoked(sid, "A", 1, "request-1", T0 + 5)
    (lap,) = recordings.laps(sid)
    assert (lap.request_id, lap.invoked_utc_us) == ("request-1", T0)
    assert found(recordings, sid).request_id == "request-1"


def test_invoked_when_the_lane_has_a_newer_lap_then_fence_lost(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 2, "request-2", T0)
    with pytest.raises(FenceLost):
        recordings.invoked(sid, "A", 1, "request-1", T0)


def test_invoked_when_recording_has_ended_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    with pytest.raises(FenceLost):
        recordings.invoked(sid, "A", 2, "request-2", T0)


def test_invoked_when_recording_is_unknown_then_not_found(recordings: Recordings) -> None:
    with pytest.raises(RecordingNotFound):
        recordings.invoked(sid_of(404), "A", 1, "request-1", T0)


def test_invoked_when_another_lane_then_both_have_their_fence(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.invoked(sid, "B", 1, "request-b", T0)
    assert found(recordings, sid).fence == {"A": 1, "B": 1}


def test_claim_when_noted_then_runs_and_returns_the_recording(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 1, "request-1", T0)
    recording = recordings.claim(sid, "A", 1, "request-1", T0 + 7)
    assert recording == recordings.find(sid)
    assert recording.source == a_recording().source
    (lap,) = recordings.laps(sid)
    assert (lap.state, lap.invoked_utc_us, lap.beat_utc_us) == (LapState.RUNNING, T0, T0 + 7)


def test_claim_when_it_comes_before_the_note_then_runs(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.claim(sid, "A", 1, "request-1", T0 + 7)
    recordings.invoked(sid, "A", 1, "request-1", T0 + 9)
    (lap,) = recordings.laps(sid)
    assert (lap.state, lap.invoked_utc_us) == (LapState.RUNNING, T0 + 7)


def test_claim_when_duplicate_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    for request_id in ("request-1", "request-2"):
        with pytest.raises(FenceLost):
            recordings.claim(sid, "A", 1, request_id, T0)


def test_claim_when_the_lane_has_a_newer_lap_then_fence_lost(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 1, "request-1", T0)
    recordings.invoked(sid, "A", 2, "request-2", T0)
    with pytest.raises(FenceLost):
        recordings.claim(sid, "A", 1, "request-1", T0)


@pytest.mark.parametrize("reason", [Reason.STOPPED, Reason.SOURCE_FAILED])
def test_claim_when_recording_is_no_longer_live_then_fence_lost(
    recordings: Recordings, reason: Reason
) -> None:
    sid = running(recordings)
    end(recordings, sid, reason)
    with pytest.raises(FenceLost):
        recordings.claim(sid, "A", 2, "request-2", T0)


def test_claim_when_recording_is_unknown_then_not_found(recordings: Recordings) -> None:
    with pytest.raises(RecordingNotFound):
        recordings.claim(sid_of(404), "A", 1, "request-1", T0)


def test_claim_when_racing_then_one_invocation_gets_the_lap(recordings: Recordings) -> None:
    sid = created(recordings)
    answers = race(lambda n: recordings.claim(sid, "A", 1, f"request-{n}", T0))
    winners = [each for each in answers if isinstance(each, Recording)]
    assert len(winners) == 1
    assert recordings.laps(sid)[0].request_id == winners[0].request_id
    assert all(isinstance(each, FenceLost | Recording) for each in answers)


def test_claim_when_laps_race_for_the_lane_then_the_newest_holds_the_fence(
    recordings: Recordings,
) -> None:
    sid = created(recordings)
    answers = race(lambda n: recordings.claim(sid, "A", n + 1, f"request-{n + 1}", T0))
    assert found(recordings, sid).fence == {"A": RACERS}
    assert isinstance(answers[-1], Recording)
    orders = [recordings.beat(sid, "A", n + 1, STARTING, T0) for n in range(RACERS)]
    assert [each.fenced for each in orders] == [True] * (RACERS - 1) + [False]


# ---------------------------------------------------------------------- beat


def test_beat_when_it_tells_more_then_progress_and_status_follow(recordings: Recordings) -> None:
    sid = running(recordings)
    progress = Progress(Status.IN_PROGRESS, 3, 999, 18 * SECOND, 19 * SECOND, 5, 1, "ok")
    orders = recordings.beat(sid, "A", 1, progress, T0 + 3 * SECOND)
    assert (orders.stop, orders.fenced) == (False, False)
    (lap,) = recordings.laps(sid)
    assert (lap.progress, lap.beat_utc_us) == (progress, T0 + 3 * SECOND)
    assert found(recordings, sid).status is Status.IN_PROGRESS


def test_beat_when_it_tells_less_than_is_known_then_status_stays(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.beat(sid, "A", 1, Progress(Status.IN_PROGRESS), T0 + 1)
    recordings.beat(sid, "A", 1, Progress(Status.PARTLY_READY, 4), T0 + 2)
    assert found(recordings, sid).status is Status.IN_PROGRESS
    assert recordings.laps(sid)[0].progress == Progress(Status.PARTLY_READY, 4)


@pytest.mark.parametrize("status", [Status.STARTING, Status.IN_PROGRESS])
def test_beat_when_stop_was_requested_then_learns_it_and_status_stays(
    recordings: Recordings, status: Status
) -> None:
    sid = running(recordings)
    recordings.request_stop(sid, T0 + 1)
    for at in (2, 3):
        orders = recordings.beat(sid, "A", 1, Progress(status), T0 + at)
        assert (orders.stop, orders.fenced) == (True, False)
    assert found(recordings, sid).status is Status.STOP_REQUESTED
    assert recordings.laps(sid)[0].beat_utc_us == T0 + 3


def test_beat_when_stop_came_between_invocation_and_claim_then_learns_it(
    recordings: Recordings,
) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 1, "request-1", T0)
    recordings.request_stop(sid, T0 + 1)
    recordings.claim(sid, "A", 1, "request-1", T0 + 2)
    assert recordings.beat(sid, "A", 1, STARTING, T0 + 3).stop


def test_beat_when_stop_came_before_any_invocation_then_learns_it(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.request_stop(sid, T0 + 1)
    recordings.claim(sid, "A", 1, "request-1", T0 + 2)
    assert recordings.beat(sid, "A", 1, STARTING, T0 + 3).stop


def test_beat_when_a_newer_lap_was_invoked_then_is_fenced(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.invoked(sid, "A", 2, "request-2", T0)
    assert recordings.beat(sid, "A", 1, Progress(Status.READY), T0 + 3).fenced
    assert found(recordings, sid).status is Status.STARTING


def test_beat_when_another_lane_starts_then_is_not_fenced(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.claim(sid, "B", 1, "request-b", T0)
    assert not recordings.beat(sid, "A", 1, STARTING, T0 + 3).fenced
    assert not recordings.beat(sid, "B", 1, STARTING, T0 + 3).fenced


def test_beat_when_lap_ended_or_is_unknown_then_is_fenced(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    assert recordings.beat(sid, "A", 1, Progress(Status.READY), T0 + 10 * SECOND).fenced
    assert recordings.laps(sid)[0].progress == Progress(Status.IN_PROGRESS, 7)
    assert recordings.beat(sid, "A", 9, STARTING, T0).fenced
    assert recordings.beat(sid_of(404), "A", 1, STARTING, T0).fenced


# ---------------------------------------------------------------------- the relay


def test_beat_when_it_tells_marks_and_playlists_then_the_lap_shows_them(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    progress = Progress(
        Status.IN_PROGRESS,
        open_k=7,
        due=(5, 6),
        marks=((-5, "va1b2"), (3 * SECOND, "ac3d4")),
        zero_us=-12,
        audio_zero_us=13,
        shown=Shown(2, 1, 0, 6, 4),
    )
    recordings.beat(sid, "A", 1, progress, T0 + 3 * SECOND)
    assert recordings.lap(sid, "A", 1) == recordings.laps(sid)[0]
    assert recordings.lap(sid, "A", 1).progress == progress


def test_lap_when_never_noted_then_none(recordings: Recordings) -> None:
    sid = running(recordings)
    assert recordings.lap(sid, "A", 2) is None
    assert recordings.lap(sid_of(404), "A", 1) is None


def test_inherit_when_told_then_the_lap_learns_it_with_each_beat(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.beat(sid, "A", 1, Progress(Status.IN_PROGRESS), T0 + 1)
    recordings.inherit(sid, "A", 1, 12, relieve=False)
    orders = recordings.beat(sid, "A", 1, Progress(Status.IN_PROGRESS), T0 + 2)
    assert (orders.heir_k, orders.relieved, orders.fenced) == (12, False, False)
    for _ in range(2):
        recordings.inherit(sid, "A", 1, 12, relieve=True)
    recordings.inherit(sid, "A", 1, 12, relieve=False)
    orders = recordings.beat(sid, "A", 1, Progress(Status.IN_PROGRESS), T0 + 3)
    assert (orders.heir_k, orders.relieved) == (12, True)


def test_inherit_when_the_lap_does_not_run_then_nothing_changes(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    before = (recordings.find(sid), recordings.laps(sid))
    recordings.inherit(sid, "A", 1, 12, relieve=True)
    recordings.inherit(sid, "A", 2, 12, relieve=True)
    assert (recordings.find(sid), recordings.laps(sid)) == before


def test_end_lap_when_handed_over_to_an_invoked_lap_then_recording_goes_on(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    recordings.invoked(sid, "B", 1, "request-b", T0 + SECOND)
    end(recordings, sid, Reason.HANDED_OVER)
    assert found(recordings, sid).status in LIVE
    recordings.claim(sid, "B", 1, "request-b", T0 + 10 * SECOND)
    assert recordings.commit(sid, a_segment(3, "B", 1), 1)


def test_newest_when_there_are_more_then_only_the_last_ascending(recordings: Recordings) -> None:
    sid = running(recordings)
    for k in (0, 2, 3, 7, 9):
        recordings.commit(sid, a_segment(k), 1)
    recordings.put_init(sid, InitRow(1, (), {}))
    assert [row.k for row in recordings.newest(sid, 3)] == [3, 7, 9]
    assert [row.k for row in recordings.newest(sid, 9)] == [0, 2, 3, 7, 9]
    assert list(recordings.newest(sid_of(404), 3)) == []


# ---------------------------------------------------------------------- status moves


def brought_to(recordings: Recordings, status: Status) -> str:
    """Give the sid of a recording in `status`, reached by legal steps."""
    sid = running(recordings)
    match status:
        case Status.PARTLY_READY | Status.READY | Status.IN_PROGRESS:
            recordings.beat(sid, "A", 1, Progress(status), T0 + SECOND)
        case Status.STOP_REQUESTED:
            recordings.request_stop(sid, T0 + SECOND)
        case Status.STOPPED:
            end(recordings, sid, Reason.STOPPED)
        case Status.EXITED:
            end(recordings, sid, Reason.STOPPED)
            recordings.mark_sealed(sid, T0 + 20 * SECOND)
        case Status.ABNORMAL:
            end(recordings, sid, Reason.SOURCE_FAILED)
    assert found(recordings, sid).status is status
    return sid


def push(recordings: Recordings, sid: str, then: Status) -> None:
    """Do what would move a recording to `then`."""
    match then:
        case Status.STOP_REQUESTED:
            recordings.request_stop(sid, T0 + 30 * SECOND)
        case Status.STOPPED:
            end(recordings, sid, Reason.STOPPED, T0 + 30 * SECOND)
        case Status.EXITED:
            recordings.mark_sealed(sid, T0 + 30 * SECOND)
        case Status.ABNORMAL:
            beat = recordings.laps(sid)[0].beat_utc_us
            recordings.declare_dead(sid, "A", 1, DIED, T0 + 30 * SECOND, beat)
        case _:
            recordings.beat(sid, "A", 1, Progress(then), T0 + 30 * SECOND)


# STOPPED may become ABNORMAL by the table, but no method of the port asks for it.
NEVER_ASKED = {(Status.STOPPED, Status.ABNORMAL)}


@pytest.mark.parametrize("then", list(Status), ids=lambda status: status.name)
@pytest.mark.parametrize(
    "now", [status for status in Status if status >= Status.STARTING], ids=lambda s: s.name
)
def test_status_when_pushed_then_makes_the_move_only_if_the_table_lists_it(
    recordings: Recordings, now: Status, then: Status
) -> None:
    sid = brought_to(recordings, now)
    try:
        push(recordings, sid, then)
    except (AlreadyEnded, ServiceFault, FenceLost):
        assert not may_become(now, then)
    listed = may_become(now, then) and (now, then) not in NEVER_ASKED
    assert found(recordings, sid).status is (then if listed else now)


@pytest.mark.parametrize("status", [s for s in Status if s not in range(2, 6)])
def test_lap_when_it_tells_a_status_that_is_not_its_own_then_service_fault(
    recordings: Recordings, status: Status
) -> None:
    sid = running(recordings)
    with pytest.raises(ServiceFault):
        recordings.beat(sid, "A", 1, Progress(status), T0)
    with pytest.raises(ServiceFault):
        recordings.end_lap(sid, "A", 1, Reason.STOPPED, None, Progress(status), T0)


def test_status_when_beats_and_a_stop_race_then_stop_requested_stays(
    recordings: Recordings,
) -> None:
    sid = running(recordings)

    def racer(number: int) -> object:
        if number == 0:
            return recordings.request_stop(sid, T0 + 1)
        return recordings.beat(sid, "A", 1, Progress(Status(2 + number % 4)), T0 + number)

    answers = race(racer)
    assert not [each for each in answers if isinstance(each, EverreelError)]
    assert found(recordings, sid).status is Status.STOP_REQUESTED
    assert recordings.beat(sid, "A", 1, Progress(Status.IN_PROGRESS), T0 + 99).stop


# ---------------------------------------------------------------------- origin, inits


def test_set_origin_when_first_then_holds_against_later_ones(recordings: Recordings) -> None:
    sid = running(recordings)
    assert recordings.set_origin(sid, T0 + 5) == T0 + 5
    assert recordings.set_origin(sid, T0 + 6) == T0 + 5
    recordings.beat(sid, "A", 1, Progress(Status.READY), T0 + 7)
    assert found(recordings, sid).origin_utc_us == T0 + 5


def test_set_origin_when_racing_then_all_learn_the_one_that_holds(recordings: Recordings) -> None:
    sid = running(recordings)
    answers = race(lambda number: recordings.set_origin(sid, T0 + number))
    assert set(answers) == {found(recordings, sid).origin_utc_us}


def test_set_origin_when_recording_is_unknown_then_not_found(recordings: Recordings) -> None:
    with pytest.raises(RecordingNotFound):
        recordings.set_origin(sid_of(404), T0)


def test_inits_when_put_then_come_back_by_number_and_the_first_stays(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    video = TrackDescription("video", "avc1.64001f", 90_000, 1280, 720, 0, 0, b"\x01\x64\x00")
    audio = TrackDescription("audio", "mp4a.40.2", 48_000, 0, 0, 48_000, 2, b"\x11\x90")
    second = InitRow(2, (audio,), {"all": "init-2.mp4"})
    first = InitRow(1, (video, audio), {"all": "init-1.mp4", "video": "init-1-video.mp4"})
    recordings.put_init(sid, second)
    recordings.put_init(sid, first)
    recordings.put_init(sid, replace(first, keys={"all": "other.mp4"}))
    assert list(recordings.inits(sid)) == [first, second]
    assert list(recordings.inits(sid_of(404))) == []


# ---------------------------------------------------------------------- commit, segments


def test_commit_when_bucket_is_free_then_true_and_indexed(recordings: Recordings) -> None:
    sid = running(recordings)
    gap = Gap(Cause.OUTAGE, 6 * SECOND, 12 * SECOND)
    row = a_segment(3, discontinuity=True, gap=gap, independent=False, init=2)
    assert recordings.commit(sid, row, 1)
    assert list(recordings.segments(sid)) == [row]


def test_commit_when_the_same_row_is_repeated_then_true(recordings: Recordings) -> None:
    sid = running(recordings)
    assert recordings.commit(sid, a_segment(0), 1)
    assert recordings.commit(sid, a_segment(0), 1)
    assert len(list(recordings.segments(sid))) == 1


def test_commit_when_bucket_is_taken_then_false_and_the_first_stays(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    recordings.claim(sid, "B", 1, "request-b", T0)
    assert recordings.commit(sid, a_segment(0, "A"), 1)
    assert not recordings.commit(sid, a_segment(0, "B"), 1)
    assert list(recordings.segments(sid)) == [a_segment(0, "A")]


def test_commit_when_fence_is_not_the_newest_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.invoked(sid, "A", 2, "request-2", T0)
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0), 1)
    assert list(recordings.segments(sid)) == []


def test_commit_when_lane_has_no_fence_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0, "C"), 1)


def test_commit_when_bucket_is_taken_and_fence_is_old_then_fence_lost(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    recordings.claim(sid, "A", 2, "request-2", T0)
    assert recordings.commit(sid, a_segment(0, lap=2), 2)
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0, lap=1), 1)


def test_commit_when_repeated_after_the_fence_moved_then_true(recordings: Recordings) -> None:
    sid = running(recordings)
    assert recordings.commit(sid, a_segment(0), 1)
    recordings.invoked(sid, "A", 2, "request-2", T0)
    assert recordings.commit(sid, a_segment(0), 1)


def test_commit_when_stop_was_requested_then_the_drain_is_taken(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.request_stop(sid, T0)
    assert recordings.commit(sid, a_segment(0), 1)


def test_commit_when_the_recording_has_ended_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0), 1)


def test_commit_when_racing_for_a_bucket_then_the_first_wins_and_others_learn_it(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    answers = race(
        lambda number: recordings.commit(sid, a_segment(0, key=f"segments/{number}.m4s"), 1)
    )
    assert sorted(answers, key=bool) == [False] * (RACERS - 1) + [True]
    (row,) = recordings.segments(sid)
    assert row.key == f"segments/{answers.index(True)}.m4s"


def test_commit_when_racing_with_a_newer_lap_then_nothing_is_written_after_it(
    recordings: Recordings,
) -> None:
    sid = running(recordings)

    def racer(number: int) -> object:
        if number == 3:
            recordings.claim(sid, "A", 2, "request-2", T0)
            return [row.k for row in recordings.segments(sid)]
        return recordings.commit(sid, a_segment(number), 1)

    answers = race(racer)
    written = [number for number, answer in enumerate(answers) if answer is True]
    assert sorted(row.k for row in recordings.segments(sid)) == written
    assert answers[3] == written, "a commit got through after the newer lap had the fence"


def test_segments_when_many_then_ascend_without_end_or_doubles(recordings: Recordings) -> None:
    sid = running(recordings)
    other = running(recordings, 2, channel="other")
    assert recordings.commit(other, a_segment(5), 1)
    for k in (12, 0, 100, 7, 99, 11):
        assert recordings.commit(sid, a_segment(k), 1)
    assert [row.k for row in recordings.segments(sid)] == [0, 7, 11, 12, 99, 100]


def test_segments_when_asked_after_a_bucket_then_begin_behind_it(recordings: Recordings) -> None:
    sid = running(recordings)
    for k in (0, 3, 4, 9):
        assert recordings.commit(sid, a_segment(k), 1)
    assert [row.k for row in recordings.segments(sid, after=3)] == [4, 9]
    assert [row.k for row in recordings.segments(sid, after=9)] == []


def test_segments_when_recording_is_unknown_then_none(recordings: Recordings) -> None:
    assert list(recordings.segments(sid_of(404))) == []


# ---------------------------------------------------------------------- end_lap


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_end_lap_when_last_then_recording_ends_as_the_reason_says(
    recordings: Recordings, reason: Reason
) -> None:
    sid = running(recordings)
    end(recordings, sid, reason)
    recording = found(recordings, sid)
    normal = {"stopped", "idle", "max_duration", "lap_limit", "handed_over", "vendor_exited"}
    assert recording.status is (Status.STOPPED if reason in normal else Status.ABNORMAL)
    assert (recording.reason, recording.ended_utc_us) == (reason, T0 + 9 * SECOND)
    assert recording.failure == (None if reason is Reason.STOPPED else DIED)
    (lap,) = recordings.laps(sid)
    assert (lap.state, lap.reason) == (LapState.ENDED, reason)
    assert lap.progress == Progress(Status.IN_PROGRESS, 7)


def test_end_lap_when_last_then_the_name_is_free_again(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.IDLE)
    assert created(recordings, 2) == sid_of(2)


def test_end_lap_when_another_lane_runs_then_recording_goes_on(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.claim(sid, "B", 1, "request-b", T0)
    end(recordings, sid, Reason.FAULT)
    assert found(recordings, sid).status is Status.STARTING
    assert recordings.commit(sid, a_segment(0, "B"), 1)
    recordings.put_ticket(a_ticket(2))
    with pytest.raises(RecordingConflict):
        recordings.create(a_recording(2))
    recordings.end_lap(sid, "B", 1, Reason.STOPPED, None, STARTING, T0 + 50)
    assert found(recordings, sid).status is Status.STOPPED


def test_end_lap_when_lanes_race_to_end_then_the_recording_ends_once(
    recordings: Recordings,
) -> None:
    sid = created(recordings)
    for number in range(RACERS):
        recordings.claim(sid, f"L{number}", 1, f"request-{number}", T0)
    race(lambda n: recordings.end_lap(sid, f"L{n}", 1, Reason.STOPPED, None, STARTING, T0 + n))
    assert found(recordings, sid).status is Status.STOPPED
    assert {lap.state for lap in recordings.laps(sid)} == {LapState.ENDED}


def test_end_lap_when_repeated_then_nothing_changes(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    before = (recordings.find(sid), recordings.laps(sid))
    end(recordings, sid, Reason.FAULT, T0 + 99 * SECOND)
    assert (recordings.find(sid), recordings.laps(sid)) == before


def test_end_lap_when_repeated_then_the_name_of_a_successor_stays_taken(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    created(recordings, 2)
    end(recordings, sid, Reason.STOPPED)
    recordings.put_ticket(a_ticket(3))
    with pytest.raises(RecordingConflict, match=sid_of(2)):
        recordings.create(a_recording(3))


def test_end_lap_when_fenced_or_unknown_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    with pytest.raises(FenceLost):
        recordings.end_lap(sid, "A", 9, Reason.STOPPED, None, STARTING, T0)
    recordings.invoked(sid, "A", 2, "request-2", T0)
    with pytest.raises(FenceLost):
        end(recordings, sid, Reason.STOPPED)
    assert found(recordings, sid).status is Status.STARTING


def test_end_lap_when_declared_dead_before_then_fence_lost(recordings: Recordings) -> None:
    sid = running(recordings)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    with pytest.raises(FenceLost):
        end(recordings, sid, Reason.STOPPED)
    assert found(recordings, sid).status is Status.ABNORMAL


# ---------------------------------------------------------------------- declare_dead


def test_declare_dead_when_the_beat_stands_still_then_abnormal_and_name_free(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    recordings.beat(sid, "A", 1, Progress(Status.IN_PROGRESS, 2), T0 + 3 * SECOND)
    at = T0 + 60 * SECOND
    assert recordings.declare_dead(sid, "A", 1, DIED, at, T0 + 3 * SECOND)
    recording = found(recordings, sid)
    assert (recording.status, recording.reason) == (Status.ABNORMAL, Reason.RECORDER_DIED)
    assert (recording.failure, recording.ended_utc_us) == (DIED, at)
    (lap,) = recordings.laps(sid)
    assert (lap.state, lap.beat_utc_us) == (LapState.DEAD, T0 + 3 * SECOND)
    assert lap.progress == Progress(Status.IN_PROGRESS, 2)
    assert created(recordings, 2) == sid_of(2)


def test_declare_dead_when_it_moved_meanwhile_then_false(recordings: Recordings) -> None:
    sid = running(recordings)
    recordings.beat(sid, "A", 1, STARTING, T0 + 3 * SECOND)
    assert not recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    assert found(recordings, sid).status is Status.STARTING
    assert not recordings.beat(sid, "A", 1, STARTING, T0 + 61 * SECOND).fenced


def test_declare_dead_when_it_ended_or_died_before_then_false(recordings: Recordings) -> None:
    sid = running(recordings)
    end(recordings, sid, Reason.STOPPED)
    assert not recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0 + 9 * SECOND)
    other = running(recordings, 2)
    assert recordings.declare_dead(other, "A", 1, DIED, T0 + 60 * SECOND, T0)
    assert not recordings.declare_dead(other, "A", 1, DIED, T0 + 60 * SECOND, T0)


def test_declare_dead_when_never_claimed_then_never_started(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "A", 1, "request-1", T0)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 90 * SECOND, 0)
    assert found(recordings, sid).reason is Reason.NEVER_STARTED
    with pytest.raises(FenceLost):
        recordings.claim(sid, "A", 1, "request-1", T0 + 91 * SECOND)


def test_declare_dead_when_not_even_invoked_then_never_started(recordings: Recordings) -> None:
    sid = created(recordings)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 90 * SECOND, 0)
    assert found(recordings, sid).reason is Reason.NEVER_STARTED
    assert [lap.state for lap in recordings.laps(sid)] == [LapState.DEAD]
    with pytest.raises(FenceLost):
        recordings.claim(sid, "A", 1, "request-1", T0 + 91 * SECOND)


def test_declare_dead_when_a_zombie_beats_and_commits_then_it_is_fenced(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    assert recordings.beat(sid, "A", 1, Progress(Status.READY), T0 + 61 * SECOND).fenced
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0), 1)
    assert recordings.laps(sid)[0].beat_utc_us == T0


def test_declare_dead_when_another_lane_runs_then_only_the_lap_is_closed(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    recordings.claim(sid, "B", 1, "request-b", T0)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    assert found(recordings, sid).status is Status.STARTING
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0, "A"), 1)
    recordings.claim(sid, "A", 2, "request-2", T0 + 61 * SECOND)
    assert recordings.commit(sid, a_segment(0, "A", 2), 2)


def test_declare_dead_when_a_newer_lap_has_the_lane_then_only_the_lap_is_closed(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    recordings.claim(sid, "A", 2, "request-2", T0)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    assert found(recordings, sid).fence == {"A": 2}
    assert not recordings.beat(sid, "A", 2, STARTING, T0 + 61 * SECOND).fenced


def test_declare_dead_when_racing_with_beats_then_either_dead_or_alive(
    recordings: Recordings,
) -> None:
    sid = running(recordings)

    def racer(number: int) -> object:
        if number % 2:
            return recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
        return recordings.beat(sid, "A", 1, STARTING, T0 + 61 * SECOND).fenced

    answers = race(racer)
    deaths, fenced = answers[1::2].count(True), answers[0::2].count(True)
    if deaths:
        assert (deaths, fenced) == (1, RACERS // 2)
        assert found(recordings, sid).status is Status.ABNORMAL
    else:
        assert fenced == 0
        assert found(recordings, sid).status is Status.STARTING


def test_declare_dead_when_racing_with_end_then_one_of_them_decides(
    recordings: Recordings,
) -> None:
    sid = running(recordings)

    def racer(number: int) -> object:
        if number % 2:
            return recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
        end(recordings, sid, Reason.STOPPED)
        return "ended"

    answers = race(racer)
    recording = found(recordings, sid)
    if True in answers:
        assert recording.status is Status.ABNORMAL
        assert all(isinstance(each, FenceLost) for each in answers[0::2])
    else:
        assert recording.status is Status.STOPPED
        assert answers[0::2] == ["ended"] * (RACERS // 2)


# ---------------------------------------------------------------------- laps, stop, seal


def test_laps_when_several_then_oldest_first(recordings: Recordings) -> None:
    sid = created(recordings)
    recordings.invoked(sid, "B", 1, "b1", T0 + 1)
    recordings.invoked(sid, "A", 1, "a1", T0 + 2)
    recordings.invoked(sid, "A", 2, "a2", T0 + 3)
    recordings.invoked(sid, "A", 10, "a10", T0 + 4)
    assert [lap.request_id for lap in recordings.laps(sid)] == ["b1", "a1", "a2", "a10"]
    assert list(recordings.laps(sid_of(404))) == []


def test_request_stop_when_live_then_marks_and_a_repeat_keeps_the_time(
    recordings: Recordings,
) -> None:
    sid = running(recordings)
    first = recordings.request_stop(sid, T0 + 5)
    assert (first.status, first.stop_requested_utc_us) == (Status.STOP_REQUESTED, T0 + 5)
    assert recordings.request_stop(sid, T0 + 9) == first == recordings.find(sid)


def test_request_stop_when_unknown_then_not_found(recordings: Recordings) -> None:
    with pytest.raises(RecordingNotFound):
        recordings.request_stop(sid_of(404), T0)


@pytest.mark.parametrize("status", [Status.STOPPED, Status.EXITED, Status.ABNORMAL])
def test_request_stop_when_it_has_ended_then_already_ended(
    recordings: Recordings, status: Status
) -> None:
    sid = brought_to(recordings, status)
    with pytest.raises(AlreadyEnded):
        recordings.request_stop(sid, T0 + 30 * SECOND)
    assert found(recordings, sid).stop_requested_utc_us == 0


def test_mark_sealed_when_stopped_then_exited_and_a_repeat_changes_nothing(
    recordings: Recordings,
) -> None:
    sid = brought_to(recordings, Status.STOPPED)
    first = recordings.mark_sealed(sid, T0 + 20 * SECOND)
    assert (first.status, first.sealed_utc_us) == (Status.EXITED, T0 + 20 * SECOND)
    assert recordings.mark_sealed(sid, T0 + 99 * SECOND) == first == recordings.find(sid)


def test_mark_sealed_when_abnormal_then_stays_abnormal(recordings: Recordings) -> None:
    sid = brought_to(recordings, Status.ABNORMAL)
    first = recordings.mark_sealed(sid, T0 + 20 * SECOND)
    assert (first.status, first.sealed_utc_us) == (Status.ABNORMAL, T0 + 20 * SECOND)
    assert recordings.mark_sealed(sid, T0 + 99 * SECOND) == first


@pytest.mark.parametrize("status", sorted(LIVE))
def test_mark_sealed_when_a_lap_is_live_then_service_fault(
    recordings: Recordings, status: Status
) -> None:
    sid = brought_to(recordings, status)
    with pytest.raises(ServiceFault):
        recordings.mark_sealed(sid, T0 + 20 * SECOND)


def test_mark_sealed_when_unknown_then_not_found(recordings: Recordings) -> None:
    with pytest.raises(RecordingNotFound):
        recordings.mark_sealed(sid_of(404), T0)


# ---------------------------------------------------------------------- laps that follow each other

RELAYED = Options(reliability=Reliability.ECONOMY)
PASSING = sorted(PASSING_REASONS - {Reason.RECORDER_DIED, Reason.NEVER_STARTED})


def test_invoked_when_told_why_then_the_lap_keeps_it_through_its_life(
    recordings: Recordings,
) -> None:
    sid = created(recordings, options=RELAYED)
    origin = LapOrigin("takeover: B1 fault", "B1", relieves=True, attempt=2, recorder_uid="backup")
    recordings.invoked(sid, "A", 1, "", T0, origin)
    recordings.invoked(sid, "A", 1, "request-1", T0 + 1, LapOrigin("another"))
    recordings.claim(sid, "A", 1, "request-1", T0 + 2)
    recordings.beat(sid, "A", 1, STARTING, T0 + 3)
    (lap,) = recordings.laps(sid)
    assert (lap.origin, lap.request_id) == (origin, "request-1")
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0 + 3)
    assert recordings.laps(sid)[0].origin == origin


@pytest.mark.parametrize("reason", PASSING)
def test_end_lap_when_it_passes_in_a_relay_then_the_recording_lives_on_without_a_lap(
    recordings: Recordings, reason: Reason
) -> None:
    sid = running(recordings, options=RELAYED)
    end(recordings, sid, reason)
    recording = found(recordings, sid)
    assert recording.status in LIVE
    assert (recording.reason, recording.ended_utc_us) == (None, 0)
    with pytest.raises(FenceLost):
        recordings.commit(sid, a_segment(0, "B", 1), 1)
    recordings.put_ticket(a_ticket(2))
    with pytest.raises(RecordingConflict):
        recordings.create(a_recording(2))
    recordings.claim(sid, "B", 1, "request-b", T0 + 10 * SECOND)
    assert recordings.commit(sid, a_segment(1, "B", 1), 1)


@pytest.mark.parametrize("reason", sorted(set(Reason) - PASSING_REASONS))
def test_end_lap_when_it_does_not_pass_then_the_relay_ends_with_it(
    recordings: Recordings, reason: Reason
) -> None:
    sid = running(recordings, options=RELAYED)
    end(recordings, sid, reason)
    assert found(recordings, sid).status not in LIVE


@pytest.mark.parametrize("reason", [*PASSING, Reason.STOPPED])
def test_end_lap_when_the_relay_was_asked_to_stop_then_ends(
    recordings: Recordings, reason: Reason
) -> None:
    sid = running(recordings, options=RELAYED)
    recordings.request_stop(sid, T0 + SECOND)
    end(recordings, sid, reason)
    assert found(recordings, sid).status not in LIVE


def test_end_lap_when_its_way_to_the_store_was_slow_then_the_next_lap_has_its_own(
    recordings: Recordings,
) -> None:
    for number, (code, goes_on) in enumerate((("store_too_slow", True), ("store_denied", False))):
        sid = running(recordings, number + 1, options=RELAYED, channel=f"room-{number}")
        failure = Failure(code, "destination", "x")
        recordings.end_lap(sid, "A", 1, Reason.DESTINATION_FAILED, failure, STARTING, T0 + SECOND)
        assert (found(recordings, sid).status in LIVE) == goes_on


def test_declare_dead_when_in_a_relay_then_the_recording_lives_on(recordings: Recordings) -> None:
    sid = running(recordings, options=RELAYED)
    assert recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    assert found(recordings, sid).status in LIVE
    recordings.claim(sid, "A", 2, "request-2", T0 + 61 * SECOND)
    recordings.request_stop(sid, T0 + 62 * SECOND)
    assert recordings.declare_dead(sid, "A", 2, DIED, T0 + 120 * SECOND, T0 + 61 * SECOND)
    recording = found(recordings, sid)
    assert (recording.status, recording.reason) == (Status.ABNORMAL, Reason.RECORDER_DIED)


def test_request_stop_when_between_two_laps_then_stopped_at_once(recordings: Recordings) -> None:
    sid = running(recordings, options=RELAYED)
    end(recordings, sid, Reason.LAP_LIMIT)
    at = T0 + 20 * SECOND
    recording = recordings.request_stop(sid, at)
    assert recording == found(recordings, sid)
    assert (recording.status, recording.reason) == (Status.STOPPED, Reason.STOPPED)
    assert (recording.stop_requested_utc_us, recording.ended_utc_us) == (at, at)
    with pytest.raises(AlreadyEnded):
        recordings.request_stop(sid, at + 1)
    with pytest.raises(FenceLost):
        recordings.claim(sid, "B", 1, "late", at + 1)
    assert created(recordings, 2) == sid_of(2), "the name is free"


def test_request_stop_when_no_lap_was_ever_noted_then_waits_for_the_first(
    recordings: Recordings,
) -> None:
    sid = created(recordings, options=RELAYED)
    assert recordings.request_stop(sid, T0 + 1).status is Status.STOP_REQUESTED
    recordings.claim(sid, "A", 1, "request-1", T0 + 2)
    assert recordings.beat(sid, "A", 1, STARTING, T0 + 3).stop


def test_request_stop_when_racing_with_the_next_lap_then_it_learns_it_or_does_not_start(
    recordings: Recordings,
) -> None:
    sid = running(recordings, options=RELAYED)
    end(recordings, sid, Reason.LAP_LIMIT)

    def racer(number: int) -> object:
        if number == 0:
            return recordings.request_stop(sid, T0 + 20 * SECOND)
        recordings.invoked(sid, "B", number, f"request-{number}", T0 + 20 * SECOND)
        return number

    race(racer)
    recording = found(recordings, sid)
    if recording.status is Status.STOPPED:
        # Some laps may have been noted before the stop: then it waited for the newest.
        assert not recordings.recent_laps(sid)[-1].open or recording.fence.get("B", 0) == 0
        return
    assert recording.status is Status.STOP_REQUESTED
    newest = recording.fence["B"]
    recordings.claim(sid, "B", newest, f"request-{newest}", T0 + 21 * SECOND)
    assert recordings.beat(sid, "B", newest, STARTING, T0 + 22 * SECOND).stop


def test_complete_when_the_lap_is_dead_then_its_progress_is_replaced(
    recordings: Recordings,
) -> None:
    sid = running(recordings, options=RELAYED)
    told = Progress(Status.IN_PROGRESS, segments=3, media_us=18)
    recordings.complete(sid, "A", 1, told)
    assert recordings.laps(sid)[0].progress == STARTING, "it lives and tells for itself"
    recordings.declare_dead(sid, "A", 1, DIED, T0 + 60 * SECOND, T0)
    recordings.complete(sid, "A", 1, told)
    recordings.complete(sid, "B", 9, told)
    (lap,) = recordings.laps(sid)
    assert (lap.progress, lap.state) == (told, LapState.DEAD)


# ---------------------------------------------------------------------- what is judged by


def test_recent_laps_when_a_recording_is_long_then_the_newest_of_each_lane(
    recordings: Recordings,
) -> None:
    sid = created(recordings, options=RELAYED)
    for number in range(1, 8):
        for lane in "AB":
            at = T0 + (2 * number + (lane == "B")) * SECOND
            recordings.claim(sid, lane, number, "r", at)
            recordings.end_lap(sid, lane, number, Reason.LAP_LIMIT, None, STARTING, at + 1)
    names = [lap.name for lap in recordings.recent_laps(sid)]
    assert names == ["A5", "B5", "A6", "B6", "A7", "B7"]
    assert len(recordings.laps(sid)) == 14


def test_recent_laps_when_the_newest_is_buried_then_still_two_of_its_lane(
    recordings: Recordings,
) -> None:
    sid = created(recordings, options=RELAYED)
    for number in (1, 2, 3):
        at = T0 + number * 60 * SECOND
        recordings.claim(sid, "A", number, "r", at)
        assert recordings.declare_dead(sid, "A", number, DIED, at + SECOND, at)
    assert [lap.name for lap in recordings.recent_laps(sid)] == ["A2", "A3"]


def test_recent_laps_when_there_are_none_then_empty_and_unknown_is_not_found(
    recordings: Recordings,
) -> None:
    assert list(recordings.recent_laps(created(recordings))) == []
    with pytest.raises(RecordingNotFound):
        recordings.recent_laps(sid_of(404))


def test_give_up_when_no_lap_is_open_then_ends_as_the_last_lap_would(
    recordings: Recordings,
) -> None:
    sid = running(recordings, options=RELAYED)
    assert not recordings.give_up(sid, Reason.RECORDER_DIED, DIED, T0 + 5 * SECOND), "a lap is open"
    end(recordings, sid, Reason.FAULT)
    at = T0 + 600 * SECOND
    assert recordings.give_up(sid, Reason.RECORDER_DIED, DIED, at)
    recording = found(recordings, sid)
    assert (recording.status, recording.reason) == (Status.ABNORMAL, Reason.RECORDER_DIED)
    assert (recording.failure, recording.ended_utc_us) == (DIED, at)
    assert not recordings.give_up(sid, Reason.RECORDER_DIED, DIED, at + 1)
    assert found(recordings, sid) == recording
    assert created(recordings, 2) == sid_of(2), "the name is free"
    with pytest.raises(RecordingNotFound):
        recordings.give_up(sid_of(404), Reason.FAULT, DIED, at)


def test_unsealed_when_asked_then_every_app_oldest_first_until_sealed(
    recordings: Recordings,
) -> None:
    assert list(recordings.unsealed()) == []
    for number, app, age in ((1, "live", 3), (2, "other", 2), (3, "live", 1)):
        recordings.put_ticket(a_ticket(number, app=app))
        recordings.create(
            a_recording(number, app=app, channel=f"room-{number}", created_utc_us=T0 - age)
        )
    assert [each.sid for each in recordings.unsealed()] == [sid_of(n) for n in (1, 2, 3)]
    recordings.claim(sid_of(2), "A", 1, "r", T0)
    end(recordings, sid_of(2), Reason.STOPPED)
    assert len(list(recordings.unsealed())) == 3, "ended, not sealed"
    recordings.mark_sealed(sid_of(2), T0 + 20 * SECOND)
    assert [each.sid for each in recordings.unsealed()] == [sid_of(1), sid_of(3)]
    assert next(iter(recordings.unsealed())) == found(recordings, sid_of(1))


def test_segment_when_asked_for_then_the_row_of_its_bucket(recordings: Recordings) -> None:
    sid = running(recordings)
    assert recordings.segment(sid, 3) is None
    recordings.commit(sid, a_segment(3), 1)
    assert recordings.segment(sid, 3) == a_segment(3)
    assert recordings.segment(sid, 2) is None
    assert recordings.segment(sid_of(404), 3) is None


# ---------------------------------------------------------------------- recordings elsewhere

ELSEWHERE = ProviderName.AGORA
LOST = Failure("vendor_lost", "service", "the vendor lost it")


def test_recording_when_it_runs_elsewhere_then_says_where(recordings: Recordings) -> None:
    sid = created(recordings, provider=ELSEWHERE)
    assert found(recordings, sid).provider is ELSEWHERE


def test_advance_when_forward_then_moves_and_never_back(recordings: Recordings) -> None:
    sid = created(recordings, provider=ELSEWHERE)
    assert recordings.advance(sid, Status.IN_PROGRESS).status is Status.IN_PROGRESS
    assert recordings.advance(sid, Status.STARTING).status is Status.IN_PROGRESS
    recordings.request_stop(sid, T0)
    assert recordings.advance(sid, Status.IN_PROGRESS).status is Status.STOP_REQUESTED
    assert found(recordings, sid).status is Status.STOP_REQUESTED


@pytest.mark.parametrize(
    ("reason", "failure", "status", "final"),
    [
        (Reason.VENDOR_EXITED, None, Status.STOPPED, Status.EXITED),
        (Reason.STOPPED, None, Status.STOPPED, Status.EXITED),
        (Reason.VENDOR_FAILED, LOST, Status.ABNORMAL, Status.ABNORMAL),
    ],
)
def test_give_up_when_it_runs_elsewhere_then_ends_as_the_reason_says_and_the_name_is_free(
    recordings: Recordings, reason: Reason, failure: Failure | None, status: Status, final: Status
) -> None:
    sid = created(recordings, provider=ELSEWHERE)
    assert recordings.give_up(sid, reason, failure, T0 + 5)
    over = found(recordings, sid)
    assert (over.status, over.reason, over.failure) == (status, reason, failure)
    assert over.ended_utc_us == T0 + 5
    assert not recordings.give_up(sid, Reason.FAULT, LOST, T0 + 9)
    created(recordings, 2, provider=ELSEWHERE)
    assert recordings.mark_sealed(sid, T0 + 6).status is final
    assert found(recordings, sid).reason is reason


def test_advance_when_unknown_then_not_found(recordings: Recordings) -> None:
    with pytest.raises(RecordingNotFound):
        recordings.advance(sid_of(9), Status.IN_PROGRESS)
