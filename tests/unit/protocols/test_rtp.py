"""RTP: order, loss, senders, and the payloads of the copy path."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceError, SourceMalformed, SourceUnsupported
from everreel.media.access_unit import AccessUnit, ClockReference, Codec, Medium, TrackFormat
from everreel.protocols.rtp import RtpCounts
from everreel.protocols.rtp_payloads import depacketiser
from everreel.protocols.sdp import PayloadFormat
from tests.unit.media.bitstream.samples import (
    H264_PPS,
    H264_SPS,
    H264_SPS_ZERO_LATENCY,
    H265_PPS,
    H265_SPS,
    H265_VPS,
)
from tests.unit.protocols.rtp_bytes import (
    AAC,
    H264,
    H265,
    OPUS,
    SSRC,
    aac_payload,
    feed,
    format_of,
    fragments_h264,
    fragments_h265,
    receiver,
    rtp,
    sender_report,
    unit,
    units,
)

IDR, SLICE = b"\x65\x88key" * 9, b"\x41\x88p" * 9
IDR_265, SLICE_265 = b"\x26\x01\x80" + b"key" * 9, b"\x02\x01\x80" + b"p" * 9


def pictures(count: int, start: int = 0) -> list[bytes]:
    """A keyframe every fifth picture, one packet each."""
    return [
        rtp(start + n, 3600 * n, (SLICE if n % 5 else IDR) + bytes([n]), marker=True)
        for n in range(count)
    ]


# ---------------------------------------------------------------------- H.264


def test_begin_when_the_description_has_parameter_sets_then_gives_the_format():
    track = format_of(receiver(H264))
    assert (track.codec, track.timescale, track.wrap) == (Codec.H264, 90_000, 1 << 32)
    assert (track.width, track.height) == (318, 180)


def test_receive_when_pictures_come_whole_then_gives_units_without_decode_times():
    target = receiver(H264)
    target.begin()
    events = feed(target, rtp(1, 9000, IDR, marker=True), rtp(2, 5400, SLICE, marker=True))
    assert events == [
        AccessUnit(Medium.VIDEO, 9000, None, True, unit(IDR)),
        AccessUnit(Medium.VIDEO, 5400, None, False, unit(SLICE)),
    ]


@given(st.integers(1, 60))
def test_receive_when_a_nal_unit_is_fragmented_then_joins_it(size):
    target = receiver(H264)
    parts = fragments_h264(IDR, size)
    packets = [rtp(n, 0, part, marker=n == len(parts) - 1) for n, part in enumerate(parts)]
    assert [u.data for u in units(feed(target, *packets))] == [unit(IDR)]


def test_receive_when_sets_come_aggregated_and_changed_then_gives_the_new_format_first():
    target = receiver(H264)
    target.begin()
    nals = (b"\x09\xf0", H264_SPS_ZERO_LATENCY, H264_PPS)
    stap = b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
    events = feed(target, rtp(1, 0, stap), rtp(2, 0, IDR, marker=True))
    assert isinstance(events[0], TrackFormat)
    assert [u.data for u in units(events)] == [unit(IDR)]


def test_receive_when_there_is_no_marker_then_the_next_time_stamp_ends_a_unit():
    target = receiver(H264)
    events = feed(target, rtp(1, 0, IDR), rtp(2, 0, IDR), rtp(3, 3600, SLICE), rtp(4, 7200, SLICE))
    assert [u.data for u in units(events)] == [unit(IDR, IDR), unit(SLICE)]


def test_receive_when_every_slice_has_a_marker_then_learns_to_wait_for_the_time_stamp():
    target = receiver(H264)
    more = b"\x65\x28more"
    packets = [
        rtp(2 * n + k, 3600 * n, nal, marker=True)
        for n in range(4)
        for k, nal in enumerate((IDR, more))
    ]
    events = units(feed(target, *packets))
    # The first picture is known too late; the one it belongs to is given up.
    assert [u.data for u in events[1:]] == [unit(IDR, more)] * 2
    assert target.counts.damaged == 1


def test_receive_when_it_starts_within_a_group_then_waits_for_the_keyframe():
    target = receiver(H264)
    events = feed(target, *pictures(12)[2:])
    assert units(events)[0].pts == 5 * 3600
    assert target.counts.skipped == 3


def test_receive_when_it_starts_within_a_keyframe_of_slices_then_that_is_not_whole():
    target = receiver(H264)
    more = b"\x65\x28more"
    packets = [rtp(1, 0, more, marker=True), rtp(2, 3600, IDR), rtp(3, 3600, more, marker=True)]
    assert [u.data for u in units(feed(target, *packets))] == [unit(IDR, more)]
    assert target.counts.damaged == 1


def test_receive_when_a_packet_is_lost_then_drops_the_unit_and_waits_for_a_keyframe():
    target = receiver(H264, window=2)
    stream = pictures(16)
    events = feed(target, *stream[:7], *stream[8:])
    assert [u.pts // 3600 for u in units(events)] == [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15]
    assert (target.counts.lost, target.counts.damaged) == (1, 1)


def test_receive_when_a_keyframe_follows_a_loss_whole_then_it_is_kept():
    target = receiver(H264, window=0)
    stap = b"\x78" + len(H264_SPS).to_bytes(2, "big") + H264_SPS
    packets = [rtp(0, 0, IDR, marker=True), rtp(2, 7200, stap), rtp(3, 7200, IDR, marker=True)]
    assert [u.pts for u in units(feed(target, *packets))] == [0, 7200]


@pytest.mark.parametrize("hole", [0, 1, 2])
def test_receive_when_a_fragment_is_lost_then_no_broken_unit_comes_out(hole):
    target = receiver(H264, window=0)
    parts = fragments_h264(IDR, 20)
    packets = [rtp(n, 0, part, marker=n == len(parts) - 1) for n, part in enumerate(parts)]
    tail = [rtp(len(parts) + n, 3600 * (n + 1), IDR, marker=True) for n in range(2)]
    events = feed(
        target, rtp(-1, 90, IDR, marker=True), *packets[:hole], *packets[hole + 1 :], *tail
    )
    assert {u.data for u in units(events)} == {unit(IDR)}
    assert 0 not in [u.pts for u in units(events)]


@given(st.permutations(range(12)))
def test_receive_when_packets_are_disordered_within_the_window_then_nothing_changes(order):
    ordered = feed(receiver(H264), *pictures(14))
    stream = pictures(14)
    target = receiver(H264)
    shuffled = [stream[0], *(stream[1 + n] for n in order), stream[13], stream[4]]
    assert feed(target, *shuffled) == ordered
    assert (target.counts.lost, target.counts.late) == (0, 1)


def test_receive_when_numbers_and_times_wrap_then_units_go_on():
    target = receiver(H264)
    packets = [
        rtp(0xFFFE + n, 0xFFFFF000 + 3600 * n, SLICE if n else IDR, marker=True) for n in range(5)
    ]
    events = units(feed(target, *packets))
    assert [u.pts for u in events] == [(0xFFFFF000 + 3600 * n) % (1 << 32) for n in range(5)]


def test_receive_when_the_sender_changes_then_waits_for_its_keyframe():
    target = receiver(H264)
    feed(target, *pictures(3))
    again = [rtp(40_000 + n, n, SLICE if n < 2 else IDR, marker=True, ssrc=77) for n in range(3)]
    assert [u.pts for u in units(feed(target, *again))] == [0, 1, 2][2:]
    assert target.counts.restarts == 1


def test_receive_when_a_packet_has_extension_sources_and_padding_then_finds_the_payload():
    packet = bytearray(rtp(1, 0, b"", marker=True))
    packet[0] |= 0x20 | 0x10 | 2
    packet += bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + IDR + b"\x00\x00\x03"
    assert [u.data for u in units(receiver(H264).receive(bytes(packet)))] == [unit(IDR)]


@pytest.mark.parametrize("kind", [25, 26, 27, 29])
def test_receive_when_packets_are_interleaved_then_says_it_cannot(kind):
    with pytest.raises(SourceUnsupported):
        receiver(H264).receive(rtp(1, 0, bytes([kind]) + b"abcdef"))


def test_begin_when_sprop_is_garbage_then_waits_for_sets_in_band():
    garbled = PayloadFormat(96, "H264", 90_000, 1, {"sprop-parameter-sets": "Z00=,!!,aO4="})
    target = receiver(garbled)
    assert target.begin() == []
    packets = [rtp(n, 0, nal) for n, nal in enumerate((H264_SPS, H264_PPS))]
    events = feed(target, *packets, rtp(2, 0, IDR, marker=True))
    assert [type(event).__name__ for event in events] == ["TrackFormat", "AccessUnit"]


# ---------------------------------------------------------------------- H.265


@given(st.integers(1, 40))
def test_receive_when_h265_is_fragmented_then_joins_it(size):
    target = receiver(H265)
    parts = fragments_h265(IDR_265, size)
    packets = [rtp(n, 0, part, marker=n == len(parts) - 1) for n, part in enumerate(parts)]
    events = units(feed(target, *packets))
    assert [(u.keyframe, u.data) for u in events] == [(True, unit(IDR_265))]


def test_receive_when_h265_is_aggregated_then_takes_it_apart():
    target = receiver(PayloadFormat(96, "H265", 90_000))
    nals = (H265_VPS, H265_SPS, H265_PPS, IDR_265)
    packet = b"\x60\x01" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
    events = feed(target, rtp(1, 0, packet, marker=True), rtp(2, 1, SLICE_265, marker=True))
    assert events[0].codec is Codec.H265
    assert [u.data for u in units(events)] == [unit(IDR_265), unit(SLICE_265)]


# ---------------------------------------------------------------------- AAC and Opus


def test_receive_when_a_packet_holds_several_aac_frames_then_each_has_its_time():
    target = receiver(AAC)
    track = format_of(target)
    assert (track.timescale, track.sample_rate, track.channels) == (48_000, 48_000, 2)
    packet = rtp(1, 0xFFFFFF00, aac_payload(b"one", b"two", b"three"), marker=True, kind=97)
    assert [(u.pts, u.data, u.keyframe) for u in units(target.receive(packet))] == [
        (0xFFFFFF00, b"one", True), (768, b"two", True), (1792, b"three", True),
    ]  # fmt: skip


def test_receive_when_aac_indexes_skip_then_times_skip_too():
    packet = rtp(1, 0, aac_payload(b"one", b"two", deltas=(0, 2)), kind=97)
    assert [u.pts for u in units(receiver(AAC).receive(packet))] == [0, 3 * 1024]


def test_receive_when_an_aac_frame_is_fragmented_then_joins_it():
    frame = bytes(range(200)) * 10
    head = b"\x00\x10" + (len(frame) << 3).to_bytes(2, "big")
    target = receiver(AAC)
    parts = [frame[at : at + 900] for at in range(0, len(frame), 900)]
    packets = [rtp(n, 5, head + part, kind=97, marker=n == 2) for n, part in enumerate(parts)]
    assert [(u.pts, u.data) for u in units(feed(target, *packets))] == [(5, frame)]
    cut_off = [rtp(3 + n, 7, head + part, kind=97) for n, part in enumerate(parts[:2])]
    after = units(feed(target, *cut_off, rtp(5, 9, aac_payload(b"x"), kind=97)))
    assert [(u.pts, u.data) for u in after] == [(9, b"x")]
    assert target.counts.damaged == 1


def test_receive_when_sbr_makes_the_clock_run_twice_as_fast_then_frames_last_2048_ticks():
    said = {**AAC.parameters, "config": "2b118800"}  # core 24 kHz, output 48 kHz
    target = receiver(PayloadFormat(97, "MPEG4-GENERIC", 48_000, 2, said))
    events = units(target.receive(rtp(1, 0, aac_payload(b"a", b"b"), kind=97)))
    assert [u.pts for u in events] == [0, 2048]


def test_receive_when_opus_comes_then_each_packet_is_a_unit():
    target = receiver(OPUS)
    track = format_of(target)
    assert (track.codec, track.timescale, track.channels) == (Codec.OPUS, 48_000, 2)
    packets = [
        rtp(1, 0, b"\xfcone", kind=98),
        rtp(2, 960, b"", kind=98),
        rtp(3, 1920, b"\xfct", kind=98),
    ]
    assert [(u.pts, u.data) for u in units(feed(target, *packets))] == [
        (0, b"\xfcone"), (1920, b"\xfct"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["MP4A-LATM", "PCMU", "VP8", "JPEG"])
def test_depacketiser_when_the_codec_is_another_then_names_it(name):
    with pytest.raises(SourceUnsupported, match=name):
        depacketiser(PayloadFormat(96, name, 90_000), RtpCounts())


@pytest.mark.parametrize(
    "said", [{}, {"config": "zz"}, {"config": "1190", "sizelength": "many"}, {"sizelength": "13"}]
)
def test_depacketiser_when_aac_parameters_are_unusable_then_says_so(said):
    with pytest.raises((SourceMalformed, SourceUnsupported), match="fmtp"):
        depacketiser(PayloadFormat(97, "MPEG4-GENERIC", 48_000, 2, said), RtpCounts())


# ---------------------------------------------------------------------- clocks and reports


def test_control_when_a_sender_report_comes_then_gives_its_instant():
    target = receiver(H264)
    ntp = (3_900_000_000 << 32) + (1 << 31)
    compound = sender_report(1234, ntp) + bytes([0x81, 202, 0, 1]) + bytes(4)
    assert target.control(compound, 0.0) == (1234, 3_900_000_000_500_000)
    assert target.control(b"\x81\xc9\x00\x01" + bytes(4), 0.0) is None
    feed(target, *pictures(1))
    assert target.control(sender_report(1, ntp, ssrc=SSRC + 1), 0.0) is None


def test_reference_when_the_format_is_not_known_then_comes_right_after_it():
    target = receiver(PayloadFormat(96, "H264", 90_000))
    assert target.begin() == []
    assert target.reference(55, 66) == []
    packets = [rtp(n, 0, nal) for n, nal in enumerate((H264_SPS, H264_PPS))]
    events = feed(target, *packets, rtp(2, 0, IDR, marker=True))
    assert events[1] == ClockReference(Medium.VIDEO, 55, 66)
    assert isinstance(events[2], AccessUnit)


def test_report_when_packets_were_lost_then_says_how_many():
    target = receiver(H264, window=0)
    assert target.report(9, 0.0) == b""
    stream = pictures(10)
    feed(target, *stream[:4], *stream[6:])
    target.control(sender_report(0, 0x1122_3344_5566_7788), 10.0)
    report = target.report(9, 12.5)
    assert report[:8] == bytes([0x81, 201, 0, 7, 0, 0, 0, 9])
    assert report[8:12] == SSRC.to_bytes(4, "big")
    assert report[12] == 256 * 2 // 10
    assert int.from_bytes(report[13:16], "big") == 2
    assert int.from_bytes(report[16:20], "big") == 9
    assert report[24:28] == bytes.fromhex("33445566")
    assert int.from_bytes(report[28:32], "big") == int(2.5 * 65536)
    assert report[33] == 202
    assert len(report) % 4 == 0
    assert target.report(9, 13.0)[12] == 0


# ---------------------------------------------------------------------- hostile senders


@given(
    st.sampled_from([H264, H265, AAC, OPUS]),
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.binary(max_size=60), st.booleans())
    ),
)
def test_receive_when_payloads_are_arbitrary_then_gives_events_or_a_source_error(payload, packets):
    target = receiver(payload, window=4)
    try:
        for sequence, ticks, data, marker in packets:
            kind = payload.payload_type
            for event in target.receive(rtp(sequence, ticks, data, marker=marker, kind=kind)):
                assert not isinstance(event, AccessUnit) or event.data
    except SourceError:
        return


@given(st.binary(max_size=80))
def test_receive_when_packets_are_arbitrary_then_gives_events_or_a_source_error(data):
    target = receiver(H264)
    try:
        target.receive(data)
        target.receive(b"\xb0\xe0" + data)
        target.control(data, 0.0)
        target.control(b"\x80\xc8" + data, 0.0)
    except SourceError:
        return


def test_receive_when_a_unit_never_ends_then_memory_stays_bounded():
    target = receiver(H264)
    tracemalloc.start()
    for n in range(20_000):
        target.receive(
            rtp(n, 0, b"\x7c\x85" + b"x" * 1400 if n == 0 else b"\x7c\x05" + b"x" * 1400)
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
