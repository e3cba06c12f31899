"""Decode times for pictures whose transport carries none (RTP)."""

from itertools import pairwise

from everreel.media.segment import Sample
from everreel.media.tolerances import NUDGE_US


def in_decode_order(pictures: list[Sample]) -> list[Sample]:
    """Give pictures decode times where the transport had none.

    Within a group of pictures the i-th picture in decode order is decoded when the i-th in
    presentation order is shown: the shifted decode times that `isobmff.fragment` writes anyway, and
    a pure function of the group. Sources with decode times pass untouched.
    """
    if all(a.dts_us < b.dts_us for a, b in pairwise(pictures)):
        return pictures
    starts = [i for i, sample in enumerate(pictures) if sample.keyframe or i == 0]
    last_us: int | None = None
    for start, end in zip(starts, [*starts[1:], len(pictures)], strict=True):
        shown = sorted(sample.pts_us for sample in pictures[start:end])
        for sample, dts_us in zip(pictures[start:end], shown, strict=True):
            sample.dts_us = dts_us if last_us is None else max(dts_us, last_us + NUDGE_US)
            last_us = sample.dts_us
    return pictures
