"""Joins bytes and parsers: sources over a socket or an HTTP body."""

import time
from collections.abc import Callable, Sequence

from everreel.clock import Clock, SystemClock
from everreel.errors import SourceEnded, SourceError, SourceMalformed, SourceUnreachable
from everreel.media.access_unit import AccessUnit, SourceEvent
from everreel.protocols.connection import Wire
from everreel.protocols.ports import SansIO, Source

FIRST_DATA_S = 10.0
# A stream that flowed and brings nothing for so long may hang with the server, or with what stands
# before it, while the publisher is live elsewhere: half of what callers wait for one by default.
QUIET_S = 15.0
# How long a flowing stream may gather before it is read: well below a segment, well above the
# pace of network packets, and not longer than a cancelled wait. Twice the 0.1 s that it once was
# took a third off the CPU of the client.
GATHER_S = 0.24
# The same where the arrival of the first units may have to tell how tracks belong together.
GATHER_APART_S = 0.1
_TICK_S = 0.25


class SocketSource:
    """A `Source` made of a wire (a connection or an HTTP body) and a sans-IO protocol.

    Promises: those of the `Source` port; events that came before an error are returned first.
    """

    def __init__(
        self,
        wire: Wire,
        protocol: SansIO,
        *,
        where: str,
        first_data_s: float | None = FIRST_DATA_S,
        clock: Clock | None = None,
        head: bytes = b"",
        gather_s: float = GATHER_S,
    ) -> None:
        """Take over `wire`.

        Args:
            wire: what carries the bytes; closed by `close`.
            protocol: what makes sense of them.
            where: the redacted URL, for error texts.
            first_data_s: give up when the peer has said nothing at all for so long; None to wait.
            clock: measures `first_data_s` and the protocol's ticks.
            head: bytes that were read from the wire before.
            gather_s: how long the stream may gather once it flows.
        """
        self._wire = wire
        self._protocol = protocol
        self._where = where
        self._first_data_s = first_data_s
        self._clock = clock or SystemClock()
        self._head = head
        self._gather_s = gather_s
        self._started = self._clock.monotonic()
        self._ticked = self._heard_at = self._started
        self._heard = bool(head)
        self._flows = False
        self._delivered = False
        self._failure: SourceError | None = None

    @property
    def in_bursts(self) -> bool:
        """Tell that a connection delivers media as it happens."""
        return False

    def reach_back(self, back_s: float) -> None:
        """Do nothing: what such a server sent is gone."""

    def resume(self, previous: Source) -> None:
        """Do nothing: what such a server sent is gone."""

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        """Return the events that arrived, empty if none did within `wait_s` seconds.

        Raises: SourceError of any kind; the source is then finished and must be reopened.
        """
        if self._failure is not None:
            raise self._failure
        until = time.monotonic() + wait_s
        try:
            while True:
                events = self._step(max(until - time.monotonic(), 0.0))
                if events or time.monotonic() >= until:
                    return events
        except SourceError as error:
            self._failure = error
            self._wire.close()
            raise

    def close(self) -> None:
        """Close the connection at once, from any thread, as often as one likes."""
        self._wire.close()

    def _step(self, wait_s: float) -> Sequence[SourceEvent]:
        """Wait for bytes once and parse them."""
        self._wire.send(self._protocol.data_to_send())
        if self._head:
            data: bytes | None = self._head
            self._head = b""
        else:
            try:
                data = self._wire.recv(min(wait_s, _TICK_S))
            except SourceUnreachable as error:
                return self._broke_off(error)
        now = self._clock.monotonic()
        if now - self._ticked >= _TICK_S:
            self._ticked = now
            self._protocol.tick(now)
        if data is None:
            if (
                not self._heard
                and self._first_data_s is not None
                and now - self._started > self._first_data_s
            ):
                raise SourceUnreachable(
                    f"{self._where} said nothing for {self._first_data_s:g} s", field="source"
                )
            if self._delivered and now - self._heard_at > QUIET_S:
                raise SourceUnreachable(f"{self._where} said nothing for {QUIET_S:g} s")
            return ()
        if not data:
            return self._end()
        self._heard, self._heard_at = True, now
        events = self._protocol.receive(data)
        if events:
            self._delivered = True
            if not self._flows and isinstance(events[-1], AccessUnit):
                self._flows = True
                self._wire.coalesce(self._gather_s)
        self._wire.send(self._protocol.data_to_send())
        return events

    def _broke_off(self, error: SourceUnreachable) -> Sequence[SourceEvent]:
        """Return what a broken connection has left, then raise why."""
        try:
            events = self._protocol.end_of_input()
        except SourceError:  # only says again that this was the end; why it was is known better
            raise error from None
        return self._last(events, error)

    def _end(self) -> Sequence[SourceEvent]:
        """Return what the end of the connection completes, then raise."""
        events = self._protocol.end_of_input()
        if self._delivered or events:
            return self._last(events, SourceEnded(f"{self._where} ended the stream"))
        return self._last(
            events, SourceUnreachable(f"{self._where} closed before it delivered anything")
        )

    def _last(self, events: Sequence[SourceEvent], error: SourceError) -> Sequence[SourceEvent]:
        self._wire.close()
        if not events:
            raise error
        self._failure = error
        return events


