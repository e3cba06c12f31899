"""What an HTTP status means for a source."""

from everreel.errors import SourceDenied, SourceError, SourceNotFound, SourceUnreachable

REDIRECTS = frozenset({301, 302, 303, 307, 308})


def of_status(status: int, where: str, retry_after_s: float | None = None) -> SourceError | None:
    """Turn a status into the error it stands for; None if a body is to be had.

    Args:
        status: of the final response.
        where: the redacted URL.
        retry_after_s: what the server asked for, said in the message.
    """
    if status in (200, 206):
        return None
    if status in (401, 403):
        return SourceDenied(f"{where} refuses our credentials (HTTP {status})", field="source")
    if status in (204, 404, 410):
        return SourceNotFound(f"{where} does not exist now (HTTP {status})", field="source")
    later = "" if retry_after_s is None else f" and asks to come back in {retry_after_s:g} s"
    return SourceUnreachable(f"{where} answers with HTTP {status}{later}", field="source")


def retry_after_s(value: bytes | None) -> float | None:
    """Read a Retry-After header given in seconds; a date is as good as none (RFC 9110 §10.2.3)."""
    if value is None or not value.isdigit() or len(value) > 6:
        return None
    return float(value)
