"""Notices of vendors: is it really them, and what do they say. Pure.

A signature is over the body byte for byte, so it is checked before anything is read.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from everreel import redact
from everreel.errors import InvalidRequest, SignatureRefused
from everreel.state.notices import Notice

AGORA = "agora"
TENCENT = "tencent"

LAST = "last"
"""The mark of kinds that are told once, or of which only the last telling is of interest."""

ONCE: Mapping[str, frozenset[int]] = {
    # A task ends once: 11, 31, 32, 111. Upload progress comes every minute, a snapshot every 5 s.
    AGORA: frozenset({11, 31, 32, 33, 45, 111}),
    # A slice comes every few seconds.
    TENCENT: frozenset({307}),
}
"""Events whose repeats are known by task, event and uid alone.

So a month's task keeps few rows, however often it speaks. The ends of a task are told redundantly
and after a change of path under other ids and sequence numbers.
"""

_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,256}\Z")
_LONGEST_CHANNEL = 1024
_MILLISECOND = 1000
_LAST_MS = 10**14
"""The year 5138."""


def check_agora(secrets: Sequence[str], body: bytes, *, sha1: str, sha256: str) -> None:
    """Check the headers `Agora-Signature` and `Agora-Signature-V2`; those that came must all fit.

    Any of `secrets` may have signed: while one is replaced two are in use.
    Raises: SignatureRefused.
    """
    shown = [(made, hashlib.sha1) for made in (sha1,) if made]
    shown += [(made, hashlib.sha256) for made in (sha256,) if made]
    fits = [
        _same(hmac.new(secret.encode(), body, method).hexdigest(), made)
        for secret in secrets
        for made, method in shown
    ]
    per_secret = [fits[at : at + len(shown)] for at in range(0, len(fits), len(shown) or 1)]
    if not any(each and all(each) for each in per_secret):
        raise _refused("Agora-Signature-V2")


def check_tencent(secrets: Sequence[str], body: bytes, *, sign: str) -> None:
    """Check the header `Sign`. Raises: SignatureRefused."""
    fits = [
        _same(base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode(), sign)
        for secret in secrets
    ]
    if not any(fits):
        raise _refused("Sign")


def read_agora(body: bytes) -> Notice | None:
    """Read a notice of cloud recording or cloud transcoder; None if it is about no task.

    Agora tries an address out with a notice that has no task.
    Raises: InvalidRequest.
    """
    outer = _object(body)
    payload = outer.get("payload")
    inner: Mapping[str, Any] = payload if isinstance(payload, dict) else {}
    task = inner.get("sid") or inner.get("taskId")
    if task is None:
        return None
    notice_id = _text(outer.get("noticeId", ""), "noticeId", empty=True)
    sequence = inner.get("sequence")
    detail = inner.get("details", {})
    return _notice(
        AGORA,
        task=_text(task, "payload.sid"),
        event=_whole(outer.get("eventType"), "eventType"),
        uid=_text(str(inner.get("uid", "")), "payload.uid", empty=True),
        sequence=None if sequence is None else _whole(sequence, "payload.sequence"),
        channel=str(inner.get("cname", "")),
        utc_us=_instant(inner.get("sendts", 0), "payload.sendts"),
        detail=detail,
        notice_id=notice_id,
    )


def read_tencent(body: bytes) -> Notice | None:
    """Read a callback of TRTC; None if it is about no recording task. Raises: InvalidRequest."""
    outer = _object(body)
    info = outer.get("EventInfo")
    inner: Mapping[str, Any] = info if isinstance(info, dict) else {}
    task = inner.get("TaskId")
    if task is None:
        return None
    return _notice(
        TENCENT,
        task=_text(task, "EventInfo.TaskId"),
        event=_whole(outer.get("EventType"), "EventType"),
        uid=_text(str(inner.get("UserId", "")), "EventInfo.UserId", empty=True),
        sequence=None,
        channel=str(inner.get("RoomId", "")),
        utc_us=_instant(inner.get("EventMsTs", 0), "EventInfo.EventMsTs"),
        detail=inner.get("Payload", {}),
        notice_id="",
    )


def is_task(text: str) -> bool:
    """Tell whether a text can be a vendor's id of a task."""
    return _ID.match(text) is not None


def _notice(
    vendor: str,
    *,
    task: str,
    event: int,
    uid: str,
    sequence: int | None,
    channel: str,
    utc_us: int,
    detail: object,
    notice_id: str,
) -> Notice:
    """Give a notice the mark by which its repeats are known.

    The kind itself if it is told once, else its sequence number, its id, its content.
    """
    told = compact(detail)
    if event in ONCE[vendor]:
        mark = LAST
    elif sequence is not None:
        mark = f"s{sequence:012d}"
    elif notice_id:
        mark = f"n{notice_id}"
    else:
        mark = "d" + hashlib.sha256(f"{utc_us} {told}".encode()).hexdigest()[:32]
    return Notice(
        vendor=vendor,
        task=task,
        event=event,
        uid=uid,
        mark=mark,
        channel=channel.encode(errors="replace").decode()[:_LONGEST_CHANNEL],
        utc_us=utc_us,
        detail=told,
        notice_id=notice_id,
    )


def compact(detail: object) -> str:
    """Write what was told as one JSON text for equal contents, credentials hidden."""
    return json.dumps(_redacted(detail), sort_keys=True, separators=(",", ":"))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object in UTF-8")
    return value


def _instant(value: object, field: str) -> int:
    """Read milliseconds since the epoch as microseconds."""
    return min(_whole(value, field), _LAST_MS) * _MILLISECOND


def _whole(value: object, field: str) -> int:
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= 15:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**15:
        raise InvalidRequest(f"{field} must be a whole number from 0", field=field)
    return value


def _text(value: object, field: str, *, empty: bool = False) -> str:
    if value == "" and empty:
        return ""
    if not isinstance(value, str) or not _ID.match(value):
        raise InvalidRequest(f"{field} must be an id without spaces", field=field)
    return value


def _redacted(value: object) -> object:
    """Hide what lets somebody in: addresses that streams are pushed to hold their keys."""
    if isinstance(value, str):
        return redact.text(value)
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _redacted(each) for key, each in value.items()}
    return value


def _same(made: str, shown: str) -> bool:
    return hmac.compare_digest(made.encode(), shown.encode(errors="replace"))


def _refused(header: str) -> SignatureRefused:
    return SignatureRefused(
        f"the signature in {header} is not over this body with a secret of ours"
    )
