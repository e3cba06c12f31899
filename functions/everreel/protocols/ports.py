"""What a protocol parser and a source promise to the recorder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from everreel.media.access_unit import SourceEvent


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, after the guard has resolved and checked the name once.

    Attributes:
        host: name as the URL has it (TLS server name, Host header).
        address: the IP address to connect to; never resolved again.
        port: TCP port.
        tls: whether the connection is wrapped in TLS, verified against `host`.
    """

    host: str
    address: str
    port: int
    tls: bool


class SansIO(Protocol):
    """A protocol as a pure state machine: bytes in, events and bytes out, no socket inside.

    Promises: any input yields events or one `SourceError` (`SourceMalformed`, `SourceNotFound`,
    `SourceDenied`, `SourceUnsupported`, `SourceEnded`); memory is bounded whatever the peer sends;
    never a hang, never another exception. After an error the object is of no more use.
    """

    def receive(self, data: bytes) -> list[SourceEvent]:
        """Take what arrived; return the events it completes, in transport order."""
        ...

    def data_to_send(self) -> bytes:
        """Return and forget the bytes the peer must get now (also before anything arrived)."""
        ...

    def tick(self, now_s: float) -> None:
        """Let time pass (keep-alives); called about four times a second. Units: monotonic s."""
        ...

    def end_of_input(self) -> list[SourceEvent]:
        """The peer closed: return what is still complete, then raise on the next use.

        Raises: SourceEnded after a complete stream, SourceMalformed or SourceUnreachable where the
            protocol had not started to deliver.
        """
        ...


class Source(Protocol):
    """One live connection that delivers the tracks of one uid.

    Promises: `read` returns within `wait_s` + 50 ms whatever the peer does; everything it opens
    passed the guard; `close` is immediate and may be called twice and from another thread.
    """

    @property
    def in_bursts(self) -> bool:
        """Whether media comes a segment at a time (HLS), so that lateness says nothing.

        Known once `read` has returned events.
        """
        ...

    def reach_back(self, back_s: float) -> None:
        """Begin at least so many seconds before the present, as far as the server keeps media.

        Called before the first `read`, if at all; servers that only send the present ignore it.
        """
        ...

    def resume(self, previous: "Source") -> None:
        """Go on where `previous`, a source of the same URL that failed, stopped.

        Called before the first `read`, if at all; servers that only send the present ignore it.
        """
        ...

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        """Return the events that arrived, empty if none did within `wait_s` seconds.

        Raises: SourceError of any kind; the source is then finished and must be reopened.
        """
        ...

    def close(self) -> None:
        """Close all sockets."""
        ...
