"""A lap that has only a part of a bucket leaves it to whoever has the whole."""

import threading
from dataclasses import replace

import pytest

from everreel.media.landmarks import Landmarks
from everreel.media.timeline import Timeline
from everreel.recorder.place import Finder
from everreel.recorder.resync import Yielding
from everreel.state.ports import Ticket
from everreel.state.recording import Lap, LapOrder, Progress
from everreel.state.status import Status
from tests.unit.media.test_continuity import row
from tests.unit.recorder.stage import SID, BeatenRecordings, Stage

K = 16


class LateRecordings(BeatenRecordings):
    """Lap b1 commits bucket 16 as soon as somebody has looked three times at the laps."""

    looks = 0

    def recent_laps(self, sid: str) -> list[Lap]:
        self.looks += 1
        if self.looks == 3:
            self.commit(sid, replace(row(K, 32, 34), lane="b"), 1)
        return list(super().recent_laps(sid))


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (Progress(Status.IN_PROGRESS, zero_us=0, open_k=K), False),
        (Progress(Status.IN_PROGRESS, zero_us=0, due=(K - 1, K)), False),
        (Progress(Status.IN_PROGRESS, zero_us=0, due=(K + 1,)), True),
        (Progress(Status.IN_PROGRESS, zero_us=0), True),
    ],
    ids=["builds-it", "has-it-whole", "has-another", "has-nothing"],
)
def test_part_of_a_bucket_when_another_lap_stops_too_then_its_whole_one_goes_first(
    told: Progress, kept: bool
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
        K, leaving, 0.0, 24
    )
    assert (recordings.segment(SID, K) is None) == kept
