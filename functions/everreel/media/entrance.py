"""Where a joining lap may begin, and what lies between the recording so far and its beginning."""

from everreel.media import bounds
from everreel.media.access_unit import Medium
from everreel.media.segment import Cause, Gap, Place, Sample
from everreel.media.tolerances import ROUNDING_US


class Entrance:
    """Lets samples pass until the first that the joining lap is to keep.

    Attributes:
        after_k: numbers begin behind it.
    """

    def __init__(self, place: Place, target_us: int, after_k: int) -> None:
        """Enter at `place` a recording whose segments begin every `target_us` microseconds.

        Args:
            place: where to enter.
            target_us: length of a bucket.
            after_k: the newest segment that is stored, or that we have made ourselves.
        """
        self.place = place
        self.after_k = after_k
        self._target_us = target_us
        self._seen = set[Medium]()

    def too_early(self, sample: Sample) -> bool:
        """Tell whether decoding must not begin with this sample, because others have it."""
        place = self.place
        known = sample.pts_us < place.after_us - ROUNDING_US
        if not place.alone:
            k = bounds.bucket(sample.pts_us, self._target_us) + place.shift_k
            known = known or k <= self.after_k
        if known:  # its next bucket is seen from its beginning
            self._seen.add(sample.medium)
        return known

    def late(self, first: Sample) -> bool:
        """Tell whether others have the bucket that begins with `first` from an earlier keyframe on.

        Media do not arrive together: pictures come up to their reordering before sound, so that
        only the medium itself tells.
        """
        return not self.place.alone and first.medium not in self._seen

    def gap(self, start_us: int) -> Gap | None:
        """Write down what is missing before a beginning at `start_us`."""
        missing_us = start_us - self.place.after_us
        if not self.place.alone or missing_us <= ROUNDING_US:
            return None
        return Gap(Cause.TAKEOVER, self.place.after_us, missing_us)

    def seamless(self, start_us: int) -> bool:
        """Tell whether media goes on there as if nothing had happened."""
        return not self.place.alone or (self.place.exact and self.gap(start_us) is None)
