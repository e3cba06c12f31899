"""The current parameter sets of a track."""

import pytest

from everreel.errors import SourceMalformed
from everreel.media.access_unit import Codec
from everreel.media.bitstream import h264, h265
from everreel.media.bitstream.parameter_sets import ParameterSets
from tests.unit.media.bitstream.samples import (
    H264_PPS,
    H264_SPS,
    H264_SPS_ZERO_LATENCY,
    H265_PPS,
    H265_SPS,
    H265_VPS,
)


def test_update_when_a_kind_is_missing_then_there_is_no_config():
    sets = ParameterSets(Codec.H264)
    assert not sets.update([H264_SPS])
    assert sets.config == b""


def test_update_when_the_last_kind_arrives_then_the_config_is_new_once():
    sets = ParameterSets(Codec.H264)
    sets.update([H264_SPS])
    assert sets.update([H264_PPS])
    assert not sets.update([H264_SPS, H264_PPS])
    assert sets.config == h264.avcc([H264_SPS], [H264_PPS])


def test_update_when_a_set_of_the_same_number_changes_then_replaces_it():
    sets = ParameterSets(Codec.H264)
    sets.update([H264_SPS, H264_PPS])
    assert sets.update([H264_SPS_ZERO_LATENCY])
    assert sets.config == h264.avcc([H264_SPS_ZERO_LATENCY], [H264_PPS])


def test_update_when_numbers_differ_then_keeps_both_in_order():
    second = b"\x68\x40\x80"  # pps 1
    sets = ParameterSets(Codec.H264)
    sets.update([second, H264_SPS, H264_PPS])
    assert h264.read_avcc(sets.config)[1] == [H264_PPS, second]


def test_update_when_the_codec_is_h265_then_makes_an_hvcc():
    sets = ParameterSets(Codec.H265)
    assert sets.update([H265_PPS, H265_VPS, H265_SPS])
    assert sets.config == h265.hvcc([H265_VPS], [H265_SPS], [H265_PPS])


def test_update_when_a_set_is_broken_then_is_malformed():
    with pytest.raises(SourceMalformed):
        ParameterSets(Codec.H264).update([b"\x67\x00"])
