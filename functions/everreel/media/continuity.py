"""How neighbouring segments meet: the one place that decides what lies between two of them.

Segments come from laps that know nothing of each other's ends: a lap may die before its last bucket
is stored, or its successor may find a place that is not exact. So what a row says of the time
before it is settled only when both neighbours are known, by playlists and by the seal alike.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from everreel.media.index import SegmentRow
from everreel.media.segment import Cause, Gap
from everreel.media.tolerances import ROUNDING_US


def settled(rows: Iterable[SegmentRow], before: SegmentRow | None = None) -> Iterator[SegmentRow]:
    """Yield rows in ascending order of k with every hole between them written down.

    Args:
        rows: of one recording, ascending.
        before: the row before the first of them, None if there is none.
    """
    for row in rows:
        yield row if before is None else _after(before, row)
        before = row


def _after(before: SegmentRow, row: SegmentRow) -> SegmentRow:
    end_us = before.start_us + before.duration_us
    missing_us = row.start_us - end_us
    other_lap = (before.lane, before.lap) != (row.lane, row.lap)
    met = abs(missing_us) <= ROUNDING_US
    if not met and not other_lap and (row.discontinuity or row.gap is not None):
        return row  # its recorder saw it happen and wrote it down
    if other_lap:
        inside = _inside(row)
        if inside != row.gap and (met or missing_us < 0):
            row = replace(row, gap=inside)  # another lap has stored what this one missed
    if met:
        return row if before.init == row.init else _broken(row)
    row = _broken(row)
    if missing_us < 0:
        return row  # clocks that differ let two laps overlap: nothing is missing
    inside = _inside(row)
    cause = Cause.LOSS if row.gap is None else row.gap.cause
    inside_us = 0 if inside is None else inside.duration_us
    return replace(row, gap=Gap(cause, end_us, missing_us + inside_us))


def _inside(row: SegmentRow) -> Gap | None:
    """Return what a row's gap takes of its own time."""
    told = row.gap
    if told is None or told.start_us >= row.start_us:
        return told
    rest_us = told.start_us + told.duration_us - row.start_us
    return Gap(told.cause, row.start_us, rest_us) if rest_us > ROUNDING_US else None


def _broken(row: SegmentRow) -> SegmentRow:
    return row if row.discontinuity else replace(row, discontinuity=True)
