"""Reads Opus configurations and the length of Opus packets."""

from dataclasses import dataclass

from everreel.errors import SourceMalformed

SAMPLE_RATE = 48000
MAX_PACKET_SAMPLES = 5760
"""120 ms, the most a packet may hold (RFC 6716 §3.2.5)."""

# 10, 20, 40, 60 ms for SILK, 10, 20 ms for hybrid, 2.5, 5, 10, 20 ms for CELT (RFC 6716 table 2).
_FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


@dataclass(frozen=True, slots=True)
class OpusConfig:
    """What a decoder must know before the first packet.

    Attributes:
        channels: output channels.
        pre_skip: samples at 48 kHz to drop at the start.
        input_rate: of the material before encoding, Hz; informative.
        output_gain: dB in Q7.8.
        mapping_family: 0 for mono and stereo.
        mapping: stream count, coupled count and channel mapping; empty for family 0.
    """

    channels: int
    pre_skip: int = 0
    input_rate: int = SAMPLE_RATE
    output_gain: int = 0
    mapping_family: int = 0
    mapping: bytes = b""


def dops(config: OpusConfig) -> bytes:
    """Write the payload of a dOps box. Source: Opus in ISOBMFF §4.3.2."""
    return b"".join(
        (
            bytes([0, config.channels]),
            config.pre_skip.to_bytes(2, "big"),
            config.input_rate.to_bytes(4, "big"),
            config.output_gain.to_bytes(2, "big", signed=True),
            bytes([config.mapping_family]),
            config.mapping,
        )
    )


def dops_for_channels(channels: int) -> bytes:
    """Write the dOps of a stream of which only the channel count is known.

    Up to two channels need no mapping, up to eight have the order of Vorbis. The number of coupled
    streams is that of libopus.

    Raises: SourceMalformed beyond eight channels.
    Source: RFC 7845 §5.1.1.2.
    """
    if 1 <= channels <= 2:
        return dops(OpusConfig(channels))
    known = {
        3: (2, 1, (0, 2, 1)),
        4: (2, 2, (0, 1, 2, 3)),
        5: (3, 2, (0, 4, 1, 2, 3)),
        6: (4, 2, (0, 4, 1, 2, 3, 5)),
        7: (4, 3, (0, 4, 1, 2, 3, 5, 6)),
        8: (5, 3, (0, 6, 1, 2, 3, 4, 5, 7)),
    }
    if channels not in known:
        raise SourceMalformed(f"Opus has 1 to 8 channels here, the stream says {channels}")
    streams, coupled, order = known[channels]
    return dops(
        OpusConfig(channels, mapping_family=1, mapping=bytes([streams, coupled, *order])),
    )


def parse_dops(data: bytes) -> OpusConfig:
    """Read the payload of a dOps box.

    Raises: SourceMalformed if it is cut short or contradicts itself.
    """
    return _parse(data, "dOps", "big", 0)


def parse_head(data: bytes) -> OpusConfig:
    """Read an identification header as Ogg, Matroska and enhanced RTMP carry it.

    Raises: SourceMalformed if it is cut short or contradicts itself.
    Source: RFC 7845 §5.1.
    """
    if data[:8] != b"OpusHead":
        raise SourceMalformed("Opus header does not begin with OpusHead")
    return _parse(data[8:], "OpusHead", "little", 1)


def packet_samples(packet: bytes) -> int:
    """Tell how long a packet plays, in samples at 48 kHz.

    Raises: SourceMalformed if it is empty or longer than 120 ms.
    Source: RFC 6716 §3.1, §3.2.
    """
    if not packet:
        raise SourceMalformed("Opus packet is empty")
    frame = _FRAME_SAMPLES[packet[0] >> 3]
    code = packet[0] & 3
    if code < 3:
        return frame if code == 0 else 2 * frame
    if len(packet) < 2:
        raise SourceMalformed("Opus packet ends before its frame count")
    samples = frame * (packet[1] & 63)
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise SourceMalformed(f"Opus packet of {samples} samples, possible are 120 to 5760")
    return samples


def _parse(data: bytes, what: str, order: str, version: int) -> OpusConfig:
    big = order == "big"
    # OpusHead versions up to 15 differ in ways a reader may ignore (RFC 7845 §5.1).
    if len(data) < 11 or (data[0] != version if big else data[0] > 15):
        raise SourceMalformed(f"{what} is too short or of an unknown version")
    numbers = [data[2:4], data[4:8], data[8:10]]
    if not big:
        numbers = [number[::-1] for number in numbers]
    channels, family = data[1], data[10]
    mapping = b""
    if family:
        mapping = data[11 : 13 + channels]
        if len(mapping) != 2 + channels:
            raise SourceMalformed(f"{what} ends before its channel mapping")
    if not channels or (family == 0 and channels > 2):
        raise SourceMalformed(f"{what} says {channels} channels without a mapping")
    return OpusConfig(
        channels,
        int.from_bytes(numbers[0], "big"),
        int.from_bytes(numbers[1], "big"),
        int.from_bytes(numbers[2], "big", signed=True),
        family,
        mapping,
    )
