"""Sound apart from pictures: whatever segments they come in, they go out in order of time."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from everreel.media.access_unit import (
    AccessUnit,
    ClockReset,
    Codec,
    Medium,
    SourceEvent,
    TrackFormat,
)
from everreel.protocols.hls_interleave import Interleave

WRAP = 1 << 33
VIDEO, AUDIO = Medium.VIDEO, Medium.AUDIO
PICTURES = TrackFormat(Codec.H264, 90_000, WRAP, b"", width=640, height=360)
SOUND = TrackFormat(Codec.AAC, 90_000, WRAP, b"", sample_rate=48_000, channels=2)
STEP = {VIDEO: 3600, AUDIO: 1920}


def units(medium: Medium, seconds: int, start: int = 0) -> list[SourceEvent]:
    """So many seconds of a medium from a stamp on."""
    stamps = range(start, start + seconds * 90_000, STEP[medium])
    return [AccessUnit(medium, at % WRAP, at % WRAP, True, b"") for at in stamps]


def cut(events: list[SourceEvent], lengths: list[int], medium: Medium) -> list[list[SourceEvent]]:
    """Cut into segments of these lengths in seconds; what is left is the last."""
    segments, at = [], 0
    for length in lengths:
        count = length * 90_000 // STEP[medium]
        segments.append(events[at : at + count])
        at += count
    return [*segments, events[at:]]


def order(first: int, events: list[SourceEvent]) -> list[int]:
    """Stamps from the first one on, however the clock wraps."""
    return [(event.pts - first) % WRAP for event in events if isinstance(event, AccessUnit)]


@given(
    st.lists(st.integers(1, 10), max_size=6),
    st.lists(st.integers(1, 10), max_size=6),
    st.sampled_from([0, WRAP - 30 * 90_000]),
)
def test_segments_when_read_by_position_then_every_unit_comes_once_in_order_of_time(
    of_pictures, of_sound, start
):
    both = Interleave()
    segments = {
        VIDEO: cut(units(VIDEO, 60, start), of_pictures, VIDEO),
        AUDIO: cut(units(AUDIO, 60, start), of_sound, AUDIO),
    }
    out = [*both.add(VIDEO, [PICTURES]), *both.add(AUDIO, [SOUND])]
    at_s = {VIDEO: 0.0, AUDIO: 0.0}
    while segments[VIDEO] or segments[AUDIO]:
        medium = min((m for m in segments if segments[m]), key=lambda m: at_s[m])
        segment = segments[medium].pop(0)
        out += both.begin(medium)
        out += both.add(medium, segment)
        at_s[medium] += len(segment) * STEP[medium] / 90_000
    out += both.rest()
    stamps = order(start, out)
    assert len(stamps) == len(units(VIDEO, 60)) + len(units(AUDIO, 60))
    # A segment may end a unit before the one beside it.
    assert max((a - b for a, b in itertools.pairwise(stamps)), default=0) <= STEP[VIDEO]


def test_reset_of_a_clock_when_held_then_stays_before_the_unit_that_shows_it():
    both = Interleave()
    reset = ClockReset(AUDIO)
    before, after = units(AUDIO, 1), units(AUDIO, 1, 90_000)
    both.add(AUDIO, [SOUND, *before, reset, *after])
    out = [*both.add(VIDEO, [PICTURES, *units(VIDEO, 2)]), *both.rest()]
    at = out.index(reset)
    assert out[at + 1] == after[0]


def test_sound_when_none_comes_then_pictures_wait_for_one_segment_only():
    both = Interleave()
    assert not both.begin(VIDEO)
    assert not both.add(VIDEO, [PICTURES, *units(VIDEO, 6)])
    assert len(both.begin(VIDEO)) == 151
    assert not both.add(VIDEO, units(VIDEO, 6, 6 * 90_000))
    assert len(both.rest()) == 150
