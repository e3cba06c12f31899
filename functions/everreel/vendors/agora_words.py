"""Agora's words: task states, file names, errors; translated into those of `provider`. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from everreel import redact
from everreel.events.notices import is_task
from everreel.supervisor.provider import Health

RECORDING_HEALTH = {
    0: Health.STARTING,
    1: Health.STARTING,
    2: Health.STARTING,
    3: Health.STARTING,
    4: Health.RUNNING,
    5: Health.RUNNING,
    6: Health.ENDING,
    7: Health.ENDED,
    8: Health.ENDED,
    20: Health.FAILED,
}
"""`serverResponse.status` of a cloud recording."""

UPLOADED = 5
"""`serverResponse.status` once the first file was uploaded; 4 is ready, with or without media."""

TASK_HEALTH = {
    "IDLE": Health.STARTING,
    "PREPARED": Health.STARTING,
    "STARTING": Health.STARTING,
    "CREATED": Health.STARTING,
    "STARTED": Health.RUNNING,
    "IN_PROGRESS": Health.RUNNING,
    "STOPPING": Health.ENDING,
    "STOPPED": Health.ENDED,
    "EXIT": Health.ENDED,
    "FAILURE_STOP": Health.FAILED,
}
"""`status` of a transcoder's task."""

SERVICE_HEALTH = {
    "serviceIdle": Health.STARTING,
    "serviceStarted": Health.STARTING,
    "serviceReady": Health.RUNNING,
    "serviceInProgress": Health.RUNNING,
    "serviceCompleted": Health.ENDED,
    "servicePartialCompleted": Health.ENDED,
    "serviceValidationFailed": Health.FAILED,
    "serviceAbnormal": Health.FAILED,
}
"""`services.cloudTranscoder.status`: what the service does; says more than the task's own."""

LONGEST_MESSAGE = 200

SHORTEST_CREDENTIAL = 4

LONGEST_TEXT = 4096
"""A ticket has some hundred characters, a key of an object 1024 bytes at most."""

_SIGNS = re.compile(r"[!@#$%^&*()+_.=\[\]{}~|,;:?<>]")
"""Those of a channel name that file names replace."""

_CULPRIT = re.compile(r"invalid[ _:]+[`'\"]?([A-Za-z][\w.]*)", re.IGNORECASE)


def recording_health(reply: Mapping[str, Any]) -> Health:
    """Read the answer to a query of a recording."""
    return RECORDING_HEALTH.get(_status(reply), Health.UNKNOWN)


def recording_has_media(reply: Mapping[str, Any]) -> bool:
    """Tell whether a query of a recording says that it has stored something."""
    return _status(reply) == UPLOADED


def _status(reply: Mapping[str, Any]) -> int:
    status = _part(reply, "serverResponse").get("status")
    return status if isinstance(status, int) else -1


def transcoder_health(reply: Mapping[str, Any]) -> Health:
    """Read the answer to a query of a transcoder; a task that ended outweighs its service."""
    task = TASK_HEALTH.get(str(reply.get("status")), Health.UNKNOWN)
    found = SERVICE_HEALTH.get(_service(reply), Health.UNKNOWN)
    over = {Health.ENDING, Health.ENDED, Health.FAILED}
    return task if task in over or found is Health.UNKNOWN else found


def transcoder_has_media(reply: Mapping[str, Any]) -> bool:
    """Tell whether a query of a transcoder says that it works on media."""
    return _service(reply) == "serviceInProgress" or (
        reply.get("status") == "IN_PROGRESS" and _service(reply) not in SERVICE_HEALTH
    )


def _service(reply: Mapping[str, Any]) -> str:
    return str(_part(_part(reply, "services"), "cloudTranscoder").get("status"))


def playlist_of_mix(task: str, channel: str, prefix: Sequence[str]) -> str:
    """Name the playlist of a mixed recording: it follows from what is known at the start."""
    return "/".join([*prefix, f"{task}_{_SIGNS.sub('-', channel)}.m3u8"])


def playlist_in(reply: Mapping[str, Any]) -> str:
    """Find the playlist that a query or a stop tells of, "" before there is one."""
    files = _part(reply, "serverResponse").get("fileList")
    if isinstance(files, str):
        return text_in({"name": files}, "name")
    listed = files if isinstance(files, list) else []
    names = [text_in(each, "fileName") for each in listed if isinstance(each, dict)]
    return next((name for name in names if name.endswith(".m3u8")), "")


def task_in(reply: Mapping[str, Any], name: str) -> str:
    """Find a task's id, "" if there is none or if it is none that a notice could name."""
    found = reply.get(name)
    return found if isinstance(found, str) and is_task(found) else ""


def text_in(reply: Mapping[str, Any], name: str) -> str:
    """Find a text that can be kept, "" if there is none."""
    found = reply.get(name)
    if not isinstance(found, str) or len(found) > LONGEST_TEXT:
        return ""
    return found if found == _writable(found) else ""


def code_of(reply: Mapping[str, Any]) -> int:
    """Read the vendor's error code, 0 if there is none."""
    code = reply.get("code", 0)
    text = str(code)
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def message_of(reply: Mapping[str, Any], hidden: Iterable[str] = ()) -> str:
    """Read the vendor's own words about an error, without what may be a credential in them.

    `hidden` are texts that were sent: a vendor may quote them.
    """
    words = str(reply.get("reason") or reply.get("message") or "")
    for text in sorted(hidden, key=len, reverse=True):
        words = words.replace(text, redact.HIDDEN)
    return redact.text(_writable(words))[:LONGEST_MESSAGE]


def texts_in(value: object) -> set[str]:
    """Collect the texts in a value that are long enough to be a credential."""
    if isinstance(value, str):
        return {value} if len(value) >= SHORTEST_CREDENTIAL else set()
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(inner, str) or not isinstance(inner, Iterable):
        return set()
    return set().union(*map(texts_in, inner))


def culprit(message: str) -> str:
    """Find the field that an error text blames, "" if it names none."""
    found = _CULPRIT.search(message)
    return found[1] if found else ""


def _writable(text: str) -> str:
    """Replace halves of characters, which JSON can name and UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}
