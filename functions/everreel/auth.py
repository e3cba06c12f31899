"""Whose key does a call carry? Knows keys from a secret, and answers nobody it does not know."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from everreel.clock import Clock
from everreel.errors import ServiceFault

REMEMBERED_S = 300
"""A replaced key works for as long as this after it was replaced, and a new one from then on."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call shows. `key_id` is "" for a bearer, who shows the secret alone."""

    key_id: str
    secret: str = field(repr=False)


class KeyRing:
    """The keys of a deployment."""

    def __init__(self, read: Callable[[], str], clock: Clock) -> None:
        """Take keys from the JSON text that `read` returns; ask it again after a while."""
        self._read = read
        self._clock = clock
        self._keys: Mapping[str, bytes] = {}
        self._until_s = -1.0

    def holder(self, authorization: str) -> str | None:
        """Return the id of the key that an `Authorization` header carries, None if we know none.

        Raises: ServiceFault if the keys cannot be read; nobody gets in then.
        """
        shown = credentials(authorization)
        keys = self._current()
        if shown is None:
            return None
        digest = _digest(shown.secret)
        found = None
        # Every key is compared, each in constant time: how long it takes tells nothing.
        for key_id, expected in keys.items():
            same = hmac.compare_digest(digest, expected)
            if same and shown.key_id in ("", key_id):
                found = key_id
        return found

    def _current(self) -> Mapping[str, bytes]:
        now_s = self._clock.monotonic()
        if now_s >= self._until_s:
            self._keys = read_keys(self._read())
            self._until_s = now_s + REMEMBERED_S
        return self._keys


def credentials(authorization: str) -> Credentials | None:
    """Read an `Authorization` header; None if it is neither Bearer nor Basic.

    Source: RFC 6750 section 2.1, RFC 7617 section 2.
    """
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return Credentials("", value)
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    key_id, colon, secret = pair.partition(":")
    return Credentials(key_id, secret) if key_id and colon and secret else None


def read_keys(text: str) -> dict[str, bytes]:
    """Read a secret: `{"id": …, "secret": …}` or `{"keys": {id: secret, …}}`, as digests.

    Raises: ServiceFault, without a word of the text.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("keys"), dict):
        keys = value["keys"]
    elif isinstance(value, dict):
        keys = {value.get("id"): value.get("secret")}
    else:
        keys = {}
    usable = all(isinstance(part, str) and part for pair in keys.items() for part in pair)
    if not keys or not usable:
        raise ServiceFault(
            'the secret of API keys must be {"id": "…", "secret": "…"} or {"keys": {"id": "…"}}'
        )
    return {key_id: _digest(secret) for key_id, secret in keys.items()}


def _digest(secret: str) -> bytes:
    """Bring secrets to one length, so that comparing them does not tell how long they are."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
