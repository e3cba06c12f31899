"""Verifies recordings of a deployment on request, and keeps what came of it in their folders.

`verify.json` is the only state there is: it says that a verification was asked for, how far it is,
and at the end what was found. Whoever reads it needs nothing else.
"""

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from everreel.clock import MICROSECONDS, Clock, iso, parse_iso
from everreel.errors import EverreelError, ObjectMissing, RecordingLive, RecordingNotFound
from everreel.media import names
from everreel.state.ports import Recordings
from everreel.state.recording import Recording
from everreel.state.status import LIVE
from everreel.store.ports import ObjectStore

if TYPE_CHECKING:
    from everreel.sealing.verify_report import Report

log = logging.getLogger(__name__)

NONE, QUEUED, RUNNING, DONE, INTERRUPTED = "none", "queued", "running", "done", "interrupted"
"""What a verification can be; interrupted is one that fell silent."""

TELL_S = 3.0
"""Between two reports of progress."""

SILENT_S = {QUEUED: 360.0, RUNNING: 120.0}
"""After so many seconds without a word a verification is taken for interrupted: an invocation may
wait five minutes, and reading the lists of seven days takes half a minute."""

LEAVE_S = 60.0
"""Kept of the function's time for the lists, the picture and the report."""

MOST_LISTED = 500
"""Entries of each list in `verify.json`; the counts tell of all."""


class Starter(Protocol):
    """Runs verifications; `lifecycle.ports.Runner` is one."""

    def verify(self, sid: str) -> str:
        """Queue a verification; return its request id. Raises: ServiceUnavailable, ServiceFault."""
        ...


class Verifications:
    """Asking for a verification, carrying it out, and reading what came of it."""

    def __init__(
        self,
        recordings: Recordings,
        store: ObjectStore,
        clock: Clock,
        starter: Callable[[], Starter],
    ) -> None:
        """Wire up; `starter` is made when somebody asks for a verification."""
        self._recordings = recordings
        self._store = store
        self._clock = clock
        self._starter = starter

    def request(self, sid: str) -> dict[str, Any]:
        """Ask for a verification; while one is under way this changes nothing.

        Raises: RecordingNotFound; RecordingLive; ServiceUnavailable, ServiceFault and what
            `ObjectStore` raises: ask again.
        """
        recording = self._find(sid)
        if recording.status in LIVE:
            raise RecordingLive(
                f"recording {sid} still runs: it can be verified after its end", field="sid"
            )
        known = self._read(recording)
        if known["status"] in SILENT_S:
            return known
        self._write(recording, _state(sid, QUEUED), requested_us=self._clock.utc_us())
        try:
            self._starter().verify(sid)
        except EverreelError:
            self._write(recording, _state(sid, INTERRUPTED))
            raise
        return self._read(recording)

    def report(self, sid: str) -> dict[str, Any]:
        """Tell how far a verification is or what it found. Raises: as `request`."""
        return self._read(self._find(sid))

    def run(self, sid: str, *, remaining_s: float) -> dict[str, Any]:
        """Verify, within `remaining_s` seconds; write and return what was found.

        Raises: RecordingNotFound, StateUnavailable and what `ObjectStore` raises: try again.
        """
        # Those who only ask need none of this.
        from everreel.sealing.picture import timeline  # noqa: PLC0415
        from everreel.sealing.verify import verify  # noqa: PLC0415

        recording = self._find(sid)
        until_s = self._clock.monotonic() + remaining_s - LEAVE_S
        told_s = self._clock.monotonic()
        self._write(recording, _state(sid, RUNNING))

        def tell(read: int, every: int) -> None:
            nonlocal told_s
            if self._clock.monotonic() - told_s >= TELL_S:
                told_s = self._clock.monotonic()
                state = _state(sid, RUNNING)
                state |= {"progress": 100 * read // every, "read": read, "segments": every}
                self._write(recording, state)

        state = _state(sid, DONE)
        try:
            found = verify(
                self._store,
                self._folder(recording).path,
                tell,
                go_on=lambda: self._clock.monotonic() < until_s,
            )
        except RecordingNotFound as nothing:
            state["error"] = {"code": nothing.code, "message": nothing.message}
        else:
            self._put(recording, names.TIMELINE, timeline(found).encode())
            state |= _found(found, self._folder(recording))
            log.info("verified %s: %d problems", sid, len(found.problems))
        self._write(recording, state)
        return state

    # ------------------------------------------------------------------ verify.json

    def _find(self, sid: str) -> Recording:
        recording = self._recordings.find(sid)
        if recording is None:
            raise RecordingNotFound(f"no recording has the sid {sid}", field="sid")
        return recording

    def _folder(self, recording: Recording) -> names.Folder:
        return names.Folder(recording.options.prefix, recording.channel, recording.sid)

    def _read(self, recording: Recording) -> dict[str, Any]:
        folder = self._folder(recording)
        try:
            state: dict[str, Any] = json.loads(self._store.get(folder.key(names.VERIFICATION)))
            silent_s = (self._clock.utc_us() - parse_iso(state["updatedAt"])) / MICROSECONDS
            if silent_s > SILENT_S.get(state["status"], silent_s):
                state["status"] = INTERRUPTED
        except ObjectMissing:
            state = {**_state(recording.sid, NONE), "requestedAt": None, "updatedAt": None}
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read: %r", names.VERIFICATION, error)
            state = {**_state(recording.sid, INTERRUPTED), "requestedAt": None, "updatedAt": None}
        return state

    def _write(self, recording: Recording, state: dict[str, Any], requested_us: int = 0) -> None:
        now_us = self._clock.utc_us()
        state["requestedAt"] = (
            iso(requested_us) if requested_us else self._read(recording)["requestedAt"]
        )
        state["updatedAt"] = iso(now_us)
        self._put(recording, names.VERIFICATION, json.dumps(state, indent=1).encode())

    def _put(self, recording: Recording, name: str, body: bytes) -> None:
        self._store.put(self._folder(recording).key(name), body, names.content_type(name))


def _state(sid: str, status: str) -> dict[str, Any]:
    """Make the fields that `verify.json` always has."""
    return {
        "sid": sid,
        "status": status,
        "progress": 100 if status == DONE else 0,
        "read": 0,
        "segments": 0,
        "complete": False,
        "whole": False,
        "files": [],
        "error": None,
        "report": None,
    }


def _found(report: "Report", folder: names.Folder) -> dict[str, Any]:
    read = len(report.pieces)
    return {
        "progress": 100 * read // report.segments,
        "read": read,
        "segments": report.segments,
        "complete": report.complete,
        "whole": report.whole,
        "files": [folder.key(names.VERIFICATION), folder.key(names.TIMELINE)],
        "report": report.document(MOST_LISTED),
    }
