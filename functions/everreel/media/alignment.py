"""Ties tracks that have clocks of their own (RTP) to one clock, and checks what servers claim."""

from collections.abc import Iterable, Mapping

from everreel.media.access_unit import AccessUnit, ClockReference, Medium, TrackFormat
from everreel.media.tolerances import (
    AGREED_US,
    BUFFERED_US,
    DOUBT_WAIT_US,
    REFERENCE_WAIT_US,
    REPORT_WAIT_US,
    TOGETHER_US,
)
from everreel.media.track_clock import TrackClock

Held = Iterable[tuple[int, AccessUnit | TrackFormat]]
"""Units that wait, with their arrival in microseconds."""


class Alignment:
    """Decides, once for each connection, how the clocks of its tracks lie to each other.

    Servers promise a common instant before they send anything and measure it later, in reports.
    While a pipeline warms up either may be wrong, by a few frames or by a second, so claims are
    believed when two rounds of them agree. Arrival decides only where that never happens: a server
    may buffer one track for longer than the other.
    """

    __slots__ = ("_claimed", "_promises", "_reports", "_settled", "_since_us", "_tracks")

    def __init__(self, tracks: Mapping[Medium, TrackClock]) -> None:
        """Align `tracks`, which the caller fills as their formats become known."""
        self._tracks = tracks
        self._since_us: int | None = None
        self._settled = False
        self._claimed = False
        self._promises: dict[Medium, ClockReference] = {}
        self._reports: dict[Medium, list[ClockReference]] = {}

    @property
    def waiting(self) -> bool:
        """Whether units have to be held back until it is known."""
        return self._since_us is not None

    def forget(self) -> None:
        """Begin anew: ticks and their meaning belong to one connection."""
        self._since_us = None
        self._settled = self._claimed = False
        self._promises.clear()
        self._reports.clear()
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
        track.align(reference)
        if reference.promised:
            self._promises[reference.medium] = reference
        else:
            self._reports.setdefault(reference.medium, []).append(reference)

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
                # It appears late: it starts now.
                track.align(ClockReference(unit.medium, unit.pts, running_us))
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
        agreed = self._agreed()
        reported = len(self._reports) == len(self._tracks)
        patience_us = DOUBT_WAIT_US if reported else REPORT_WAIT_US
        sure = agreed and self._believe(self._least_delays(held), agreed)
        if not sure and waited_us < patience_us:
            return False
        self._decide(held, agreed)
        return True

    def end(self, held: Held) -> None:
        """Decide now: nothing more will arrive."""
        self._decide(held, self._agreed())

    def _decide(self, held: Held, agreed: bool) -> None:
        least = self._least_delays(held)
        if not all(track.aligned for track in self._tracks.values()):
            self._by_arrival(held)
        elif len(least) == len(self._tracks):
            self._claimed = self._believe(least, agreed)
            if not self._claimed:
                self._by_arrival(held)
        self._since_us = None
        self._settled = True

    def _agreed(self) -> bool:
        """Tell whether the newest reports and a round before them lay the tracks alike.

        What moved all tracks by the same is no matter: a sender's clock may be set meanwhile.
        """
        since_promise: list[int] = []
        since_report: list[int] = []
        for medium, track in self._tracks.items():
            reports = [track.told_us(each) for each in self._reports.get(medium, ())]
            if reports and medium in self._promises:
                since_promise.append(reports[-1] - track.told_us(self._promises[medium]))
            if len(reports) > 1:
                since_report.append(reports[-1] - reports[-2])
        return any(
            len(moved) == len(self._tracks) and max(moved) - min(moved) <= AGREED_US
            for moved in (since_promise, since_report)
        )

    def _believe(self, least: Mapping[Medium, int], agreed: bool) -> bool:
        """Align by the newest claims, or by what was promised if only that is borne out by arrival.

        Args:
            least: arrival minus time of each track's promptest unit, as it is aligned now.
            agreed: the newest claims are not the only ones that say so.
        """
        reports = {medium: told[-1] for medium, told in self._reports.items()}
        newest = {**self._promises, **reports}
        if not all(medium in newest and medium in least for medium in self._tracks):
            return False
        raw = {medium: delay + self._tracks[medium].offset_us for medium, delay in least.items()}
        promised = {**newest, **self._promises}
        promised_us, skew_us = self._skew_us(raw, promised), self._skew_us(raw, newest)
        if agreed:
            return abs(skew_us) <= BUFFERED_US
        if abs(promised_us) < abs(skew_us) - TOGETHER_US // 2:
            skew_us = self._skew_us(raw, promised)
        return abs(skew_us) <= TOGETHER_US

    def _skew_us(self, raw: Mapping[Medium, int], claims: Mapping[Medium, ClockReference]) -> int:
        """Align by a round of claims; return how much later one track arrives than the other."""
        delays = []
        for medium, track in self._tracks.items():
            track.align(claims[medium])
            delays.append(raw[medium] - track.offset_us)
        return delays[-1] - delays[0]

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
