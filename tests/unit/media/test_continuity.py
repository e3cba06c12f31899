"""What lies between two segments is settled from both, whoever wrote them."""

from dataclasses import replace

from everreel.media.continuity import settled
from everreel.media.index import SegmentRow
from everreel.media.segment import Cause, Gap

SECOND = 1_000_000


def row(k: int, start_s: float, end_s: float, lap: int = 1, **changes: object) -> SegmentRow:
    made = SegmentRow(
        k=k, key=f"{k}", init=1, start_us=round(start_s * SECOND),
        duration_us=round((end_s - start_s) * SECOND), utc_us=0, size=1, sha256="", tracks=(),
        discontinuity=False, gap=None, independent=True, lane="a", lap=lap,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_neighbours_when_they_meet_then_stay_as_they_are() -> None:
    rows = [row(0, 0, 6), row(1, 6, 12.0005, lap=2), row(2, 12, 18, lap=1)]
    assert list(settled(rows)) == rows


def test_neighbours_when_the_first_was_cut_short_then_another_lap_breaks_there() -> None:
    cut = row(0, 0, 6, whole=False)
    assert list(settled([cut, row(1, 6, 12, lap=2)]))[1].discontinuity
    assert not list(settled([cut, row(1, 6, 12)]))[1].discontinuity  # it knows itself
    assert next(iter(settled([row(1, 6, 12, lap=2)], cut))).discontinuity


def test_hole_when_nobody_wrote_it_down_then_is_a_loss() -> None:
    _, after = settled([row(0, 0, 6), row(2, 12, 18, lap=2)])
    assert after.discontinuity
    assert after.gap == Gap(Cause.LOSS, 6 * SECOND, 6 * SECOND)


def test_hole_when_its_recorder_wrote_it_down_then_its_word_stands() -> None:
    gap = Gap(Cause.RECONNECT, 6 * SECOND, 3 * SECOND)
    told = row(1, 9, 12, discontinuity=True, gap=gap)
    assert list(settled([row(0, 0, 6), told]))[1] == told
    late = replace(told, gap=Gap(Cause.TAKEOVER, 6 * SECOND, 3 * SECOND), lap=2)
    assert list(settled([row(0, 0, 6), late]))[1] == late


def test_hole_when_another_lane_stored_what_lay_in_it_then_nothing_is_missing() -> None:
    late = row(
        3, 18, 24, lap=2, discontinuity=True, gap=Gap(Cause.TAKEOVER, 6 * SECOND, 12 * SECOND)
    )
    rows = [row(0, 0, 6), row(1, 6, 12), row(2, 12, 18), late]
    assert list(settled(rows))[3].gap is None
    part = list(settled([*rows[:2], late]))[2]
    assert part.gap == Gap(Cause.TAKEOVER, 12 * SECOND, 6 * SECOND)
    overlap = list(settled([*rows[:2], row(2, 12, 18.2), late]))[3]
    assert (overlap.gap, overlap.discontinuity) == (None, True)


def test_hole_when_another_lane_filled_it_then_a_gap_inside_the_segment_stays() -> None:
    both = Gap(Cause.RECONNECT, 6 * SECOND, 8 * SECOND)
    late = row(2, 12, 18, lap=2, gap=both)
    assert list(settled([row(1, 6, 12), late]))[1].gap == Gap(
        Cause.RECONNECT, 12 * SECOND, 2 * SECOND
    )


def test_hole_when_an_earlier_one_is_inside_the_segment_then_both_are_added() -> None:
    inside = row(2, 12, 18, lap=2, gap=Gap(Cause.OUTAGE, 14 * SECOND, 2 * SECOND))
    _, after = settled([row(0, 0, 6), inside])
    assert after.gap == Gap(Cause.OUTAGE, 6 * SECOND, 8 * SECOND)


def test_segments_when_two_laps_overlap_then_the_timeline_breaks_without_a_gap() -> None:
    _, after = settled([row(0, 0, 6), row(1, 5.9, 12, lap=2)])
    assert after.discontinuity
    assert after.gap is None


def test_init_segment_when_it_changes_then_the_timeline_breaks() -> None:
    _, after = settled([row(0, 0, 6), row(1, 6, 12, init=2)])
    assert after.discontinuity


def test_first_row_when_the_one_before_is_known_then_is_settled_too() -> None:
    (only,) = settled([row(4, 30, 36)], row(3, 18, 24))
    assert only.gap == Gap(Cause.LOSS, 24 * SECOND, 6 * SECOND)
