"""Acquire, start, query, list and stop: one implementation behind every door."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from everreel.clock import MICROSECONDS, Clock
from everreel.errors import EverreelError, InvalidRequest, RecordingNotFound
from everreel.ids import new_resource_id, new_sid
from everreel.lifecycle.ports import Runner
from everreel.lifecycle.requests import StartRequest
from everreel.media.index import InitRow
from everreel.state.ports import Page, Recordings, Ticket
from everreel.state.recording import FIRST_LANE, Failure, Lap, LapOrder, Recording
from everreel.state.status import Status

log = logging.getLogger(__name__)

TICKET_S = 300
"""A resource id is valid for five minutes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A recording as a query sees it."""

    recording: Recording
    laps: Sequence[Lap]
    inits: Sequence[InitRow]


class Lifecycle:
    """The use cases of a deployment."""

    def __init__(
        self,
        recordings: Recordings,
        runner: Runner,
        clock: Clock,
        *,
        check_source: Callable[[str], object],
        source_template: str,
    ) -> None:
        """Wire the use cases.

        Args:
            recordings: the state table.
            runner: starts laps and supervision.
            clock: time.
            check_source: the guard's check of a URL's form; raises `SourceRefused`.
            source_template: URL with `{channel}` and `{uid}` for requests that name no source,
                "" if the deployment has none.
        """
        self._recordings = recordings
        self._runner = runner
        self._clock = clock
        self._check_source = check_source
        self._template = source_template

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

        Raises: InvalidRequest, SourceRefused, TicketExpired, RecordingConflict, ServiceFault.
        """
        source = self._source_of(request)
        self._check_source(source)
        wish = Recording(
            sid=new_sid(),
            app=request.app,
            channel=request.channel,
            uid=request.uid,
            recorder_uid=request.recorder_uid,
            resource_id=resource_id,
            source=source,
            mode=request.mode,
            options=request.options,
            status=Status.STARTING,
            created_utc_us=self._clock.utc_us(),
        )
        recording = self._recordings.create(wish)
        if recording.request_id:
            return recording  # a repeat of a start that went through
        return self._launch(recording)

    def start_now(self, request_key: str, request: StartRequest) -> Recording:
        """Acquire and start in one step, for doors that have no ticket (bus, console).

        `request_key` makes a repeat of the same request find the recording of the first.
        """
        if self._recordings.ticket(request_key) is None:
            self.acquire(
                request.app, request.channel, request.recorder_uid, resource_id=request_key
            )
        return self.start(request_key, request)

    def query(self, sid: str) -> Snapshot:
        """Return everything known about a recording. Raises: RecordingNotFound."""
        recording = self._recordings.find(sid)
        if recording is None:
            raise RecordingNotFound(f"there is no recording {sid}", field="sid")
        return Snapshot(recording, self._recordings.laps(sid), self._recordings.inits(sid))

    def list(self, app: str, *, limit: int, token: str) -> Page:
        """List an app's recordings, newest first."""
        return self._recordings.list(app, limit=limit, token=token)

    def stop(self, sid: str) -> Recording:
        """Ask a recording to stop; repeatable. Raises: RecordingNotFound, AlreadyEnded."""
        return self._recordings.request_stop(sid, self._clock.utc_us())

    def _source_of(self, request: StartRequest) -> str:
        if request.source:
            return request.source
        if not self._template:
            raise InvalidRequest(
                "no source given and this deployment has no source template; "
                "name the stream's URL in `source`",
                field="source",
            )
        return self._template.replace("{channel}", request.channel).replace("{uid}", request.uid)

    def _launch(self, recording: Recording) -> Recording:
        """Queue the first lap and its supervision; a failure ends the recording with the reason."""
        sid = recording.sid
        order = LapOrder(sid, FIRST_LANE, 1)
        now_us = self._clock.utc_us()
        self._recordings.invoked(sid, order.lane, order.lap, "", now_us)
        try:
            self._runner.supervise(sid)
            request_id = self._runner.invoke_lap(order)
        except EverreelError as error:
            beat_us = self._recordings.laps(sid)[-1].beat_utc_us
            self._recordings.declare_dead(
                sid, order.lane, order.lap, Failure.of(error), now_us, unchanged_since=beat_us
            )
            raise
        self._recordings.invoked(sid, order.lane, order.lap, request_id, now_us)
        launched = self._recordings.find(sid)
        if launched is None:
            raise RecordingNotFound(f"recording {sid} vanished while it was being started")
        return launched
