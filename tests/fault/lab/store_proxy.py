"""A proxy between functions and bucket that fails as a store does, one channel at a time."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from infra.local.serving import Quiet, Serving

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class Trouble(StrEnum):
    """What goes wrong with writes.

    BUSY: 503 SlowDown, nothing stored. SLOW: the answer takes its time. CONFLICT: 409, another
    conditional write of the key is said to be under way, nothing stored. LOST_ANSWER: stored, and
    the connection breaks before the answer, so that the repeat is told 412.
    """

    BUSY = "503"
    SLOW = "slow"
    CONFLICT = "409"
    LOST_ANSWER = "412"


@dataclass
class Spell:
    """A time of trouble for the objects of one channel.

    Attributes:
        share: of the writes that are hit.
        hits: how many were.

    Units: `delay_s` seconds, for SLOW.
    """

    trouble: Trouble
    seed: int
    share: float = 0.5
    delay_s: float = 2.0
    hits: int = 0
    _chance: random.Random = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def strikes(self, *, conditional: bool) -> bool:
        """Decide on one write; conflicts and lost answers concern conditional ones."""
        if self.trouble in {Trouble.CONFLICT, Trouble.LOST_ANSWER} and not conditional:
            return False
        with self._lock:
            struck = self._chance.random() < self.share
            self.hits += struck
        return struck


class StoreProxy(Serving):
    """Hands requests on to a port of this machine.

    Args:
        upstream: tells the store's port once it is known.
    """

    def __init__(self, upstream: Callable[[], int]) -> None:
        super().__init__(_Handler, upstream=staticmethod(upstream), proxy=self)
        self._spells: dict[str, Spell] = {}

    def begin(self, channel: str, spell: Spell) -> None:
        """Let a channel's writes fail from now on."""
        self._spells[channel] = spell

    def end(self, channel: str) -> None:
        """Let them pass again."""
        self._spells.pop(channel, None)

    def spell(self, path: str) -> Spell | None:
        """Find what is wrong with an object: `/bucket/channel/sid/…`."""
        steps = path.split("/")
        return self._spells.get(steps[2]) if len(steps) > 3 else None


class _Handler(Quiet):
    """One connection of a function."""

    upstream: Callable[[], int]
    proxy: StoreProxy

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        conditional = "If-None-Match" in self.headers
        spell = self.proxy.spell(self.path) if self.command == "PUT" else None
        struck = spell is not None and spell.strikes(conditional=conditional)
        trouble = spell.trouble if spell is not None and struck else None
        if trouble is Trouble.BUSY:
            self._refuse(503, "SlowDown")
            return
        if trouble is Trouble.CONFLICT:
            self._refuse(409, "ConditionalRequestConflict")
            return
        if trouble is Trouble.SLOW and spell is not None:
            time.sleep(spell.delay_s)
        self._ask(body, tell=trouble is not Trouble.LOST_ANSWER)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>fault lab</Message></Error>".encode()
        self._send(status, [("Content-Type", "application/xml")], body)

    def _ask(self, body: bytes, *, tell: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream(), timeout=60)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            found = answer.read()
            if not tell:
                self.close_connection = True
                return
            headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._send(answer.status, headers, found, length)

    def _send(
        self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"date", "server"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)
