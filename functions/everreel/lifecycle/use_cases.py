"""Acquire, start, query, list and stop: one implementation behind every door."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import (
    AlreadyEnded,
    FenceLost,
    InvalidRequest,
    RecordingNotFound,
    TicketExpired,
)
from everreel.ids import new_resource_id, new_sid
from everreel.lifecycle.at_vendors import AtVendors, VendorView
from everreel.lifecycle.ports import Runner
from everreel.lifecycle.requests import StartRequest
from everreel.lifecycle.vendor_order import check_ours, order_of
from everreel.media.index import InitRow, SegmentRow
from everreel.state.ports import Page, Recordings, Ticket
from everreel.state.recording import (
    BY_THE_DOOR,
    FIRST_LANE,
    Lap,
    LapOrder,
    LapState,
    Options,
    ProviderName,
    Recording,
    source_for,
)
from everreel.state.status import LIVE, Status

TICKET_S = 300
"""A resource id is valid for five minutes."""

REQUEST_KEY_S = 86_400
"""A door's own request key stands for a resource id that nobody waits with: a day for repeats."""

MOST_UNTOLD = 100
"""Segments after its last beat that a dead lap can have committed, with room to spare."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A recording as a query sees it at `taken_utc_us`."""

    recording: Recording
    laps: Sequence[Lap]
    inits: Sequence[InitRow]
    taken_utc_us: int
    vendor: VendorView | None = None


