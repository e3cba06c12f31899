"""FLV tags, tracks and HTTP-FLV."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import (
    SourceEnded,
    SourceMalformed,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import AccessUnit, Codec, Medium, TrackFormat
from everreel.media.bitstream import h264
from everreel.protocols.flv import FlvTags, FlvTracks, HttpFlv
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS, H264_SPS_ZERO_LATENCY
from tests.unit.protocols.flv_bytes import (
    AAC_HEADER,
    ASC,
    AUDIO,
    AVC_HEADER,
    AVCC,
    DATA,
    FLV_HEADER,
    HVCC,
    IDR,
    OPUS_HEAD,
    SLICE,
    STREAM,
    VIDEO,
    aac,
    avc,
    cut,
    damaged,
    drive,
    flv_stream,
    flv_tag,
    unit,
)


def feed(*tags):
    tracks = FlvTracks()
    return [event for tag in tags for event in tracks.tag(*tag)]


def units(events):
    return [event for event in events if isinstance(event, AccessUnit)]


def formats(events):
    return [event for event in events if isinstance(event, TrackFormat)]


def test_receive_when_a_whole_stream_comes_then_gives_formats_and_units_in_order():
    events, end = drive(HttpFlv(), [flv_stream()])
    video = TrackFormat(Codec.H264, 1000, 1 << 32, AVCC, width=318, height=180)
    audio = TrackFormat(Codec.AAC, 1000, 1 << 32, ASC, sample_rate=48000, channels=2)
    assert events == [
        video,
        AccessUnit(Medium.VIDEO, 80, 0, True, unit(IDR)),
        audio,
        AccessUnit(Medium.AUDIO, 5, 5, True, b"one"),
        AccessUnit(Medium.VIDEO, 0, 40, False, unit(SLICE * 60)),
        AccessUnit(Medium.AUDIO, 28, 28, True, b"two" * 70),
        AccessUnit(Medium.VIDEO, 0x1000000, 0x1000000, True, unit(IDR)),
    ]
    assert end == "SourceEnded"


@given(cut(flv_stream()))
def test_receive_when_the_stream_is_cut_anywhere_then_gives_the_same_events(pieces):
    assert drive(HttpFlv(), pieces) == drive(HttpFlv(), [flv_stream()])


@given(st.data())
def test_receive_when_bytes_are_damaged_then_every_cut_gives_the_same_end(data):
    stream = data.draw(damaged(flv_stream()))
    assert drive(HttpFlv(), data.draw(cut(stream))) == drive(HttpFlv(), [stream])


@given(st.binary(max_size=400))
def test_receive_when_bytes_are_random_then_never_fails_otherwise(noise):
    drive(HttpFlv(), [noise])
    drive(HttpFlv(), [FLV_HEADER + noise])
    drive(HttpFlv(), [flv_stream(STREAM[:5]) + noise])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"<!DOCTYPE html>", "web page"),
        (b"#EXTM3U\n", "playlist"),
        (b"ID3\x03", "MP3"),
        (b"\xff\xfb\x90", "MP3"),
        (b"\x47\x40\x00", "transport stream"),
        (b'{"code":404}', "JSON"),
    ],
)
def test_receive_when_the_body_is_another_format_then_is_unsupported_by_name(body, name):
    with pytest.raises(SourceUnsupported, match=name):
        HttpFlv().receive(body)


def test_receive_when_the_body_is_something_else_then_is_malformed():
    with pytest.raises(SourceMalformed, match="not FLV"):
        HttpFlv().receive(b"hello")


def test_receive_when_the_header_is_huge_then_is_malformed():
    with pytest.raises(SourceMalformed):
        HttpFlv().receive(b"FLV\x01\x05\x7f\xff\xff\xff")


def test_receive_when_the_stream_is_encrypted_then_is_unsupported():
    with pytest.raises(SourceUnsupported, match="encrypted"):
        HttpFlv().receive(FLV_HEADER + flv_tag(VIDEO | 0x20, 0, b"x"))


def test_receive_when_an_error_follows_media_then_media_come_first():
    parser = HttpFlv()
    assert parser.receive(flv_stream() + flv_tag(3, 0, b"x"))
    with pytest.raises(SourceMalformed, match="type 3"):
        parser.receive(b"")


def test_receive_when_a_huge_tag_trickles_in_then_holds_one_tag():
    parser = HttpFlv()
    parser.receive(FLV_HEADER + b"\x12\xff\xff\xff" + bytes(7))
    piece = bytes(1 << 16)
    tracemalloc.start()
    for _ in range(255):
        parser.receive(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 << 20


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"", SourceMalformed), (b"FLV", SourceMalformed), (FLV_HEADER, SourceUnreachable)],
)
def test_end_of_input_when_nothing_was_delivered_then_says_so(body, error):
    parser = HttpFlv()
    parser.receive(body)
    with pytest.raises(error):
        parser.end_of_input()


def test_end_of_input_when_media_came_then_the_stream_ended():
    parser = HttpFlv()
    parser.receive(flv_stream())
    with pytest.raises(SourceEnded):
        parser.end_of_input()


def test_http_flv_when_asked_to_speak_then_is_silent():
    parser = HttpFlv()
    parser.tick(1.0)
    assert parser.data_to_send() == b""


def test_tags_when_timestamps_exceed_24_bits_then_have_32():
    data = FLV_HEADER + flv_tag(VIDEO, 0xFEDCBA98, b"ab")
    assert list(FlvTags().receive(data)) == [(VIDEO, 0xFEDCBA98, b"ab")]


def test_tag_when_units_precede_their_header_then_drops_them():
    events = feed(
        (VIDEO, 0, avc(IDR)),
        (AUDIO, 0, aac(b"early")),
        (VIDEO, 40, AVC_HEADER),
        (VIDEO, 40, avc(SLICE, key=False)),
        (AUDIO, 41, AAC_HEADER),
        (AUDIO, 42, aac(b"late")),
    )
    assert [event.dts for event in units(events)] == [40, 42]


def test_tag_when_a_header_repeats_then_is_no_change():
    events = feed((VIDEO, 0, AVC_HEADER), (VIDEO, 9, AVC_HEADER), (AUDIO, 9, AAC_HEADER)) + feed()
    assert len(formats(events)) == 2


def test_tag_when_a_header_changes_then_gives_the_new_format():
    other = h264.avcc([H264_SPS_ZERO_LATENCY], [H264_PPS])
    events = feed((VIDEO, 0, AVC_HEADER), (VIDEO, 9, AVC_HEADER[:5] + other))
    assert [event.width for event in formats(events)] == [318, 1920]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_tag_when_lengths_are_shorter_then_makes_them_four_bytes(size):
    config = bytearray(AVCC)
    config[4] = 0xFC | size - 1
    frame = b"\x17\x01\0\0\0" + len(IDR).to_bytes(size, "big") + IDR
    events = feed((VIDEO, 0, AVC_HEADER[:5] + bytes(config)), (VIDEO, 0, frame))
    assert formats(events)[0].config == AVCC
    assert units(events)[0].data == unit(IDR)


def test_tag_when_parameter_sets_change_in_band_then_the_format_precedes_the_unit():
    frame = avc(H264_SPS_ZERO_LATENCY, H264_PPS, IDR)
    events = feed(
        (VIDEO, 0, AVC_HEADER), (VIDEO, 1, avc(H264_SPS, H264_PPS, IDR)), (VIDEO, 2, frame)
    )
    assert [type(event) for event in events] == [TrackFormat, AccessUnit, TrackFormat, AccessUnit]
    assert events[-1].data == unit(IDR)


def test_tag_when_the_header_is_empty_of_sets_then_waits_for_them_in_band():
    empty = b"\x01\x4d\x40\x0c\xff\xe0\x00"
    events = feed(
        (VIDEO, 0, AVC_HEADER[:5] + empty),
        (VIDEO, 0, avc(SLICE)),
        (VIDEO, 40, avc(H264_SPS, H264_PPS, IDR)),
    )
    assert [type(event) for event in events] == [TrackFormat, AccessUnit]
    assert events[0].config == AVCC


def test_tag_when_the_composition_time_passes_zero_then_wraps():
    events = feed((VIDEO, 0, AVC_HEADER), (VIDEO, 10, avc(IDR, offset=-30)))
    assert units(events)[0].pts == (1 << 32) - 20


@pytest.mark.parametrize(
    "header",
    [b"\x1c\x00\x00\x00\x00" + HVCC, b"\x90hvc1" + HVCC],
)
@pytest.mark.parametrize(
    ("head", "pts"),
    [(b"\x1c\x01\x00\x00\x07", 17), (b"\x91hvc1\x00\x00\x07", 17), (b"\x93hvc1", 10)],
)
def test_tag_when_hevc_comes_either_way_then_is_read(header, head, pts):
    picture = b"\x26\x01idr"
    events = feed((VIDEO, 0, header), (VIDEO, 10, head + unit(picture)))
    assert formats(events)[0].codec is Codec.H265
    assert units(events) == [AccessUnit(Medium.VIDEO, pts, 10, True, unit(picture))]


def test_tag_when_avc_comes_enhanced_then_is_read():
    events = feed((VIDEO, 0, b"\x90avc1" + AVCC), (VIDEO, 5, b"\x91avc1\x00\x00\x01" + unit(IDR)))
    assert units(events) == [AccessUnit(Medium.VIDEO, 6, 5, True, unit(IDR))]


def test_tag_when_opus_and_aac_come_enhanced_then_are_read():
    opus = feed((AUDIO, 0, b"\x90Opus" + OPUS_HEAD), (AUDIO, 20, b"\x91Opus\xf8abc"))
    assert formats(opus)[0].config.hex() == "000201380000bb80000000"
    assert units(opus)[0].data == b"\xf8abc"
    plain = feed((AUDIO, 0, b"\x90mp4a" + ASC), (AUDIO, 20, b"\x91mp4aabc"))
    assert (formats(plain)[0].codec, units(plain)[0].data) == (Codec.AAC, b"abc")


def test_tag_when_a_modifier_precedes_then_is_passed_over():
    modified = b"\x97\x02\x00\x00\x07\x03hvc1"
    long = b"\x97\xff\x01\x00" + bytes(257) + b"\x03hvc1"
    for head in (modified, long):
        events = feed((VIDEO, 0, b"\x90hvc1" + HVCC), (VIDEO, 1, head + unit(b"\x26\x01x")))
        assert len(units(events)) == 1


@pytest.mark.parametrize("tag", [(VIDEO, 0, b"\x96\x00hvc1"), (AUDIO, 0, b"\x95\x00Opus")])
def test_tag_when_it_is_multitrack_then_is_unsupported(tag):
    with pytest.raises(SourceUnsupported, match="multitrack"):
        feed(tag)


@pytest.mark.parametrize(
    "tag", [(VIDEO, 0, b"\x97\xff"), (VIDEO, 0, b"\x90hv"), (AUDIO, 0, b"\x97\x09")]
)
def test_tag_when_an_enhanced_head_is_cut_then_is_malformed(tag):
    with pytest.raises(SourceMalformed):
        feed(tag)


@pytest.mark.parametrize(
    ("kind", "payload", "name"),
    [
        (VIDEO, b"\x12\x00", "Sorenson"),
        (VIDEO, b"\x14\x00", "VP6"),
        (VIDEO, b"\x1f\x00", "codec id 15"),
        (VIDEO, b"\x90av01", "av01"),
        (VIDEO, b"\x90\xff\xff\xff\xff", "video codec"),
        (AUDIO, b"\xb2\x00", "Speex"),
        (AUDIO, b"\x2f\x00", "MP3"),
        (AUDIO, b"\x7f\x00", "A-law"),
        (AUDIO, b"\xdf\x00", "format 13"),
        (AUDIO, b"\x90fLaC", "fLaC"),
    ],
)
def test_tag_when_the_codec_is_unknown_then_is_unsupported_by_name(kind, payload, name):
    with pytest.raises(SourceUnsupported, match=name):
        feed((kind, 0, payload))


@pytest.mark.parametrize(
    "tag",
    [
        (AUDIO, 0, b""),
        (VIDEO, 0, b"\x17"),
        (AUDIO, 0, b"\xaf\x00"),
        (AUDIO, 0, b"\xaf\x01"),
        (VIDEO, 0, b"\x17\x00\x00\x00\x00"),
        (VIDEO, 0, b"\x17\x01\x00"),
        (VIDEO, 0, b"\x17\x02\x00\x00\x00"),
        (VIDEO, 0, b"\x57\x00"),
        (VIDEO, 0, b"\xd0\x00"),
        (DATA, 0, b"\x02\x00\x0aonMetaData"),
    ],
)
def test_tag_when_it_is_empty_or_a_note_then_gives_nothing(tag):
    assert feed((VIDEO, 0, AVC_HEADER), (AUDIO, 0, AAC_HEADER), tag)[2:] == []


def test_tag_when_a_picture_is_framed_wrongly_then_is_malformed():
    with pytest.raises(SourceMalformed):
        feed((VIDEO, 0, AVC_HEADER), (VIDEO, 0, b"\x17\x01\0\0\0\0\0\xff\xffabc"))


@given(st.lists(st.tuples(st.sampled_from([AUDIO, VIDEO]), st.just(0), st.binary(max_size=60))))
def test_tag_when_payloads_are_random_then_gives_units_that_are_never_empty(tags):
    try:
        events = feed((VIDEO, 0, AVC_HEADER), (AUDIO, 0, AAC_HEADER), *tags)
    except (SourceUnsupported, SourceMalformed):
        return
    assert all(event.data for event in units(events))
