"""Bytes of FLV and RTMP as servers send them, and a way to feed them to a parser."""

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from everreel.errors import SourceError
from everreel.media.access_unit import SourceEvent
from everreel.media.bitstream import h264, h265
from everreel.protocols.ports import SansIO
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS, H265_PPS, H265_SPS, H265_VPS

AUDIO, VIDEO, DATA = 8, 9, 18

AVCC = h264.avcc([H264_SPS], [H264_PPS])
HVCC = h265.hvcc([H265_VPS], [H265_SPS], [H265_PPS])
ASC = bytes.fromhex("1190")
OPUS_HEAD = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"

FLV_HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"

IDR = b"\x65idr"
SLICE = b"\x41slice"

AVC_HEADER = b"\x17\x00\x00\x00\x00" + AVCC
AAC_HEADER = b"\xaf\x00" + ASC


def unit(*nals: bytes) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


def avc(*nals: bytes, offset: int = 0, key: bool = True) -> bytes:
    first = b"\x17" if key else b"\x27"
    return first + b"\x01" + offset.to_bytes(3, "big", signed=True) + unit(*nals)


def aac(frame: bytes) -> bytes:
    return b"\xaf\x01" + frame


def flv_tag(kind: int, stamp: int, payload: bytes) -> bytes:
    return (
        bytes([kind])
        + len(payload).to_bytes(3, "big")
        + (stamp & 0xFFFFFF).to_bytes(3, "big")
        + bytes([stamp >> 24])
        + b"\x00\x00\x00"
        + payload
        + (11 + len(payload)).to_bytes(4, "big")
    )


STREAM = [
    (DATA, 0, b"\x02\x00\x0aonMetaData"),
    (AUDIO, 0, b""),
    (VIDEO, 0, AVC_HEADER),
    (VIDEO, 0, avc(IDR, offset=80)),
    (AUDIO, 0, AAC_HEADER),
    (AUDIO, 5, aac(b"one")),
    (VIDEO, 40, avc(SLICE * 60, offset=-40, key=False)),
    (AUDIO, 28, aac(b"two" * 70)),
    (VIDEO, 0x1000000, avc(b"\x09\xf0", IDR)),
]


def flv_stream(tags: Iterable[tuple[int, int, bytes]] = STREAM) -> bytes:
    return FLV_HEADER + b"".join(flv_tag(*tag) for tag in tags)


def drive(parser: SansIO, pieces: Sequence[bytes]) -> tuple[list[SourceEvent], str]:
    """Feed a parser to its end: all events and the name of the error that ended it."""
    events: list[SourceEvent] = []
    parser.data_to_send()
    try:
        for piece in pieces:
            events += parser.receive(piece)
        events += parser.end_of_input()
    except SourceError as error:
        return events, type(error).__name__
    return events, ""


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into pieces anywhere."""
    points = sorted(draw(st.lists(st.integers(0, len(data)), max_size=40)))
    return [data[a:b] for a, b in zip([0, *points], [*points, len(data)], strict=True)]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Flip bits, overwrite bytes and cut the end off."""
    raw = bytearray(data)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(0, len(raw)))])
