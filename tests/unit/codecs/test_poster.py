"""The poster: a small JPEG of the first picture, or a reason that a seal can write down."""

import io

import av
import pytest

from everreel.codecs import poster
from everreel.errors import SourceUnsupported
from tests.contract.source_server import HLS_TS


def test_poster_of_a_segment_then_a_jpeg_no_wider_than_it_may_be(monkeypatch):
    monkeypatch.setattr(poster, "WIDEST", 160)
    with av.open(io.BytesIO(poster.poster(HLS_TS.read_bytes()))) as picture:
        stream = picture.streams.video[0]
        assert stream.codec_context.name == "mjpeg"
        assert max(stream.width, stream.height) == 160


@pytest.mark.parametrize("media", [b"", b"garbage" * 1000, HLS_TS.read_bytes()[: 188 * 3]])
def test_poster_when_nothing_decodes_then_it_is_unsupported(media):
    with pytest.raises(SourceUnsupported):
        poster.poster(media)


def test_poster_when_the_picture_is_huge_then_it_is_not_decoded(monkeypatch):
    monkeypatch.setattr(poster, "LARGEST", 100)
    with pytest.raises(SourceUnsupported, match="too large"):
        poster.poster(HLS_TS.read_bytes())


def test_poster_when_it_cannot_be_written_then_it_is_unsupported(monkeypatch):
    monkeypatch.setattr(poster, "QUALITY", "no number")
    with pytest.raises(SourceUnsupported, match="cannot be written"):
        poster.poster(HLS_TS.read_bytes())
