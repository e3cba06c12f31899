"""A lap that has only a part of a bucket leaves it to whoever has the whole."""

import threading
from dataclasses import replace

import pytest

from everreel.media.landmarks import Landmarks
from everreel.media.segment import Segment
from everreel.media.timeline import Timeline
from everreel.recorder.place import Finder
from everreel.recorder.resync import Yielding
from everreel.state.ports import Ticket
from everreel.state.recording import Lap, LapOrder, Progress
from everreel.state.status import Status
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


@pytest.mark.parametrize(
    ("part", "told", "kept"),
    [
        (CUT_SHORT, Progress(OK, zero_us=0, open_k=K, entered_k=0), False),
        (CUT_SHORT, Progress(OK, zero_us=0, open_k=K, entered_k=-1), True),
        (CUT_SHORT, Progress(OK, zero_us=0, due=(K - 1, K)), False),
        (CUT_SHORT, Progress(OK, zero_us=0, due=(K + 1,)), True),
        (CUT_SHORT, Progress(OK, zero_us=0), True),
        (STAND_IN, Progress(OK, zero_us=0, open_k=K, entered_k=K), False),
        (STAND_IN, Progress(OK, zero_us=0, open_k=-1, entered_k=0), False),
        (STAND_IN, Progress(OK, zero_us=0, open_k=K, entered_k=-1), True),
        (STAND_IN, Progress(OK, zero_us=0, open_k=K + 1, entered_k=K + 1), True),
    ],
    ids=[
        "cut-short-and-another-builds-it", "cut-short-and-another-joined-late",
        "cut-short-and-another-has-it-whole", "cut-short-and-another-has-the-next",
        "cut-short-and-another-has-nothing", "begun-late-and-another-builds-it",
        "begun-late-and-another-leaves-with-a-part", "begun-late-and-another-joined-late",
        "begun-late-and-another-has-the-next",
    ],
)  # fmt: skip
def test_part_of_a_bucket_when_another_lap_has_more_of_it_then_that_goes_first(
    part: Segment, told: Progress, kept: bool
) -> None:
    stage = Stage([])
    recordings = LateRecordings()
    recordings.put_ticket(Ticket("r", "app", "room", "1", stage.began_us + 1))
    recording = stage.recordings.find(SID)
    assert recording is not None
    recordings.create(recording)
    for lane in "ab":
        recordings.invoked(SID, lane, 1, lane, stage.clock.utc_us())
        recordings.claim(SID, lane, 1, lane, stage.clock.utc_us())
    recordings.beat(SID, "b", 1, told, stage.clock.utc_us())
    finder = Finder(Landmarks(), Timeline(), stage.clock, shared_clock=True)
    leaving = threading.Event()
    leaving.set()
    Yielding(LapOrder(SID, "a", 1, ""), finder, recordings, stage.clock, 10.0).wait(
        part, leaving, 0.0, 24
    )
    assert (recordings.segment(SID, K) is None) == kept
