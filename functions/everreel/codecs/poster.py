"""Makes the picture that stands for a recording."""

import io

import av

from everreel.errors import SourceUnsupported

WIDEST = 1280
"""Pixels; a poster is shown small."""

QUALITY = 85


def poster(media: bytes) -> bytes:
    """Decode the first picture of a media file and return it as JPEG.

    Args:
        media: an init segment with a segment after it, or an MPEG-TS segment.

    Raises:
        SourceUnsupported: no picture could be decoded.
    """
    try:
        with av.open(io.BytesIO(media), "r") as container:
            if not container.streams.video:
                raise SourceUnsupported("the recording has no pictures")
            frame = next(container.decode(container.streams.video[0]), None)
            if frame is None:
                raise SourceUnsupported("the first segment holds no picture that decodes")
            image = frame.to_image()  # type: ignore[no-untyped-call]
    except av.FFmpegError as error:
        raise SourceUnsupported(f"the first picture does not decode: {error.strerror}") from error
    image.thumbnail((WIDEST, WIDEST))
    target = io.BytesIO()
    image.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()
