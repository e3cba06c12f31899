"""Answers the questions a container or a playlist asks of any codec."""

from everreel.errors import SourceMalformed
from everreel.media.access_unit import Codec, TrackFormat
from everreel.media.bitstream import aac, h264, h265, opus


def track_format(codec: Codec, config: bytes, timescale: int, wrap: int) -> TrackFormat:
    """Describe a track by its decoder configuration (see `TrackFormat.config`).

    Raises: SourceMalformed if the configuration cannot be read.
    """
    if codec is Codec.H264:
        sps_list = h264.read_avcc(config)[0]
        if not sps_list:
            raise SourceMalformed("avcC holds no SPS")
        avc = h264.parse_sps(sps_list[0])
        return TrackFormat(codec, timescale, wrap, config, width=avc.width, height=avc.height)
    if codec is Codec.H265:
        sps_list = h265.read_hvcc(config)[1]
        if not sps_list:
            raise SourceMalformed("hvcC holds no SPS")
        hevc = h265.parse_sps(sps_list[0])
        return TrackFormat(codec, timescale, wrap, config, width=hevc.width, height=hevc.height)
    if codec is Codec.AAC:
        sound = aac.parse_config(config)
        rate, channels = sound.sample_rate, sound.channels
    else:
        rate, channels = opus.SAMPLE_RATE, opus.parse_dops(config).channels
    return TrackFormat(codec, timescale, wrap, config, sample_rate=rate, channels=channels)


def codec_string(track: TrackFormat) -> str:
    """Name a track's codec as HLS and DASH do in CODECS. Source: RFC 6381 §3."""
    match track.codec:
        case Codec.H264:
            return h264.codec_string(track.config)
        case Codec.H265:
            return h265.codec_string(track.config)
        case Codec.AAC:
            return aac.codec_string(track.config)
        case Codec.OPUS:
            return "opus"


def reorder_frames(track: TrackFormat) -> int | None:
    """Tell how many pictures a video track may hold back before output; None if it does not say.

    Raises: SourceMalformed if the configuration cannot be read.
    """
    if track.codec is Codec.H264:
        return h264.parse_sps(h264.read_avcc(track.config)[0][0]).reorder_frames
    if track.codec is Codec.H265:
        return h265.parse_sps(h265.read_hvcc(track.config)[1][0]).reorder_frames
    return 0


def frame_samples(track: TrackFormat, data: bytes) -> int:
    """Tell how long an audio frame plays. Units: samples at `track.sample_rate`.

    Raises: SourceMalformed for an Opus packet that cannot be read.
    """
    if track.codec is Codec.OPUS:
        return opus.packet_samples(data)
    return aac.parse_config(track.config).frame_samples


def frame_duration_ticks(track: TrackFormat, data: bytes) -> int:
    """Tell how long an audio frame plays. Units: ticks of `track.timescale`, rounded."""
    rate = track.sample_rate
    return (frame_samples(track, data) * track.timescale + rate // 2) // rate
