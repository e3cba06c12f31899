"""Reads H.265 parameter sets, writes their ISO BMFF configuration, and cleans access units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from everreel.errors import SourceMalformed
from everreel.media.bitstream.bits import Bits, without_emulation_prevention
from everreel.media.bitstream.coded_picture import CODED, KEY, TAKEN_OUT, CodedPicture
from everreel.media.bitstream.nal import join_length_prefixed

FIRST_IRAP, LAST_IRAP = 16, 21
VPS = 32
SPS = 33
PPS = 34
AUD = 35
FILLER = 38

MAX_SIDE = 16384
MAX_PARAMETER_SET = 4096
"""Bytes; real parameter sets have some dozen, with scaling lists some hundred."""

_SUB_SIZE = {1: (2, 2), 2: (2, 1)}
_SET_KINDS = (VPS, SPS, PPS)
_DROPPED = (AUD, FILLER)
KINDS = bytes(
    TAKEN_OUT
    if (kind := first >> 1 & 63) in (*_SET_KINDS, *_DROPPED)
    else CODED | KEY
    if FIRST_IRAP <= kind <= LAST_IRAP
    else CODED
    if kind < 32
    else 0
    for first in range(256)
)
"""By the first byte of a NAL unit what it is to `coded_picture.as_it_stands`."""


@dataclass(frozen=True, slots=True)
class SpsInfo:
    """What a sequence parameter set says.

    Attributes:
        sps_id: the number picture parameter sets refer to.
        profile_tier_level: the 12 bytes of the general profile, tier and level.
        sub_layers: number of temporal sub-layers.
        temporal_nesting: sps_temporal_id_nesting_flag.
        width, height: picture size after cropping, pixels.
        chroma_format_idc, bit_depth_luma, bit_depth_chroma: sample layout.
        reorder_frames: how many pictures may precede one in decode order and follow it in output
            order.
    """

    sps_id: int
    profile_tier_level: bytes
    sub_layers: int
    temporal_nesting: int
    width: int
    height: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    reorder_frames: int


def nal_type(nal: bytes) -> int:
    """Tell the type of a NAL unit. Source: ISO/IEC 23008-2 §7.3.1.2."""
    return (nal[0] >> 1) & 63


def parse_sps(nal: bytes) -> SpsInfo:
    """Read a sequence parameter set up to the picture size and the reorder depth.

    Raises: SourceMalformed if it is cut short or a value is out of range.
    Source: ISO/IEC 23008-2 §7.3.2.2.1.
    """
    if not 16 <= len(nal) <= MAX_PARAMETER_SET or nal_type(nal) != SPS:
        raise SourceMalformed("H.265 SPS has a wrong type or length")
    payload = without_emulation_prevention(nal[2:])
    bits = Bits(payload, "H.265 SPS")
    bits.skip(4)
    sub_layers = 1 + _bounded(bits.u(3), 6, "sps_max_sub_layers_minus1")
    nesting = bits.u(1)
    bits.skip(96)
    _skip_sub_layer_profiles(bits, sub_layers - 1)
    sps_id = _bounded(bits.ue(), 15, "sps_seq_parameter_set_id")
    chroma = _bounded(bits.ue(), 3, "chroma_format_idc")
    separate = bits.u(1) if chroma == 3 else 0
    width, height = bits.ue(), bits.ue()
    if bits.u(1):
        across, down = _SUB_SIZE.get(0 if separate else chroma, (1, 1))
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= across * (left + right)
        height -= down * (top + bottom)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise SourceMalformed(f"H.265 SPS describes a picture of {width}x{height}")
    luma_depth = 8 + _bounded(bits.ue(), 8, "bit_depth_luma")
    chroma_depth = 8 + _bounded(bits.ue(), 8, "bit_depth_chroma")
    _bounded(bits.ue(), 12, "log2_max_pic_order_cnt_lsb_minus4")
    reorder = 0
    for _ in range(sub_layers if bits.u(1) else 1):
        bits.ue()
        reorder = _bounded(bits.ue(), 16, "sps_max_num_reorder_pics")
        bits.ue()
    return SpsInfo(
        sps_id, payload[1:13], sub_layers, nesting, width, height, chroma, luma_depth,
        chroma_depth, reorder,
    )  # fmt: skip


def set_id(nal: bytes) -> int:
    """Read the number of a VPS, SPS or PPS. Source: ISO/IEC 23008-2 §7.3.2."""
    kind = nal_type(nal)
    if not 3 <= len(nal) <= MAX_PARAMETER_SET or kind not in _SET_KINDS:
        raise SourceMalformed("H.265 parameter set has a wrong type or length")
    if kind == SPS:
        return parse_sps(nal).sps_id
    bits = Bits(without_emulation_prevention(nal[2:10]), "H.265 parameter set")
    return bits.u(4) if kind == VPS else _bounded(bits.ue(), 63, "pps_pic_parameter_set_id")


def hvcc(vps_list: Sequence[bytes], sps_list: Sequence[bytes], pps_list: Sequence[bytes]) -> bytes:
    """Write the HEVCDecoderConfigurationRecord, with 4-byte NAL unit lengths.

    The arrays are marked complete, as sample entry `hvc1` wants: no set comes in-band.

    Raises: SourceMalformed if a kind of set is missing or there are more than can be told apart.
    Source: ISO/IEC 14496-15 §8.3.3.1.2.
    """
    for sets, limit in ((vps_list, 16), (sps_list, 16), (pps_list, 64)):
        if not 1 <= len(sets) <= limit:
            raise SourceMalformed("H.265 needs 1 to 16 VPS and SPS and 1 to 64 PPS")
    info = parse_sps(sps_list[0])
    parts = [
        b"\x01",
        info.profile_tier_level,
        b"\xf0\x00\xfc",  # segmentation and parallelism: unknown
        bytes([0xFC | info.chroma_format_idc]),
        bytes([0xF8 | info.bit_depth_luma - 8, 0xF8 | info.bit_depth_chroma - 8]),
        b"\x00\x00",  # average frame rate: not given
        bytes([info.sub_layers << 3 | info.temporal_nesting << 2 | 3, 3]),
    ]
    for kind, sets in zip(_SET_KINDS, (vps_list, sps_list, pps_list), strict=True):
        parts.append(bytes([0x80 | kind]) + len(sets).to_bytes(2, "big"))
        for nal in sets:
            parts += (len(nal).to_bytes(2, "big"), nal)
    return b"".join(parts)


def read_hvcc(config: bytes) -> tuple[list[bytes], list[bytes], list[bytes], int]:
    """Take VPS, SPS, PPS and the NAL unit length size out of an HEVCDecoderConfigurationRecord.

    A list may be empty: such streams carry their parameter sets in-band. SEI is passed over.

    Raises: SourceMalformed if it is cut short or has an impossible length size.
    """
    # Early writers left the version 0; the layout was the same.
    if len(config) < 23 or config[0] > 1:
        raise SourceMalformed("hvcC is too short or of an unknown version")
    length_size = (config[21] & 3) + 1
    if length_size == 3:
        raise SourceMalformed("hvcC says 3-byte NAL unit lengths, which do not exist")
    found: dict[int, list[bytes]] = {VPS: [], SPS: [], PPS: []}
    at, end = 23, len(config)
    for _ in range(config[22]):
        if at + 3 > end:
            raise SourceMalformed("hvcC is shorter than its arrays")
        kind = config[at] & 63
        count = int.from_bytes(config[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            begin = at + 2
            at = begin + int.from_bytes(config[at:begin], "big")
            if at > end or begin > end:
                raise SourceMalformed("hvcC is shorter than its parameter sets")
            if kind in found and at > begin:
                found[kind].append(config[begin:at])
    return found[VPS], found[SPS], found[PPS], length_size


def codec_string(config: bytes) -> str:
    """Name profile, compatibility, tier, level and constraints of an hvcC as playlists do.

    Source: ISO/IEC 14496-15 Annex E.3, e.g. `hvc1.1.6.L93.B0`.
    """
    if len(config) < 13:
        raise SourceMalformed("hvcC is too short")
    profile = config[1]
    space = ("", "A", "B", "C")[profile >> 6]
    flags = int(f"{int.from_bytes(config[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if profile & 0x20 else "L"
    constraints = "".join(f".{byte:X}" for byte in config[6:12].rstrip(b"\x00"))
    return f"hvc1.{space}{profile & 31}.{flags:X}.{tier}{config[12]}{constraints}"


def access_unit(nals: Iterable[bytes]) -> CodedPicture:
    """Take delimiters, filler and parameter sets out of an access unit, and tell if it is an IRAP.

    IDR, BLA and CRA pictures all count as keyframes. Encoders with open GOPs send nothing but CRA
    after the first picture; when decoding starts at one, its RASL pictures (types 8 and 9), which
    precede it in output order, cannot be shown and decoders drop them as §8.1.3 of the standard
    tells them to. Played through, nothing is missing.
    """
    kept: list[bytes] = []
    sets: list[bytes] = []
    keyframe = coded = False
    for nal in nals:
        kind = (nal[0] >> 1) & 63
        if kind in _SET_KINDS:
            sets.append(nal)
        elif kind not in _DROPPED:
            kept.append(nal)
            if kind < 32:
                coded = True
                keyframe |= FIRST_IRAP <= kind <= LAST_IRAP
    return CodedPicture(join_length_prefixed(kept) if coded else b"", keyframe, sets)


def _bounded(value: int, limit: int, field: str) -> int:
    if value > limit:
        raise SourceMalformed(f"H.265 {field} is {value}, at most {limit} is possible")
    return value


def _skip_sub_layer_profiles(bits: Bits, count: int) -> None:
    """Source: ISO/IEC 23008-2 §7.3.3."""
    if not count:
        return
    present = [(bits.u(1), bits.u(1)) for _ in range(count)]
    bits.skip(2 * (8 - count))
    for profile, level in present:
        bits.skip(88 * profile + 8 * level)
