"""Writes FLV: the header, and one tag for each access unit.

Source: Adobe Flash Video File Format 10.1, Annex E.
"""

from dataclasses import dataclass

from everreel.protocols import amf

HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
"""The file header, for video and audio, and the size of the tag before the first: none."""

_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18
_AVC, _AAC = 7, 0xAF
_CONFIG, _UNIT = 0, 1


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag ready to be sent.

    Attributes:
        body: the whole tag, its size repeated at the end.
        keyframe: a picture from which decoding can start.
    """

    body: bytes
    keyframe: bool = False


def _tag(kind: int, stamp_ms: int, payload: bytes, *, keyframe: bool = False) -> Tag:
    """Put a payload into a tag; the time's upper byte comes after the lower three."""
    stamp = (stamp_ms & 0xFFFFFF) << 8 | stamp_ms >> 24 & 0xFF
    head = bytes([kind]) + len(payload).to_bytes(3, "big") + stamp.to_bytes(4, "big") + bytes(3)
    return Tag(head + payload + (len(payload) + 11).to_bytes(4, "big"), keyframe)


def video_config(avcc: bytes) -> Tag:
    """Write the decoder configuration of H.264."""
    return _tag(_VIDEO, 0, bytes([1 << 4 | _AVC, _CONFIG, 0, 0, 0]) + avcc)


def audio_config(config: bytes) -> Tag:
    """Write the AudioSpecificConfig of AAC."""
    return _tag(_AUDIO, 0, bytes([_AAC, _CONFIG]) + config)


def video(dts_ms: int, pts_ms: int, data: bytes, *, keyframe: bool) -> Tag:
    """Write a picture: NAL units with 4-byte lengths."""
    kind = (1 if keyframe else 2) << 4 | _AVC
    offset = (pts_ms - dts_ms).to_bytes(3, "big", signed=True)
    return _tag(_VIDEO, dts_ms, bytes([kind, _UNIT]) + offset + data, keyframe=keyframe)


def audio(stamp_ms: int, data: bytes) -> Tag:
    """Write a raw AAC frame."""
    return _tag(_AUDIO, stamp_ms, bytes([_AAC, _UNIT]) + data)


def metadata(width: int, height: int, fps: int, sample_rate: int) -> Tag:
    """Write what players show before the first picture."""
    facts: amf.AmfValue = {
        "width": width,
        "height": height,
        "framerate": fps,
        "videocodecid": _AVC,
        "audiocodecid": _AAC >> 4,
        "audiosamplerate": sample_rate,
        "stereo": True,
        "encoder": "everreel demo",
    }
    return _tag(_SCRIPT, 0, amf.encode("onMetaData", facts))
