"""Landmarks of a stream: payloads by digest, so that two recorders find each other's place.

Servers may stamp media anew for each client; payloads they leave alone. A running lap publishes the
digests of units it received with their place on the recording timeline; a joining lap that receives
one of them knows where it is, to the microsecond. Each medium is placed by itself: tracks of RTP
have clocks of their own, which two clients may read a little differently.
"""

import hashlib
import zlib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence

from everreel.media.access_unit import Medium
from everreel.media.segment import Break, Sample, TimelineEvent
from everreel.media.tolerances import ROUNDING_US

KEEP = 512
"""Landmarks remembered per medium: well over five seconds of a stream of nothing but keyframes."""

TELL = 6
"""Landmarks published per medium: the newest; the rest would only make each beat's row longer."""

SPARSE = 32
"""One audio frame in so many is a landmark, chosen by its content so that everybody agrees."""

Mark = tuple[int, str]
"""Presentation time in microseconds; medium (its first letter) and digest."""


class Landmarks:
    """The newest landmarks of a stream, on the clock of the samples."""

    def __init__(self) -> None:
        """Start with none."""
        self._marks: dict[Medium, deque[Mark]] = {
            Medium.VIDEO: deque(maxlen=KEEP),
            Medium.AUDIO: deque(maxlen=KEEP),
        }

    def note(self, events: Iterable[TimelineEvent]) -> bool:
        """Take what the timeline gives out; tell whether the landmarks are others than before.

        A break makes us forget: the clock may have changed.
        """
        changed = False
        for event in events:
            if isinstance(event, Sample):
                medium = event.medium
                if event.keyframe if medium is Medium.VIDEO else _is_sparse(event.data):
                    self._note(event)
                    changed = True
            elif isinstance(event, Break):
                for marks in self._marks.values():
                    marks.clear()
                changed = True
        return changed

    def _note(self, sample: Sample) -> None:
        marks = self._marks[sample.medium]
        mark = sample.medium[0] + hashlib.blake2b(sample.data, digest_size=6).hexdigest()
        if sample.medium is Medium.AUDIO and marks and marks[-1][1] == mark:
            return  # silence repeats itself and marks no place
        marks.append((sample.pts_us, mark))

    def all(self, medium: Medium) -> Sequence[Mark]:
        """Return every landmark of a medium, oldest first."""
        return tuple(self._marks[medium])

    def told(self, origin_us: int, audio_origin_us: int) -> tuple[Mark, ...]:
        """Return the newest landmarks with these zeros: what other laps go by."""
        zeros = {Medium.VIDEO: origin_us, Medium.AUDIO: audio_origin_us}
        return tuple(
            (at_us - zeros[medium], mark)
            for medium, marks in self._marks.items()
            for at_us, mark in tuple(marks)[-TELL:]
        )


def _is_sparse(frame: bytes) -> bool:
    return zlib.crc32(frame) % SPARSE == 0


def of(medium: Medium, marks: Iterable[Mark]) -> list[Mark]:
    """Pick the landmarks of a medium."""
    return [each for each in marks if each[1].startswith(medium[0])]


def find_origin(known: Sequence[Mark], own: Sequence[Mark], near_us: int) -> int | None:
    """Find where the recording's zero lies on our clock; None if the streams share no landmark.

    An origin must put every landmark of ours that lies between two known ones onto a known one, but
    for the rounding of clocks that count from elsewhere. Pictures that do not move may repeat, so
    of several such origins the one nearest to `near_us` (what the wall clock says) is taken.

    Args:
        known: landmarks of one medium on the recording timeline.
        own: the same on our clock.
        near_us: about where the zero should be.
    """
    if not known:
        return None
    begin_us = min(at_us for at_us, _ in known) - ROUNDING_US
    end_us = max(at_us for at_us, _ in known) + ROUNDING_US
    own = sorted(own)

    def fits(origin_us: int) -> bool:
        first = bisect_left(own, (begin_us + origin_us, ""))
        last = bisect_left(own, (end_us + origin_us, ""))
        return all(
            any(
                match == mark and abs(at_us - origin_us - place_us) <= ROUNDING_US
                for place_us, match in known
            )
            for at_us, mark in own[first:last]
        )

    found = [at_us - place_us for at_us, mark in own for place_us, match in known if match == mark]
    fitting = {origin_us for origin_us in found if fits(origin_us)}
    if not fitting:
        return None
    nearest_us = min(fitting, key=lambda origin_us: abs(origin_us - near_us))
    same = [each for each in found if abs(each - nearest_us) <= ROUNDING_US and each in fitting]
    # A timeline may have moved single units a little, at a join mostly: the others are right.
    return max(reversed(same), key=same.count)
