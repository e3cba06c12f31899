"""What a start leaves for a lap: ticket, recording and lap rows. Imports no media library."""

import threading

from everreel.clock import SystemClock
from everreel.ids import new_resource_id, new_sid
from everreel.protocols.guard import Guard
from everreel.protocols.open import open_source
from everreel.protocols.ports import Source
from everreel.state.ports import Recordings, Ticket
from everreel.state.recording import Mode, Options, Recording
from everreel.state.status import Status

LANE, LAP = "a", 1
CLOCK = SystemClock()


def open_here(url: str, cancel: threading.Event) -> Source:
    """Open a source through the guard of a deployment that may reach this machine."""
    return open_source(url, Guard(allow_private=True), cancel=cancel)


def new_recording(
    recordings: Recordings, source: str, options: Options, channel: str = "room"
) -> Recording:
    """Write the rows that a start writes: ticket, recording, lap 1 invoked."""
    resource_id, now_us = new_resource_id(), CLOCK.utc_us()
    recordings.put_ticket(Ticket(resource_id, "lab", channel, "1", now_us + 300_000_000))
    recording = recordings.create(
        Recording(
            sid=new_sid(),
            app="lab",
            channel=channel,
            uid="1",
            recorder_uid="1",
            resource_id=resource_id,
            source=source,
            mode=Mode.INDIVIDUAL,
            options=options,
            status=Status.STARTING,
            created_utc_us=now_us,
        )
    )
    recordings.invoked(recording.sid, LANE, LAP, "request-1", now_us)
    return recording
