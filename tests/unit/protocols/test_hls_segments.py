"""Segments that are neither MPEG-TS nor fMP4: packed audio, and what cannot be recorded."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceError, SourceMalformed, SourceUnsupported
from everreel.media.access_unit import AccessUnit, Codec, SourceEvent, TrackFormat
from everreel.protocols.hls_segments import SegmentReader

OWNER = b"com.apple.streaming.transportStreamTimestamp\0"
FRAME = bytes(30)


def adts(payload: bytes) -> bytes:
    """AAC LC, 48 kHz, stereo, one frame, no CRC (ISO/IEC 13818-7 §6.2)."""
    size = len(payload) + 7
    return (
        bytes([0xFF, 0xF1, 0x4C, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC])
        + payload
    )


def packed(ticks: int, frames: bytes, owner: bytes = OWNER) -> bytes:
    body = owner + ticks.to_bytes(8, "big")
    frame = b"PRIV" + len(body).to_bytes(4, "big") + bytes(2) + body
    return b"ID3\x04\x00\x00" + bytes([0, 0, len(frame) >> 7, len(frame) & 0x7F]) + frame + frames


def read(reader: SegmentReader, segment: bytes) -> list[SourceEvent]:
    return [event for events in reader.read(segment, None) for event in events]


def test_read_when_audio_is_packed_then_frames_are_timed_from_its_tag():
    reader = SegmentReader()
    events = read(reader, packed(90_000, adts(FRAME) * 2))
    events += read(reader, packed(2**33 + 180_000, adts(FRAME)))
    formats = [event for event in events if isinstance(event, TrackFormat)]
    units = [event for event in events if isinstance(event, AccessUnit)]
    assert [(f.codec, f.timescale, f.sample_rate, f.channels) for f in formats] == [
        (Codec.AAC, 90_000, 48_000, 2)
    ]
    assert [unit.pts for unit in units] == [90_000, 91_920, 180_000]
    assert {unit.data for unit in units} == {FRAME}


@pytest.mark.parametrize(
    ("segment", "error"),
    [
        (adts(FRAME), SourceMalformed),
        (packed(0, adts(FRAME), owner=b"somebody.else\0"), SourceMalformed),
        (b"ID3", SourceMalformed),
        (packed(0, b"\xff\xfb\x90\x64" + bytes(100)), SourceUnsupported),
        (packed(0, b""), SourceUnsupported),
        (b"WEBVTT\n\n", SourceUnsupported),
        (b"\x00\x00\x00\x18stypmsdh" + bytes(12), SourceMalformed),
        (bytes(70_000), SourceMalformed),
    ],
)
def test_read_when_a_segment_cannot_be_recorded_then_the_error_says_so(segment, error):
    with pytest.raises(error):
        read(SegmentReader(), segment)


@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"ID3", b"\xff", b"\xff\xf1", b"G", packed(0, b"")]),
)
def test_read_when_a_segment_is_noise_then_only_source_errors_come(noise, head):
    reader = SegmentReader()
    with contextlib.suppress(SourceError):
        read(reader, head + noise)
    assert read(reader, packed(90_000, adts(FRAME)))
