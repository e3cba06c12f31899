"""The credentials of an Agora project, from a secret; asked for again when they are refused.

The secret also says at which addresses they are good, where these are not the usual ones: keys and
the place that they are shown at belong together.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from everreel.clock import Clock
from everreel.errors import ServiceFault
from everreel.vendors.json_api import Origin, origin

REMEMBERED_S = 300

DOMAINS = ("https://api.agora.io", "https://api.sd-rtn.com")
"""One API at two addresses: when one fails the other is asked."""


@dataclass(frozen=True, slots=True)
class AgoraKey:
    """What calls show, and where recordings go.

    Attributes:
        authorization: value of the header.
        storage: `storageConfig` of starts that name none.
        origins: where the API is; they take turns.
    """

    authorization: str = field(repr=False)
    storage: Mapping[str, Any] | None = field(default=None, repr=False)
    origins: tuple[Origin, ...] = tuple(origin(domain) for domain in DOMAINS)


class AgoraKeys:
    """Reads the secret when it is first needed and every few minutes."""

    def __init__(self, read: Callable[[], str], clock: Clock) -> None:
        """Take the key from the JSON text that `read` returns."""
        self._read = read
        self._clock = clock
        self._key: AgoraKey | None = None
        self._until_s = 0.0

    def key(self) -> AgoraKey:
        """Return the key. Raises: ServiceFault."""
        now_s = self._clock.monotonic()
        if self._key is None or now_s >= self._until_s:
            self._key = read_key(self._read())
            self._until_s = now_s + REMEMBERED_S
        return self._key

    def refused(self) -> bool:
        """Read the secret again; True if it holds another key than the one that was refused."""
        before = self._key
        self._key = None
        return self.key() != before


def read_key(text: str) -> AgoraKey:
    """Read `{"customerId": …, "customerSecret": …, "storageConfig": {…}, "api": ["https://…"]}`.

    The last two may be absent.
    Raises: ServiceFault, without a word of the text.
    Source: RFC 7617 section 2.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    found = value if isinstance(value, dict) else {}
    name, secret = found.get("customerId"), found.get("customerSecret")
    storage = found.get("storageConfig")
    domains = found.get("api", DOMAINS)
    usable = all(isinstance(part, str) and part for part in (name, secret))
    listed = isinstance(domains, list | tuple) and all(isinstance(each, str) for each in domains)
    if not (usable and listed and domains and (storage is None or _is_storage(storage))):
        raise ServiceFault(
            'the secret of an Agora project must be {"customerId": "…", "customerSecret": "…"}, '
            'with "storageConfig": {…} if starts name none and "api": ["https://…"] if it is '
            "not at its usual addresses"
        )
    pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
    return AgoraKey(f"Basic {pair}", storage, tuple(origin(domain) for domain in domains))


def _is_storage(value: object) -> bool:
    prefix = value.get("fileNamePrefix", []) if isinstance(value, dict) else None
    return isinstance(prefix, list) and all(isinstance(part, str) for part in prefix)
