"""The timeline repairs what sources do to time, and loses nothing over it."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.media.access_unit import (
    AccessUnit,
    ClockReference,
    ClockReset,
    Codec,
    Medium,
    SourceEvent,
    TrackFormat,
)
from everreel.media.segment import Break, Cause, Sample, TimelineEvent
from everreel.media.timeline import Timeline
from tests.unit.media.streams import (
    AUDIO,
    VIDEO,
    WRAP,
    Arrival,
    later,
    payloads,
    record,
    stream,
)


def place(timeline: Timeline, arrivals: list[Arrival]) -> list[TimelineEvent]:
    out: list[TimelineEvent] = []
    for arrival in arrivals:
        out += timeline.feed([arrival.event], 5_000_000 + arrival.at_us)
    return out


def samples(events: list[TimelineEvent], medium: Medium = Medium.VIDEO) -> list[Sample]:
    return [e for e in events if isinstance(e, Sample) and e.medium is medium]


def breaks(events: list[TimelineEvent]) -> list[Break]:
    return [e for e in events if isinstance(e, Break)]


def steps(placed: list[Sample]) -> set[int]:
    return {b.dts_us - a.dts_us for a, b in pairwise(placed)}


def test_ordinary_stream_when_placed_then_every_unit_keeps_its_distance() -> None:
    events = place(Timeline(), stream(4))
    assert steps(samples(events)) == {40_000}
    assert not breaks(events)


@given(before=st.integers(1, 5000))
def test_clock_when_it_wraps_then_time_runs_on(before: int) -> None:
    timeline = Timeline()
    events = place(timeline, stream(8, start_ms=WRAP - before))
    assert steps(samples(events)) == {40_000}
    assert not breaks(events)
    assert not timeline.repairs


def test_24_bit_wrap_of_a_broken_server_when_seen_then_time_runs_on() -> None:
    arrivals = [
        replace(
            arrival,
            event=replace(
                arrival.event, pts=arrival.event.pts % 2**24, dts=(arrival.event.dts or 0) % 2**24
            ),
        )
        if isinstance(arrival.event, AccessUnit)
        else arrival
        for arrival in stream(6, start_ms=2**24 - 3000)
    ]
    events = place(Timeline(), arrivals)
    assert len(samples(events)) == 150
    assert steps(samples(events)) <= {40_000, 67_000}  # the seam may be a frame wide


@pytest.mark.parametrize("jump_ms", [3_600_000, -90_000, 2**31, -5_000])
def test_clock_when_it_jumps_then_no_unit_is_lost_and_time_runs_on(jump_ms: int) -> None:
    first = stream(4, start_ms=100_000)
    second = [
        a
        for a in stream(4, start_ms=104_000 + jump_ms, mark=b"2")
        if a.at_us or a.event not in (VIDEO, AUDIO)
    ]
    events = place(Timeline(), [*first, *later(second, 4_000_000)])
    placed = samples(events)
    assert len(placed) == 200
    assert len(samples(events, Medium.AUDIO)) == 2 * 187
    assert max(steps(placed)) <= 100_000
    assert min(steps(placed)) > 0
    assert [b.cause for b in breaks(events)] == [Cause.JUMP]
    assert breaks(events)[0].gap_us == 0


@pytest.mark.parametrize("paced", [True, False], ids=["live", "bursts"])
def test_clock_that_jumps_when_old_pictures_are_shown_late_then_new_ones_come_after_them(
    paced: bool,
) -> None:
    timeline = Timeline()
    timeline.paced = paced
    first = stream(4, reorder=3, start_ms=100_000, audio=False)
    events = place(timeline, [*first, *later(stream(4, mark=b"2", audio=False), 4_000_000)])
    placed = samples(events)
    assert len(placed) == 200
    assert placed[100].pts_us - placed[99].pts_us == 40_000
    assert len(breaks(events)) == 1


@pytest.mark.parametrize("read_every_ms", [40, 100, 240])
@pytest.mark.parametrize("leap_at_ms", [4_001, 4_081, 4_121, 4_201])
def test_clock_that_leaps_between_two_reads_then_the_wait_for_more_is_no_pause(
    leap_at_ms: int, read_every_ms: int
) -> None:
    whole = stream(8)
    arrivals = [a for a in whole if a.at_us < leap_at_ms * 1000]
    for arrival in whole[len(arrivals) :]:
        unit = arrival.event
        assert isinstance(unit, AccessUnit)
        assert unit.dts is not None
        stamp = unit.dts + 3_600_000
        arrivals.append(replace(arrival, event=replace(unit, dts=stamp, pts=stamp)))
    read_us = read_every_ms * 1000
    read = [replace(a, at_us=-(-a.at_us // read_us) * read_us) for a in arrivals]
    events = place(Timeline(), read)
    placed = samples(events)
    assert len(placed) == 200
    assert placed[-1].dts_us - placed[0].dts_us == pytest.approx(199 * 40_000, abs=60_000)
    assert [b.gap_us for b in breaks(events)] == [0]


@pytest.mark.parametrize("after", range(98, 103))
def test_clock_that_leaps_within_a_stream_when_pictures_are_shown_late_then_none_is_moved(
    after: int,
) -> None:
    """The group of pictures runs on over the leap: one P, then the three Bs shown before it."""
    arrivals = []
    for arrival in stream(8, audio=False, start_ms=100_000):
        unit = arrival.event
        if isinstance(unit, AccessUnit) and unit.dts is not None:
            number = (unit.dts - 100_000) // 40
            within = number % 50
            late = 1 if within in (0, 49) else 4 * (within % 4 == 1)
            leap_ms = 3_600_000 if number >= after else 0
            unit = replace(unit, dts=unit.dts + leap_ms, pts=unit.dts + 40 * late + leap_ms)
        arrivals.append(replace(arrival, event=unit))
    placed = samples(place(Timeline(), arrivals))
    assert len(placed) == 200
    assert steps(placed) == {40_000}


@pytest.mark.parametrize("ahead_ms", [3_600_000, -90_000], ids=["ahead", "back"])
@pytest.mark.parametrize("late_ms", [30, 90, 400])
@pytest.mark.parametrize("late", Medium)
@pytest.mark.parametrize("leap_at_ms", [3_950, 4_470])
def test_clock_that_leaps_when_one_track_follows_later_then_no_unit_is_lost(
    leap_at_ms: int, late: Medium, late_ms: int, ahead_ms: int
) -> None:
    """Multiplexers hold a track back, so that its last units come behind the leap of the other."""
    arrivals = []
    for arrival in stream(8, start_ms=100_000):
        unit = arrival.event
        if isinstance(unit, AccessUnit) and unit.dts is not None:
            leaps = unit.dts - 100_000 >= leap_at_ms + (late_ms if unit.medium is late else 0)
            stamp = unit.dts + (ahead_ms if leaps else 0)
            unit = replace(unit, dts=stamp, pts=stamp)
        arrivals.append(replace(arrival, event=unit))
    placed = place(Timeline(), arrivals)
    segments = record(arrivals, target_s=2)
    assert [b.cause for b in breaks(placed)] == [Cause.JUMP]
    for medium in Medium:
        apart = steps(samples(placed, medium))
        assert min(apart) > 0
        assert max(apart) <= 150_000 + late_ms * 1000
        assert payloads(segments, medium) == payloads(arrivals, medium)


def test_clock_that_steps_back_when_the_other_track_lagged_then_that_is_on_the_new_clock() -> None:
    """Sound that lay behind the pictures before begins less than half a second before its end."""
    first = stream(4, start_ms=100_000, mark=b"1")
    lagging = [a for a in first if a.event.medium is Medium.VIDEO or a.at_us < 3_300_000]
    again = [a for a in stream(4, start_ms=102_900, mark=b"2") if a.event not in (VIDEO, AUDIO)]
    placed = place(Timeline(), [*lagging, *later(again, 4_000_000)])
    starts = [
        next(s.pts_us for s in samples(placed, medium) if s.data.rstrip(b".").endswith(b"2"))
        for medium in Medium
    ]
    assert max(starts) - min(starts) < 150_000


def test_publisher_that_comes_back_at_zero_when_connection_stayed_then_pause_is_a_gap() -> None:
    events = place(Timeline(), [*stream(4), *later(stream(4, mark=b"2"), 7_000_000)])
    (gap,) = breaks(events)
    assert gap.cause is Cause.JUMP
    assert gap.gap_us == pytest.approx(3_000_000, abs=100_000)
    assert len(samples(events)) == 200


def test_source_that_pauses_with_its_clock_running_then_time_is_kept_and_the_gap_noted() -> None:
    second = later(stream(4, start_ms=9_000, mark=b"2"), 9_000_000)
    events = place(Timeline(), [*stream(4), *second])
    (gap,) = breaks(events)
    assert gap.cause is Cause.LOSS
    assert gap.gap_us == pytest.approx(5_000_000, abs=100_000)
    assert samples(events)[100].dts_us - samples(events)[0].dts_us == 9_000_000


def test_outage_that_a_server_compressed_when_media_stays_late_then_time_is_put_back() -> None:
    second = later(stream(8, start_ms=4_000, mark=b"2"), 6_650_000)
    events = place(Timeline(), [*stream(4), *second])
    (gap,) = breaks(events)
    assert gap.cause is Cause.OUTAGE
    assert gap.gap_us == pytest.approx(2_650_000, abs=100_000)
    assert len(samples(events)) == 300
    assert samples(events)[100].dts_us - samples(events)[99].dts_us == pytest.approx(
        2_690_000, abs=100_000
    )


def test_network_stall_when_media_catches_up_then_nothing_is_missing() -> None:
    second = stream(8, start_ms=4_000, mark=b"2")
    burst = [replace(a, at_us=max(a.at_us, 2_500_000)) for a in second]
    events = place(Timeline(), [*stream(4), *later(burst, 4_000_000)])
    assert not breaks(events)
    assert steps(samples(events)) == {40_000}


def test_equal_decode_times_when_placed_then_they_are_pulled_apart() -> None:
    arrivals = stream(2)
    same = [
        replace(a, event=replace(a.event, pts=960, dts=960))
        if isinstance(a.event, AccessUnit) and a.event.dts == 1000
        else a
        for a in arrivals
    ]
    placed = samples(place(Timeline(), same))
    assert len(placed) == 50
    assert min(steps(placed)) > 0


def test_track_formats_when_repeated_then_they_change_nothing() -> None:
    timeline = Timeline()
    place(timeline, stream(2))
    assert timeline.feed([VIDEO, AUDIO], 9_000_000) == []


# ---------------------------------------------------------------------- a source opened again


def reopened(first: list[Arrival], second: list[Arrival]) -> list[TimelineEvent]:
    timeline = Timeline()
    events = place(timeline, first)
    events += timeline.flush()
    timeline.reopened()
    return events + place(timeline, second)


def test_reopened_source_when_it_repeats_what_we_have_then_each_unit_comes_once() -> None:
    whole = stream(12)
    first = [a for a in whole if a.at_us < 7_000_000]
    # The server begins again with its newest group of pictures, sent at once.
    again = [replace(a, at_us=max(a.at_us, 7_300_000)) for a in whole if a.at_us >= 6_000_000]
    events = reopened(first, again)
    assert [s.data for s in samples(events)] == [
        a.event.data
        for a in whole
        if isinstance(a.event, AccessUnit) and a.event.medium is Medium.VIDEO
    ]
    assert not breaks(events)


def test_reopened_source_when_media_was_missed_then_the_gap_is_exact() -> None:
    whole = stream(20)
    first = [a for a in whole if a.at_us < 7_000_000]
    again = [a for a in whole if a.at_us >= 10_000_000]
    events = reopened(first, again)
    (gap,) = breaks(events)
    assert gap.cause is Cause.RECONNECT
    assert not gap.continuous
    assert gap.gap_us == pytest.approx(3_000_000, abs=50_000)
    assert samples(events)[-1].dts_us == 19_960_000


@pytest.mark.parametrize("zero_ms", [0, 6_500, 50_000_000])
def test_reopened_source_when_its_clock_is_new_then_it_goes_on_by_the_wall_clock(
    zero_ms: int,
) -> None:
    events = reopened(stream(7), later(stream(5, start_ms=zero_ms, mark=b"2"), 9_000_000))
    (gap,) = breaks(events)
    assert gap.cause is Cause.RECONNECT
    assert gap.gap_us == pytest.approx(2_000_000, abs=100_000)
    assert len(samples(events)) == 175 + 125


@pytest.mark.parametrize(("back_ms", "gap_us"), [(0, 0), (4_000, 4_000_000)])
def test_reopened_playlist_when_it_goes_on_later_then_only_what_it_lists_no_more_is_missing(
    back_ms: int, gap_us: int
) -> None:
    timeline = Timeline()
    timeline.paced = False
    events = timeline.feed([a.event for a in stream(6)], 10_000_000)
    timeline.reopened()
    rest = stream(20, start_ms=6_000 + back_ms, mark=b"b")
    events += timeline.feed([a.event for a in rest], 30_000_000)
    assert [b.cause for b in breaks(events)] == [Cause.RECONNECT] * bool(gap_us)
    assert sum(b.gap_us for b in breaks(events)) == pytest.approx(gap_us, abs=50_000)
    assert samples(events)[-1].dts_us == 6_000_000 + 1_000 * back_ms + 19_960_000


def test_reopened_playlist_when_its_picture_stands_still_then_nothing_of_it_is_a_repeat() -> None:
    """Every other keyframe of a still picture is the same to the byte."""
    timeline = Timeline()
    timeline.paced = False

    def still(seconds: float, start_ms: int) -> list[SourceEvent]:
        events: list[SourceEvent] = []
        for arrival in stream(seconds, gop=150, audio=False, start_ms=start_ms):
            event = arrival.event
            if isinstance(event, AccessUnit):
                number = event.pts // 40
                kind = b"key%d" % (number // 150 % 2) if event.keyframe else b"%09d" % number
                event = replace(event, data=b"\0\0\0\x0e" + kind.rjust(14, b"."))
            events.append(event)
        return events

    events = timeline.feed(still(18, 0), 20_000_000)
    timeline.reopened()
    events += timeline.feed(still(30, 18_000), 50_000_000)
    assert len(samples(events)) == 48 * 25
    assert not breaks(events)


# ---------------------------------------------------------------------- tracks with own clocks

RTP_VIDEO = TrackFormat(Codec.H264, 90_000, WRAP, VIDEO.config, width=640, height=360)
RTP_AUDIO = TrackFormat(Codec.AAC, 48_000, WRAP, AUDIO.config, sample_rate=48_000, channels=2)


def rtp(seconds: float, *, video_zero: int, audio_zero: int) -> list[Arrival]:
    arrivals = [Arrival(0, RTP_VIDEO), Arrival(0, RTP_AUDIO)]
    for i in range(round(seconds * 25)):
        unit = AccessUnit(
            Medium.VIDEO, (video_zero + i * 3600) % WRAP, None, i % 50 == 0, b"v%d" % i
        )
        arrivals.append(Arrival(i * 40_000, unit))
    for i in range(int(seconds * 48_000 / 1024)):
        unit = AccessUnit(Medium.AUDIO, (audio_zero + i * 1024) % WRAP, None, True, b"a%d" % i)
        arrivals.append(Arrival(i * 1024 * 1_000_000 // 48_000, unit))
    return sorted(arrivals, key=lambda a: a.at_us)


@given(video_zero=st.integers(0, WRAP - 1), audio_zero=st.integers(0, WRAP - 1))
def test_tracks_with_random_offsets_when_referenced_then_they_are_in_step(
    video_zero: int, audio_zero: int
) -> None:
    arrivals = rtp(3, video_zero=video_zero, audio_zero=audio_zero)
    references = [
        Arrival(at_ms * 1000, ClockReference(medium, ticks % WRAP, (77_000 + at_ms) * 1000))
        for at_ms in (500, 2500)
        for medium, ticks in (
            (Medium.VIDEO, video_zero + at_ms * 90),
            (Medium.AUDIO, audio_zero + at_ms * 48),
        )
    ]
    events = place(Timeline(), sorted([*arrivals, *references], key=lambda a: a.at_us))
    video, audio = samples(events), samples(events, Medium.AUDIO)
    assert (len(video), len(audio)) == (75, 140)
    assert abs(video[0].pts_us - audio[0].pts_us) <= 25
    assert not breaks(events)


def test_tracks_with_random_offsets_when_never_referenced_then_arrival_aligns_them() -> None:
    events = place(Timeline(), rtp(10, video_zero=123, audio_zero=2**31))
    video, audio = samples(events), samples(events, Medium.AUDIO)
    assert (len(video), len(audio)) == (250, 468)
    assert abs(video[0].pts_us - audio[0].pts_us) <= 50_000


def claimed(at_us: int, sound_ahead_us: int, *, promised: bool = False) -> list[Arrival]:
    """What a server whose tracks start with tick 0 claims; right if `sound_ahead_us` is 0.

    Reports are about their moment, as NTP has it.
    """
    video, audio = at_us * 9 // 100, (at_us + sound_ahead_us) * 48 // 1000
    common_us = 50_000_000 + at_us
    return [
        Arrival(at_us, ClockReference(Medium.VIDEO, video, common_us, promised)),
        Arrival(at_us, ClockReference(Medium.AUDIO, audio, common_us, promised)),
    ]


def served(arrivals: list[Arrival], *claims: list[Arrival]) -> list[TimelineEvent]:
    """Place a stream whose server claims this; what arrives at one time keeps that order."""
    formats = [a for a in arrivals if not isinstance(a.event, AccessUnit)]
    units = [a for a in arrivals if isinstance(a.event, AccessUnit)]
    promised = [a for claim in claims for a in claim if not a.at_us]
    reports = [a for claim in claims for a in claim if a.at_us]
    timed = sorted([*units, *reports], key=lambda a: a.at_us)
    return place(Timeline(), [*formats, *promised, *timed])


def delayed(arrivals: list[Arrival], medium: Medium, by_us: int) -> list[Arrival]:
    """The same, with the units of one track that much later on their way."""
    return [
        replace(a, at_us=a.at_us + by_us)
        if isinstance(a.event, AccessUnit) and a.event.medium is medium
        else a
        for a in arrivals
    ]


def in_step(events: list[TimelineEvent]) -> int:
    """How far the first picture lies from the sound that belongs to it, microseconds."""
    return abs(samples(events)[0].pts_us - samples(events, Medium.AUDIO)[0].pts_us)


def test_server_that_claims_a_wrong_instant_when_its_reports_agree_then_they_are_believed() -> None:
    events = served(
        rtp(9, video_zero=0, audio_zero=0),
        claimed(0, -1_040_000, promised=True),
        claimed(2_200_000, 0),
        claimed(7_300_000, 0),
    )
    assert in_step(events) <= 25
    assert len(samples(events)) == 225
    assert not breaks(events)


def test_server_that_claims_a_wrong_instant_when_it_never_reports_then_arrival_decides() -> None:
    events = served(rtp(12, video_zero=0, audio_zero=0), claimed(0, -1_040_000, promised=True))
    assert in_step(events) <= 50_000
    assert len(samples(events)) == 300


def test_server_that_promises_right_when_its_first_report_agrees_then_nobody_waits_longer() -> None:
    arrivals = rtp(2.5, video_zero=0, audio_zero=0)
    events = served(arrivals, claimed(0, 0, promised=True), claimed(1_900_000, 3_000))
    assert in_step(events) <= 3_025
    assert 45 <= len(samples(events)) <= 63


@pytest.mark.parametrize("off_us", [80_000, -101_000, 1_138_000, -1_138_000])
def test_server_whose_first_report_is_wrong_when_its_second_agrees_with_its_claim_then_that_holds(
    off_us: int,
) -> None:
    events = served(
        rtp(6, video_zero=0, audio_zero=0),
        claimed(0, 0, promised=True),
        claimed(1_300_000, off_us),
        claimed(5_000_000, 0),
    )
    assert in_step(events) <= 25
    assert len(samples(events)) == 150


def test_server_whose_clock_is_set_while_it_warms_up_when_its_tracks_keep_step_then_they_do() -> (
    None
):
    def later_by(claim: list[Arrival], us: int) -> list[Arrival]:
        return [
            replace(a, event=replace(a.event, common_us=a.event.common_us + us))
            for a in claim
            if isinstance(a.event, ClockReference)
        ]

    events = served(
        rtp(6, video_zero=0, audio_zero=0),
        claimed(0, 0, promised=True),
        claimed(1_300_000, 101_000),
        later_by(claimed(5_000_000, 0), 1_239_984),
    )
    assert in_step(events) <= 25
    assert len(samples(events)) == 150


def test_server_whose_claim_and_first_report_are_wrong_when_two_reports_agree_then_they_hold() -> (
    None
):
    events = served(
        rtp(12, video_zero=0, audio_zero=0),
        claimed(0, 80_000, promised=True),
        claimed(600_000, 840_000),
        claimed(4_700_000, 0),
        claimed(10_400_000, 4),
    )
    assert in_step(events) <= 25
    assert len(samples(events)) == 300


@pytest.mark.parametrize("late", [Medium.VIDEO, Medium.AUDIO])
@pytest.mark.parametrize("by_us", [707_000, 1_900_000])
def test_server_that_buffers_one_track_for_longer_when_its_claims_agree_then_they_hold(
    late: Medium, by_us: int
) -> None:
    arrivals = delayed(rtp(8, video_zero=0, audio_zero=0), late, by_us)
    events = served(arrivals, claimed(0, 0, promised=True), claimed(2_600_000, 0))
    assert in_step(events) <= 25


def test_server_whose_claims_agree_when_arrival_is_seconds_off_then_arrival_decides() -> None:
    events = served(
        rtp(14, video_zero=0, audio_zero=0),
        claimed(0, 9_000_000, promised=True),
        claimed(2_600_000, 9_000_000),
    )
    assert in_step(events) <= 50_000
    assert len(samples(events)) == 350


def test_server_that_promises_nothing_when_its_reports_come_late_then_they_decide_not_arrival() -> (
    None
):
    # MPEG-TS brings the sound 160 ms after the picture that it belongs to.
    arrivals = delayed(rtp(13, video_zero=0, audio_zero=0), Medium.AUDIO, 160_000)
    events = served(arrivals, claimed(6_100_000, 0), claimed(12_200_000, 0))
    assert in_step(events) <= 25
    assert len(samples(events)) == 325


def test_server_whose_reports_never_agree_when_arrival_bears_them_out_then_the_newest_decides() -> (
    None
):
    arrivals = rtp(15, video_zero=0, audio_zero=0)
    reports = [claimed(1_000_000 * at, 15_000 * (13 - at)) for at in (2, 7, 12)]
    events = served(arrivals, *reports)
    assert in_step(events) == pytest.approx(15_000, abs=25)
    assert len(samples(events)) == 375


def test_server_that_sends_its_backlog_at_once_when_its_claim_is_right_then_it_is_believed() -> (
    None
):
    arrivals = [
        replace(a, at_us=max(a.at_us, 1_500_000)) if isinstance(a.event, AccessUnit) else a
        for a in rtp(7, video_zero=0, audio_zero=0)
        if getattr(a.event, "medium", None) is Medium.AUDIO
        or a.at_us >= 1_000_000
        or not isinstance(a.event, AccessUnit)
    ]
    events = served(
        arrivals,
        claimed(0, 0, promised=True),
        claimed(2_000_000, -1_100_000),  # not yet on the pipeline's final clock
        claimed(6_500_000, 0),
    )
    picture = samples(events)[0].pts_us
    sound = [s.pts_us for s in samples(events, Medium.AUDIO)]
    assert min(abs(picture - at) for at in sound) <= 12_000
    assert picture - sound[0] == pytest.approx(1_000_000, abs=25)


def test_publisher_that_plays_the_same_from_its_start_over_rtsp_when_reopened_then_it_is_kept() -> (
    None
):
    def session(at_us: int, zero: int) -> list[Arrival]:
        """One connection: RTP-Info lets each begin with 0, whatever ticks it counts in."""
        arrivals = rtp(6, video_zero=zero, audio_zero=zero)
        promises = [Arrival(0, ClockReference(medium, zero, 0, promised=True)) for medium in Medium]
        return later([*arrivals[:2], *promises, *arrivals[2:]], at_us)

    timeline = Timeline()
    first = place(timeline, session(0, 1000)) + timeline.flush()
    timeline.reopened()
    second = place(timeline, session(9_000_000, 77_000)) + timeline.flush()
    assert len(samples(first)) == len(samples(second)) == 150
    assert len(samples(first, Medium.AUDIO)) == len(samples(second, Medium.AUDIO))
    (rejoined,) = breaks(second)
    assert rejoined.cause is Cause.RECONNECT
    assert rejoined.gap_us == pytest.approx(3_000_000, abs=60_000)


@pytest.mark.parametrize("still_s", [15.3, 16.0, 17.5, 40.0])
def test_stream_that_stands_still_when_reopened_then_what_its_server_keeps_is_no_other_life(
    still_s: float,
) -> None:
    """The server has the newest group of pictures, the publisher goes on with its clock later."""
    whole = stream(16)
    first = [a for a in whole if a.at_us < 7_000_000]
    kept = [a for a in first if isinstance(a.event, AccessUnit) and a.at_us >= 6_000_000]
    again_us = 7_000_000 + 15_300_000
    rest = later([a for a in whole if a.at_us >= 7_000_000], round(still_s * 1e6))
    timeline = Timeline()
    events = place(timeline, first) + timeline.flush()
    timeline.reopened()
    events += place(timeline, [*(replace(a, at_us=again_us) for a in kept), *rest])
    assert [s.data for s in samples(events)] == [s.data for s in samples(place(Timeline(), whole))]
    assert not breaks(events), "nothing is missing"


@pytest.mark.parametrize("away_us", [1_000_000, 2_500_000, 15_000_000])
def test_publisher_that_plays_the_same_from_its_start_when_reopened_then_it_is_kept_again(
    away_us: int,
) -> None:
    timeline = Timeline()
    first = place(timeline, stream(5, start_ms=1000))
    timeline.reopened()
    second = place(timeline, later(stream(5, start_ms=1000), 5_000_000 + away_us))
    second += timeline.flush()
    assert len(samples(first)) == len(samples(second)) == 125
    assert len(samples(first, Medium.AUDIO)) == len(samples(second, Medium.AUDIO))
    (rejoined,) = breaks(second)
    assert rejoined.cause is Cause.RECONNECT
    assert rejoined.gap_us == pytest.approx(away_us, abs=60_000)
    assert steps(samples(second)) == {40_000}


def test_publisher_that_plays_the_same_again_when_it_leaves_at_once_then_that_is_kept() -> None:
    timeline = Timeline()
    place(timeline, stream(5, start_ms=1000))
    timeline.reopened()
    second = place(timeline, later(stream(1, start_ms=1000), 8_000_000)) + timeline.flush()
    assert len(samples(second)) == 25
    assert [b.cause for b in breaks(second)] == [Cause.RECONNECT]


def test_server_that_repeats_its_group_of_pictures_late_when_reopened_then_nothing_is_doubled() -> (
    None
):
    timeline = Timeline()
    arrivals = stream(12)
    place(timeline, [a for a in arrivals if a.at_us < 7_000_000])
    timeline.reopened()
    burst = [replace(a, at_us=max(a.at_us, 9_000_000)) for a in arrivals if a.at_us >= 6_000_000]
    formats = [a for a in arrivals if not isinstance(a.event, AccessUnit)]
    after = place(timeline, [replace(f, at_us=9_000_000) for f in formats] + burst)
    assert len(samples(after)) == 5 * 25
    assert not breaks(after)
    assert timeline.repairs["repeated"] > 25


def test_reopened_source_when_a_few_units_are_missing_then_decoding_starts_anew() -> None:
    arrivals = stream(12)
    timeline = Timeline()
    place(timeline, [a for a in arrivals if a.at_us < 7_000_000])
    timeline.reopened()
    after = place(timeline, [a for a in arrivals if a.at_us >= 7_300_000])
    (rejoined,) = breaks(after)
    assert rejoined.cause is Cause.RECONNECT
    assert not rejoined.continuous
    assert steps(samples(after)) == {40_000}


def test_outage_that_shows_in_part_when_over_then_one_break_tells_all_of_it() -> None:
    timeline = Timeline()
    place(timeline, stream(5))
    out = place(timeline, later(stream(5, start_ms=5_900), 7_400_000))
    (outage,) = breaks(out)
    assert outage.cause is Cause.OUTAGE
    assert outage.gap_us == pytest.approx(2_400_000, abs=100_000)


def test_track_with_a_reference_when_another_began_without_then_it_starts_with_its_arrival() -> (
    None
):
    arrivals = [a for a in rtp(6, video_zero=9_000_000, audio_zero=77) if a.event is not RTP_VIDEO]
    sound = [a for a in arrivals if getattr(a.event, "medium", None) is Medium.AUDIO]
    picture = [a for a in arrivals if a not in sound and a.at_us >= 2_000_000]
    late = [
        Arrival(2_000_000, RTP_VIDEO),
        Arrival(2_000_000, ClockReference(Medium.VIDEO, 9_000_000, 3_900_000_000_000_000)),
    ]
    timeline = Timeline()
    events = place(timeline, sorted([*sound, *late, *picture], key=lambda a: a.at_us))
    assert not breaks(events)
    assert not timeline.repairs
    video, audio = samples(events), samples(events, Medium.AUDIO)
    assert (len(video), len(audio)) == (100, 281)
    assert abs(video[0].pts_us - audio[94].pts_us) <= 100_000


def test_short_pauses_at_resets_when_many_then_output_keeps_step_with_the_wall_clock() -> None:
    timeline = Timeline()
    at_us = 0
    for turn in range(9):
        place(timeline, later(stream(2, start_ms=(turn % 2) * 50_000, mark=b"%d" % turn), at_us))
        at_us += 2_400_000
    assert timeline.delay_us == pytest.approx(5_000_000, abs=150_000)


@pytest.mark.parametrize("told", [True, False])
def test_step_ahead_between_bursts_when_the_clock_was_set_then_no_time_passed(told: bool) -> None:
    timeline = Timeline()
    timeline.paced = False
    first = [a.event for a in stream(6)]
    events = timeline.feed(first, 10_000_000)
    reset = [ClockReset(Medium.VIDEO)] if told else []
    rest = [a.event for a in stream(6, start_ms=66_000, mark=b"b")]
    events += timeline.feed([*reset, *rest], 16_000_000)
    (found,) = breaks(events)
    assert found.cause is (Cause.JUMP if told else Cause.LOSS)
    assert found.gap_us == pytest.approx(0 if told else 60_000_000, abs=50_000)
    assert len(samples(events)) == 300


def test_clock_that_jumps_between_bursts_when_source_comes_in_bursts_then_no_gap_is_invented() -> (
    None
):
    timeline = Timeline()
    timeline.paced = False
    events: list[TimelineEvent] = []
    for turn in range(4):
        burst = stream(6, start_ms=900_000 - turn * 300_000, mark=b"%d" % turn)
        events += timeline.feed([a.event for a in burst], 10_000_000 + turn * 6_000_000)
    assert [b.gap_us for b in breaks(events)] == [0, 0, 0]
    assert len(samples(events)) == 600


def test_units_that_are_huge_when_a_silence_is_judged_then_few_of_them_are_held() -> None:
    timeline = Timeline()
    place(timeline, stream(4))
    late = later(stream(1.5, start_ms=4000), 4_000_000 + 2_000_000)
    placed = 0
    for arrival in late:
        event = arrival.event
        if isinstance(event, AccessUnit):
            event = replace(event, data=event.data + bytes(2**20))
        placed += len(samples(timeline.feed([event], 5_000_000 + arrival.at_us)))
    assert placed > 10


@pytest.mark.parametrize("away_ms", [0, 400, 1200])
def test_reopened_source_when_the_server_restamps_and_repeats_then_goes_on_where_it_was(
    away_ms: int,
) -> None:
    arrivals = stream(20, gop=50)
    before = [each for each in arrivals if each.at_us < 9_300_000]
    again_us = 9_300_000 + away_ms * 1000
    behind = [each for each in arrivals if each.at_us >= 8_000_000]  # from the last keyframe on
    repeated = [
        Arrival(
            max(each.at_us, again_us),
            replace(each.event, pts=each.event.pts - 8000, dts=(each.event.dts or 0) - 8000),
        )
        for each in behind
        if isinstance(each.event, AccessUnit)
    ]
    timeline = Timeline()
    events = place(timeline, before)
    timeline.reopened()
    events += place(timeline, repeated)
    for medium in Medium:
        whole = samples(place(Timeline(), arrivals), medium)
        assert samples(events, medium) == whole
    assert not breaks(events)
