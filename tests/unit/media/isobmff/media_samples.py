"""Formats and segments for tests of the containers."""

from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream import h264, opus
from everreel.media.segment import Sample, Segment

SPS = bytes.fromhex("6742c01ed900a02ff97011000003000100000300320f162e48")
OTHER_SPS = bytes.fromhex("6742c01fd900a02ff97011000003000100000300320f183248")
PPS = bytes.fromhex("68cb83cb20")
VIDEO = TrackFormat(Codec.H264, 90_000, 0, h264.avcc([SPS], [PPS]), width=640, height=360)
AAC = TrackFormat(Codec.AAC, 48_000, 0, bytes.fromhex("1190"), sample_rate=48_000, channels=2)
OPUS = TrackFormat(Codec.OPUS, 48_000, 0, opus.dops_for_channels(2), sample_rate=48_000, channels=2)
PICTURE = bytes.fromhex("00000002419a")
KEY_PICTURE = bytes.fromhex("000000026588")


def picture(pts_us, dts_us, *, key=False, data=None):
    """Make a video sample."""
    return Sample(Medium.VIDEO, pts_us, dts_us, key, data or (KEY_PICTURE if key else PICTURE))


def sound(pts_us, data=b"\xfc" + bytes(9)):
    """Make an audio sample; the default payload is 20 ms of Opus."""
    return Sample(Medium.AUDIO, pts_us, pts_us, True, data)


def segment(samples, formats=(VIDEO, AAC), *, k=0, next_pts_us=None, end_us=None):
    """Put samples into a segment."""
    by_medium = {m: [s for s in samples if s.medium is m] for m in Medium}
    start = min(s.pts_us for s in samples)
    end = end_us if end_us is not None else max(s.pts_us for s in samples) + 40_000
    return Segment(k, start, end, formats, by_medium, next_pts_us=next_pts_us or {})
