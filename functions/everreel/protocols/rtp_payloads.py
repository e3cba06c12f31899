"""Picks the depacketiser of an RTP payload format."""

from everreel.errors import SourceUnsupported
from everreel.media.access_unit import Codec
from everreel.protocols.rtp import Depacketiser, RtpCounts
from everreel.protocols.rtp_audio import AacDepacketiser, OpusDepacketiser
from everreel.protocols.rtp_video import VideoDepacketiser
from everreel.protocols.sdp import PayloadFormat


def depacketiser(payload: PayloadFormat, counts: RtpCounts) -> Depacketiser:
    """Make the depacketiser of a format.

    Raises: SourceUnsupported naming the format if it cannot be recorded, SourceMalformed if its
        parameters are unusable.
    """
    match payload.encoding:
        case "H264":
            return VideoDepacketiser(Codec.H264, payload, counts)
        case "H265":
            return VideoDepacketiser(Codec.H265, payload, counts)
        case "MPEG4-GENERIC":
            return AacDepacketiser(payload, counts)
        case "OPUS":
            return OpusDepacketiser(payload, counts)
    raise SourceUnsupported(f"{payload.encoding} cannot be recorded by copy")
