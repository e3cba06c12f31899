"""What is tried: every protocol, every fault, both reliabilities, and what each may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from itertools import product

from tests.fault.lab import injectors
from tests.fault.lab.harness import LONG, SHORT, Laps
from tests.fault.lab.injectors import Run
from tests.fault.lab.stage import LEAPS_IN_STREAM, Protocol


class Reliability(StrEnum):
    """How many laps record at any time: the option of a recording."""

    ECONOMY = "economy"
    REDUNDANT = "redundant"

    @property
    def lanes(self) -> int:
        """Laps that record at any time."""
        return 1 if self is Reliability.ECONOMY else 2


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a recording.

    Attributes:
        name: as it is chosen by and listed.
        inject: does it.
        economy_s, redundant_s: longest gap it may leave; 0 for no unit lost. Seconds.
        own_feed: it strikes the source, so the run needs one of its own.
        network: a proxy stands between recorder and media server.
        store: a proxy stands between functions and bucket.
        leaps: the publisher's clock leaps, where its server can bear that.
        laps: how long the laps of its stack last.
    """

    name: str
    inject: Callable[[Run], None]
    economy_s: float
    redundant_s: float
    own_feed: bool = False
    network: bool = False
    store: bool = False
    leaps: bool = False
    laps: Laps = SHORT

    @property
    def what(self) -> str:
        """Say in a sentence what breaks."""
        return (self.inject.__doc__ or "").strip()


CRASH_S, HANG_S = 10.0, 25.0
"""Promised: the gap of an economy recording after a crash, and after a hang (design, figures)."""

AWAY_S = 8.0
"""A source that was away for a while is back after the next try, 3 s at most, and a keyframe."""

FROZEN_S = 1.5
"""A segment is closed when its source is silent for so long; the rest of its GOP is left out."""

FAULTS = (
    Fault("hand-over", injectors.hand_over, 0, 0),
    Fault("kill", injectors.kill, CRASH_S, 0),
    Fault("kill-all", injectors.kill_all, CRASH_S, CRASH_S),
    Fault("hang", injectors.hang, HANG_S, 0),
    Fault("store-503", injectors.store_busy, 0, 0, store=True),
    Fault("store-slow", injectors.store_slow, 0, 0, store=True),
    Fault("store-409", injectors.store_conflict, 0, 0, store=True),
    Fault("store-412", injectors.store_lost_answer, 0, 0, store=True),
    Fault("network-cut", injectors.network_cut, AWAY_S, AWAY_S, network=True),
    Fault("network-freeze", injectors.network_freeze, FROZEN_S, FROZEN_S, network=True),
    Fault("invoked-again", injectors.invoked_again, 0, 0),
    Fault("machines-killed", injectors.machines_killed, 0, 0, laps=LONG),
    Fault("publisher-restart", injectors.publisher_restarts, AWAY_S, AWAY_S, own_feed=True),
    Fault("publisher-away", injectors.publisher_away, AWAY_S, AWAY_S, own_feed=True),
    Fault("clock-jump", injectors.clock_jumps, AWAY_S, AWAY_S, own_feed=True, leaps=True),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix."""

    fault: Fault
    protocol: Protocol
    reliability: Reliability

    @property
    def name(self) -> str:
        """As it is chosen by, listed, and seeded."""
        return f"{self.fault.name}/{self.protocol.value}/{self.reliability.value}"

    @property
    def longest_s(self) -> float:
        """Longest gap it may leave, seconds; 0 for no unit lost."""
        economy = self.reliability is Reliability.ECONOMY
        return self.fault.economy_s if economy else self.fault.redundant_s

    @property
    def own_feed(self) -> bool:
        """Whether the run needs a stream of its own.

        GStreamer's server lets all players of a stream wait for the slowest, so one that is cut off
        from it would strike the runs beside it.
        """
        waits = self.fault.network and self.protocol is Protocol.RTSP
        return self.fault.own_feed or waits

    @property
    def leaps(self) -> bool:
        """Whether the publisher's clock leaps in the stream, without a restart."""
        return self.fault.leaps and self.protocol in LEAPS_IN_STREAM


MATRIX = tuple(
    Case(fault, protocol, reliability)
    for fault, protocol, reliability in product(FAULTS, Protocol, Reliability)
)


def chosen(patterns: Iterable[str]) -> Sequence[Case]:
    """Choose from the matrix by patterns such as `kill/*/redundant`, `kill` or `rtsp`."""
    wanted = list(patterns)
    if not wanted:
        return MATRIX
    return [case for case in MATRIX if any(_fits(case, pattern) for pattern in wanted)]


def _fits(case: Case, pattern: str) -> bool:
    return fnmatch(case.name, pattern) or pattern in case.name.split("/")
