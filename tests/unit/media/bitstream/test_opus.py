"""Opus configurations and packet lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.media.bitstream import opus

HEAD = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


def test_parse_head_when_ffmpeg_wrote_it_then_gives_its_values():
    config = opus.parse_head(HEAD)
    assert (config.channels, config.pre_skip, config.input_rate) == (2, 312, 48000)


def test_dops_when_made_from_a_head_then_is_big_endian():
    assert opus.dops(opus.parse_head(HEAD)).hex() == "000201380000bb80000000"


def test_parse_dops_when_it_has_a_mapping_then_reads_it_back():
    config = opus.OpusConfig(6, 312, 48000, -256, 1, bytes([4, 2, 0, 4, 1, 2, 3, 5]))
    assert opus.parse_dops(opus.dops(config)) == config


@pytest.mark.parametrize("channels", range(1, 9))
def test_dops_for_channels_when_up_to_eight_then_can_be_read(channels):
    config = opus.parse_dops(opus.dops_for_channels(channels))
    assert config.channels == channels
    streams = sum(config.mapping[:2]) if config.mapping else channels
    assert streams == channels


def test_dops_for_channels_when_more_than_eight_then_is_malformed():
    with pytest.raises(SourceMalformed):
        opus.dops_for_channels(9)


@given(st.binary(max_size=40))
def test_parse_when_bytes_are_random_then_parses_or_is_malformed(data):
    for parse, prefix in ((opus.parse_dops, b""), (opus.parse_head, b"OpusHead")):
        try:
            config = parse(prefix + data)
        except SourceMalformed:
            continue
        assert config.channels


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (bytes([0 << 3]), 480),  # SILK 10 ms
        (bytes([3 << 3]), 2880),  # SILK 60 ms
        (bytes([11 << 3 | 1]), 5760),  # two of 60 ms
        (bytes([13 << 3]), 960),  # hybrid 20 ms
        (bytes([16 << 3]), 120),  # CELT 2.5 ms
        (bytes([31 << 3]), 960),  # CELT 20 ms
        (bytes([31 << 3 | 2]), 1920),
        (bytes([31 << 3 | 3, 6]), 5760),
        (bytes([16 << 3 | 3, 0x80 | 48]), 5760),
    ],
)
def test_packet_samples_when_the_toc_is_read_then_gives_the_length(packet, samples):
    assert opus.packet_samples(packet) == samples


@pytest.mark.parametrize("packet", [b"", b"\xfb", b"\xfb\x00", b"\xfb\x07"])
def test_packet_samples_when_impossible_then_is_malformed(packet):
    with pytest.raises(SourceMalformed):
        opus.packet_samples(packet)
