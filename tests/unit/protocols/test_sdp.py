"""Session descriptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceError, SourceMalformed
from everreel.protocols import sdp

CAMERA = b"""v=0\r
o=- 1 1 IN IP4 10.0.0.9\r
s=camera\r
t=0 0\r
a=control:*\r
m=video 0 RTP/AVP 96 26\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z00=,aO4=;profile-level-id=4D001F\r
a=control:trackID=1\r
m=audio 0 RTP/AVP 97 0 98\r
a=rtpmap:97 mpeg4-generic/48000/2\r
a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1190;SizeLength=13;IndexLength=3\r
a=control:rtsp://10.0.0.9/live/trackID=2\r
m=application 0 RTP/AVP 107\r
"""


def test_parse_when_a_camera_describes_itself_then_gives_media_formats_and_controls():
    session = sdp.parse(CAMERA)
    video, audio, other = session.media
    assert session.control == "*"
    assert (video.kind, video.protocol, video.control) == ("video", "RTP/AVP", "trackID=1")
    h264, jpeg = video.formats
    assert (h264.payload_type, h264.encoding, h264.clock_rate) == (96, "H264", 90_000)
    assert h264.parameters["sprop-parameter-sets"] == "Z00=,aO4="
    assert jpeg == sdp.PayloadFormat(26, "JPEG", 90_000)
    aac, pcmu = audio.formats
    assert (aac.encoding, aac.clock_rate, aac.channels) == ("MPEG4-GENERIC", 48_000, 2)
    assert (aac.parameters["sizelength"], aac.parameters["config"]) == ("13", "1190")
    assert pcmu.encoding == "PCMU"
    assert other.formats == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"v=0\r\nm=video\r\n", b"v=0\r\n" + b"m=video 0 RTP/AVP 96\r\n" * 70,
     b"v=0\r\n" + b"a=x\r\n" * 20_000],
)  # fmt: skip
def test_parse_when_it_is_no_usable_description_then_says_so(data):
    with pytest.raises(SourceMalformed):
        sdp.parse(data)


@given(st.binary(max_size=600))
def test_parse_when_lines_are_arbitrary_then_gives_a_description_or_a_source_error(data):
    for text in (data, b"v=0\r\nm=video 0 RTP/AVP 96\r\n" + data, CAMERA + b"a=fmtp:" + data):
        try:
            sdp.parse(text)
        except SourceError:
            continue
