"""The error tree: every error says its code, whom it blames and whether to try again.

    EverreelError
    ├── CallerError            the request is at fault        → 4xx, never retried
    │   ├── InvalidRequest        a field is wrong              400
    │   ├── SignatureRefused      a notice is not from its vendor 401
    │   ├── RecordingNotFound     no such sid                   404
    │   ├── RecordingConflict     already being recorded        409
    │   ├── RecordingLive         it can only be done after the end 409
    │   ├── TicketExpired         resource id too old or unknown 410
    │   └── AlreadyEnded          the recording has exited      409
    ├── SourceError            the stream is at fault         → the lap reconnects or ends
    │   ├── SourceRefused         the guard says no; never retried
    │   ├── SourceUnreachable     no connection; later
    │   ├── SourceNotFound        the server knows no such stream; later
    │   ├── SourceDenied          credentials refused; never
    │   ├── SourceEnded           the server ended the stream; later
    │   ├── SourceMalformed       bytes that no repair explains; later
    │   └── SourceUnsupported     codec or protocol we cannot record; never
    ├── DestinationError       the user's bucket is at fault
    │   ├── StoreDenied           missing bucket or permission; never
    │   ├── StoreUnavailable      throttled or failing; same request again
    │   ├── ObjectExists          a conditional put lost; never
    │   ├── ObjectMissing         never
    │   └── StoreTooSlow          the bounded upload queue is full
    ├── FenceLost              another lap owns the lane: stop writing and leave quietly
    └── ServiceFault           our own bug or a failing AWS service: alarm
        ├── StateUnavailable      the state table throttles or fails; same request again
        └── ServiceUnavailable    another AWS service does; same request again

`HTTP_STATUS` and `Retry` are the one table from which HTTP replies, state-machine retries and
alarms are derived.
"""

from enum import StrEnum


class Blame(StrEnum):
    """Who has to act on an error."""

    CALLER = "caller"
    SOURCE = "source"
    DESTINATION = "destination"
    SERVICE = "service"


class Retry(StrEnum):
    """Whether the same thing may be tried again: not at all, at once, or after a while."""

    NEVER = "never"
    SAME = "same"
    LATER = "later"


class EverreelError(Exception):
    """Base of every error that crosses a module border.

    Attributes:
        code: stable snake_case name shown to users and used by tests.
        blame: who has to act.
        retry: whether trying again can help.
        http_status: status of an HTTP reply that carries this error.
        field: the request field at fault, in the words of the native API, or None.
        message: what is wrong and how to mend it; never holds a credential.
    """

    code = "internal"
    blame = Blame.SERVICE
    retry = Retry.NEVER
    http_status = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        """Keep `message` (what is wrong and the fix) and the `field` it is about."""
        super().__init__(message)
        self.message = message
        self.field = field


class CallerError(EverreelError):
    """The request is at fault."""

    code = "invalid_request"
    blame = Blame.CALLER
    http_status = 400


class InvalidRequest(CallerError):
    """A field of the request is missing, unknown, of the wrong type or out of range."""


class SignatureRefused(CallerError):
    """A notice is not signed by the vendor that it claims to come from."""

    code = "signature_refused"
    http_status = 401


class RecordingNotFound(CallerError):
    """No recording has this sid."""

    code = "recording_not_found"
    http_status = 404


class RecordingConflict(CallerError):
    """The same (app, channel, recorder uid) is being recorded already."""

    code = "recording_conflict"
    http_status = 409


class RecordingLive(CallerError):
    """The recording still runs: what was asked for needs its end."""

    code = "recording_live"
    http_status = 409


class TicketExpired(CallerError):
    """The resource id is unknown, or older than five minutes and never used."""

    code = "resource_expired"
    http_status = 410


class AlreadyEnded(CallerError):
    """The recording has exited; nothing can be changed any more."""

    code = "already_ended"
    http_status = 409


class SourceError(EverreelError):
    """The stream that is to be recorded is at fault."""

    code = "source_error"
    blame = Blame.SOURCE
    retry = Retry.LATER
    http_status = 502

    def __init__(self, message: str, *, field: str | None = "source") -> None:
        """Keep `message`; the field at fault is the one that names the stream."""
        super().__init__(message, field=field)


class SourceRefused(SourceError):
    """The guard refuses the address or scheme (design invariant 10)."""

    code = "source_refused"
    blame = Blame.CALLER
    retry = Retry.NEVER
    http_status = 400


class SourceUnreachable(SourceError):
    """No connection could be made or it broke."""

    code = "source_unreachable"


class SourceNotFound(SourceError):
    """The server answers but knows no such stream (now)."""

    code = "source_not_found"


class SourceDenied(SourceError):
    """The server refuses our credentials."""

    code = "source_denied"
    retry = Retry.NEVER


class SourceEnded(SourceError):
    """The server ended the stream: the publisher left."""

    code = "source_ended"


class SourceMalformed(SourceError):
    """The server sent bytes that break its own protocol; the connection is of no more use."""

    code = "source_malformed"


class SourceUnsupported(SourceError):
    """A codec, container or protocol that cannot be recorded by copy."""

    code = "source_unsupported"
    retry = Retry.NEVER


class DestinationError(EverreelError):
    """The bucket the recording goes to is at fault."""

    code = "destination_error"
    blame = Blame.DESTINATION
    http_status = 502


class StoreDenied(DestinationError):
    """The bucket does not exist or does not let us write."""

    code = "store_denied"


class StoreUnavailable(DestinationError):
    """The store throttles, times out or fails; the same request may be sent again."""

    code = "store_unavailable"
    retry = Retry.SAME


class ObjectExists(DestinationError):
    """A put that must not overwrite found an object: somebody else was first."""

    code = "object_exists"


class ObjectMissing(DestinationError):
    """The object is not there."""

    code = "object_missing"


class StoreTooSlow(DestinationError):
    """The bounded upload queue is full: the store cannot keep up with the stream."""

    code = "store_too_slow"


class FenceLost(EverreelError):
    """A newer lap owns this lane: stop writing and leave without a terminal status."""

    code = "fence_lost"
    http_status = 409


class ServiceFault(EverreelError):
    """A bug of ours, or an AWS service that does not answer."""

    code = "service_fault"


class StateUnavailable(ServiceFault):
    """The state table throttles or fails; the same request may be sent again."""

    code = "state_unavailable"
    retry = Retry.SAME
    http_status = 503


class ServiceUnavailable(ServiceFault):
    """Lambda, Step Functions or another service throttles or fails; the same request again."""

    code = "service_unavailable"
    retry = Retry.SAME
    http_status = 503
