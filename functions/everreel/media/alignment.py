"""Ties tracks that have clocks of their own (RTP) to one clock, and checks what servers claim."""

from collections.abc import Iterable, Mapping

from everreel.media.access_unit import AccessUnit, ClockReference, Medium, TrackFormat
from everreel.media.tolerances import (
    DOUBT_WAIT_US,
    REFERENCE_WAIT_US,
    REPORT_WAIT_US,
    TOGETHER_US,
)
from everreel.media.track_clock import TrackClock

Held = Iterable[tuple[int, AccessUnit | TrackFormat]]
"""Units that wait, with their arrival in microseconds."""

_NEWEST, _FIRST = -1, 0


class Alignment:
    """Decides, once for each connection, how the clocks of its tracks lie to each other.

    Servers claim a common instant with their first answer and again in reports. While a pipeline
    warms up either may be wrong by a second, so a claim is believed when arrival bears it out.
    """

    __slots__ = ("_claimed", "_claims", "_settled", "_since_us", "_tracks")

    def __init__(self, tracks: Mapping[Medium, TrackClock]) -> None:
        """Align `tracks`, which the caller fills as their formats become known."""
        self._tracks = tracks
        self._since_us: int | None = None
        self._settled = False
        self._claimed = False
        self._claims: dict[Medium, list[ClockReference]] = {}

    @property
    def waiting(self) -> bool:
        """Whether units have to be held back until it is known."""
        return self._since_us is not None

    def forget(self) -> None:
        """Begin anew: ticks and their meaning belong to one connection."""
        self._since_us = None
        self._settled = self._claimed = False
        self._claims.clear()
        for track in self._tracks.values():
            if track.aligned:
                track.raw = None
                track.aligned = False

    def reference(self, reference: ClockReference) -> None:
        """Take a claim. Once all is settled it would move a track by its sender's jitter.

        Where the tracks before were settled without claims, their clock is not the one that claims
        speak of: a track that appears then starts with its arrival.
        """
        track = self._tracks.get(reference.medium)
        if track is None or (self._settled and (track.aligned or not self._claimed)):
            return
        track.align(reference.ticks, reference.common_us)
        self._claims.setdefault(reference.medium, []).append(reference)

    def needs_time(self, unit: AccessUnit, now_us: int, running_us: int | None) -> bool:
        """Tell whether `unit` has to wait.

        Args:
            unit: what has arrived.
            now_us: when.
            running_us: where a track that appears now starts; None while none has begun.
        """
        track = self._tracks.get(unit.medium)
        if track is None or (self._settled and track.aligned):
            return False
        if self.waiting:
            return True
        if len(self._tracks) == 1 or running_us is not None:
            if not track.aligned and running_us is not None and len(self._tracks) > 1:
                track.align(unit.pts, running_us)  # it appears late: it starts now
            if not self._settled:
                self._claimed = track.aligned
            track.aligned = self._settled = True
            return False
        self._since_us = now_us
        return True

    def settle(self, held: Held, now_us: int) -> bool:
        """Try to decide by what has arrived so far; tell whether that is done."""
        waited_us = now_us - (self._since_us or 0)
        if waited_us < REFERENCE_WAIT_US:
            return False  # what a server had in store still arrives, all of it late
        if waited_us < REPORT_WAIT_US and not self._reported():
            return False
        if all(track.aligned for track in self._tracks.values()):
            least = self._least_delays(held)
            if len(least) == len(self._tracks):
                self._claimed = self._believe(least)
                if not self._claimed and waited_us < DOUBT_WAIT_US:
                    return False
                if not self._claimed:
                    self._by_arrival(held)
        else:
            self._by_arrival(held)
        self._since_us = None
        self._settled = True
        return True

    def _reported(self) -> bool:
        """Tell whether the sender of every track has measured its clock."""
        return all(
            any(not claim.promised for claim in self._claims.get(medium, ()))
            for medium in self._tracks
        )

    def _believe(self, least: Mapping[Medium, int]) -> bool:
        """Align by the newest claims if arrival bears them out, or else by the first ones.

        Args:
            least: arrival minus time of each track's promptest unit, as it is aligned now.
        """
        if any(medium not in self._claims for medium in self._tracks):
            return False
        raw = {medium: delay + self._tracks[medium].offset_us for medium, delay in least.items()}
        first, newest = self._skew_us(raw, _FIRST), self._skew_us(raw, _NEWEST)
        if abs(newest - first) > TOGETHER_US // 2 and abs(first) < abs(newest):
            newest = self._skew_us(raw, _FIRST)
        return abs(newest) <= TOGETHER_US

    def _skew_us(self, raw: Mapping[Medium, int], which: int) -> int:
        """Align by a round of claims; return how much later one track arrives than the other."""
        delays = []
        for medium, track in self._tracks.items():
            claim = self._claims[medium][which]
            track.align(claim.ticks, claim.common_us)
            delays.append(raw[medium] - track.offset_us)
        return delays[-1] - delays[0]

    def end(self, held: Held) -> None:
        """Decide now: nothing more will arrive."""
        least = self._least_delays(held)
        if self.waiting and len(least) == len(self._tracks) and not self._believe(least):
            self._by_arrival(held)
        self._since_us = None
        self._settled = True

    def _by_arrival(self, held: Held) -> None:
        """Let what arrived with the least delay on each track be captured together."""
        for track in self._tracks.values():
            track.offset_us = 0
        for medium, delay_us in self._least_delays(held).items():
            self._tracks[medium].offset_us = delay_us
            self._tracks[medium].aligned = True

    def _least_delays(self, held: Held) -> dict[Medium, int]:
        """Return arrival minus time of the promptest unit of each track that has any."""
        least: dict[Medium, int] = {}
        for arrived_us, unit in held:
            if isinstance(unit, AccessUnit):
                track = self._tracks[unit.medium]
                delay_us = arrived_us - track.to_us(track.peek(unit.pts))
                least[unit.medium] = min(least.get(unit.medium, delay_us), delay_us)
        return least
