"""Makes the picture that stands for a recording."""

import io

import av

from everreel.errors import SourceUnsupported

WIDEST = 1280
"""Pixels; a poster is shown small."""

QUALITY = 85

LARGEST = 8192 * 4320
"""Pixels of a picture that is decoded: three bytes of each, and the codec's own copies of it."""


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
            video = container.streams.video[0]
            if video.width * video.height > LARGEST:
                raise SourceUnsupported(f"{video.width} x {video.height} is too large to decode")
            frame = next(container.decode(video), None)
            if frame is None:
                raise SourceUnsupported("the first segment holds no picture that decodes")
            image = frame.to_image()  # type: ignore[no-untyped-call]
    except av.FFmpegError as error:
        raise SourceUnsupported(f"the first picture does not decode: {error.strerror}") from error
    target = io.BytesIO()
    try:
        image.thumbnail((WIDEST, WIDEST))
        image.save(target, "JPEG", quality=QUALITY)
    except (OSError, ValueError) as error:
        raise SourceUnsupported(f"the first picture cannot be written: {error}") from error
    return target.getvalue()
