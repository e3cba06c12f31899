"""What an RTMP server says."""

from collections.abc import Iterable
from typing import Any

from everreel.protocols import amf

HANDSHAKE = b"\x03" + bytes(1536) + bytes(1536)


def chunks(
    number: int,
    kind: int,
    stamp: int,
    body: bytes,
    *,
    size: int = 128,
    repeat: bool = True,
    number_bytes: int = 1,
) -> list[bytes]:
    """Cut a message into chunks; `repeat` repeats an extended timestamp in each of them."""
    if number_bytes == 1:
        first, basic = bytes([number]), bytes([0xC0 | number])
    else:
        low = (number - 64).to_bytes(number_bytes - 1, "little")
        first, basic = bytes([number_bytes - 2]) + low, bytes([0xC0 | number_bytes - 2]) + low
    extended = stamp.to_bytes(4, "big") if stamp >= 0xFFFFFF else b""
    head = first + min(stamp, 0xFFFFFF).to_bytes(3, "big") + len(body).to_bytes(3, "big")
    first_chunk = head + bytes([kind]) + b"\x01\x00\x00\x00" + extended + body[:size]
    again = basic + (extended if repeat else b"")
    return [first_chunk, *(again + body[at : at + size] for at in range(size, len(body), size))]


def message(number: int, kind: int, stamp: int, body: bytes, **how: Any) -> bytes:
    return b"".join(chunks(number, kind, stamp, body, **how))


def command(*values: amf.AmfValue) -> bytes:
    return message(3, 20, 0, amf.encode(*values))


def status(code: str, description: str = "", level: str = "status") -> bytes:
    return command(
        "onStatus", 0.0, None, {"level": level, "code": code, "description": description}
    )


CONNECTED = command("_result", 1.0, {"fmsVer": "x"}, {"level": "status", "code": "ok"})
CREATED = command("_result", 2.0, None, 1.0)
PLAYING = status("NetStream.Play.Start")
GREETING = HANDSHAKE + CONNECTED + CREATED + PLAYING


def set_chunk_size(size: int) -> bytes:
    return message(2, 1, 0, size.to_bytes(4, "big"))


def session(tags: Iterable[tuple[int, int, bytes]], size: int = 128, **how: Any) -> bytes:
    """Answer everything, then send tags on the chunk streams nginx uses."""
    numbers = {8: 6, 9: 7, 18: 5}
    parts = [message(numbers[tag[0]], *tag, size=size, **how) for tag in tags]
    return GREETING + set_chunk_size(size) + b"".join(parts)
