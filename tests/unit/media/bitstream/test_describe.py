"""What containers and playlists ask of any codec."""

import pytest

from everreel.errors import SourceMalformed
from everreel.media.access_unit import Codec
from everreel.media.bitstream import describe, h264, h265, opus
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS, H265_PPS, H265_SPS, H265_VPS

AVC = h264.avcc([H264_SPS], [H264_PPS])
HEVC = h265.hvcc([H265_VPS], [H265_SPS], [H265_PPS])
AAC = bytes.fromhex("1210")
OPUS = opus.dops_for_channels(2)


@pytest.mark.parametrize(
    ("codec", "config", "shape", "name"),
    [
        (Codec.H264, AVC, (318, 180, 0, 0), "avc1.4D400C"),
        (Codec.H265, HEVC, (318, 182, 0, 0), "hvc1.1.6.L60.90"),
        (Codec.AAC, AAC, (0, 0, 44100, 2), "mp4a.40.2"),
        (Codec.OPUS, OPUS, (0, 0, 48000, 2), "opus"),
    ],
)
def test_track_format_when_made_from_a_config_then_describes_the_track(codec, config, shape, name):
    track = describe.track_format(codec, config, 1000, 1 << 32)
    assert (track.width, track.height, track.sample_rate, track.channels) == shape
    assert (track.timescale, track.wrap, track.config) == (1000, 1 << 32, config)
    assert describe.codec_string(track) == name


@pytest.mark.parametrize(
    ("codec", "config"),
    [
        (Codec.H264, b"\x01\x4d\x40\x0c\xff\xe0\x00"),
        (Codec.H265, HEVC[:22] + b"\x00"),
        (Codec.AAC, b""),
        (Codec.OPUS, b""),
    ],
)
def test_track_format_when_the_config_says_nothing_then_is_malformed(codec, config):
    with pytest.raises(SourceMalformed):
        describe.track_format(codec, config, 1000, 0)


def test_reorder_frames_when_the_stream_says_it_then_gives_it():
    for codec, config in ((Codec.H264, AVC), (Codec.H265, HEVC)):
        assert describe.reorder_frames(describe.track_format(codec, config, 90000, 0)) == 2
    assert describe.reorder_frames(describe.track_format(Codec.AAC, AAC, 90000, 0)) == 0


def test_frame_samples_when_audio_then_counts_at_the_track_rate():
    assert describe.frame_samples(describe.track_format(Codec.AAC, AAC, 1, 0), b"x") == 1024
    assert describe.frame_samples(describe.track_format(Codec.OPUS, OPUS, 1, 0), b"\xf8") == 960


def test_frame_duration_ticks_when_the_timescale_differs_then_rounds():
    track = describe.track_format(Codec.AAC, AAC, 1000, 0)
    assert describe.frame_duration_ticks(track, b"x") == 23
