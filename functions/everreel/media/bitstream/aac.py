"""Reads AAC configurations and ADTS headers."""

from dataclasses import dataclass
from functools import lru_cache

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.media.bitstream.bits import Bits

SAMPLE_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
"""Source: ISO/IEC 14496-3 table 1.18."""

_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_SBR, _PS = 5, 29
_LOW_DELAY = frozenset({23, 39})
# Object types whose configuration begins with frameLengthFlag (§4.4.1 GASpecificConfig, ELD).
_WITH_FRAME_LENGTH = frozenset({1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23, 39})


@dataclass(frozen=True, slots=True)
class AacConfig:
    """What an AudioSpecificConfig says.

    Attributes:
        object_type: the type signalled first: 2 for AAC-LC, 5 with explicit SBR, 29 with PS.
        core_object_type: the type of the coded frames, 2 for all three of those.
        sample_rate: of the core coder, Hz.
        output_rate: after SBR, Hz; the same as `sample_rate` without.
        channels: as coded; parametric stereo makes 2 out of 1 at output.
        frame_samples: samples of one frame at `sample_rate`.
        sbr, ps: spectral band replication and parametric stereo are signalled.
    """

    object_type: int
    core_object_type: int
    sample_rate: int
    output_rate: int
    channels: int
    frame_samples: int
    sbr: bool
    ps: bool


@dataclass(frozen=True, slots=True)
class AdtsFrame:
    """One raw AAC frame with the AudioSpecificConfig its ADTS header amounts to."""

    config: bytes
    data: bytes


@lru_cache(maxsize=64)
def parse_config(config: bytes) -> AacConfig:
    """Read an AudioSpecificConfig.

    Raises: SourceMalformed if it is cut short or reserved values are used.
    Source: ISO/IEC 14496-3 §1.6.2.1.
    """
    if len(config) > 256:
        raise SourceMalformed("AudioSpecificConfig is longer than 256 bytes")
    bits = Bits(config, "AudioSpecificConfig")
    object_type = _object_type(bits)
    rate = _sample_rate(bits)
    layout = bits.u(4)
    core, output, sbr, ps = object_type, rate, False, False
    if object_type in {_SBR, _PS}:
        sbr, ps = True, object_type == _PS
        output = _sample_rate(bits)
        core = _object_type(bits)
    short = False
    channels = _CHANNELS.get(layout, 0)
    if core in _WITH_FRAME_LENGTH:
        short = bool(bits.u(1))
        if core != 39 and layout == 0:
            channels = _channels_of_program(bits)
    if not channels:
        raise SourceMalformed(f"AAC channel configuration {layout} is reserved")
    if not sbr:
        sbr, ps, output = _trailing_sbr(bits, rate)
    samples = (480 if short else 512) if core in _LOW_DELAY else (960 if short else 1024)
    return AacConfig(object_type, core, rate, output, channels, samples, sbr, ps)


def codec_string(config: bytes) -> str:
    """Name the object type as playlists do: `mp4a.40.2` for AAC-LC. Source: RFC 6381 §3.3."""
    return f"mp4a.40.{parse_config(config).object_type}"


@lru_cache(maxsize=64)
def config_from_adts(profile_to_channels: int) -> bytes:
    """Make the AudioSpecificConfig of an ADTS stream.

    Args:
        profile_to_channels: the 10 bits from `profile_ObjectType` to `channel_configuration`.

    Raises: SourceMalformed for a reserved sample rate; SourceUnsupported if the channels are
        described inside the frames.
    Source: ISO/IEC 14496-3 §1.A.2.2.1.
    """
    object_type = (profile_to_channels >> 8 & 3) + 1
    rate_index = profile_to_channels >> 4 & 15
    channels = profile_to_channels & 7
    if rate_index >= len(SAMPLE_RATES):
        raise SourceMalformed(f"ADTS sampling frequency index {rate_index} is reserved")
    if not channels:
        raise SourceUnsupported("AAC in ADTS with channel configuration 0 cannot be recorded")
    return (object_type << 11 | rate_index << 7 | channels << 3).to_bytes(2, "big")


