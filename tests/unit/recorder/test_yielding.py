"""A lap that has only a part of a bucket leaves it to whoever has the whole."""

import threading
from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from everreel.media.access_unit import Medium
from everreel.media.landmarks import Landmarks
from everreel.media.segment import Break, Cause, FormatChange, Gap, Sample, Segment
from everreel.media.timeline import Timeline
from everreel.recorder.place import Finder
from everreel.recorder.resync import END_S, SETTLE_S, Resync, Yielding
from everreel.state.ports import Ticket
from everreel.state.recording import Lap, LapOrder, Progress, Reason
from everreel.state.status import Status
from tests.unit.media.streams import VIDEO
from tests.unit.media.test_continuity import row
from tests.unit.recorder.stage import SID, BeatenRecordings, Stage

K = 16
OK = Status.IN_PROGRESS
CUT_SHORT = Segment(K, 32_000_000, 33_000_000, (), {}, whole=False)
STAND_IN = Segment(K, 33_000_000, 34_000_000, (), {}, stand_in=True)


class LateRecordings(BeatenRecordings):
    """Lap b1 commits bucket 16 as soon as somebody has looked three times at the laps."""

    looks = 0

    def recent_laps(self, sid: str) -> list[Lap]:
        self.looks += 1
        if self.looks == 3:
            self.commit(sid, replace(row(K, 32, 34), lane="b"), 1)
        return list(super().recent_laps(sid))


def two_laps(recordings: BeatenRecordings) -> tuple[Stage, BeatenRecordings]:
    """A recording of laps a1 and b1 in this table."""
    stage = Stage([])
    recordings.put_ticket(Ticket("r", "app", "room", "1", stage.began_us + 1))
    recording = stage.recordings.find(SID)
    assert recording is not None
    recordings.create(recording)
    for lane in "ab":
        recordings.invoked(SID, lane, 1, lane, stage.clock.utc_us())
        recordings.claim(SID, lane, 1, lane, stage.clock.utc_us())
    return stage, recordings


def yielding(stage: Stage, recordings: BeatenRecordings) -> Yielding:
    """Lap a1's manners."""
    finder = Finder(Landmarks(), Timeline(), stage.clock, shared_clock=True)
    return Yielding(LapOrder(SID, "a", 1, ""), finder, recordings, stage.clock, 10.0)


@pytest.mark.parametrize(
    ("part", "told", "kept"),
    [
        (CUT_SHORT, Progress(OK, zero_us=0, open_k=K, entered_k=0), False),
        (CUT_SHORT, Progress(OK, zero_us=0, open_k=K, entered_k=-1), True),
        (CUT_SHORT, Progress(OK, zero_us=0, due=(K - 1, K)), False),
        (CUT_SHORT, Progress(OK, zero_us=0, due=(K + 1,)), True),
        (CUT_SHORT, Progress(OK, zero_us=0), True),
        (CUT_SHORT, Progress(OK, zero_us=0, entered_k=0, received_us=36_000_000), False),
        (CUT_SHORT, Progress(OK, zero_us=0, entered_k=0, received_us=33_500_000), True),
        (STAND_IN, Progress(OK, zero_us=0, open_k=K, entered_k=K), False),
        (STAND_IN, Progress(OK, zero_us=0, open_k=-1, entered_k=0), False),
        (STAND_IN, Progress(OK, zero_us=0, open_k=K, entered_k=-1), True),
        (STAND_IN, Progress(OK, zero_us=0, open_k=K + 1, entered_k=K + 1), True),
    ],
    ids=[
        "cut-short-and-another-builds-it", "cut-short-and-another-joined-late",
        "cut-short-and-another-has-it-whole", "cut-short-and-another-has-the-next",
        "cut-short-and-another-has-nothing", "cut-short-and-another-holds-what-follows",
        "cut-short-and-another-holds-no-more", "begun-late-and-another-builds-it",
        "begun-late-and-another-leaves-with-a-part", "begun-late-and-another-joined-late",
        "begun-late-and-another-has-the-next",
    ],
)  # fmt: skip
def test_part_of_a_bucket_when_another_lap_has_more_of_it_then_that_goes_first(
    part: Segment, told: Progress, kept: bool
) -> None:
    stage, recordings = two_laps(LateRecordings())
    recordings.beat(SID, "b", 1, told, stage.clock.utc_us())
    leaving = threading.Event()
    leaving.set()
    yielding(stage, recordings).wait(part, leaving, 0.0, 24, stage.clock.monotonic() + 60)
    assert (recordings.segment(SID, K) is None) == kept


