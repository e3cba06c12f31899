"""What is left of a video access unit once its parameter sets and delimiters are taken out."""

from dataclasses import dataclass


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
