"""How neighbouring segments meet: the one place that decides what lies between two of them.

Segments come from laps that know nothing of each other's ends: a lap may die before its last bucket
is stored, or its successor may find a place that is not exact. So what a row says of the time
before it is settled only when both neighbours are known, by playlists and by the seal alike.
"""

from collections.abc import Callable, Iterable, Iterator
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


def without(rows: Iterable[SegmentRow], gone: Callable[[SegmentRow], bool]) -> Iterator[SegmentRow]:
    """Yield settled rows but those that are gone; the next one says for how long there is nothing.

    What the last rows held, if they are gone, no row can say.
    """
    before: SegmentRow | None = None
    lost_us: int | None = None
    for row in settled(rows):
        if gone(row):
            lost_us = row.start_us if lost_us is None else lost_us
            continue
        kept = row
        if lost_us is not None:
            begin_us = lost_us if before is None else before.start_us + before.duration_us
            kept = _broken(replace(row, gap=_reaching(begin_us, row, Cause.MISSING)))
        yield kept
        before, lost_us = kept, None


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
        # Where a lap was cut short, units may be missing although the times meet.
        goes_on = before.init == row.init and (before.whole or not other_lap)
        return row if goes_on else _broken(row)
    row = _broken(row)
    if missing_us < 0:
        return row  # clocks that differ let two laps overlap: nothing is missing
    cause = Cause.LOSS if row.gap is None else row.gap.cause
    return replace(row, gap=_reaching(end_us, row, cause))


def _reaching(begin_us: int, row: SegmentRow, cause: Cause) -> Gap:
    """Make the gap from `begin_us` to a row, with what the row tells of time inside itself."""
    inside = _inside(row)
    inside_us = 0 if inside is None else inside.duration_us
    return Gap(cause, begin_us, max(row.start_us - begin_us, 0) + inside_us)


def _inside(row: SegmentRow) -> Gap | None:
    """Return what a row's gap takes of its own time."""
    told = row.gap
    if told is None or told.start_us >= row.start_us:
        return told
    rest_us = told.start_us + told.duration_us - row.start_us
    return Gap(told.cause, row.start_us, rest_us) if rest_us > ROUNDING_US else None


def _broken(row: SegmentRow) -> SegmentRow:
    return row if row.discontinuity else replace(row, discontinuity=True)
