"""One final state, through the whole function, whatever is told twice, late or in disorder."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import InvalidRequest, StateUnavailable
from everreel.events.facts import Facts, facts_of
from everreel.events.own import HEARD
from everreel.events.ports import Happening
from everreel.state.notices import MemoryNotices, Notice
from everreel.wiring import Wiring, rewired
from ingest_notice.handler import handler
from tests.unit.doors.memory import SID, Context, Deployment
from tests.unit.events.lives import (
    LIVES,
    OWN_LIFE,
    PASSING,
    RECORDING,
    T0_MS,
    TASKS,
    TENCENT_TASK,
    TRANSCODER,
    WEB,
    Json,
    again,
    died,
    events_of,
    nobody_waits,
    on_bus,
)

VARIANTS = 4
EVENTS = [events_of(again(told, variant) for told in LIVES) for variant in range(VARIANTS)]
"""By variant, then by place in the lives."""

ADDED_UP = {
    ("agora", RECORDING): Facts(
        started=True,
        exited=True,
        stored=True,
        backed_up=True,
        progress=10_000,
        uids=frozenset({"101", "102"}),
        files=frozenset({"x.m3u8", "bak0_x.m3u8"}),
        errors=frozenset({"47"}),
        newest_utc_us=(T0_MS + 20_000) * 1000,
    ),
    ("agora", WEB): Facts(
        started=True,
        exited=True,
        abnormal=True,
        stored=True,
        uids=frozenset({"101"}),
        files=frozenset({"w.mp4"}),
        newest_utc_us=(T0_MS + 6_000) * 1000,
    ),
    ("agora", TRANSCODER): Facts(started=True, exited=True, newest_utc_us=(T0_MS + 4_000) * 1000),
    ("tencent", TENCENT_TASK): Facts(
        started=True,
        exited=True,
        stored=True,
        backed_up=True,
        uids=frozenset({"robot"}),
        files=frozenset({"1400_20015.m3u8", "a.mp4", "b.mp4"}),
        errors=frozenset({"7"}),
        newest_utc_us=(T0_MS + 16_000) * 1000,
    ),
    ("everreel", SID): Facts(
        started=True,
        exited=True,
        stored=True,
        uids=frozenset({"a1", "a2", "b1"}),
        errors=frozenset({"recorder_died", "source_denied"}),
        newest_utc_us=(T0_MS + 7 * 60_000) * 1000,
    ),
}


def delivered(events: Sequence[Json]) -> tuple[dict[tuple[str, str], list[Notice]], int]:
    """Hand events to the function one by one; give what is kept, and how many were new."""
    deployment = Deployment()
    with rewired(deployment.wiring):
        new = sum(handler(event, Context())["new"] for event in events)  # type: ignore[arg-type]
    return {task: list(deployment.notices.of_task(*task)) for task in TASKS}, new


def test_lives_when_told_in_order_then_add_up() -> None:
    kept, new = delivered(EVENTS[0])
    assert {task: facts_of(notices) for task, notices in kept.items()} == ADDED_UP
    assert new == sum(map(len, kept.values())) == len(LIVES) - PASSING


@given(
    st.lists(st.tuples(st.integers(0, len(LIVES) - 1), st.integers(0, VARIANTS - 1)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_lives_when_told_in_any_order_and_number_then_the_state_is_that_of_in_order(
    repeats: list[tuple[int, int]], chance: Any
) -> None:
    in_order = sorted([*((n, 0) for n in range(len(LIVES))), *repeats])
    events = [EVENTS[variant][n] for n, variant in in_order]
    disorder = list(events)
    chance.shuffle(disorder)

    kept, new = delivered(disorder)

    assert (kept, new) == delivered(events)
    assert {task: facts_of(notices) for task, notices in kept.items()} == ADDED_UP
    assert new == len(LIVES) - PASSING


@given(st.sets(st.integers(0, len(LIVES) - 1)), st.randoms(use_true_random=False))
def test_lives_when_some_is_never_told_then_the_rest_adds_up_in_any_order(
    lost: set[int], chance: Any
) -> None:
    left = [event for n, event in enumerate(EVENTS[0]) if n not in lost]
    disorder = list(left)
    chance.shuffle(disorder)
    assert delivered(disorder) == delivered(left)


def test_everything_when_told_over_again_under_all_ids_then_nothing_is_new() -> None:
    everything = [event for variant in EVENTS for event in variant]
    assert delivered(everything)[1] == len(LIVES) - PASSING


# ---------------------------------------------------------------------- what is listened to


def test_happenings_when_they_are_ours_then_all_but_requests_and_segments_are_heard() -> None:
    assert {*HEARD} == {*Happening} - {Happening.REQUESTED, Happening.SEGMENT, Happening.NOTICE}


def test_refusal_when_it_is_about_no_recording_then_nothing_is_kept() -> None:
    refused = on_bus(Happening.FAILED, 1, {"sid": "", "error": {"code": "invalid_request"}})
    kept, new = delivered([refused])
    assert new == 0
    assert not any(kept.values())


@pytest.mark.parametrize(
    "event",
    [
        {},
        {**OWN_LIFE[0], "detail": None},
        {**OWN_LIFE[0], "detail": []},
        {**OWN_LIFE[0], "source": "somebody.else"},
        {**OWN_LIFE[0], "source": "lambda"},
        {**OWN_LIFE[0], "detail-type": "SegmentCommitted"},
        {**OWN_LIFE[0], "detail-type": ["RecordingStarted"]},
        {**OWN_LIFE[0], "detail-type": {}},
        {**OWN_LIFE[0], "time": "soon"},
        {**OWN_LIFE[0], "id": None},
        {**OWN_LIFE[1], "detail": {"sid": SID, "lane": "ab", "lap": 1}},
        {**OWN_LIFE[1], "detail": {"sid": SID, "lane": "a", "lap": 0}},
        {**OWN_LIFE[1], "detail": {"sid": SID, "lane": "a"}},
        {**OWN_LIFE[1], "detail": {"sid": "../x", "lane": "a", "lap": 1}},
        {**OWN_LIFE[2], "source": "everreel"},
        on_bus(Happening.NOTICE, 1, {"vendor": "everreel", "task": SID, "event": 5}),
        on_bus(Happening.NOTICE, 1, {**EVENTS[0][0]["detail"], "vendor": "someone"}),
        on_bus(Happening.NOTICE, 1, {**EVENTS[0][0]["detail"], "event": float("inf")}),
        on_bus(Happening.NOTICE, 1, {**EVENTS[0][0]["detail"], "at": "soon"}),
    ],
    ids=range(19),
)
def test_event_when_it_is_none_that_is_heard_of_then_is_refused_and_nothing_is_kept(
    event: Json,
) -> None:
    deployment = Deployment()
    with rewired(deployment.wiring), pytest.raises(InvalidRequest) as caught:
        handler(event, Context())  # type: ignore[arg-type]
    assert caught.value.field
    assert not any(deployment.notices.of_task(*task) for task in TASKS)


# ---------------------------------------------------------------------- when it fails


class Away(MemoryNotices):
    """A table that answers every third request; the second it does without saying so."""

    requests = 0

    def remember(self, notice: Notice, utc_us: int) -> bool:
        self.requests += 1
        if self.requests % 3 == 1:
            raise StateUnavailable("the table is away")
        new = super().remember(notice, utc_us)
        if self.requests % 3 == 2:
            raise StateUnavailable("the answer is lost")
        return new


def test_table_when_it_is_away_then_the_event_fails_and_its_repeat_is_kept() -> None:
    notices = Away()
    with rewired(Wiring(notices=notices, clock=Deployment().clock, **nobody_waits())):
        for event in EVENTS[0]:
            for _ in range(2):
                with pytest.raises(StateUnavailable):
                    handler(event, Context())  # type: ignore[arg-type]
            handler(event, Context())  # type: ignore[arg-type]
    for task, facts in ADDED_UP.items():
        assert facts_of(notices.of_task(*task)) == facts


def test_lap_when_it_died_then_it_is_acted_upon_at_every_delivery() -> None:
    deployment = Deployment()
    acted = []

    class Watched(Wiring):
        def lap_died(self, dead: Any) -> bool:
            acted.append((dead.sid, dead.lane, dead.lap))
            return super().lap_died(dead)

    with rewired(Watched(notices=deployment.notices, clock=deployment.clock, **nobody_waits())):
        answers = [handler(died("b", 7, 1), Context()) for _ in range(3)]  # type: ignore[arg-type]
    assert acted == [(SID, "b", 7)] * 3
    assert answers == [{"new": True}, {"new": False}, {"new": False}]
