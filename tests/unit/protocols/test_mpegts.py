"""MPEG-TS: programmes, PES packets, units and their times."""

import hashlib
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everreel.errors import SourceEnded, SourceMalformed
from everreel.media import psi
from everreel.media.access_unit import AccessUnit, Codec, Medium, TrackFormat
from everreel.media.psi import PACKET, WRAP, ElementaryStream
from everreel.protocols.mpegts import MAX_UNSYNCED, MpegTs
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS_ZERO_LATENCY
from tests.unit.protocols.flv_bytes import cut, damaged, drive
from tests.unit.protocols.ts_bytes import (
    AUDIO,
    AUDIO_PID,
    SETS,
    START,
    VIDEO,
    VIDEO_PID,
    Mux,
    adts,
    pes,
    picture,
    prefixed,
    read,
    small_stream,
    units,
)

STREAMS = Path(__file__).parents[2] / "data" / "streams"
RECORDED = [
    "mpegts-ffmpeg-h264-aac.ts",
    "mpegts-ffmpeg-h264-opus.ts",
    "mpegts-ffmpeg-h265-aac.ts",
    "hls-nginx-h264-aac.ts",
]
SMALL = small_stream()


def formats(events):
    return [event for event in events if isinstance(event, TrackFormat)]


def video_only(*pes_packets: bytes) -> bytes:
    mux = Mux()
    return mux.tables(VIDEO) + b"".join(mux.packets(VIDEO_PID, data) for data in pes_packets)


# ---------------------------------------------------------------------- recorded streams


