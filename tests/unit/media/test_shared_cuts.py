"""Two recorders that read the clocks of a source a little differently make the same cuts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from everreel.media.access_unit import Medium
from everreel.media.segment import FormatChange, Place, Sample, Segment, TimelineEvent
from everreel.media.segmenter import Segmenter
from everreel.media.timeline import Timeline
from tests.unit.media.streams import Arrival, stream

D_US = 2_000_000
Contents = dict[int, dict[Medium, list[bytes]]]


def timed(arrivals: list[Arrival]) -> list[TimelineEvent]:
    timeline = Timeline()
    return [event for a in arrivals for event in timeline.feed([a.event], a.at_us + 1_000_000)]


def contents(segments: list[Segment]) -> Contents:
    return {
        one.k: {medium: [unit.data for unit in units] for medium, units in one.samples.items()}
        for one in segments
    }


@given(
    gop=st.integers(10, 130),
    reorder=st.integers(0, 2),
    joined_s=st.integers(0, 20),
    video_us=st.integers(-200, 200),
    audio_us=st.integers(-200, 200),
    seed=st.integers(0, 2**32),
)
def test_cuts_when_clocks_are_read_differently_then_every_common_segment_is_the_same(
    gop: int, reorder: int, joined_s: int, video_us: int, audio_us: int, seed: int
) -> None:
    jitter = random.Random(seed)
    arrivals = stream(40, gop=gop, reorder=reorder)
    first = Segmenter(D_US)
    known = contents(first.feed(timed(arrivals)))
    assert first.origin_us is not None
    joining = Segmenter(D_US)
    off = {Medium.VIDEO: video_us, Medium.AUDIO: audio_us}
    joining.join(Place(first.origin_us, first.origin_us, after_k=-1))
    late = []
    for event in timed(arrivals):
        if isinstance(event, Sample):
            moved_us = off[event.medium] + jitter.randint(-20, 20)
            event.pts_us += moved_us
            event.dts_us += moved_us
        if isinstance(event, FormatChange) or event.dts_us >= joined_s * 1_000_000:
            late.append(event)
    segments = joining.feed(late)
    found = contents([each for each in segments if not each.stand_in])
    assert found
    assert min(found) == joining.entered_k
    for k, units in found.items():
        assert units == known[k], k
    for k, units in contents([each for each in segments if each.stand_in]).items():
        assert k == joining.entered_k - 1 or k == joining.first_k
        for medium, parts in units.items():
            assert known[k][medium][-len(parts) :] == parts


def test_leaving_when_sound_is_still_to_come_then_the_successor_has_its_segment() -> None:
    segmenter = Segmenter(D_US)
    segments = []
    for event in timed(stream(9, gop=50)):
        if isinstance(event, Sample) and event.medium is Medium.AUDIO and event.pts_us > 3_900_000:
            continue  # it lags in the transport
        if isinstance(event, Sample) and event.pts_us > 4_100_000:
            break
        segments += segmenter.feed([event])
    assert [one.k for one in segments] == [0]
    assert segmenter.open_k == 2
    assert segmenter.owes(2)
    assert not segmenter.owes(1)
    assert segmenter.leave(1) == []
