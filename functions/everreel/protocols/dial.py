"""Sources over a connection of their own: resolve, connect, follow the server elsewhere."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from everreel import redact
from everreel.clock import Clock
from everreel.errors import SourceEnded, SourceError, SourceRefused, SourceUnreachable
from everreel.media.access_unit import SourceEvent
from everreel.protocols.connection import Cancel, Connection
from everreel.protocols.guard import Guard, Lookup, Target
from everreel.protocols.ports import Endpoint, SansIO, Source

RESOLVE_S = 10.0
REDIRECTS_MAX = 5
# A resolver cannot be woken: look at cancel and close this often.
_SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class Call:
    """What is said to the server of one URL.

    Attributes:
        protocol: the parser.
        moved_to: tells, after the parser failed, the URL that the server named instead.
    """

    protocol: SansIO
    moved_to: Callable[[], str | None]


class DialledSource:
    """A `Source` that connects when the name has resolved; nothing before the first byte waits.

    A server may name another address (RTSP 3xx): it is judged like the first one, at most five
    times, and TLS is not given up on the way.
    """

    def __init__(
        self,
        url: str,
        guard: Guard,
        schemes: frozenset[str],
        call: Callable[[str, Target], Call],
        join: Callable[[Connection, SansIO], Source],
        connect: Callable[[Endpoint], Connection],
        *,
        cancel: Cancel | None,
        clock: Clock,
    ) -> None:
        """Judge `url` and begin to resolve its name.

        Args:
            url: what to open.
            guard: judges it and what the server names instead.
            schemes: of the protocol at hand.
            call: makes the parser for a URL.
            join: makes the source out of connection and parser.
            connect: makes the connection.
            cancel: makes every wait give up.
            clock: measures the time a resolver may take.

        Raises: SourceRefused.
        """
        self._guard = guard
        self._schemes = schemes
        self._make_call = call
        self._join = join
        self._connect = connect
        self._cancel = cancel
        self._clock = clock
        self._redirects = 0
        self._closed = False
        self._failure: SourceError | None = None
        self._source: Source | None = None
        self._begin(url, guard.check_syntax(url, schemes))

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
                left_s = max(until - time.monotonic(), 0.0)
                source = self._source or self._dial(left_s)
                if source is not None:
                    try:
                        return source.read(left_s)
                    except SourceError as error:
                        self._follow(error)
                if time.monotonic() >= until:
                    return ()
        except SourceError as error:
            self._failure = error
            self.close()
            raise

    def close(self) -> None:
        """Close the connection at once, from any thread, as often as one likes."""
        self._closed = True
        source = self._source
        if source is not None:
            source.close()

    def _begin(self, url: str, target: Target) -> None:
        self._url = url
        self._target = target
        self._call = self._make_call(url, target)
        self._lookup = Lookup(self._guard, target)
        self._began = self._clock.monotonic()

    def _dial(self, wait_s: float) -> Source | None:
        """Connect if the name has resolved."""
        if self._over():
            raise SourceEnded(f"{redact.url(self._url)} was closed on our side")
        endpoint = self._lookup.wait(min(wait_s, _SLICE_S))
        if endpoint is not None:
            self._source = self._join(self._connect(endpoint), self._call.protocol)
            if self._over():  # closed by another thread in this very moment
                self._source.close()
            return self._source
        if self._clock.monotonic() - self._began > RESOLVE_S:
            raise SourceUnreachable(
                f"the name {self._target.host!r} did not resolve within {RESOLVE_S:g} s",
                field="source",
            )
        return None

    def _over(self) -> bool:
        """Tell whether our side gave up."""
        return self._closed or (self._cancel is not None and self._cancel.is_set())

    def _follow(self, error: SourceError) -> None:
        """Begin anew where the server says the stream is; raise the error if it does not say."""
        elsewhere = self._call.moved_to()
        if elsewhere is None or self._closed:
            raise error
        self._redirects += 1
        if self._redirects > REDIRECTS_MAX:
            raise SourceUnreachable(
                f"{redact.url(self._url)} redirects more than {REDIRECTS_MAX} times", field="source"
            ) from error
        target = self._guard.check_syntax(elsewhere, self._schemes)
        if self._target.tls and not target.tls:
            raise SourceRefused(
                f"a redirect to {redact.url(elsewhere)} would leave TLS: refused", field="source"
            ) from error
        self._source = None
        self._begin(elsewhere, target)