@pytest.mark.parametrize("size", [1, 187, 1448, 1 << 20])
@pytest.mark.parametrize("name", RECORDED)
def test_receive_when_a_recorded_stream_is_replayed_then_gives_every_unit_of_the_clip(name, size):
    data = (STREAMS / name).read_bytes()
    wanted = json.loads((STREAMS / f"{name}.json").read_text())["units"]
    parser = MpegTs()
    events, _ = drive(parser, [data[at : at + size] for at in range(0, len(data), size)])
    for medium in Medium:
        got = [
            (u.pts * 1_000_000 // 90_000, u.keyframe, hashlib.sha256(u.data).hexdigest()[:16])
            for u in units(events, medium)
        ]
        known = [
            (u["pts_us"], u["keyframe"], u["sha"]) for u in wanted if u["medium"] == medium.value
        ]
        assert [g[1:] for g in got] == [k[1:] for k in known]
        assert all(abs(g[0] - k[0]) <= 1 for g, k in zip(got, known, strict=True))
    assert (parser.counts.lost, parser.counts.damaged, parser.counts.unsynced) == (0, 0, 0)


def test_flush_when_the_stream_is_cut_into_hls_segments_then_loses_no_unit():
    name = "hls-nginx-h264-aac.ts"
    data = (STREAMS / name).read_bytes()
    sizes = json.loads((STREAMS / f"{name}.json").read_text())
    parts = next(
        value for key, value in sizes.items() if isinstance(value, list) and key != "units"
    )
    parser, events, at = MpegTs(), [], 0
    for size in parts:
        events += parser.receive(data[at : at + size]) + parser.flush()
        at += size
    assert at == len(data)
    assert len(units(events)) == len(sizes["units"])


def _pid(head: bytes) -> int:
    return int.from_bytes(head, "big") & 0x1FFF


@settings(max_examples=25)
@given(st.data())
def test_receive_when_one_packet_is_missing_then_drops_only_the_units_it_held_a_part_of(data):
    whole = (STREAMS / "mpegts-ffmpeg-h264-aac.ts").read_bytes()
    pids = [whole[at + 1 : at + 3] for at in range(0, len(whole), PACKET)]
    # Nothing tells of the last packet of a track: a picture ends where the next one begins.
    followed = [n for n in range(10, len(pids)) if _pid(pids[n]) in map(_pid, pids[n + 1 :])]
    at = data.draw(st.sampled_from(followed)) * PACKET
    kept = [(u.medium, u.pts, u.data) for u in units(read(whole[:at] + whole[at + PACKET :]))]
    full = [(u.medium, u.pts, u.data) for u in units(read(whole))]
    assert all(unit in full for unit in kept)
    # ffmpeg puts up to 16 packets' worth of audio frames into one PES packet.
    assert len(full) - 40 <= len(kept) <= len(full)


# ---------------------------------------------------------------------- formats and units


def test_receive_when_a_stream_begins_then_gives_each_format_before_its_first_unit():
    events = read(SMALL)
    audio, video = sorted(formats(events), key=lambda track: track.medium)
    assert (video.codec, video.timescale, video.wrap) == (Codec.H264, 90_000, 1 << 33)
    assert (video.width, video.height) == (318, 180)
    assert (audio.codec, audio.sample_rate, audio.channels) == (Codec.AAC, 48000, 2)
    assert events.index(video) < events.index(units(events, Medium.VIDEO)[0])
    assert events.index(audio) < events.index(units(events, Medium.AUDIO)[0])
    first = units(events, Medium.VIDEO)[0]
    assert first == AccessUnit(Medium.VIDEO, 9000, 7200, True, prefixed(b"\x01" * 340, True))
    assert [u.pts for u in units(events, Medium.AUDIO)][:4] == [9000, 10920, 12840, 14760]


@given(cut(SMALL))
def test_receive_when_the_input_is_cut_anywhere_then_gives_the_same_events(pieces):
    assert drive(MpegTs(), pieces) == (read(SMALL), "")


@given(st.integers(0, len(SMALL)))
def test_end_of_input_when_the_stream_is_truncated_then_gives_whole_units_only(size):
    given, full = units(drive(MpegTs(), [SMALL[:size]])[0]), units(read(SMALL))
    if size % 188 == 0 and given and given[-1] not in full:
        # A picture says nothing of its length: at a packet border its end cannot be told.
        *given, last = given
        assert any(unit.data[4:].startswith(last.data[4:]) for unit in full)
    assert all(unit in full for unit in given)


def test_receive_when_an_sps_changes_then_gives_the_new_format_before_the_unit():
    other = START + H264_SPS_ZERO_LATENCY + START + H264_PPS
    events = read(
        video_only(
            pes(picture(b"aa", True, SETS), 0),
            pes(picture(b"bb"), 3600),
            pes(picture(b"cc", True, SETS), 7200),
            pes(picture(b"dd", True, other), 10800),
        )
    )
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["TrackFormat", *["AccessUnit"] * 3, "TrackFormat", "AccessUnit"]
    assert formats(events)[1].width != formats(events)[0].width


def test_receive_when_units_come_before_parameter_sets_then_drops_them():
    events = read(video_only(pes(picture(b"aa"), 0), pes(picture(b"bb", True, SETS), 3600)))
    assert [unit.pts for unit in units(events)] == [3600]


def test_receive_when_a_pes_packet_holds_several_units_then_spreads_their_times():
    three = picture(b"a", True, SETS) + picture(b"b") + picture(b"c")
    events = read(video_only(pes(three, 9000, 0), pes(picture(b"d"), 19800, 10800)))
    assert [(u.pts, u.dts) for u in units(events)] == [
        (9000, 0),
        (12600, 3600),
        (16200, 7200),
        (19800, 10800),
    ]


def test_receive_when_a_unit_spans_pes_packets_then_joins_it():
    data = picture(b"x" * 500, True, SETS)
    follow = picture(b"next")
    events = read(video_only(pes(data[:200], 3600), pes(data[200:], None), pes(follow, 7200)))
    assert [(u.pts, u.data) for u in units(events)] == [
        (3600, prefixed(b"x" * 500, True)),
        (7200, prefixed(b"next")),
    ]


@given(st.integers(1, 60))
def test_receive_when_pes_packets_begin_inside_units_then_times_go_to_the_units_that_begin(at):
    one, two, three = picture(b"x" * 90, True, SETS), picture(b"y" * 90), picture(b"z" * 90)
    stream = one + two + three
    first, second = len(one) + at, len(one) + len(two) + at
    events = read(
        video_only(
            pes(stream[:at], 0), pes(stream[at:first], 3600), pes(stream[first:second], 7200),
            pes(stream[second:], 10800),
        )
    )  # fmt: skip
    assert [u.data for u in units(events)] == [
        prefixed(b"x" * 90, True), prefixed(b"y" * 90), prefixed(b"z" * 90),
    ]  # fmt: skip
    # A cut in the few bytes of start code and delimiter is ambiguous by nature.
    if at > 6:
        assert [u.pts for u in units(events)] == [0, 3600, 7200]


def test_receive_when_slices_of_a_picture_come_in_pes_packets_of_their_own_then_joins_them():
    first = START + b"\x65\x88one"
    more = START + b"\x65\x28two"
    events = read(
        video_only(pes(SETS + first, 0), pes(more, 0), pes(START + b"\x41\x88three", 3600))
    )
    assert [len(u.data) for u in units(events)] == [4 + 5 + 4 + 5, 4 + 7]


def test_receive_when_time_stamps_wrap_then_gives_them_below_the_modulus():
    near = WRAP - 3600
    events = read(
        video_only(
            pes(picture(b"a", True, SETS) + picture(b"b"), near, near - 3600),
            pes(picture(b"c"), 3600, 0),
        )
    )
    assert [(u.pts, u.dts) for u in units(events)] == [
        (near, near - 3600),
        (0, near),
        (3600, 0),
    ]


@given(st.integers(0, 12), st.integers(1, 40))
def test_receive_when_a_pes_packet_holds_many_aac_frames_then_rounding_never_adds_up(index, count):
    from everreel.media.bitstream.aac import SAMPLE_RATES

    mux = Mux()
    frames = b"".join(adts(bytes([n]) * 5, index) for n in range(count))
    events = read(mux.tables(AUDIO) + mux.packets(AUDIO_PID, pes(frames, WRAP - 100, sized=True)))
    rate = SAMPLE_RATES[index]
    got = [unit.pts for unit in units(events)]
    assert len(got) == count
    for n, pts in enumerate(got):
        exact = n * 1024 * 90_000 / rate
        assert abs((pts - (WRAP - 100)) % WRAP - exact) <= 0.5


def test_receive_when_an_aac_frame_spans_pes_packets_then_times_go_to_the_frames_that_begin():
    mux = Mux()
    one, two, three = adts(b"1" * 50), adts(b"2" * 50), adts(b"3" * 50)
    stream = one + two + three
    data = mux.tables(AUDIO)
    data += mux.packets(AUDIO_PID, pes(stream[:80], 1000, sized=True))
    data += mux.packets(AUDIO_PID, pes(stream[80:], 5000, sized=True))
    assert [(u.pts, u.data) for u in units(read(data))] == [
        (1000, b"1" * 50), (2920, b"2" * 50), (5000, b"3" * 50),
    ]  # fmt: skip


def test_receive_when_opus_packets_share_a_pes_packet_then_gives_each_its_time():
    stream = ElementaryStream(psi.PRIVATE, AUDIO_PID, psi.opus_descriptors(2))
    mux = Mux()
    packet = b"\xfc" + b"o" * 299  # 20 ms
    trimmed = b"\x7f\xf0\xff\x2d\x00\x78" + packet
    plain = b"\x7f\xe0\xff\x2d" + packet
    data = mux.tables(stream) + mux.packets(AUDIO_PID, pes(trimmed + plain, 900, sized=True))
    events = read(data)
    assert formats(events)[0].codec is Codec.OPUS
    assert [(u.pts, u.data) for u in units(events)] == [(900, packet), (2700, packet)]


# ---------------------------------------------------------------------- damage


def test_receive_when_bytes_are_inserted_then_finds_the_packets_again():
    parser = MpegTs()
    at = 12 * PACKET
    events = parser.receive(SMALL[:at] + b"noise \x47 noise" * 20 + SMALL[at:])
    events += parser.end_of_input()
    assert parser.counts.unsynced == 20 * 13
    assert units(events) == units(read(SMALL))


def test_receive_when_a_packet_comes_twice_then_takes_it_once():
    at = 3 * PACKET
    twice = SMALL[: at + PACKET] + SMALL[at : at + PACKET] + SMALL[at + PACKET :]
    assert read(twice) == read(SMALL)


def test_receive_when_a_discontinuity_is_announced_then_nothing_counts_as_lost():
    mux = Mux()
    data = mux.tables(VIDEO) + mux.packets(VIDEO_PID, pes(picture(b"a", True, SETS), 0))
    mux.counters[VIDEO_PID] = 9
    packet = bytearray(mux.packets(VIDEO_PID, pes(picture(b"b"), 3600)))
    packet[5] |= 0x80
    parser = MpegTs()
    events = parser.receive(data + bytes(packet)) + parser.end_of_input()
    assert (len(units(events)), parser.counts.lost) == (2, 0)


def test_receive_when_the_counter_jumps_then_drops_the_unit_with_the_hole():
    mux = Mux()
    data = mux.tables(VIDEO)
    long = mux.packets(VIDEO_PID, pes(picture(b"L" * 1000, True, SETS), 0))
    data += long[: 2 * PACKET] + long[3 * PACKET :]
    data += mux.packets(VIDEO_PID, pes(picture(b"b", True, SETS), 3600))
    parser = MpegTs()
    events = parser.receive(data) + parser.end_of_input()
    assert [u.pts for u in units(events)] == [3600]
    assert (parser.counts.lost, parser.counts.damaged) == (1, 1)


def test_receive_when_it_is_no_transport_stream_then_says_so():
    with pytest.raises(SourceMalformed, match="no MPEG-TS"):
        MpegTs().receive(b"<html>" * (MAX_UNSYNCED // 6 + 100))


def test_end_of_input_when_nothing_was_delivered_then_says_so_and_stays_ended():
    with pytest.raises(SourceMalformed):
        MpegTs().end_of_input()
    parser = MpegTs()
    parser.receive(SMALL)
    parser.end_of_input()
    with pytest.raises(SourceEnded):
        parser.receive(b"")


@given(damaged(SMALL), st.integers(1, 400))
def test_receive_when_bytes_are_damaged_then_gives_events_or_a_source_error(data, size):
    drive(MpegTs(), [data[at : at + size] for at in range(0, len(data), size)])


@given(st.lists(st.tuples(st.sampled_from([0, 0x40, 0x50, 0x51]), st.binary(max_size=400))))
def test_receive_when_payloads_are_arbitrary_then_gives_events_or_a_source_error(payloads):
    mux = Mux()
    data = mux.tables(VIDEO, AUDIO)
    for pid, payload in payloads:
        data += mux.packets(pid, payload)
    drive(MpegTs(), [data])


@pytest.mark.parametrize("kind", ["one endless PES packet", "PES packets without units"])
def test_receive_when_no_unit_ever_ends_then_memory_stays_bounded(kind):
    mux = Mux()
    parser = MpegTs()
    parser.receive(mux.tables(VIDEO))
    endless = kind.startswith("one")
    parser.receive(mux.packets(VIDEO_PID, pes(picture(b"a", True, SETS), 0)))
    tracemalloc.start()
    for _ in range(400):
        chunk = mux.packets(VIDEO_PID, pes(START + b"\x65\x28" + b"x" * 60_000, 0))
        if endless:
            packets = [chunk[at : at + PACKET] for at in range(PACKET, len(chunk) - PACKET, PACKET)]
            mux.counters[VIDEO_PID] = (packets[-1][3] + 1) & 15
            chunk = b"".join(packets)
        parser.receive(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
