"""What real servers sent over RTMP and HTTP-FLV, replayed."""

import hashlib
import json
from pathlib import Path

import pytest

from everreel.media.access_unit import AccessUnit
from everreel.protocols.flv import HttpFlv
from everreel.protocols.rtmp import RtmpPlay
from tests.unit.protocols.flv_bytes import drive

STREAMS = Path(__file__).parents[2] / "data" / "streams"
RTMP = ["rtmp-nginx-h264-aac.bin", "rtmp-nms-h264-aac.bin", "rtmp-nms-h265-aac.bin"]
HTTP_FLV = ["http-flv-nms-aac.bin", "http-flv-nms-h264-aac.bin", "http-flv-nms-h265-aac.bin"]


def body_of(reply: bytes) -> bytes:
    """Take the body out of an HTTP reply in chunked coding."""
    rest = reply.partition(b"\r\n\r\n")[2]
    parts = []
    while rest:
        length, _, rest = rest.partition(b"\r\n")
        parts.append(rest[: int(length, 16)])
        rest = rest[int(length, 16) + 2 :]
    return b"".join(parts)


@pytest.mark.parametrize("size", [1, 7, 1448, 1 << 20])
@pytest.mark.parametrize("name", [*RTMP, *HTTP_FLV])
def test_receive_when_a_recorded_stream_is_replayed_then_gives_every_unit_of_the_clip(name, size):
    data = (STREAMS / name).read_bytes()
    wanted = json.loads((STREAMS / f"{name}.json").read_text())["units"]
    over_http = name in HTTP_FLV
    data = body_of(data) if over_http else data
    parser = HttpFlv() if over_http else RtmpPlay("live", "clip", "rtmp://127.0.0.1/live")
    events, _ = drive(parser, [data[at : at + size] for at in range(0, len(data), size)])
    units = [event for event in events if isinstance(event, AccessUnit)]
    assert [
        (unit.medium, unit.keyframe, hashlib.sha256(unit.data).hexdigest()[:16]) for unit in units
    ] == [(unit["medium"], unit["keyframe"], unit["sha"]) for unit in wanted]
    assert all(
        abs(unit.pts * 1000 - known["pts_us"]) <= 1000
        for unit, known in zip(units, wanted, strict=True)
    )