class SniffedSource:
    """A `Source` that finds out from the first bytes of an HTTP body what it carries.

    `choose` gets those bytes and whether they are all there is, and makes the source that carries
    on; None as long as it needs more.
    """

    def __init__(
        self,
        wire: Wire,
        choose: Callable[[bytes, bool], Source | None],
        *,
        where: str,
        head_max: int = 4096,
    ) -> None:
        """Take over `wire` until a source is chosen.

        Args:
            wire: carries the body.
            choose: makes the source out of the first bytes.
            where: the redacted URL, for error texts.
            head_max: bytes within which `choose` must decide.
        """
        self._wire = wire
        self._choose = choose
        self._where = where
        self._head_max = head_max
        self._head = b""
        self._chosen: Source | None = None
        self._failure: SourceError | None = None
        self._closed = False
        self._back_s = 0.0
        self._before: Source | None = None

    @property
    def in_bursts(self) -> bool:
        """Tell how what was found in the body delivers media."""
        return self._chosen is not None and self._chosen.in_bursts

    def reach_back(self, back_s: float) -> None:
        """Pass on to the source that is found how far back it is to begin."""
        self._back_s = back_s

    def resume(self, previous: Source) -> None:
        """Pass on to the source that is found which one it is to follow."""
        if isinstance(previous, SniffedSource):
            self._before = previous._chosen or previous._before  # noqa: SLF001 - one of us

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        """Return the events that arrived, empty if none did within `wait_s` seconds.

        Raises: SourceError of any kind; the source is then finished and must be reopened.
        """
        if self._failure is not None:
            raise self._failure
        until = time.monotonic() + wait_s
        try:
            while self._chosen is None:
                if self._closed:
                    raise SourceEnded(f"{self._where} was closed on our side")
                data = self._wire.recv(max(until - time.monotonic(), 0.0))
                if data is None:
                    return ()
                self._decide(data)
        except SourceError as error:
            self._failure = error
            self._wire.close()
            raise
        return self._chosen.read(max(until - time.monotonic(), 0.0))

    def close(self) -> None:
        """Close all sockets at once, from any thread, as often as one likes."""
        self._closed = True
        self._wire.close()
        chosen = self._chosen
        if chosen is not None:
            chosen.close()

    def _decide(self, data: bytes) -> None:
        self._head += data
        chosen = self._choose(self._head, not data)
        if chosen is None and (not data or len(self._head) > self._head_max):
            raise SourceMalformed(f"{self._where} says nothing that tells what it is")
        if chosen is not None:
            chosen.reach_back(self._back_s)
            if self._before is not None:
                chosen.resume(self._before)
            if self._closed:
                chosen.close()
        self._chosen = chosen