class Lifecycle:
    """The use cases of a deployment."""

    def __init__(
        self,
        recordings: Recordings,
        runner: Runner,
        clock: Clock,
        *,
        check_source: Callable[[str], object],
        vendors: AtVendors,
        source_template: str,
        max_duration_s: int = 0,
    ) -> None:
        """Wire the use cases.

        Args:
            recordings: the state table.
            runner: starts laps and supervision.
            clock: time.
            check_source: the guard's check of a URL's form; raises `SourceRefused`.
            vendors: does the same for recordings that run at a vendor.
            source_template: URL with `{channel}` and `{uid}` for requests that name no source,
                "" if the deployment has none.
            max_duration_s: seconds after which every recording stops, 0 for no such limit.
        """
        self._recordings = recordings
        self._runner = runner
        self._clock = clock
        self._check_source = check_source
        self._template = source_template
        self._max_duration_s = max_duration_s
        self._vendors = vendors

    def acquire(
        self, app: str, channel: str, recorder_uid: str, *, resource_id: str | None = None
    ) -> Ticket:
        """Hand out the right to start one recording within five minutes."""
        ticket = Ticket(
            resource_id or new_resource_id(),
            app,
            channel,
            recorder_uid,
            self._clock.utc_us() + TICKET_S * MICROSECONDS,
        )
        self._recordings.put_ticket(ticket)
        return ticket

    def start(self, resource_id: str, request: StartRequest) -> Recording:
        """Start a recording; the same resource id again gives the same recording.

        A start that broke off half-way is completed by its repeat. Supervision begins before
        anything is written, so there is never a recording that nobody watches: one whose start is
        not repeated is buried in time, and its name is free again.
        Raises: InvalidRequest, SourceRefused, TicketExpired, RecordingConflict, AlreadyEnded,
            ServiceFault, StateUnavailable.
        """
        now_us = self._clock.utc_us()
        ticket = self._recordings.ticket(resource_id)
        if ticket is not None and ticket.used_by:
            _check_ticket(ticket, request)
            return self._begin(self._find(ticket.used_by), request)
        if ticket is None or ticket.expires_utc_us <= now_us:
            raise TicketExpired(
                "the resource id is unknown or too old; call acquire and start within five minutes",
                field="resource_id",
            )
        _check_ticket(ticket, request)
        wish = Recording(
            sid=new_sid(),
            app=ticket.app,
            channel=ticket.channel,
            uid=request.uid,
            recorder_uid=ticket.recorder_uid,
            resource_id=resource_id,
            source=self._source_of(request, ticket),
            mode=request.mode,
            options=self._options_of(request),
            status=Status.STARTING,
            created_utc_us=now_us,
            backup_recorder_uid=request.backup_recorder_uid,
            provider=request.provider,
        )
        self._runner.supervise(wish.sid, wish.lanes)
        return self._begin(self._recordings.create(wish), request, supervised=wish.sid)

    def start_now(self, request_key: str, request: StartRequest) -> Recording:
        """Acquire and start in one step, for doors that have no ticket (bus, console).

        `request_key` makes a repeat of the same request, within a day, find the recording of the
        first; it must be fit for a resource id and not guessable by others than its sender.
        """
        self._recordings.put_ticket(
            Ticket(
                request_key,
                request.app,
                request.channel,
                request.recorder_uid,
                self._clock.utc_us() + REQUEST_KEY_S * MICROSECONDS,
            )
        )
        return self.start(request_key, request)

    def query(self, sid: str) -> Snapshot:
        """Return everything known about a recording. Raises: RecordingNotFound."""
        recording = self._find(sid)
        return Snapshot(
            recording,
            [self._completed(recording, lap) for lap in self._recordings.laps(sid)],
            self._recordings.inits(sid),
            self._clock.utc_us(),
            self._vendors.view(recording) if _is_elsewhere(recording) else None,
        )

    def segments(self, sid: str, *, after: int, limit: int) -> Sequence[SegmentRow]:
        """Return up to `limit` rows of a recording's index, from the first k above `after`."""
        return list(islice(self._recordings.segments(sid, after=after), limit))

    def list(self, app: str, *, limit: int, token: str) -> Page:
        """List an app's recordings, newest first. Raises: InvalidRequest."""
        return self._recordings.list(app, limit=limit, token=token)

    def stop(self, sid: str) -> Recording:
        """Ask a recording to stop; repeatable. Raises: RecordingNotFound, AlreadyEnded."""
        recording = self._recordings.request_stop(sid, self._clock.utc_us())
        if _is_elsewhere(recording):
            self._vendors.wake(sid)
        return recording

    def _completed(self, recording: Recording, lap: Lap) -> Lap:
        """Add to the last beat of a lap that died what it committed afterwards."""
        told = lap.progress
        if lap.state is not LapState.DEAD:
            return lap
        k = told.media_us // (recording.options.segment_s * MICROSECONDS)
        later = [
            row
            for row in self.segments(recording.sid, after=k - 1, limit=MOST_UNTOLD)
            if (row.lane, row.lap) == (lap.lane, lap.lap)
            and row.start_us + row.duration_us > told.media_us
        ]
        if not later:
            return lap
        end_us = later[-1].start_us + later[-1].duration_us
        progress = replace(
            told,
            segments=told.segments + len(later),
            bytes=told.bytes + sum(row.size for row in later),
            media_us=end_us,
            received_us=max(told.received_us, end_us),
            recorded_us=told.recorded_us + sum(row.media_us for row in later),
        )
        return replace(lap, progress=progress)

    def _find(self, sid: str) -> Recording:
        recording = self._recordings.find(sid)
        if recording is None:
            raise RecordingNotFound(f"no recording has the sid {sid}", field="sid")
        return recording

    def _source_of(self, request: StartRequest, ticket: Ticket) -> str:
        if _is_elsewhere(request):
            order_of(request, ticket.channel, ticket.recorder_uid)
            return ""
        check_ours(request)
        source = request.source
        if not source and not self._template:
            raise InvalidRequest(
                "no source given and this deployment has no source template; "
                "name the stream's URL in `source`",
                field="source",
            )
        if not source:
            source = self._template.replace("{channel}", request.channel)
            source = source.replace("{uid}", request.uid)
        self._check_source(source_for(source, request.recorder_uid or "0"))
        return source

    def _options_of(self, request: StartRequest) -> Options:
        """Let a recording run no longer than the deployment allows."""
        wished = request.options.max_duration_s
        limits = [limit for limit in (wished, self._max_duration_s) if limit]
        return replace(request.options, max_duration_s=min(limits, default=0))

    def _begin(
        self, recording: Recording, request: StartRequest, supervised: str = ""
    ) -> Recording:
        """Have a recording begun by whoever records it, unless it was."""
        if _is_elsewhere(recording):
            return self._vendors.launch(recording, request, supervised)
        return self._launch(recording, supervised)

    def _launch(self, recording: Recording, supervised: str = "") -> Recording:
        """Queue the first lap unless it was queued before; return the recording as it is then.

        An invocation that was queued twice records once: the second finds the lap taken.
        """
        if recording.request_id:
            return recording
        sid = recording.sid
        if recording.status not in LIVE:
            raise _too_late(sid)
        if sid != supervised:
            self._runner.supervise(sid, recording.lanes)
        order = LapOrder(sid, FIRST_LANE, 1)
        now_us = self._clock.utc_us()
        try:
            self._recordings.invoked(sid, order.lane, order.lap, "", now_us, BY_THE_DOOR)
        except FenceLost:
            raise _too_late(sid) from None
        request_id = self._runner.invoke_lap(order)
        self._recordings.invoked(sid, order.lane, order.lap, request_id, now_us)
        launched = self._find(sid)
        # A lap that has been claimed knows better than we which invocation runs it.
        return replace(launched, request_id=launched.request_id or request_id)


def _is_elsewhere(recording: Recording | StartRequest) -> bool:
    return recording.provider is not ProviderName.EVERREEL


def _too_late(sid: str) -> AlreadyEnded:
    return AlreadyEnded(
        f"recording {sid} ended before its recorder could be started; "
        "start a new one with a new resource id",
        field="resource_id",
    )


def _check_ticket(ticket: Ticket, request: StartRequest) -> None:
    """Refuse a start that is not what its ticket was acquired for. Raises: InvalidRequest."""
    for field, acquired, given in (
        ("app", ticket.app, request.app),
        ("channel", ticket.channel, request.channel),
        ("recorder_uid", ticket.recorder_uid, request.recorder_uid),
    ):
        if given and given != acquired:
            raise InvalidRequest(
                f"the resource id or request key was given out for {acquired!r}, not {given!r}",
                field=field,
            )
