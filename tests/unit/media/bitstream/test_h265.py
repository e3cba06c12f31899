"""H.265 parameter sets and access units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.media.bitstream import h265
from tests.unit.media.bitstream.samples import H265_PPS, H265_SPS, H265_SPS_MAIN10, H265_VPS

CONFIG = h265.hvcc([H265_VPS], [H265_SPS], [H265_PPS])


def nal(kind: int, body: bytes = b"x") -> bytes:
    return bytes([kind << 1, 1]) + body


@pytest.mark.parametrize(
    ("sps", "size", "depth", "layers"),
    [(H265_SPS, (318, 182), 8, 1), (H265_SPS_MAIN10, (176, 144), 10, 2)],
)
def test_parse_sps_when_x265_wrote_it_then_gives_its_values(sps, size, depth, layers):
    info = h265.parse_sps(sps)
    assert (info.width, info.height) == size
    assert info.bit_depth_luma == depth
    assert info.sub_layers == layers
    assert info.reorder_frames == 2


@given(st.binary(max_size=80).map(lambda tail: b"\x42\x01" + tail))
def test_parse_sps_when_bytes_are_random_then_parses_or_is_malformed(sps):
    try:
        info = h265.parse_sps(sps)
    except SourceMalformed:
        return
    assert 0 < info.width <= h265.MAX_SIDE


def test_hvcc_when_read_again_then_gives_the_sets():
    assert h265.read_hvcc(CONFIG) == ([H265_VPS], [H265_SPS], [H265_PPS], 4)


def test_hvcc_when_written_then_has_the_fixed_fields_of_the_standard():
    assert CONFIG[:23].hex() == "0101600000009000000000003cf000fcfdf8f800000f03"
    assert CONFIG[23] == 0xA0  # complete array of VPS


def test_hvcc_when_a_kind_of_set_is_missing_then_is_malformed():
    with pytest.raises(SourceMalformed):
        h265.hvcc([], [H265_SPS], [H265_PPS])


@given(st.data())
def test_read_hvcc_when_cut_anywhere_then_is_malformed(data):
    cut = data.draw(st.integers(0, len(CONFIG) - 1))
    with pytest.raises(SourceMalformed):
        h265.read_hvcc(CONFIG[:cut])


def test_codec_string_when_main_profile_then_follows_annex_e():
    assert h265.codec_string(CONFIG) == "hvc1.1.6.L60.90"


def test_codec_string_when_fields_are_extreme_then_reverses_flags_and_omits_zero_bytes():
    # Example of ISO/IEC 14496-15 Annex E.3: profile space A, profile 4, high tier.
    config = b"\x01" + bytes([0x40 | 0x20 | 4]) + b"\x08\0\0\0" + b"\xb0\0\x23\0\0\0" + b"\x78"
    assert h265.codec_string(config) == "hvc1.A4.10.H120.B0.0.23"


@pytest.mark.parametrize(
    ("kind", "keyframe"), [(1, False), (8, False), (16, True), (19, True), (20, True), (21, True)]
)
def test_access_unit_when_it_is_an_irap_then_is_a_keyframe(kind, keyframe):
    picture = h265.access_unit([nal(35), nal(39), nal(kind), nal(38)])
    assert picture.keyframe is keyframe
    assert picture.data == b"\0\0\0\3" + nal(39) + b"\0\0\0\3" + nal(kind)


def test_access_unit_when_there_is_no_slice_then_has_no_data():
    picture = h265.access_unit([H265_VPS, H265_SPS, H265_PPS, nal(39)])
    assert picture.data == b""
    assert picture.parameter_sets == [H265_VPS, H265_SPS, H265_PPS]


def test_set_id_when_asked_then_reads_each_kind():
    assert [h265.set_id(one) for one in (H265_VPS, H265_SPS, H265_PPS)] == [0, 0, 0]
