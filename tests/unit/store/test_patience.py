import pytest

from everreel.clock import ManualClock
from everreel.errors import StoreDenied, StoreUnavailable
from everreel.patience import Patience, persist, random_share


class Flaky:
    def __init__(self, failures: int, error: Exception) -> None:
        self.left = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "answer"


def whole() -> float:
    return 1.0


def test_persist_when_it_fails_at_first_then_returns_the_answer_after_growing_pauses() -> None:
    clock = ManualClock()
    request = Flaky(3, StoreUnavailable("busy"))
    answer = persist(request, StoreUnavailable, Patience(4, 0.1, 0.3, 20), clock, whole)
    assert (answer, request.calls) == ("answer", 4)
    assert clock.monotonic() == pytest.approx(0.1 + 0.2 + 0.3)


def test_persist_when_attempts_are_used_up_then_raises_the_last_error() -> None:
    request = Flaky(9, StoreUnavailable("busy"))
    with pytest.raises(StoreUnavailable, match="busy"):
        persist(request, StoreUnavailable, Patience(attempts=3), ManualClock())
    assert request.calls == 3


def test_persist_when_requests_are_slow_then_the_total_is_bounded() -> None:
    clock = ManualClock()

    def slow() -> str:
        clock.advance(10)
        raise StoreUnavailable("timeout")

    with pytest.raises(StoreUnavailable):
        persist(slow, StoreUnavailable, Patience(attempts=100, total_s=20), clock)
    assert clock.monotonic() == pytest.approx(20, abs=1)


def test_persist_when_the_error_is_lasting_then_is_not_repeated() -> None:
    request = Flaky(1, StoreDenied("no"))
    with pytest.raises(StoreDenied):
        persist(request, StoreUnavailable, Patience(), ManualClock())
    assert request.calls == 1


def test_random_share_when_drawn_then_spreads_below_one() -> None:
    shares = [random_share() for _ in range(1000)]
    assert all(0 <= share < 1 for share in shares)
    assert min(shares) < 0.2
    assert max(shares) > 0.8
