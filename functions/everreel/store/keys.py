"""Which words are object keys: the same for every backend, so that none of them leaves its root."""

from everreel.errors import StoreDenied

LONGEST = 900
"""Units: bytes. S3 allows 1,024 including the prefix of the store."""


def check_key(key: str) -> None:
    """Refuse a key that is empty, absolute, climbs with `..`, or holds control characters.

    Raises: StoreDenied.
    """
    parts = key.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise StoreDenied(
            f"object key {key!r} is not a relative path; every part between its slashes must be"
            " a name other than '.' and '..'"
        )
    _check_characters(key)


def check_prefix(prefix: str) -> None:
    """Refuse the start of a key that no key can have. The empty prefix means everything.

    Raises: StoreDenied.
    """
    folders = prefix.split("/")[:-1]
    if any(part in {"", ".", ".."} for part in folders):
        raise StoreDenied(
            f"key prefix {prefix!r} is not the start of a relative path; drop the leading slash,"
            " '.' and '..'"
        )
    _check_characters(prefix)


def _check_characters(text: str) -> None:
    if any(character < " " or character in "\x7f\\" for character in text):
        raise StoreDenied(f"object key {text!r} holds a control character or a backslash")
    if len(text.encode()) > LONGEST:
        raise StoreDenied(f"object key {text[:40]!r}… is longer than {LONGEST} bytes")
