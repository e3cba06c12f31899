"""Identifiers and the rules of the words that become object names."""

import base64
import hashlib
import os
import re

MIXED_UID = "0"
"""The uid of the mix of all publishers of a channel."""

_SID = re.compile(r"[0-9a-f]{32}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:+=-]{0,127}\Z")


def new_sid() -> str:
    """Make the id of one recording session: 32 lowercase hex digits, 128 random bits."""
    return os.urandom(16).hex()


def is_sid(text: str) -> bool:
    """Tell whether `text` has the shape of a sid."""
    return _SID.match(text) is not None


def new_resource_id() -> str:
    """Make a ticket of acquire: URL-safe, 256 random bits, not guessable."""
    return base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def resource_id_of_request(door: str, request_key: str) -> str:
    """Derive the ticket of a request that can arrive twice, so that a repeat finds the first.

    Bus events and console clicks carry no resource id; their own id (`request_key`) stands for it.
    """
    return hashlib.sha256(f"{door}\0{request_key}".encode()).hexdigest()


def is_name(text: str) -> bool:
    """Tell whether a channel, uid or app is fit for object names and URLs.

    Letters, digits and `._@:+=-`, starting with a letter or digit, 128 characters at most: no
    separator, no space, nothing a store or a shell treats specially.
    """
    return _NAME.match(text) is not None
