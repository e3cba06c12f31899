"""Landmarks of a stream: keyframes by digest, so that two recorders find each other's place.

Servers may stamp media anew for each client; payloads they leave alone. A running lap publishes the
digests of the keyframes it received with their place on the recording timeline; a joining lap that
receives one of them knows where it is, to the microsecond.
"""

import hashlib
from collections import deque
from collections.abc import Iterable

from everreel.media.access_unit import Medium
from everreel.media.segment import Sample

KEEP = 8
"""Landmarks remembered: at least the two or three that any two clients of a server both receive."""

SPARSE = 8
"""Of audio alone, frames whose digest begins with a byte below this are landmarks: 1 in 32."""

Mark = tuple[int, str]
"""Presentation time in microseconds, and digest."""


def digest(data: bytes) -> str:
    """Return the digest of a payload: 64 bits in hex, enough among a handful."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Landmarks:
    """The newest landmarks of a stream, on the clock of the samples."""

    def __init__(self) -> None:
        """Start with none."""
        self._marks: deque[Mark] = deque(maxlen=KEEP)
        self._video = False

    def note(self, sample: Sample) -> bool:
        """Take a sample; tell whether it is a landmark."""
        if sample.medium is Medium.VIDEO:
            if not self._video:
                self._video = True
                self._marks.clear()
            if not sample.keyframe:
                return False
            self._marks.append((sample.pts_us, digest(sample.data)))
            return True
        if self._video:
            return False
        mark = digest(sample.data)
        if int(mark[:2], 16) >= SPARSE:
            return False
        self._marks.append((sample.pts_us, mark))
        return True

    def clear(self) -> None:
        """Forget all: the clock changed."""
        self._marks.clear()

    def marks(self, origin_us: int = 0) -> tuple[Mark, ...]:
        """Return the landmarks, oldest first, with `origin_us` as their zero."""
        return tuple((at_us - origin_us, mark) for at_us, mark in self._marks)


def find_origin(known: Iterable[Mark], own: Iterable[Mark], near_us: int) -> int | None:
    """Find where the recording's zero lies on our clock; None if the streams share no landmark.

    An origin must put every landmark of ours that lies between two known ones onto a known one.
    Pictures that do not move may repeat, so of several such origins the one nearest to `near_us`
    (what the wall clock says) is taken.
    """
    known = list(known)
    own = list(own)
    places = dict(known)
    if not places:
        return None
    first_us, last_us = min(places), max(places)
    found = {
        at_us - place_us for at_us, mark in own for place_us, match in known if match == mark
    }
    fitting = [
        origin_us
        for origin_us in found
        if all(
            places.get(at_us - origin_us) == mark
            for at_us, mark in own
            if first_us <= at_us - origin_us <= last_us
        )
    ]
    return min(fitting, key=lambda origin_us: abs(origin_us - near_us), default=None)
