"""MPEG-TS segments: what is written is what is read back, and segments follow each other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everreel.errors import SourceUnsupported
from everreel.media import psi
from everreel.media.access_unit import AccessUnit, Codec, Medium
from everreel.media.bitstream import describe, h264, h265, opus
from everreel.media.psi import PACKET, WRAP
from everreel.media.segment import Sample, Segment
from everreel.media.ts_writer import AUDIO_PID, OFFSET_US, VIDEO_PID, ticks, write_segment
from everreel.protocols.mpegts import MpegTs
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS, H265_PPS, H265_SPS, H265_VPS

H264 = describe.track_format(Codec.H264, h264.avcc([H264_SPS], [H264_PPS]), 90_000, 1 << 33)
H265 = describe.track_format(
    Codec.H265, h265.hvcc([H265_VPS], [H265_SPS], [H265_PPS]), 90_000, 1 << 33
)
AAC = describe.track_format(Codec.AAC, bytes.fromhex("1190"), 90_000, 1 << 33)
OPUS = describe.track_format(Codec.OPUS, opus.dops_for_channels(2), 90_000, 1 << 33)


def unit(*nals: bytes) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


def video(count: int = 4, start_us: int = 0, sizes=(700, 20)) -> list[Sample]:
    samples = []
    for index in range(count):
        size = sizes[min(index, len(sizes) - 1)]
        nal = (b"\x65\x88" if index == 0 else b"\x41\x88") + bytes([index + 1]) * size
        pts, dts = start_us + 40_000 * index, start_us + 40_000 * (index - 1)
        samples.append(Sample(Medium.VIDEO, pts, dts, index == 0, unit(nal)))
    return samples


def audio(count: int = 7, start_us: int = 0, step_us: int = 21_333, size: int = 90) -> list[Sample]:
    times = [start_us + step_us * n for n in range(count)]
    return [Sample(Medium.AUDIO, t, t, True, bytes([n + 1]) * size) for n, t in enumerate(times)]


def segment(formats, samples, start_us: int = 0) -> Segment:
    by_medium = {
        track.medium: [s for s in samples if s.medium is track.medium] for track in formats
    }
    return Segment(0, start_us, start_us + 6_000_000, tuple(formats), by_medium)


def read(data: bytes) -> list[AccessUnit]:
    parser = MpegTs()
    events = parser.receive(data) + parser.end_of_input()
    assert (parser.counts.lost, parser.counts.damaged, parser.counts.unsynced) == (0, 0, 0)
    return [event for event in events if isinstance(event, AccessUnit)]


def packets(data: bytes) -> list[bytes]:
    assert len(data) % PACKET == 0
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def pid(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


@pytest.mark.parametrize("formats", [(H264, AAC), (H264,), (AAC,), (OPUS,), (H264, OPUS)])
def test_write_segment_when_it_is_read_back_then_every_unit_is_there(formats):
    samples = video() + audio(step_us=20_000 if formats[-1] is OPUS else 21_333)
    if formats[-1] is OPUS:
        for sample in samples:
            if sample.medium is Medium.AUDIO:
                sample.data = b"\xfc" + sample.data
    kept = [s for s in samples if s.medium in {track.medium for track in formats}]
    units = read(write_segment(segment(formats, kept)))
    key = lambda u: (u.medium, u.dts)  # noqa: E731
    assert sorted(units, key=key) == sorted(
        (AccessUnit(s.medium, ticks(s.pts_us), ticks(s.dts_us), s.keyframe, s.data) for s in kept),
        key=key,
    )


def test_write_segment_when_video_is_h265_then_every_unit_is_there():
    samples = video()
    for index, sample in enumerate(samples):
        sample.data = unit(bytes([0x26 if index == 0 else 0x02, 1, 0x80]) + b"slice%d" % index)
    units = read(write_segment(segment([H265], samples)))
    assert [(u.keyframe, u.data) for u in units] == [(s.keyframe, s.data) for s in samples]


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 1200), min_size=1, max_size=8),
    st.lists(st.integers(1, 700), max_size=40),
)
def test_write_segment_when_sizes_are_any_then_counters_end_where_the_next_segment_begins(
    pictures, frames
):
    samples = video(len(pictures), sizes=pictures)
    samples += [s for n, size in enumerate(frames) for s in audio(1, 21_333 * n, size=size)]
    data = write_segment(segment([H264, AAC], samples))
    units = read(data)
    assert len(units) == len(samples)
    counters: dict[int, int] = {}
    for packet in packets(data + data):
        assert packet[0] == 0x47
        if packet[3] & 0x10:
            assert packet[3] & 15 == counters.get(pid(packet), 0)
            counters[pid(packet)] = (packet[3] + 1) & 15
    assert set(counters.values()) == {0}


def test_write_segment_when_it_begins_then_tables_come_first_and_the_clock_is_on_the_video():
    rows = packets(write_segment(segment([H264, AAC], video() + audio())))
    assert [pid(row) for row in rows[:3]] == [psi.PAT_PID, 0x1000, VIDEO_PID]
    size = rows[1][7] & 15
    table = psi.parse_pmt(rows[1][5 : 8 + (size << 8 | rows[1][7 + 0])][: 3 + rows[1][7]])
    assert table.pcr_pid == VIDEO_PID
    assert [(s.stream_type, s.pid) for s in table.streams] == [
        (psi.H264, VIDEO_PID), (psi.AAC_ADTS, AUDIO_PID),
    ]  # fmt: skip
    first = rows[2]
    assert first[5] == 0x50  # random access, PCR
    pcr = int.from_bytes(first[6:12], "big") >> 15
    assert 0 < pcr < ticks(-40_000)


def test_write_segment_when_there_is_no_video_then_the_clock_is_on_the_audio():
    rows = packets(write_segment(segment([AAC], audio())))
    assert pid(rows[2]) == AUDIO_PID
    assert rows[2][5] & 0x10


def test_write_segment_when_it_does_not_begin_with_a_keyframe_then_has_parameter_sets():
    samples = video()[1:]
    data = write_segment(segment([H264], samples))
    assert H264_SPS in data
    assert len(read(data)) == 3


def test_write_segment_when_audio_has_a_gap_then_times_are_kept():
    samples = audio(3) + audio(3, 500_000)
    units = read(write_segment(segment([AAC], samples)))
    assert [u.pts for u in units] == [ticks(s.pts_us) for s in samples]


def test_write_segment_when_time_is_beyond_the_wrap_then_times_wrap():
    late = (WRAP * 100 // 9) - OFFSET_US
    samples = video(4, late) + audio(4, late)
    units = read(write_segment(segment([H264, AAC], samples, late)))
    assert len(units) == 8
    assert {u.pts for u in units} == {ticks(s.pts_us) % WRAP for s in samples}


def test_write_segment_when_called_twice_then_gives_the_same_bytes():
    one = write_segment(segment([H264, AAC], video() + audio()))
    assert one == write_segment(segment([H264, AAC], video() + audio()))


def test_write_segment_when_adts_cannot_say_the_configuration_then_is_refused():
    odd = describe.track_format(Codec.AAC, bytes.fromhex("1194"), 90_000, 0)
    with pytest.raises(SourceUnsupported, match="fMP4"):
        write_segment(segment([odd], audio()))


@given(st.binary(max_size=300))
def test_crc_when_it_is_appended_then_the_whole_has_none(data):
    assert psi.crc(data + psi.crc(data).to_bytes(4, "big")) == 0


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.booleans()), max_size=20))
def test_section_reader_when_payloads_are_arbitrary_then_gives_only_whole_sections(payloads):
    reader = psi.SectionReader()
    for payload, starts in payloads:
        for section in reader.read(payload, starts):
            assert psi.crc(section) == 0
