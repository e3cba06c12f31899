"""How long one request to a store or table is worth repeating: few tries, soon over, spread out."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from everreel.clock import Clock
from everreel.errors import EverreelError

Answer = TypeVar("Answer")
_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds of repeating one request. Units: seconds.

    Attributes:
        attempts: requests sent at most.
        first_s: longest pause before the second; each later pause may be twice the one before.
        longest_s: no pause is longer.
        total_s: no further request is begun this long after the first one.
    """

    attempts: int = 4
    first_s: float = 0.1
    longest_s: float = 2.0
    total_s: float = 20.0


def random_share() -> float:
    """Return a number in [0, 1): the share of the longest pause that is really waited."""
    return secrets.randbelow(_STEPS) / _STEPS


def persist(
    request: Callable[[], Answer],
    transient: type[EverreelError],
    patience: Patience,
    clock: Clock,
    share: Callable[[], float] = random_share,
) -> Answer:
    """Send a request, again after a pause while it fails with `transient`; return its answer.

    Pauses are drawn from the whole interval ("full jitter"), so that recorders that failed
    together do not come back together.
    Raises: what `request` raised last.
    """
    began = clock.monotonic()
    attempt = 1
    while True:
        try:
            return request()
        except transient:
            pause = share() * min(patience.longest_s, patience.first_s * 2 ** (attempt - 1))
            late = clock.monotonic() - began + pause >= patience.total_s
            if late or attempt >= patience.attempts:
                raise
        clock.sleep(pause)
        attempt += 1