def split_adts(data: bytes) -> tuple[list[AdtsFrame], int]:
    """Take whole ADTS frames off the front of `data`; return them and how many bytes they used.

    Bytes that do not begin a frame are passed over until one does; the rest, a frame that is not
    complete yet, is for the caller to prepend to what comes next (at most 8 KiB).

    Raises: SourceMalformed, SourceUnsupported as `config_from_adts`; SourceUnsupported for several
        raw data blocks in one frame.
    Source: ISO/IEC 14496-3 §1.A.3.2.
    """
    frames: list[AdtsFrame] = []
    at, end = 0, len(data)
    while at + 7 <= end:
        header = int.from_bytes(data[at : at + 7], "big")
        size = header >> 13 & 0x1FFF
        header_size = 7 if header & 1 << 40 else 9
        following = data[at + size : at + size + 2]
        if not _is_sync(header >> 40) or size <= header_size or not _may_follow(following):
            sync = data.find(b"\xff", at + 1)
            at = sync if sync >= 0 else end
            continue
        if at + size > end:
            break
        if header & 3:
            raise SourceUnsupported("ADTS frames of several AAC frames cannot be recorded")
        # The private bit lies between the sampling frequency index and the channels.
        config = config_from_adts((header >> 34 & 0x3F) << 4 | header >> 30 & 7)
        frames.append(AdtsFrame(config, data[at + header_size : at + size]))
        at += size
    return frames, at


def _is_sync(word: int) -> bool:
    """Tell whether 16 bits are the syncword with layer 0."""
    return word & 0xFFF6 == 0xFFF0


def _may_follow(head: bytes) -> bool:
    """Tell whether what follows a frame can be the next one (or has not arrived)."""
    return len(head) < 2 or _is_sync(int.from_bytes(head, "big"))


def _object_type(bits: Bits) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == 31 else kind


def _sample_rate(bits: Bits) -> int:
    index = bits.u(4)
    if index == 15:
        rate = bits.u(24)
        if not 4000 <= rate <= 192000:
            raise SourceMalformed(f"AAC sample rate {rate} Hz is out of range")
        return rate
    if index >= len(SAMPLE_RATES):
        raise SourceMalformed(f"AAC sampling frequency index {index} is reserved")
    return SAMPLE_RATES[index]


def _channels_of_program(bits: Bits) -> int:
    """Count the channels of a program configuration element. Source: ISO/IEC 14496-3 §4.5.1.2."""
    if bits.u(1):
        bits.skip(14)  # delay of the core coder
    bits.skip(1 + 4 + 2 + 4)
    front, side, back, low = bits.u(4), bits.u(4), bits.u(4), bits.u(2)
    data, coupling = bits.u(3), bits.u(4)
    for width in (4, 4, 3):  # mono, stereo and matrix mixdown
        if bits.u(1):
            bits.skip(width)
    channels = low
    for _ in range(front + side + back):
        channels += 1 + bits.u(1)
        bits.skip(4)
    bits.skip(4 * (low + data) + 5 * coupling)
    return channels


def _trailing_sbr(bits: Bits, rate: int) -> tuple[bool, bool, int]:
    """Find backward compatible SBR signalling after the core configuration.

    Source: ISO/IEC 14496-3 §1.6.6.1. What lies between is 2 bits for AAC-LC.
    """
    bits.skip(min(2, bits.left))
    if bits.left < 17 or bits.u(11) != 0x2B7 or _object_type(bits) != _SBR or not bits.u(1):
        return False, False, rate
    if bits.left < 4:
        return False, False, rate
    output = _sample_rate(bits)
    ps = bits.left >= 12 and bits.u(11) == 0x548 and bits.u(1) == 1
    return True, ps, output
