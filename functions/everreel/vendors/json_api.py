"""Calls of a vendor's JSON API: one request, one answer, bounded in time and size.

On the standard library's `http.client`: a look makes one or two calls a minute, so a pool is of no
use, and unlike the libraries above it this follows no redirect (which could carry the credentials
elsewhere), reads no proxy from the environment and repeats nothing by itself.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from everreel.errors import ServiceFault

CONNECT_S = 3.0
TOTAL_S = 6.0
"""From the connection to the last byte of the answer."""

LARGEST_ANSWER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an API is: scheme, host, port."""

    secure: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `status` 0 if nothing did; `body` {} if an error came without an object."""

    status: int
    body: Mapping[str, Any]


SILENCE = Reply(0, {})


def origin(url: str) -> Origin:
    """Read the address of an API, as `https://api.example`.

    Raises: ServiceFault if it is none, or would send credentials in clear to another machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    if not host or parts.path.strip("/") or not (secure or _is_here(host)):
        raise ServiceFault("a vendor's API is named as https://host, without a path")
    return Origin(secure, host, parts.port or (443 if secure else 80))


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def request(
    where: Origin,
    method: str,
    path: str,
    *,
    authorization: str,
    body: Mapping[str, Any] | None = None,
    connect_s: float = CONNECT_S,
    total_s: float = TOTAL_S,
) -> Reply:
    """Send one request; whatever the network does to it is `SILENCE`."""
    link = _connection(where, connect_s)
    headers = {"Authorization": authorization, "Accept": "application/json"}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json;charset=utf-8"
    try:
        link.connect()
        peer = link.sock
        # A server that sends a byte now and then never runs into a timeout of the socket.
        alarm = Timer(total_s, _hang_up, (peer,))
        alarm.daemon = True
        alarm.start()
        try:
            peer.settimeout(total_s)
            link.request(method, path, body=data, headers=headers)
            return _whole(link.getresponse())
        finally:
            alarm.cancel()
    except (OSError, http.client.HTTPException):
        return SILENCE
    finally:
        link.close()


def _connection(where: Origin, connect_s: float) -> http.client.HTTPConnection:
    if where.secure:
        return http.client.HTTPSConnection(
            where.host, where.port, timeout=connect_s, context=_tls()
        )
    return http.client.HTTPConnection(where.host, where.port, timeout=connect_s)


@cache
def _tls() -> ssl.SSLContext:
    """Make the verifying context once: reading the certificate store takes a while."""
    return ssl.create_default_context()


def _hang_up(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already


def _whole(answer: http.client.HTTPResponse) -> Reply:
    """Read an answer; a success that is cut short or no JSON object is none of the API's."""
    data = answer.read(LARGEST_ANSWER + 1)
    if answer.length or len(data) > LARGEST_ANSWER:
        return SILENCE
    body = _read(data)
    if body is None:
        return SILENCE if 200 <= answer.status < 300 and data else Reply(answer.status, {})
    return Reply(answer.status, body)


def _read(data: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