JUMP = Gap(Cause.JUMP, 34_000_000, 2_000_000)
TAKEN_OVER = Gap(Cause.TAKEOVER, 34_000_000, 2_000_000)


@pytest.mark.parametrize(
    ("start_s", "gap", "whole", "reason", "over"),
    [
        (34, None, True, Reason.STOPPED, False),
        (34, None, False, Reason.STOPPED, True),
        (34, None, False, Reason.LAP_LIMIT, False),
        (36, None, True, Reason.STOPPED, True),
        (36, TAKEN_OVER, True, Reason.STOPPED, True),
        (36, TAKEN_OVER, True, Reason.FAULT, False),
        (36, JUMP, True, Reason.STOPPED, False),
    ],
    ids=[
        "goes-on", "cut-short-by-the-stop", "cut-short-by-its-time", "with-a-hole",
        "with-the-hole-of-who-takes-over", "after-a-fault", "behind-a-break",
    ],
)  # fmt: skip
def test_stop_when_the_lap_beside_us_heard_of_it_first_then_its_end_is_the_end(
    start_s: int, gap: Gap | None, whole: bool, reason: Reason, over: bool
) -> None:
    stage, recordings = two_laps(BeatenRecordings())
    recordings.commit(SID, replace(row(K, 32, 34), lane="b", whole=whole), 1)
    recordings.end_lap(SID, "b", 1, reason, None, Progress(OK), stage.clock.utc_us())
    ours = Segment(K + 1, start_s * 1_000_000, 38_000_000, (), {}, gap=gap)
    assert yielding(stage, recordings).is_over(ours, threading.Event()) is over


def test_stop_when_laps_beside_us_stored_what_lies_behind_then_ours_is_stored_too() -> None:
    """They joined us behind a break: what came before that only we have, in a queue."""
    stage, recordings = two_laps(BeatenRecordings())
    recordings.commit(SID, replace(row(K + 3, 38, 39), lane="b", whole=False), 1)
    recordings.end_lap(SID, "b", 1, Reason.STOPPED, None, Progress(OK), stage.clock.utc_us())
    ours = Segment(K, 32_000_000, 34_000_000, (), {})
    assert not yielding(stage, recordings).is_over(ours, threading.Event())


@pytest.mark.parametrize("ends", [True, False], ids=["at-the-end", "for-a-successor"])
def test_media_behind_a_break_when_it_is_left_to_another_lap_then_formats_hold_on(
    ends: bool,
) -> None:
    """The source says a format once; what comes after its next silence has it still."""
    stage, recordings = two_laps(BeatenRecordings())
    told = Progress(OK, zero_us=0, open_k=K, received_us=AFTER_US)
    recordings.beat(SID, "b", 1, told, stage.clock.utc_us())
    resync = broken(stage, recordings)
    stage.clock.advance(SETTLE_S + 1)
    recordings.beat(SID, "b", 1, told, stage.clock.utc_us())
    left = resync.end(threading.Event(), inf) if ends else resync.leave()
    assert left.place is None
    assert left.events == [CHANGE]


CHANGE = FormatChange(replace(VIDEO, width=1280))
PICTURE = Sample(Medium.VIDEO, 0, 0, True, b"picture")
BEFORE_US = 20_000_000
AFTER_US = BEFORE_US + 3_000_000


def broken(stage: Stage, recordings: BeatenRecordings, lane: str = "a") -> Resync:
    """A lap sees a break at 20 s of the recording, and holds a picture from behind it."""
    finder = Finder(Landmarks(), Timeline(), stage.clock, shared_clock=True)
    resync = Resync(LapOrder(SID, lane, 1, ""), finder, recordings, stage.clock, BEFORE_US)
    assert resync.take([CHANGE, Break(Cause.JUMP, 0, 0, continuous=False), PICTURE]) is None
    return resync


