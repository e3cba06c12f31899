"""Where notices meet: told on the bus by the door, kept once, added up to facts."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from everreel.clock import Clock, iso, parse_iso
from everreel.errors import InvalidRequest, ServiceFault, SignatureRefused
from everreel.events import notices as words
from everreel.events.facts import Facts, facts_of
from everreel.events.ports import Event, EventBus, Happening
from everreel.state.notices import Notice, Notices

log = logging.getLogger(__name__)

REMEMBERED_S = 300
"""A replaced secret works for as long as this after it was replaced, and a new one from then on."""


class NoticeDoor:
    """Takes notices in: checks who signed them, reads them, puts them on the bus."""

    def __init__(self, read: Callable[[], str], bus: Callable[[], EventBus], clock: Clock) -> None:
        """Check with the secrets in the JSON text that `read` returns: `{"agora": "…"}`.

        Both are asked for when the first notice comes: most starts of the door see none.
        """
        self._read = read
        self._bus = bus
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
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(f"no notice of ours: {error}", field="detail") from error


def take(detail: Mapping[str, Any], *, notices: Notices, clock: Clock) -> tuple[bool, Facts]:
    """Keep the notice of a bus event; tell whether it was new, and what its task adds up to.

    Raises: InvalidRequest; StateUnavailable, after which the same event may be handed in again.
    """
    notice = notice_of(detail)
    new = notices.remember(notice, clock.utc_us())
    log.info("%s %s of %s: %s", notice.vendor, notice.event, notice.task, "new" if new else "known")
    return new, facts_of(notices.of_task(notice.vendor, notice.task))
