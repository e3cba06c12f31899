"""Keeps credentials out of logs, events, error texts and file names (design invariant 10)."""

import re
from urllib.parse import urlsplit, urlunsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}://[^\s\"'<>]+")
"""The bound keeps a long word from being searched to its end from each of its letters."""
HIDDEN = "***"


def url(text: str) -> str:
    """Show where a URL points without what lets somebody in.

    User, password, query and fragment are hidden, and so is the last path element of an RTMP URL,
    which is the stream key on most servers.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    if ":" in host:
        host = f"[{host}]"
    user = f"{HIDDEN}@" if parts.username or parts.password else ""
    path = parts.path
    if parts.scheme in {"rtmp", "rtmps"} and path.count("/") > 1:
        path = path.rpartition("/")[0] + f"/{HIDDEN}"
    query = HIDDEN if parts.query else ""
    return urlunsplit((parts.scheme, f"{user}{host}{port}", path, query, ""))


def text(message: str) -> str:
    """Redact every URL inside a message of somebody else's making."""
    return _URL.sub(lambda found: url(found.group()), message)
