"""How recordings at a vendor begin and end, in the words of recordings and of the bus. Pure."""

from everreel.clock import iso
from everreel.events.ports import Event, Happening
from everreel.state.recording import Failure, Reason, Recording
from everreel.state.status import Status
from everreel.state.vendor import VendorTask
from everreel.supervisor.vendor import Ending

_FAILURES: dict[Ending, tuple[Reason, str, str, str]] = {
    Ending.REFUSED: (
        Reason.VENDOR_FAILED,
        "vendor_refused",
        "caller",
        "the vendor refuses it: correct what it names, or after a 401 the deployment's credentials",
    ),
    Ending.NEVER_STARTED: (
        Reason.NEVER_STARTED,
        "vendor_never_started",
        "service",
        "the vendor started nothing under either uid; start again later",
    ),
    Ending.LOST: (
        Reason.VENDOR_FAILED,
        "vendor_lost",
        "service",
        "the vendor lost the task as often as it may be started anew; what it stored is kept",
    ),
    Ending.NO_ROOM: (
        Reason.VENDOR_FAILED,
        "vendor_no_room",
        "caller",
        "the application has no room for another task: stop one, or ask the vendor for more",
    ),
    Ending.STOP_UNCONFIRMED: (
        Reason.VENDOR_FAILED,
        "vendor_stop_unconfirmed",
        "service",
        "the vendor did not confirm the stop: its task may run until nobody is in the channel",
    ),
    Ending.NOT_ASKED: (
        Reason.FAULT,
        "service_fault",
        "service",
        "the vendor could not be asked for anything",
    ),
}
"""Ending -> why the recording ended, and the code, blame and words of its error."""


def outcome(recording: Recording, task: VendorTask | None) -> tuple[Reason, Failure | None]:
    """Say why a recording ends, by how its task did; without one it was never ordered."""
    ending = Ending(task.ending) if task is not None else Ending.NEVER_STARTED
    if ending is Ending.STOPPED:
        asked = recording.status is Status.STOP_REQUESTED
        return (Reason.STOPPED if asked else Reason.MAX_DURATION), None
    if ending is Ending.EXITED:
        return Reason.VENDOR_EXITED, None
    reason, code, blame, words = _FAILURES[ending]
    note = f" ({task.note})" if task is not None and task.note else ""
    field = f"vendor.request.{task.culprit}" if task is not None and task.culprit else None
    return reason, Failure(code, blame, words + note, field)


def started(recording: Recording, task: VendorTask) -> Event:
    """Tell that the vendor records."""
    return Event(
        Happening.STARTED,
        recording.sid,
        {
            "startTime": iso(task.first_running_utc_us),
            "playlist": task.watch.playlist,
            "provider": recording.provider.value,
            "task": task.watch.task,
        },
    )


def failed(recording: Recording, failure: Failure) -> Event:
    """Tell that the recording ended as it should not."""
    return Event(
        Happening.FAILED,
        recording.sid,
        {"error": {"code": failure.code, "message": failure.message, "field": failure.field}},
    )


def sealed(recording: Recording, task: VendorTask | None) -> Event:
    """Tell that the recording is over; its files are the vendor's to tell."""
    return Event(
        Happening.SEALED,
        recording.sid,
        {
            "status": recording.status.value,
            "reason": recording.reason and recording.reason.value,
            "segments": 0,
            "recordedSeconds": 0.0,
            "coverage": None,
            "manifest": None,
            "provider": recording.provider.value,
            "task": task.watch.task if task is not None else "",
            "playlist": task.watch.playlist if task is not None else "",
        },
    )
