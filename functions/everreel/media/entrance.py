"""Where a joining lap may begin, and what lies between the recording so far and its beginning."""

from everreel.media import bounds
from everreel.media.segment import Cause, Gap, Place, Sample
from everreel.media.tolerances import ROUNDING_US


class Entrance:
    """Lets samples pass until the first that the joining lap is to keep.

    Attributes:
        after_k: numbers begin behind it.
        late: others have the bucket in which it begins from an earlier keyframe on.
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
        self.late = not place.alone
        self._target_us = target_us

    def too_early(self, sample: Sample) -> bool:
        """Tell whether decoding must not begin with this sample, because others have it."""
        place = self.place
        known = sample.pts_us < place.after_us - ROUNDING_US
        if not place.alone:
            k = bounds.bucket(sample.pts_us, self._target_us) + place.shift_k
            known = known or k <= self.after_k
        self.late &= not known  # the next bucket is seen from its beginning
        return known

    def gap(self, start_us: int) -> Gap | None:
        """Write down what is missing before a beginning at `start_us`."""
        missing_us = start_us - self.place.after_us
        if not self.place.alone or missing_us <= ROUNDING_US:
            return None
        return Gap(Cause.TAKEOVER, self.place.after_us, missing_us)

    def seamless(self, start_us: int) -> bool:
        """Tell whether media goes on there as if nothing had happened."""
        return not self.place.alone or (self.place.exact and self.gap(start_us) is None)