class SlowlyBeaten(threading.Event):
    """Each look at the other lap takes a second; after `after_s` of them it beats."""

    def __init__(self, stage: Stage, beat: Callable[[], object], after_s: int) -> None:
        super().__init__()
        self._stage, self._beat, self._left_s = stage, beat, after_s

    def wait(self, timeout: float | None = None) -> bool:
        self._stage.clock.advance(1.0)
        self._left_s -= 1
        if self._left_s == 0:
            self._beat()
        return False


@pytest.mark.parametrize(
    ("ours", "told", "after_s", "kept"),
    [
        ("b", Progress(OK, zero_us=0, open_k=K, received_us=AFTER_US), 5, False),
        ("b", Progress(OK, zero_us=0, received_us=AFTER_US), 5, False),
        ("b", Progress(OK, zero_us=0, received_us=BEFORE_US), 5, True),
        ("b", Progress(OK, zero_us=0, open_k=K, received_us=BEFORE_US), 5, True),
        ("a", Progress(OK, zero_us=0, received_us=AFTER_US), 5, True),
        ("a", Progress(OK, zero_us=0, open_k=K, received_us=AFTER_US), 5, False),
        ("a", Progress(OK, zero_us=0, received_us=AFTER_US), 99, True),
    ],
    ids=[
        "an-older-one-records-on", "an-older-one-holds-it-too", "an-older-one-heard-nothing",
        "an-older-one-with-an-open-segment-heard-nothing",
        "a-younger-one-holds-it-too", "a-younger-one-records-on", "nothing-is-heard-any-more",
    ],
)  # fmt: skip
def test_stop_behind_a_break_when_laps_hold_what_came_then_one_of_them_keeps_it(
    ours: str, told: Progress, after_s: int, kept: bool
) -> None:
    """Before the break each tells that it records: only what is told later counts."""
    stage, recordings = two_laps(BeatenRecordings())
    other = "ab".replace(ours, "")
    before = Progress(OK, zero_us=0, open_k=K, received_us=BEFORE_US)
    recordings.beat(SID, other, 1, before, stage.clock.utc_us())
    resync = broken(stage, recordings, ours)
    fenced = SlowlyBeaten(
        stage, lambda: recordings.beat(SID, other, 1, told, stage.clock.utc_us()), after_s
    )
    verdict = resync.end(fenced, inf)
    assert (PICTURE in verdict.events) is kept
    assert stage.clock.monotonic() < SETTLE_S + END_S + 2


def test_stop_behind_a_break_when_the_function_is_about_to_end_then_nobody_is_waited_for() -> None:
    stage, recordings = two_laps(BeatenRecordings())
    recordings.beat(SID, "b", 1, Progress(OK, zero_us=0), stage.clock.utc_us())
    resync = broken(stage, recordings)
    verdict = resync.end(SlowlyBeaten(stage, lambda: None, 1), stage.clock.monotonic() + 2)
    assert PICTURE in verdict.events
    assert stage.clock.monotonic() < 4


@pytest.mark.parametrize(("end_s", "kept"), [(20, True), (22, False)])
def test_stop_behind_a_break_when_another_lap_recorded_across_it_then_its_end_is_the_end(
    end_s: int, kept: bool
) -> None:
    """It was stopped and has ended; it never saw the break."""
    stage, recordings = two_laps(BeatenRecordings())
    recordings.beat(SID, "b", 1, Progress(OK, zero_us=0, open_k=9), stage.clock.utc_us())
    resync = broken(stage, recordings)
    recordings.commit(SID, replace(row(9, 18, end_s), lane="b", whole=False), 1)
    recordings.end_lap(SID, "b", 1, Reason.STOPPED, None, Progress(OK), stage.clock.utc_us())
    verdict = resync.end(threading.Event(), inf)
    assert (PICTURE in verdict.events) is kept


def test_part_of_a_bucket_when_the_function_is_about_to_end_then_is_kept_at_once() -> None:
    """However many looks it would have: a lap that paid its debts has less time left."""
    stage, recordings = two_laps(LateRecordings())
    told = Progress(OK, zero_us=0, open_k=K, entered_k=0)
    recordings.beat(SID, "b", 1, told, stage.clock.utc_us())
    now_s = stage.clock.monotonic()
    yielding(stage, recordings).wait(CUT_SHORT, threading.Event(), 0.0, 24, now_s)
    assert recordings.segment(SID, K) is None
