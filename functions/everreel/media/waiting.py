"""Sound that waits until it is known where it belongs, bounded in bytes."""

from everreel.media.segment import Sample
from everreel.media.tolerances import HELD_BYTES


class Waiting:
    """Samples in order of arrival.

    Attributes:
        bytes: that wait.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.bytes = 0
        self._samples: list[Sample] = []

    def __bool__(self) -> bool:
        return bool(self._samples)

    @property
    def full(self) -> bool:
        """Whether it holds more than memory should."""
        return self.bytes > HELD_BYTES

    def add(self, sample: Sample) -> int:
        """Keep a sample; return how long the first has waited, microseconds of media."""
        self._samples.append(sample)
        self.bytes += len(sample.data)
        return sample.pts_us - self._samples[0].pts_us

    def take(self) -> list[Sample]:
        """Give out everything and start empty."""
        samples, self._samples, self.bytes = self._samples, [], 0
        return samples

    def drop_before(self, pts_us: int) -> None:
        """Forget what is presented before `pts_us`."""
        self._samples = [sample for sample in self._samples if sample.pts_us >= pts_us]
        self.bytes = sum(len(sample.data) for sample in self._samples)

    def clear(self) -> None:
        """Forget everything."""
        self.take()
