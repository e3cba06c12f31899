"""A recording at a vendor, on a clock that moves: each documented wait, and that it ends."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.state.vendor import Call, Layout, VendorWatch
from everreel.supervisor.answers import Meaning, meaning_of
from everreel.supervisor.practices import CLOUD_RECORDING, CLOUD_TRANSCODER, Practices
from everreel.supervisor.provider import Answer, Health
from everreel.supervisor.vendor import Ending
from tests.unit.supervisor.scripted_vendor import (
    ACQUIRED,
    BROKEN,
    EXITED,
    FAILED,
    GONE,
    NAMELESS,
    ORDER,
    RUNNING,
    SID,
    SILENT,
    STARTED,
    STARTING,
    STOPPED,
    THROTTLED,
    UNFINISHED,
    Vendor,
)

CONFIRMED_AT_S = [5, 8, 12, 18, 27, 40, 60, 89, 90]
"""The longest of these waits would be 30 s, and a task may exit after 30 s without anybody."""
SERVICES = pytest.mark.parametrize("practices", [CLOUD_RECORDING, CLOUD_TRANSCODER])


# ---------------------------------------------------------------------- start


@SERVICES
def test_start_when_all_is_well_then_first_query_after_five_seconds_and_steady_ones(
    practices: Practices,
) -> None:
    vendor = Vendor({}, practices=practices)
    assert vendor.supervise(until_s=300) is None
    assert vendor.times(Call.ACQUIRE, Call.START) == [0, 0]
    steady = practices.steady_s
    assert vendor.times(Call.QUERY) == list(range(5, 301, steady))
    assert steady == {CLOUD_RECORDING: 60, CLOUD_TRANSCODER: 120}[practices]
    assert vendor.watch.playlist == "task_lobby.m3u8"


@SERVICES
@pytest.mark.parametrize(
    "trouble", [BROKEN, SILENT, Answer(503), Answer(206), Answer(200), Answer(201)], ids=repr
)
def test_start_when_it_fails_then_again_after_three_six_and_nine_seconds(
    practices: Practices, trouble: Answer
) -> None:
    vendor = Vendor({Call.START: [trouble, trouble, trouble, STARTED]}, practices=practices)
    vendor.supervise(until_s=60)
    assert vendor.times(Call.START) == [0, 3, 9, 18]
    assert vendor.times(Call.ACQUIRE) == [0]
    assert {made.uid for made in vendor.made} == {"101"}
    assert vendor.watch.running_utc_us


def test_start_when_the_third_repeat_fails_then_a_new_ticket_with_the_other_uid() -> None:
    vendor = Vendor({Call.START: [BROKEN] * 4 + [STARTED]})
    vendor.supervise(until_s=60)
    assert vendor.times(Call.ACQUIRE) == [0, 18]
    assert vendor.times(Call.START) == [0, 3, 9, 18, 18]
    assert vendor.uids() == ["101", "102"]
    assert vendor.uids(Call.START)[-1] == vendor.uids(Call.QUERY)[0] == "102"


def test_start_when_it_fails_for_ever_then_uids_alternate_and_it_is_given_up() -> None:
    vendor = Vendor({Call.START: [BROKEN]})
    assert vendor.supervise() is Ending.NEVER_STARTED
    assert vendor.uids() == ["101", "102", "101", "102"]
    assert vendor.now_s == 4 * 18
    assert len(vendor.times(Call.START)) == 16


@SERVICES
def test_start_when_unfinished_then_twice_again_and_a_new_ticket(practices: Practices) -> None:
    vendor = Vendor({Call.START: [UNFINISHED] * 3 + [STARTED]}, practices=practices)
    vendor.supervise(until_s=60)
    assert vendor.times(Call.START) == [0, 3, 9, 9]
    assert vendor.uids() == ["101", "102"]


def test_start_when_unfinished_with_any_status_then_the_code_counts() -> None:
    for status in (200, 206, 400, 500):
        assert meaning_of(Call.START, Answer(status, code=65)) is Meaning.UNFINISHED


def test_start_when_it_runs_already_then_is_confirmed_like_any_other() -> None:
    vendor = Vendor({Call.START: [Answer(201, task="task")]})
    vendor.supervise(until_s=30)
    assert vendor.times(Call.START) == [0]
    assert vendor.times(Call.QUERY)[0] == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("call", [Call.ACQUIRE, Call.START])
def test_start_when_the_request_is_wrong_then_is_given_up_with_the_field(
    call: Call, status: int
) -> None:
    refusal = Answer(status, code=2, field="storageConfig")
    vendor = Vendor({call: [refusal]})
    assert vendor.supervise() is Ending.REFUSED
    assert vendor.steps[-1].field == "storageConfig"
    assert vendor.now_s == 0


@pytest.mark.parametrize("answer", [Answer(400, code=53), Answer(400, code=433), Answer(409)])
def test_start_when_its_uid_or_ticket_is_used_up_then_the_other_uid_at_once(
    answer: Answer,
) -> None:
    vendor = Vendor({Call.START: [answer, STARTED]})
    vendor.supervise(until_s=20)
    assert vendor.uids() == ["101", "102"]
    assert vendor.times(Call.START) == [0, 0]


def test_acquire_when_the_vendor_has_no_room_then_waits_and_keeps_its_uid() -> None:
    vendor = Vendor({Call.ACQUIRE: [Answer(400, code=406)]})
    assert vendor.supervise() is Ending.NO_ROOM
    assert vendor.times(Call.ACQUIRE) == [0, 3, 9, 18]
    assert set(vendor.uids()) == {"101"}


@pytest.mark.parametrize("call", [Call.ACQUIRE, Call.START])
def test_start_when_there_are_too_many_calls_then_waits_longer_and_longer(call: Call) -> None:
    vendor = Vendor({call: [THROTTLED]})
    assert vendor.supervise() is Ending.NEVER_STARTED
    waits = [after - before for before, after in pairwise(vendor.times(call))]
    assert len(waits) == 5
    for wait, longest in zip(waits, (4, 8, 16, 30, 30), strict=True):
        assert longest / 2 <= wait <= longest
    assert set(vendor.uids()) == {"101"}
    assert {made.domain for made in vendor.made} == {0}


def test_waits_when_several_were_too_many_then_differ_and_are_the_same_each_time() -> None:
    sids = [f"{number:032x}" for number in range(50)]
    waits = [CLOUD_RECORDING.throttled_wait_s(sid, 4) for sid in sids]
    assert set(waits) == set(range(15, 31))
    assert waits == [CLOUD_RECORDING.throttled_wait_s(sid, 4) for sid in sids]


def test_start_when_troubles_mix_then_their_number_counts() -> None:
    vendor = Vendor({Call.START: [BROKEN, UNFINISHED, BROKEN, SILENT, STARTED]})
    vendor.supervise(until_s=60)
    assert vendor.times(Call.START) == [0, 3, 9, 18, 18]


def test_start_when_more_tasks_than_allowed_then_the_vendor_is_not_asked() -> None:
    vendor = Vendor({}, tasks=51)
    assert vendor.supervise() is Ending.NO_ROOM
    assert not vendor.made


# ---------------------------------------------------------------------- confirm


def test_task_when_it_never_runs_then_the_verdict_comes_after_ninety_seconds() -> None:
    vendor = Vendor({Call.QUERY: [STARTING] * 9 + [RUNNING]})
    vendor.supervise(until_s=100)
    assert vendor.times(Call.QUERY) == [*CONFIRMED_AT_S, 95]
    assert vendor.times(Call.ACQUIRE) == [0, 90]
    assert vendor.uids() == ["101", "102"]


def test_task_when_it_can_exit_soon_then_queries_stay_below_its_idle_time() -> None:
    vendor = Vendor({Call.QUERY: [STARTING]}, order=replace(ORDER, max_idle_s=6))
    vendor.supervise(until_s=89)
    queries = vendor.times(Call.QUERY)
    assert all(later - earlier < 6 for earlier, later in pairwise(queries))


@given(
    st.lists(
        st.sampled_from([STARTING, GONE, BROKEN, SILENT, UNFINISHED, Answer(400)]),
        min_size=1,
        max_size=40,
    )
)
def test_task_when_anything_but_running_is_answered_then_a_verdict_within_ninety_seconds(
    answers: list[Answer],
) -> None:
    vendor = Vendor({Call.QUERY: answers})
    vendor.supervise(until_s=90)
    if not vendor.steps[-1].ending:
        assert len(vendor.times(Call.ACQUIRE)) >= 2


# ---------------------------------------------------------------------- watch


def test_task_when_gone_then_is_confirmed_after_five_ten_and_fifteen_seconds() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, GONE, GONE, GONE, GONE, RUNNING]})
    vendor.supervise(until_s=100)
    assert vendor.times(Call.QUERY) == [5, 65, 70, 80, 95, 100]
    assert vendor.times(Call.ACQUIRE) == [0, 95]
    assert vendor.uids() == ["101", "102"]
    assert vendor.watch.restarts == 1


@pytest.mark.parametrize("trouble", [BROKEN, SILENT, UNFINISHED], ids=repr)
def test_query_when_it_fails_then_again_after_five_ten_fifteen_and_thirty(trouble: Answer) -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, *[trouble] * 5, RUNNING]})
    vendor.supervise(until_s=130)
    assert vendor.times(Call.QUERY) == [5, 65, 70, 80, 95, 125, 130]
    assert vendor.times(Call.ACQUIRE) == [0, 125]


@pytest.mark.parametrize("blips", [[GONE] * 3, [BROKEN] * 4, [SILENT, GONE, GONE, BROKEN, GONE]])
def test_query_when_it_recovers_before_the_end_then_nothing_is_restarted(
    blips: list[Answer],
) -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, *blips, RUNNING]})
    vendor.supervise(until_s=1000)
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.watch.trouble_utc_us == 0


def test_query_when_troubles_alternate_then_the_task_is_lost_after_two_minutes() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, *[GONE, BROKEN] * 20, RUNNING]})
    vendor.supervise(until_s=600)
    assert 65 + 120 <= vendor.times(Call.ACQUIRE)[1] <= 65 + 120 + 30


def test_task_when_it_fails_then_is_started_anew_at_once() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, FAILED, RUNNING]})
    vendor.supervise(until_s=100)
    assert vendor.times(Call.START) == [0, 65]


def test_task_when_it_is_lost_again_and_again_then_restarts_are_counted() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, FAILED] * 10})
    assert vendor.supervise() is Ending.LOST
    assert vendor.uids() == ["101", "102", "101", "102"]


def test_task_when_it_exits_by_itself_then_that_is_the_end() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, EXITED]})
    assert vendor.supervise() is Ending.EXITED
    assert vendor.now_s == 65


def test_task_when_it_is_ending_then_is_waited_for() -> None:
    ending = Answer(200, health=Health.ENDING)
    vendor = Vendor({Call.QUERY: [RUNNING, ending, ending, EXITED]})
    assert vendor.supervise() is Ending.EXITED
    assert vendor.times(Call.QUERY) == [5, 65, 70, 80]


def test_query_when_always_refused_then_the_field_is_told() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, Answer(400, field="uid")]})
    assert vendor.supervise() is Ending.REFUSED
    assert vendor.steps[-1].field == "uid"
    assert vendor.times(Call.QUERY) == [5, 65, 70, 80, 95]


def test_domain_when_calls_fail_then_is_switched_and_kept() -> None:
    vendor = Vendor({Call.START: [SILENT, STARTED], Call.QUERY: [RUNNING, BROKEN, RUNNING]})
    vendor.supervise(until_s=200)
    domains = [(made.call, made.domain) for made in vendor.made]
    assert domains == [
        (Call.ACQUIRE, 0),
        (Call.START, 0),
        (Call.START, 1),
        (Call.QUERY, 1),
        (Call.QUERY, 1),
        (Call.QUERY, 2),
        (Call.QUERY, 2),
        (Call.QUERY, 2),
    ]


@pytest.mark.parametrize(("tasks", "every_s"), [(1, 60), (50, 60), (300, 60), (1000, 200)])
def test_queries_when_many_tasks_run_then_take_half_of_the_budget_at_most(
    tasks: int, every_s: int
) -> None:
    assert CLOUD_RECORDING.between_looks_s(tasks) == every_s
    assert tasks / every_s <= CLOUD_RECORDING.requests_per_s / 2


# ---------------------------------------------------------------------- playlist


@pytest.mark.parametrize(
    ("layout", "asked_at_s"), [(Layout.MIX, [20, 80]), (Layout.INDIVIDUAL, [65, 125])]
)
def test_playlist_when_its_name_is_not_known_then_two_queries_ask_for_it(
    layout: Layout, asked_at_s: list[int]
) -> None:
    order = replace(ORDER, layout=layout)
    vendor = Vendor({Call.START: [NAMELESS]}, order=order)
    vendor.supervise(until_s=400)
    queries = vendor.times(Call.QUERY)
    assert set(asked_at_s) <= set(queries)
    assert vendor.watch.names_asked == 2
    assert queries[-1] - queries[-2] == 60


def test_playlist_when_the_service_writes_none_then_nobody_asks_for_it() -> None:
    vendor = Vendor({Call.START: [NAMELESS]}, practices=CLOUD_TRANSCODER)
    vendor.supervise(until_s=400)
    assert vendor.times(Call.QUERY) == [5, 125, 245, 365]


def test_playlist_when_a_query_names_it_then_is_kept() -> None:
    named = replace(RUNNING, playlist="x.m3u8")
    vendor = Vendor({Call.START: [NAMELESS], Call.QUERY: [RUNNING, named, RUNNING]})
    vendor.supervise(until_s=400)
    assert vendor.times(Call.QUERY)[:3] == [5, 20, 80]
    assert vendor.watch.playlist == "x.m3u8"
    assert vendor.watch.names_asked == 0


# ---------------------------------------------------------------------- stop


def test_stop_when_asked_for_then_the_task_is_stopped_by_the_next_look() -> None:
    vendor = Vendor({}, stop_at_s=30)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.STOP) == [65]


@pytest.mark.parametrize(
    ("start", "name"), [(NAMELESS, "x.m3u8"), (STARTED, "task_lobby.m3u8")], ids=["new", "known"]
)
def test_stop_when_its_answer_names_the_playlist_then_is_kept_if_none_is_known(
    start: Answer, name: str
) -> None:
    named = replace(STOPPED, playlist="x.m3u8")
    vendor = Vendor({Call.START: [start], Call.STOP: [named]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.watch.playlist == name


def test_stop_when_nothing_was_acquired_then_ends_without_a_call() -> None:
    vendor = Vendor({}, stop_at_s=0)
    assert vendor.supervise() is Ending.STOPPED
    assert not vendor.made


@pytest.mark.parametrize(
    "answer", [Answer(206, code=435), Answer(400, code=49), Answer(202)], ids=repr
)
def test_stop_when_there_is_nothing_left_to_stop_then_is_done(answer: Answer) -> None:
    vendor = Vendor({Call.STOP: [answer]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED


def test_stop_when_a_task_that_ran_is_not_found_then_is_confirmed_before_it_is_done() -> None:
    vendor = Vendor({Call.STOP: [GONE]}, stop_at_s=30)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.STOP) == [65, 70, 80, 95]


def test_stop_when_the_task_is_found_again_then_is_stopped_there() -> None:
    vendor = Vendor({Call.STOP: [GONE, GONE, STOPPED]}, stop_at_s=30)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.STOP) == [65, 70, 80]


def test_stop_when_queries_had_missed_the_task_before_then_is_done_at_once() -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, GONE], Call.STOP: [GONE]}, stop_at_s=70)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.STOP) == [70]


def test_stop_when_troubles_mix_then_it_ends_all_the_same() -> None:
    vendor = Vendor({Call.STOP: [BROKEN, GONE] * 9}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED
    assert len(vendor.times(Call.STOP)) == 4


def test_stop_when_it_fails_then_is_repeated_and_at_last_told() -> None:
    vendor = Vendor({Call.STOP: [BROKEN]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOP_UNCONFIRMED
    assert vendor.times(Call.STOP) == [5, 10, 20, 35, 65]


def test_stop_when_refused_then_says_so() -> None:
    vendor = Vendor({Call.STOP: [Answer(400, code=2)]}, stop_at_s=1)
    assert vendor.supervise() is Ending.REFUSED


# ---------------------------------------------------------------------- too many calls


@pytest.mark.parametrize("before", [RUNNING, STARTING], ids=["running", "starting"])
def test_query_when_there_are_too_many_calls_then_the_task_is_never_lost(before: Answer) -> None:
    vendor = Vendor({Call.QUERY: [before, THROTTLED]})
    assert vendor.supervise(until_s=7200) is None
    assert vendor.times(Call.ACQUIRE) == [0]
    waits = [after - before for before, after in pairwise(vendor.times(Call.QUERY))]
    assert all(2 <= wait <= 30 for wait in waits[1:6])
    assert set(waits[6:]) == {60}


def test_query_when_there_were_too_many_calls_then_what_else_fails_counts_anew() -> None:
    answers = [RUNNING, *[GONE] * 3, *[THROTTLED] * 8, *[GONE] * 3, RUNNING]
    vendor = Vendor({Call.QUERY: answers})
    vendor.supervise(until_s=1000)
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.watch.trouble == ""


def test_stop_when_there_are_too_many_calls_then_is_made_again_and_at_last_told() -> None:
    vendor = Vendor({Call.STOP: [*[THROTTLED] * 5, STOPPED]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED
    never = Vendor({Call.STOP: [THROTTLED]}, stop_at_s=1)
    assert never.supervise() is Ending.STOP_UNCONFIRMED
    assert vendor.times(Call.STOP) == never.times(Call.STOP)
    assert 44 <= vendor.now_s - 5 <= 88


# ---------------------------------------------------------------------- credentials are refused

DENIED = pytest.mark.parametrize("denied", [Answer(401), Answer(403)], ids=repr)


@DENIED
def test_query_when_credentials_are_refused_then_is_repeated_every_minute_for_ever(
    denied: Answer,
) -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, denied]})
    assert vendor.supervise(until_s=7200) is None
    assert vendor.times(Call.QUERY) == [5, *range(65, 7201, 60)]
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.watch.trouble == "denied"
    assert "answered 40" in vendor.steps[-1].why


@DENIED
def test_query_when_credentials_are_good_again_then_the_task_is_watched_on(denied: Answer) -> None:
    vendor = Vendor({Call.QUERY: [RUNNING, *[denied] * 60, *[GONE] * 3, RUNNING]})
    vendor.supervise(until_s=7200)
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.watch.trouble == ""


def test_task_when_credentials_are_refused_before_it_ran_then_is_not_given_up() -> None:
    vendor = Vendor({Call.QUERY: [*[Answer(401)] * 10, RUNNING]})
    vendor.supervise(until_s=1000)
    assert vendor.times(Call.ACQUIRE) == [0]
    assert vendor.watch.running_utc_us


@DENIED
def test_stop_when_credentials_are_refused_then_is_repeated_until_they_are_good(
    denied: Answer,
) -> None:
    vendor = Vendor({Call.STOP: [*[denied] * 20, STOPPED]}, stop_at_s=1)
    assert vendor.supervise() is Ending.STOPPED
    assert vendor.times(Call.STOP) == [5 + 60 * number for number in range(21)]


# ---------------------------------------------------------------------- anything

ANSWERS = st.builds(
    Answer,
    status=st.sampled_from([0, 200, 201, 202, 206, 302, 400, 401, 404, 429, 500, 501, 503, 504]),
    code=st.sampled_from([0, 2, 7, 49, 53, 62, 65, 404, 406, 433, 435]),
    ticket=st.sampled_from(["", "ticket"]),
    task=st.sampled_from(["", "task"]),
    health=st.sampled_from(Health),
)
SCRIPTS = st.fixed_dictionaries(
    {call: st.lists(ANSWERS, min_size=1, max_size=12) for call in Call},
)


@given(SCRIPTS, st.one_of(st.none(), st.integers(0, 500)), st.sampled_from(Layout))
def test_vendor_when_it_answers_anything_then_is_never_hurried_and_never_left_alone(
    script: dict[Call, list[Answer]], stop_at_s: int | None, layout: Layout
) -> None:
    vendor = Vendor(script, order=replace(ORDER, layout=layout), stop_at_s=stop_at_s)
    vendor.supervise(until_s=2000)
    for step in vendor.steps:
        assert step.why
        assert step.wait_s <= 120
    # Calls per second stay far below what the vendor allows an application.
    for made in vendor.made:
        same = [each for each in vendor.made if 0 <= each.at_s - made.at_s < 1]
        assert len(same) <= 2 * CLOUD_RECORDING.identities
    if stop_at_s is not None and vendor.watch.trouble != Meaning.DENIED:
        assert vendor.steps[-1].ending


@given(SCRIPTS)
def test_watch_when_carried_on_then_counts_only_up_within_bounds(
    script: dict[Call, list[Answer]],
) -> None:
    vendor = Vendor(script)
    vendor.supervise(until_s=2000)
    watch = vendor.watch
    assert watch.sid == SID
    assert watch.restarts <= ORDER.restarts
    assert watch.failed_starts < CLOUD_RECORDING.identities
    assert watch.starts <= (ORDER.restarts + 1) * CLOUD_RECORDING.identities
    assert watch.tries <= 5


def test_watch_when_it_is_new_then_begins_with_an_acquire() -> None:
    assert VendorWatch(SID).call is Call.ACQUIRE
    assert meaning_of(Call.ACQUIRE, ACQUIRED) is Meaning.DONE
