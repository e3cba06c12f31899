"""Telling from the first bytes what an HTTP body carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceUnsupported
from everreel.protocols.sniff import SNIFF_BYTES, Carried, carried

PACKET = b"\x47" + bytes(187)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"FLV\x01\x05", Carried.FLV),
        (b"#EXTM3U\n", Carried.HLS),
        (b"\xef\xbb\xbf#EXTM3U\n", Carried.HLS),
        (PACKET * 4, Carried.TS),
        (bytes(100) + PACKET * 4, Carried.TS),
    ],
)
def test_carried_when_it_can_be_recorded_then_says_what_it_is(head, kind):
    assert carried(head, complete=False) is kind


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"ID3\x04", "MP3"),
        (b"RIFF\x00\x00\x00\x00WAVE", "WAV"),
        (b"\x00\x00\x00\x18ftypisom", "MP4"),
        (b"OggS", "Ogg"),
        (b"\x1a\x45\xdf\xa3", "WebM"),
        (b"\xff\xfb\x90\x64" + bytes(SNIFF_BYTES), "audio only"),
        (b"<!DOCTYPE html>" + bytes(SNIFF_BYTES), "web page"),
        (b"<?xml?>\n<MPD xmlns>" + bytes(SNIFF_BYTES), "DASH"),
        (b'{"error":1}' + bytes(SNIFF_BYTES), "JSON"),
        (bytes(SNIFF_BYTES), "neither"),
    ],
)
def test_carried_when_it_is_no_live_stream_then_says_what_it_is_instead(head, what):
    with pytest.raises(SourceUnsupported, match=what):
        carried(head, complete=False)


def test_carried_when_too_little_arrived_then_asks_for_more_unless_it_is_all():
    for head in (b"", b"F", b"#EXT", PACKET * 2, b"<html>"):
        assert carried(head, complete=False) is None
        with pytest.raises(SourceUnsupported):
            carried(head, complete=True)


@given(st.binary(max_size=1000), st.booleans())
def test_carried_when_the_bytes_are_noise_then_it_answers_or_refuses(head, complete):
    try:
        kind = carried(head, complete=complete)
    except SourceUnsupported:
        return
    assert kind is not None or (not complete and len(head) < SNIFF_BYTES)
