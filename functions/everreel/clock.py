"""Time as everreel sees it: UTC instants, elapsed seconds, and a clock that tests can move."""

import time
from datetime import UTC, datetime
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """Source of time for everything below the handlers."""

    def utc_us(self) -> int:
        """Return the current instant. Units: microseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return elapsed time that never steps back. Units: seconds from an arbitrary origin."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Units: seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def utc_us(self) -> int:
        """Return the current instant. Units: microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return elapsed time that never steps back. Units: seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait. Units: seconds."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told, for tests and simulations."""

    def __init__(self, utc_us: int = 1_767_225_600_000_000) -> None:
        """Start at `utc_us` (default 2026-01-01T00:00:00Z)."""
        self._utc_us = utc_us
        self._monotonic = 0.0

    def utc_us(self) -> int:
        """Return the instant this clock was moved to. Units: microseconds since the epoch."""
        return self._utc_us

    def monotonic(self) -> float:
        """Return the seconds this clock was moved by."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move forward at once instead of waiting. Units: seconds."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move forward. Units: seconds."""
        self._utc_us += round(seconds * MICROSECONDS)
        self._monotonic += seconds


def iso(utc_us: int) -> str:
    """Format an instant as ISO 8601 with milliseconds and a `Z`, as playlists and replies show it.

    Units: microseconds since the Unix epoch in; rounded down to the millisecond.
    """
    moment = datetime.fromtimestamp(utc_us // MICROSECONDS, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{utc_us % MICROSECONDS // 1000:03d}Z"


def parse_iso(text: str) -> int:
    """Read an ISO 8601 instant.

    Units: microseconds since the Unix epoch out.
    Raises: ValueError if the text is no instant or names no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write it as 2026-01-31T12:00:00Z")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * MICROSECONDS + delta.microseconds
