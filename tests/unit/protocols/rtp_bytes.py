"""RTP packets made by hand."""

import base64

from everreel.media.access_unit import AccessUnit, TrackFormat
from everreel.protocols.rtp import RtpCounts, RtpReceiver
from everreel.protocols.rtp_payloads import depacketiser
from everreel.protocols.sdp import PayloadFormat
from tests.unit.media.bitstream.samples import (
    H264_PPS,
    H264_SPS,
    H265_PPS,
    H265_SPS,
    H265_VPS,
)


def b64(*nals: bytes) -> str:
    return ",".join(base64.b64encode(nal).decode() for nal in nals)


H264 = PayloadFormat(
    96, "H264", 90_000, 1,
    {"packetization-mode": "1", "sprop-parameter-sets": b64(H264_SPS, H264_PPS)},
)  # fmt: skip
H265 = PayloadFormat(
    96, "H265", 90_000, 1,
    {"sprop-vps": b64(H265_VPS), "sprop-sps": b64(H265_SPS), "sprop-pps": b64(H265_PPS)},
)  # fmt: skip
AAC = PayloadFormat(
    97, "MPEG4-GENERIC", 48_000, 2,
    {"mode": "AAC-hbr", "config": "1190", "sizelength": "13", "indexlength": "3",
     "indexdeltalength": "3"},
)  # fmt: skip
OPUS = PayloadFormat(98, "OPUS", 48_000, 2)
SSRC = 0x1234


def rtp(
    sequence: int, ticks: int, payload: bytes, *, marker: bool = False, kind: int = 96,
    ssrc: int = SSRC,
) -> bytes:  # fmt: skip
    return b"".join(
        (
            bytes([0x80, (0x80 if marker else 0) | kind]),
            (sequence & 0xFFFF).to_bytes(2, "big"),
            (ticks & 0xFFFFFFFF).to_bytes(4, "big"),
            ssrc.to_bytes(4, "big"),
            payload,
        )
    )


def sender_report(ticks: int, ntp: int, ssrc: int = SSRC) -> bytes:
    return b"".join(
        (
            bytes([0x80, 200, 0, 6]) + ssrc.to_bytes(4, "big") + ntp.to_bytes(8, "big"),
            (ticks & 0xFFFFFFFF).to_bytes(4, "big") + bytes(8),
        )
    )


def fragments_h264(nal: bytes, size: int) -> list[bytes]:
    body = [nal[1:][at : at + size] for at in range(0, len(nal) - 1, size)]
    indicator = nal[0] & 0xE0 | 28
    last = len(body) - 1
    return [
        bytes([indicator, (0x80 if n == 0 else 0) | (0x40 if n == last else 0) | nal[0] & 31])
        + part
        for n, part in enumerate(body)
    ]


def fragments_h265(nal: bytes, size: int) -> list[bytes]:
    body = [nal[2:][at : at + size] for at in range(0, len(nal) - 2, size)]
    kind = nal[0] >> 1 & 63
    last = len(body) - 1
    return [
        bytes([nal[0] & 0x81 | 49 << 1, nal[1]])
        + bytes([(0x80 if n == 0 else 0) | (0x40 if n == last else 0) | kind])
        + part
        for n, part in enumerate(body)
    ]


def aac_payload(*frames: bytes, deltas: tuple[int, ...] = ()) -> bytes:
    heads = b"".join(
        (len(frame) << 3 | (deltas[n] if n < len(deltas) else 0)).to_bytes(2, "big")
        for n, frame in enumerate(frames)
    )
    return (16 * len(frames)).to_bytes(2, "big") + heads + b"".join(frames)


def receiver(payload: PayloadFormat, window: int = 32) -> RtpReceiver:
    counts = RtpCounts()
    return RtpReceiver(depacketiser(payload, counts), counts, payload.payload_type, window)


def unit(*nals: bytes) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


def feed(target: RtpReceiver, *packets: bytes):
    return [event for packet in packets for event in target.receive(packet)]


def units(events):
    return [event for event in events if isinstance(event, AccessUnit)]


def format_of(target: RtpReceiver) -> TrackFormat:
    """The one event before any packet."""
    (event,) = target.begin()
    assert isinstance(event, TrackFormat)
    return event
