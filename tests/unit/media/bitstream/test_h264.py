"""H.264 parameter sets and access units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.media.bitstream import h264
from tests.unit.media.bitstream.samples import (
    H264_PPS,
    H264_SPS,
    H264_SPS_HIGH_422,
    H264_SPS_HRD,
    H264_SPS_ZERO_LATENCY,
)


@pytest.mark.parametrize(
    ("sps", "size", "profile", "reorder"),
    [
        (H264_SPS, (318, 180), 77, 2),
        (H264_SPS_HIGH_422, (1920, 1080), 122, 2),
        (H264_SPS_ZERO_LATENCY, (1920, 1080), 100, 0),
        (H264_SPS_HRD, (176, 144), 100, 1),
    ],
)
def test_parse_sps_when_x264_wrote_it_then_gives_size_profile_and_reorder_depth(
    sps, size, profile, reorder
):
    info = h264.parse_sps(sps)
    assert (info.width, info.height) == size
    assert info.profile_idc == profile
    assert info.reorder_frames == reorder


def test_parse_sps_when_picture_order_is_decode_order_then_nothing_is_reordered():
    # Baseline, poc type 2, one reference frame, 1x1 macroblocks, no cropping, no VUI.
    fields = ("1", "1", "011", "010", "0", "1", "1", "1", "1", "0", "0", "1", "00000000")
    sps = bytes([0x67, 66, 0, 30]) + int("".join(fields), 2).to_bytes(3, "big")
    info = h264.parse_sps(sps)
    assert (info.width, info.height, info.reorder_frames) == (16, 16, 0)


def test_parse_sps_when_the_vui_is_cut_short_then_the_reorder_depth_is_unknown():
    info = h264.parse_sps(H264_SPS[:-4])
    assert (info.width, info.height) == (318, 180)
    assert info.reorder_frames is None


@given(st.binary(max_size=64).map(lambda tail: b"\x67" + tail))
def test_parse_sps_when_bytes_are_random_then_parses_or_is_malformed(sps):
    try:
        info = h264.parse_sps(sps)
    except SourceMalformed:
        return
    assert 0 < info.width <= h264.MAX_SIDE


@given(st.integers(0, 8 * len(H264_SPS_HIGH_422) - 1))
def test_parse_sps_when_a_bit_flips_then_parses_or_is_malformed(bit):
    flipped = int.from_bytes(H264_SPS_HIGH_422, "big") ^ 1 << bit
    try:
        h264.parse_sps(flipped.to_bytes(len(H264_SPS_HIGH_422), "big"))
    except SourceMalformed:
        return


def test_avcc_when_read_again_then_gives_the_sets():
    config = h264.avcc([H264_SPS], [H264_PPS, b"\x68\x40\x80"])
    assert h264.read_avcc(config) == ([H264_SPS], [H264_PPS, b"\x68\x40\x80"], 4)


def test_avcc_when_profile_is_high_then_ends_with_sample_layout():
    assert h264.avcc([H264_SPS_HIGH_422], [H264_PPS])[-4:] == b"\xfe\xfa\xfa\x00"


@pytest.mark.parametrize(("sps", "pps"), [([], [H264_PPS]), ([H264_SPS], [])])
def test_avcc_when_a_kind_of_set_is_missing_then_is_malformed(sps, pps):
    with pytest.raises(SourceMalformed):
        h264.avcc(sps, pps)


@given(st.data())
def test_read_avcc_when_cut_anywhere_then_reads_or_is_malformed(data):
    config = h264.avcc([H264_SPS], [H264_PPS])
    cut = data.draw(st.integers(0, len(config) - 1))
    with pytest.raises(SourceMalformed):
        h264.read_avcc(config[:cut])


def test_read_avcc_when_lengths_have_three_bytes_then_is_malformed():
    config = bytearray(h264.avcc([H264_SPS], [H264_PPS]))
    config[4] = 0xFE
    with pytest.raises(SourceMalformed, match="3-byte"):
        h264.read_avcc(bytes(config))


def test_codec_string_when_main_profile_then_names_it():
    assert h264.codec_string(h264.avcc([H264_SPS], [H264_PPS])) == "avc1.4D400C"


def test_access_unit_when_it_is_an_idr_then_keeps_sei_and_slices_only():
    nals = [b"\x09\xf0", H264_SPS, H264_PPS, b"\x06sei", b"\x65one", b"\x65two", b"\x0cfill"]
    picture = h264.access_unit(nals)
    assert picture.keyframe
    assert picture.data == b"\0\0\0\4\x06sei\0\0\0\4\x65one\0\0\0\4\x65two"
    assert picture.parameter_sets == [H264_SPS, H264_PPS]


def test_access_unit_when_it_is_a_recovery_point_then_is_no_keyframe():
    picture = h264.access_unit([b"\x06\x06\x01\x84\x80", b"\x41slice"])
    assert not picture.keyframe
    assert picture.data


def test_access_unit_when_there_is_no_slice_then_has_no_data():
    picture = h264.access_unit([b"\x09\xf0", H264_SPS, b"\x06sei"])
    assert picture.data == b""
    assert picture.parameter_sets == [H264_SPS]
