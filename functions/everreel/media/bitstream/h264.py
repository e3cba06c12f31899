"""Reads H.264 parameter sets, writes their ISO BMFF configuration, and cleans access units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from everreel.errors import SourceMalformed
from everreel.media.bitstream.bits import Bits, without_emulation_prevention
from everreel.media.bitstream.coded_picture import CODED, KEY, TAKEN_OUT, CodedPicture
from everreel.media.bitstream.nal import join_length_prefixed

IDR = 5
SEI = 6
SPS = 7
PPS = 8
AUD = 9
FILLER = 12

MAX_SIDE = 16384
MAX_PARAMETER_SET = 4096
"""Bytes; real parameter sets have some dozen, with scaling lists some hundred."""

# Profiles whose SPS says chroma format and bit depth (§7.3.2.1.1).
_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_SUB_SIZE = {1: (2, 2), 2: (2, 1)}
_SET_KINDS = (SPS, PPS)
_DROPPED = (AUD, FILLER)
KINDS = bytes(
    TAKEN_OUT
    if (kind := first & 31) in (*_SET_KINDS, *_DROPPED)
    else CODED | KEY
    if kind == IDR
    else CODED
    if 0 < kind < IDR
    else 0
    for first in range(256)
)
"""By the first byte of a NAL unit what it is to `coded_picture.as_it_stands`."""


@dataclass(frozen=True, slots=True)
class SpsInfo:
    """What a sequence parameter set says.

    Attributes:
        sps_id: the number picture parameter sets refer to.
        profile_idc, constraint_flags, level_idc: the three bytes after the NAL header.
        width, height: picture size after cropping, pixels.
        chroma_format_idc, bit_depth_luma, bit_depth_chroma: sample layout.
        reorder_frames: how many frames may precede one in decode order and follow it in output
            order; None if the stream does not say.
    """

    sps_id: int
    profile_idc: int
    constraint_flags: int
    level_idc: int
    width: int
    height: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    reorder_frames: int | None


def parse_sps(nal: bytes) -> SpsInfo:
    """Read a sequence parameter set.

    Raises: SourceMalformed if it is cut short or a value is out of range.
    Source: ISO/IEC 14496-10 §7.3.2.1.1.
    """
    if not 4 <= len(nal) <= MAX_PARAMETER_SET or nal[0] & 31 != SPS:
        raise SourceMalformed("H.264 SPS has a wrong type or length")
    bits = Bits(without_emulation_prevention(nal[1:]), "H.264 SPS")
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    sps_id = _bounded(bits.ue(), 31, "seq_parameter_set_id")
    chroma, separate, luma_depth, chroma_depth = 1, 0, 8, 8
    if profile in _HIGH:
        chroma = _bounded(bits.ue(), 3, "chroma_format_idc")
        separate = bits.u(1) if chroma == 3 else 0
        luma_depth = 8 + _bounded(bits.ue(), 6, "bit_depth_luma")
        chroma_depth = 8 + _bounded(bits.ue(), 6, "bit_depth_chroma")
        bits.skip(1)
        if bits.u(1):
            _skip_scaling_lists(bits, 8 if chroma != 3 else 12)
    poc_type = _read_counters(bits)
    columns = bits.ue() + 1
    map_units = bits.ue() + 1
    frame_only = bits.u(1)
    if not frame_only:
        bits.skip(1)
    bits.skip(1)
    width, height = 16 * columns, 16 * map_units * (2 - frame_only)
    if bits.u(1):
        across, down = _SUB_SIZE.get(0 if separate else chroma, (1, 1))
        down *= 2 - frame_only
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= across * (left + right)
        height -= down * (top + bottom)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise SourceMalformed(f"H.264 SPS describes a picture of {width}x{height}")
    return SpsInfo(
        sps_id, profile, constraints, level, width, height, chroma, luma_depth, chroma_depth,
        0 if poc_type == 2 else _reorder_frames(bits),
    )  # fmt: skip


def pps_id(nal: bytes) -> int:
    """Read the number of a picture parameter set. Source: ISO/IEC 14496-10 §7.3.2.2."""
    if not 2 <= len(nal) <= MAX_PARAMETER_SET or nal[0] & 31 != PPS:
        raise SourceMalformed("H.264 PPS has a wrong type or length")
    bits = Bits(without_emulation_prevention(nal[1:9]), "H.264 PPS")
    return _bounded(bits.ue(), 255, "pic_parameter_set_id")


def avcc(sps_list: Sequence[bytes], pps_list: Sequence[bytes]) -> bytes:
    """Write the AVCDecoderConfigurationRecord, with 4-byte NAL unit lengths.

    Raises: SourceMalformed if there is no SPS or PPS, or more than the record can hold.
    Source: ISO/IEC 14496-15 §5.3.3.1.2.
    """
    if not 1 <= len(sps_list) <= 31 or not 1 <= len(pps_list) <= 255:
        raise SourceMalformed("H.264 needs 1 to 31 SPS and 1 to 255 PPS")
    info = parse_sps(sps_list[0])
    parts = [b"\x01", sps_list[0][1:4], b"\xff", bytes([0xE0 | len(sps_list)])]
    for sps in sps_list:
        parts += (len(sps).to_bytes(2, "big"), sps)
    parts.append(bytes([len(pps_list)]))
    for pps in pps_list:
        parts += (len(pps).to_bytes(2, "big"), pps)
    if info.profile_idc not in {66, 77, 88}:
        depths = (0xF8 | info.bit_depth_luma - 8, 0xF8 | info.bit_depth_chroma - 8)
        parts.append(bytes([0xFC | info.chroma_format_idc, *depths, 0]))
    return b"".join(parts)


def read_avcc(config: bytes) -> tuple[list[bytes], list[bytes], int]:
    """Take SPS, PPS and the NAL unit length size out of an AVCDecoderConfigurationRecord.

    Either list may be empty: such streams carry their parameter sets in-band.

    Raises: SourceMalformed if it is cut short or has an impossible length size.
    """
    if len(config) < 6 or config[0] != 1:
        raise SourceMalformed("avcC is too short or of an unknown version")
    length_size = (config[4] & 3) + 1
    if length_size == 3:
        raise SourceMalformed("avcC says 3-byte NAL unit lengths, which do not exist")
    at = 6
    sps_list, at = _read_sets(config, at, config[5] & 31)
    if at >= len(config):
        raise SourceMalformed("avcC ends before its PPS count")
    pps_list, _ = _read_sets(config, at + 1, config[at])
    return sps_list, pps_list, length_size


def codec_string(config: bytes) -> str:
    """Name profile, constraints and level of an avcC as playlists do: `avc1.PPCCLL`.

    Source: RFC 6381 §3.3.
    """
    if len(config) < 4:
        raise SourceMalformed("avcC is too short")
    return f"avc1.{config[1:4].hex().upper()}"


def access_unit(nals: Iterable[bytes]) -> CodedPicture:
    """Take delimiters, filler and parameter sets out of an access unit, and tell if it is an IDR.

    Only an IDR counts as a keyframe. After a recovery point (an I picture with its SEI) pictures
    may still refer to what came before it, so a segment that begins there is not independent.
    """
    kept: list[bytes] = []
    sets: list[bytes] = []
    keyframe = coded = False
    for nal in nals:
        kind = nal[0] & 31
        if kind in _SET_KINDS:
            sets.append(nal)
        elif kind not in _DROPPED:
            kept.append(nal)
            if kind <= IDR and kind:
                coded = True
                keyframe |= kind == IDR
    return CodedPicture(join_length_prefixed(kept) if coded else b"", keyframe, sets)


def _bounded(value: int, limit: int, field: str) -> int:
    if value > limit:
        raise SourceMalformed(f"H.264 {field} is {value}, at most {limit} is possible")
    return value


def _read_counters(bits: Bits) -> int:
    """Pass over frame number and picture order count; return pic_order_cnt_type."""
    _bounded(bits.ue(), 12, "log2_max_frame_num_minus4")
    poc_type = _bounded(bits.ue(), 2, "pic_order_cnt_type")
    if poc_type == 0:
        _bounded(bits.ue(), 12, "log2_max_pic_order_cnt_lsb_minus4")
    elif poc_type == 1:
        bits.skip(1)
        bits.se()
        bits.se()
        for _ in range(_bounded(bits.ue(), 255, "num_ref_frames_in_pic_order_cnt_cycle")):
            bits.se()
    _bounded(bits.ue(), 16, "max_num_ref_frames")
    bits.skip(1)
    return poc_type


def _skip_scaling_lists(bits: Bits, count: int) -> None:
    """Source: ISO/IEC 14496-10 §7.3.2.1.1.1."""
    for index in range(count):
        if not bits.u(1):
            continue
        last = upcoming = 8
        for _ in range(16 if index < 6 else 64):
            if upcoming:
                upcoming = (last + bits.se()) & 255
            last = upcoming or last


def _reorder_frames(bits: Bits) -> int | None:
    """Read max_num_reorder_frames, the last but one value of the VUI. Source: Annex E.1.1."""
    try:
        if not bits.u(1):
            return None
        _skip_display_and_timing(bits)
        hrd = 0
        for _ in range(2):
            if bits.u(1):
                hrd = 1
                _skip_hrd(bits)
        bits.skip(1 + hrd)
        if not bits.u(1):  # bitstream restriction
            return None
        bits.skip(1)
        for _ in range(4):
            bits.ue()
        return _bounded(bits.ue(), 16, "max_num_reorder_frames")
    except SourceMalformed:
        return None  # cameras write broken VUIs; nothing else depends on it


def _skip_display_and_timing(bits: Bits) -> None:
    """Source: ISO/IEC 14496-10 Annex E.1.1."""
    if bits.u(1) and bits.u(8) == 255:  # sample aspect ratio, extended
        bits.skip(32)
    if bits.u(1):  # overscan
        bits.skip(1)
    if bits.u(1):  # video signal type
        bits.skip(4)
        if bits.u(1):
            bits.skip(24)
    if bits.u(1):  # chroma sample location
        bits.ue()
        bits.ue()
    if bits.u(1):  # timing
        bits.skip(65)


def _skip_hrd(bits: Bits) -> None:
    """Source: ISO/IEC 14496-10 Annex E.1.2."""
    count = _bounded(bits.ue(), 31, "cpb_cnt_minus1") + 1
    bits.skip(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.skip(1)
    bits.skip(20)


def _read_sets(config: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    for _ in range(count):
        begin = at + 2
        at = begin + int.from_bytes(config[at:begin], "big")
        if at > len(config) or begin > len(config):
            raise SourceMalformed("avcC is shorter than its parameter sets")
        if at > begin:
            found.append(config[begin:at])
    return found, at
