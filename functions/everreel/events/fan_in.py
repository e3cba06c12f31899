"""Where notices meet: the door tells them on the bus, the fan-in keeps each of them once."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from everreel.clock import Clock, iso, parse_iso
from everreel.errors import InvalidRequest, ServiceFault, SignatureRefused
from everreel.events import notices as words
from everreel.events.own import HEARD, DeadLap, notice_of_happening, read_failure
from everreel.events.ports import SOURCE, Event, EventBus, Happening
from everreel.state.notices import Notice, Notices

log = logging.getLogger(__name__)

FROM_LAMBDA = "lambda"
FAILURE = "Lambda Function Invocation Result - Failure"
"""How Lambda tells the bus that it gave up an asynchronous invocation."""

REMEMBERED_S = 300
"""A replaced secret works for as long as this after it was replaced, and a new one from then on."""


class NoticeDoor:
    """Takes notices in: checks who signed them, reads them, puts them on the bus.

    And tells what was heard of a task, once the fan-in has kept it.
    """

    def __init__(
        self,
        read: Callable[[], str],
        bus: Callable[[], EventBus],
        notices: Callable[[], Notices],
        clock: Clock,
    ) -> None:
        """Check with the secrets in the JSON text that `read` returns: `{"agora": "…"}`.

        All three are asked for when they are needed: most starts of the door see no notice.
        """
        self._read = read
        self._bus = bus
        self._notices = notices
        self._clock = clock
        self._secrets: Mapping[str, Sequence[str]] = {}
        self._until_s = -1.0

    def agora(self, body: bytes, *, sha1: str, sha256: str) -> None:
        """Take a notice of Agora. Raises: SignatureRefused, InvalidRequest, ServiceFault."""
        words.check_agora(self._of(words.AGORA), body, sha1=sha1, sha256=sha256)
        self._tell(words.read_agora(body))

    def tencent(self, body: bytes, *, sign: str) -> None:
        """Take a callback of Tencent. Raises: SignatureRefused, InvalidRequest, ServiceFault."""
        words.check_tencent(self._of(words.TENCENT), body, sign=sign)
        self._tell(words.read_tencent(body))

    def heard(self, vendor: str, task: str) -> Sequence[Notice]:
        """Return what was told of a task. Raises: StateUnavailable, ServiceFault."""
        return self._notices().of_task(vendor, task)

    def _tell(self, notice: Notice | None) -> None:
        if notice is None:
            log.info("a notice about no task")
            return
        self._bus().publish(event_of(notice))

    def _of(self, vendor: str) -> Sequence[str]:
        now_s = self._clock.monotonic()
        if now_s >= self._until_s:
            self._secrets = read_secrets(self._read())
            self._until_s = now_s + REMEMBERED_S
        secrets = self._secrets.get(vendor, ())
        if not secrets:
            raise SignatureRefused(f"this deployment has no secret for notices of {vendor}")
        return secrets


def read_secrets(text: str) -> dict[str, Sequence[str]]:
    """Read `{"agora": "…", "tencent": ["new", "old"]}`; a vendor may be absent.

    Raises: ServiceFault, without a word of the text.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    found = {
        str(vendor): [told] if isinstance(told, str) else told
        for vendor, told in (value.items() if isinstance(value, dict) else ())
    }
    usable = all(
        isinstance(each, list) and all(isinstance(secret, str) and secret for secret in each)
        for each in found.values()
    )
    if not isinstance(value, dict) or not usable:
        raise ServiceFault(
            'the secret of notices must be {"agora": "…", "tencent": "…"}, each a text or a list'
        )
    return {vendor: list(each) for vendor, each in found.items()}


def event_of(notice: Notice) -> Event:
    """Write a notice as an event of the bus; its task is the vendor's, so `sid` stays empty."""
    return Event(
        Happening.NOTICE,
        "",
        {
            "vendor": notice.vendor,
            "task": notice.task,
            "event": notice.event,
            "uid": notice.uid,
            "mark": notice.mark,
            "channel": notice.channel,
            "at": iso(notice.utc_us),
            "noticeId": notice.notice_id,
            "detail": json.loads(notice.detail),
        },
    )


def notice_of(detail: Mapping[str, Any]) -> Notice:
    """Read what `event_of` wrote. Raises: InvalidRequest."""
    if detail.get("vendor") not in (words.AGORA, words.TENCENT):
        raise InvalidRequest("no notice of ours: no such vendor", field="detail.vendor")
    try:
        return Notice(
            vendor=str(detail["vendor"]),
            task=str(detail["task"]),
            event=int(detail["event"]),
            uid=str(detail["uid"]),
            mark=str(detail["mark"]),
            channel=str(detail["channel"]),
            utc_us=parse_iso(detail["at"]),
            detail=json.dumps(detail["detail"], sort_keys=True, separators=(",", ":")),
            notice_id=str(detail["noticeId"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"no notice of ours: {error}", field="detail") from error


def read(event: Mapping[str, Any]) -> Notice | DeadLap | None:
    """Read an event of the bus.

    Returns: what was told, or None if it is about no task.
    Raises: InvalidRequest if it is of a kind that is not listened to, or not of its form.
    """
    kind, detail = str(event.get("detail-type")), event.get("detail")
    if not isinstance(detail, dict):
        raise InvalidRequest("an event of the bus has an object as its detail", field="detail")
    if event.get("source") == FROM_LAMBDA and kind == FAILURE:
        return read_failure(detail)
    if event.get("source") == SOURCE and kind == Happening.NOTICE:
        return notice_of(detail)
    if event.get("source") == SOURCE and kind in HEARD:
        return notice_of_happening(Happening(kind), event)
    raise InvalidRequest("nobody listens to events of this kind", field="detail-type")


def take(notice: Notice, *, notices: Notices, clock: Clock) -> bool:
    """Keep what was told, once; tell whether it was new.

    One write each, whatever was told before: what it all adds up to is for those who ask.
    Raises: StateUnavailable, after which the same may be handed in again; ServiceFault.
    """
    new = notices.remember(notice, clock.utc_us())
    log.info("%s %s of %s: %s", notice.vendor, notice.event, notice.task, "new" if new else "known")
    return new
