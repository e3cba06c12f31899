"""Answers the challenge of an RTSP server: Digest (RFC 7616) and Basic (RFC 7617)."""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(Digest|Basic)\b", re.IGNORECASE)
# Best first.
_ALGORITHMS = ("SHA-256", "MD5")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way the server accepts.

    Attributes:
        scheme: `digest` or `basic`.
        parameters: names in small letters.
    """

    scheme: str
    parameters: dict[str, str]

    @property
    def algorithm(self) -> str:
        """Name the hash without the session suffix, in capitals."""
        return self.parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")

    @property
    def stale(self) -> bool:
        """Tell whether the server only wants a newer nonce: the password was right."""
        return self.parameters.get("stale", "").lower() == "true"


def best_challenge(headers: Sequence[str]) -> Challenge | None:
    """Pick the strongest way we know out of the WWW-Authenticate headers, None if there is none."""
    ranked: list[tuple[int, Challenge]] = []
    for header in headers:
        marks = list(_SCHEME.finditer(header))
        ends = [*(mark.start() for mark in marks[1:]), len(header)]
        for mark, end in zip(marks, ends, strict=False):
            text = header[mark.end() : end]
            found = {m[1].lower(): m[3] or m[2] for m in _PARAMETER.finditer(text)}
            challenge = Challenge(mark[1].lower(), found)
            if challenge.scheme == "basic":
                ranked.append((len(_ALGORITHMS), challenge))
            elif challenge.algorithm in _ALGORITHMS and "nonce" in found:
                ranked.append((_ALGORITHMS.index(challenge.algorithm), challenge))
    return min(ranked, key=lambda item: item[0])[1] if ranked else None


class Credentials:
    """A user's name and password, and the answers made of them; never shown."""

    __slots__ = ("_challenge", "_client_nonce", "_count", "_password", "_user")

    def __init__(self, user: str, password: str, client_nonce: Callable[[], str]) -> None:
        """Keep them until a challenge comes.

        Args:
            user: name.
            password: in the clear.
            client_nonce: makes the unpredictable part of a digest.
        """
        self._user = user
        self._password = password
        self._client_nonce = client_nonce
        self._challenge: Challenge | None = None
        self._count = 0

    def take(self, challenge: Challenge) -> None:
        """Answer this challenge from now on."""
        self._challenge = challenge
        self._count = 0

    def header(self, method: str, uri: str) -> str:
        """Write the value of the Authorization header, empty before the first challenge."""
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            pair = f"{self._user}:{self._password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return self._digest(challenge, method, uri)

    def _digest(self, challenge: Challenge, method: str, uri: str) -> str:
        """Source: RFC 7616 §3.4, without body integrity (qop=auth-int)."""
        said = challenge.parameters
        realm, nonce = said.get("realm", ""), said["nonce"]
        make = hashlib.sha256 if challenge.algorithm == "SHA-256" else hashlib.md5

        def h(text: str) -> str:
            return make(text.encode(), usedforsecurity=False).hexdigest()

        self._count += 1
        count, client = f"{self._count:08x}", self._client_nonce()
        secret = h(f"{self._user}:{realm}:{self._password}")
        if said.get("algorithm", "").upper().endswith("-SESS"):
            secret = h(f"{secret}:{nonce}:{client}")
        request = h(f"{method}:{uri}")
        ways = {way.strip().lower() for way in said.get("qop", "").split(",")}
        fields = [
            f'username="{_quoted(self._user)}"',
            f'realm="{realm}"',
            f'nonce="{nonce}"',
            f'uri="{uri}"',
        ]
        if "auth" in ways:
            answer = h(f"{secret}:{nonce}:{count}:{client}:auth:{request}")
            fields += ["qop=auth", f"nc={count}", f'cnonce="{client}"']
        else:
            answer = h(f"{secret}:{nonce}:{request}")
        fields.append(f'response="{answer}"')
        if "algorithm" in said:
            fields.append(f"algorithm={said['algorithm']}")
        if "opaque" in said:
            fields.append(f'opaque="{said["opaque"]}"')
        return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
