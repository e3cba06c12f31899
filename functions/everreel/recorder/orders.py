"""What a lap is told and what it answers."""

from dataclasses import dataclass

from everreel.state.recording import Failure, Progress, Reason


@dataclass(frozen=True, slots=True)
class LapSettings:
    """What the deployment decides about laps.

    Attributes:
        beat_s: seconds between beats; five missed ones count as a hang.
        queue_bytes: media that may wait for the store: more than a slow minute, less than memory.
        full_wait_s: how long the stream is held back when that is full, before the lap gives up.
        drain_s: seconds before the function's end at which the lap stops recording and drains.
        give_way_s: head start of the successor with each bucket that both have: it commits one,
            and its predecessor may go.
    """

    beat_s: float = 3.0
    queue_bytes: int = 96 * 1024 * 1024
    full_wait_s: float = 30.0
    drain_s: float = 25.0
    give_way_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a lap ended; `fenced`: it left without a word because another one is newer."""

    sid: str
    reason: Reason
    failure: Failure | None
    progress: Progress
    fenced: bool = False
