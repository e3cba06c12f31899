"""The whole MP4: tables that say what the fragments said, gaps kept, flat memory for a day."""

import dataclasses
import struct
import time
import tracemalloc
from itertools import accumulate

import pytest

from everreel.errors import ServiceFault
from everreel.media.access_unit import Medium
from everreel.media.bitstream import h264, nal
from everreel.media.isobmff.boxes import child, require, walk
from everreel.media.isobmff.fragment import head_size, media_segment
from everreel.media.isobmff.progressive import Mp4Plan, Part
from everreel.media.segment import TrackRange
from tests.unit.media.isobmff.media_samples import (
    AAC,
    KEY_PICTURE,
    OTHER_SPS,
    PICTURE,
    PPS,
    SPS,
    VIDEO,
    picture,
    segment,
    sound,
)

AAC_44100 = dataclasses.replace(AAC, config=bytes.fromhex("1210"), sample_rate=44_100)
OTHER = dataclasses.replace(VIDEO, config=h264.avcc([OTHER_SPS], [PPS]), width=1280, height=720)


def heads(packaged, formats):
    by_medium = {f.medium: f for f in formats}
    return [
        Part(
            by_medium[Medium(place.medium)],
            place,
            packaged.body[place.offset : place.offset + head_size(place)],
        )
        for place in packaged.tracks
    ]


def build(segments):
    """Plan and write a file from segments."""
    plan = Mp4Plan([f for s in segments for f in s.formats])
    bodies = []
    for one in segments:
        packaged = media_segment(one)
        bodies.append(packaged.body)
        plan.add(heads(packaged, one.formats))
    header = b"".join(plan.header())
    assert len(header) == plan.header_size
    payload = [
        p.prefix + bodies[p.segment][p.offset : p.offset + p.length] for p in plan.payloads()
    ]
    assert sum(map(len, payload)) == plan.payload_size
    return header + b"".join(payload)


def read(data):
    """Read back per track: timescale, edits, and (dts, pts, sync, entry, payload) per sample."""
    _, moov, mdat = walk(data)
    assert mdat.end == len(data)
    tracks: dict[Medium, tuple[list, list, int]] = {}
    for trak in walk(data, moov.body, moov.end):
        if trak.kind != b"trak":
            continue
        mdia = require(data, trak, b"mdia")
        stbl = require(data, require(data, mdia, b"minf"), b"stbl")

        def entries(kind, layout, skip=8, stbl=stbl):
            place = child(data, stbl, kind)
            return place and list(struct.iter_unpack(layout, data[place.body + skip : place.end]))

        durations = [d for count, d in entries(b"stts", ">II") for _ in range(count)]
        sizes = [size for (size,) in entries(b"stsz", ">I", 12)]
        offsets = [c for count, c in entries(b"ctts", ">II") or [] for _ in range(count)]
        sync = entries(b"stss", ">I")
        chunks = entries(b"stco", ">I") or entries(b"co64", ">Q")
        to_chunk = entries(b"stsc", ">III")
        assert len(durations) == len(sizes)
        places: list[bytes] = []
        kinds: list[int] = []
        for number, (offset,) in enumerate(chunks, 1):
            _, count, kind = [row for row in to_chunk if row[0] <= number][-1]
            own = sizes[len(places) : len(places) + count]
            starts = accumulate(own, initial=offset)
            places += [data[at : at + size] for at, size in zip(starts, own, strict=False)]
            kinds += [kind] * count
        elst = require(data, require(data, trak, b"edts"), b"elst")
        edits = list(struct.iter_unpack(">QqHH", data[elst.body + 8 : elst.end]))
        media_time = edits[-1][1]
        times = list(accumulate(durations, initial=0))
        tracks[Medium.VIDEO if len(tracks) == 0 else Medium.AUDIO] = (
            [
                (
                    dts,
                    dts + (offsets[i] if offsets else 0) - media_time,
                    sync is None or (i + 1,) in sync,
                    kinds[i],
                    places[i],
                )
                for i, dts in enumerate(times[:-1])
            ],
            edits,
            times[-1],
        )
    return tracks


def gop(at_us, k, *, formats=(VIDEO, AAC), next_us=None, audio_at=0):
    """Make a segment of three reordered pictures, 40 ms each, and six frames of audio."""
    samples = [
        picture(at_us, at_us - 80_000, key=True),
        picture(at_us + 80_000, at_us - 40_000),
        picture(at_us + 40_000, at_us),
        *(sound(at_us + audio_at + i * 64_000 // 3) for i in range(6)),
    ]
    following = {} if next_us is None else {Medium.VIDEO: next_us, Medium.AUDIO: next_us}
    return segment(samples, formats, k=k, next_pts_us=following)


def test_file_of_two_segments_then_samples_are_those_of_the_fragments():
    tracks = read(build([gop(0, 0, next_us=120_000), gop(120_000, 1)]))
    video, edits, total = tracks[Medium.VIDEO]
    assert [pts for _, pts, *_ in video] == [0, 7200, 3600, 10_800, 18_000, 14_400]
    assert [dts for dts, *_ in video] == [0, 1800, 3600, 10_800, 12_600, 14_400]
    assert [sync for _, _, sync, *_ in video] == [True, False, False] * 2
    assert [data for *_, data in video] == [s.data for s in gop(0, 0).samples[Medium.VIDEO]] * 2
    assert (edits, total) == ([(21_600, 0, 1, 0)], 21_600)
    audio, edits, _ = tracks[Medium.AUDIO]
    assert [pts for _, pts, *_ in audio][:3] == [0, 1024, 2048]
    assert edits[0][1] == 0


def test_file_with_a_gap_then_the_sample_before_it_lasts_through_it():
    video, _, total = read(build([gop(0, 0), gop(10_000_000, 1)]))[Medium.VIDEO]
    assert [pts for _, pts, *_ in video] == [0, 7200, 3600, 900_000, 907_200, 903_600]
    assert total == 900_000 + 3 * 3600


def test_file_whose_recording_starts_late_then_it_starts_at_zero():
    tracks = read(build([gop(7_000_000, 3)]))
    assert [len(edits) for _, edits, _ in tracks.values()] == [1, 1]
    assert [samples[0][1] for samples, *_ in tracks.values()] == [0, 0]


def test_file_whose_audio_starts_later_then_an_empty_edit_says_so():
    edits = read(build([gop(0, 0, audio_at=11_000)]))[Medium.AUDIO][1]
    assert edits[0] == (990, -1, 1, 0)


def test_file_of_two_sizes_then_each_has_its_sample_entry():
    video, *_ = read(build([gop(0, 0), gop(200_000, 1, formats=(OTHER, AAC)), gop(400_000, 2)]))[
        Medium.VIDEO
    ]
    assert [kind for *_, kind, _ in video] == [1, 1, 1, 2, 2, 2, 1, 1, 1]
    keys = [data for _, _, sync, _, data in video if sync]
    assert [nal.split_length_prefixed(data) for data in keys] == [
        [sps, PPS, KEY_PICTURE[4:]] for sps in (SPS, OTHER_SPS, SPS)
    ]
    others = {data for _, _, sync, _, data in video if not sync}
    assert others == {PICTURE}


def test_file_of_two_sample_rates_then_times_are_those_of_the_timeline():
    audio, *_ = read(
        build([gop(0, 0, formats=(VIDEO, AAC_44100)), gop(6_000_000, 1), gop(12_000_000, 2)])
    )[Medium.AUDIO]
    assert [pts for _, pts, *_ in audio][6::6] == [288_000, 576_000]


def test_file_when_segments_overlap_then_times_go_on_from_the_next_one():
    first = gop(0, 0)
    first.samples[Medium.VIDEO].append(picture(500_000, 500_000))
    video, *_ = read(build([first, gop(400_000, 1), gop(800_000, 2)]))[Medium.VIDEO]
    dts = [sample[0] for sample in video]
    assert dts == sorted(set(dts))
    assert [pts for _, pts, *_ in video][4:] == [
        36_000, 43_200, 39_600, 72_000, 79_200, 75_600,
    ]  # fmt: skip


def test_file_of_audio_alone_then_has_one_track():
    only = segment([sound(i * 64_000 // 3) for i in range(9)], (AAC,))
    data = build([only])
    _, moov, _ = walk(data)
    assert [b.kind for b in walk(data, moov.body, moov.end)] == [b"mvhd", b"trak"]


def test_plan_of_nothing_then_service_fault():
    with pytest.raises(ServiceFault):
        b"".join(Mp4Plan([VIDEO]).header())


@pytest.mark.parametrize("damage", ["short", "units", "length", "bytes"])
def test_head_that_is_not_what_the_row_says_then_service_fault(damage):
    packaged = media_segment(gop(0, 0))
    part = heads(packaged, (VIDEO, AAC))[0]
    place = part.place
    if damage == "units":
        place = dataclasses.replace(place, units=place.units - 1)
    if damage == "length":
        place = dataclasses.replace(place, length=place.length + 1)
    head = {"short": part.head[:-1], "bytes": bytes(len(part.head))}.get(damage, part.head)
    with pytest.raises(ServiceFault):
        Mp4Plan([VIDEO]).add([Part(VIDEO, place, head)])


def test_plan_beyond_4_gib_then_offsets_have_64_bits():
    packaged = media_segment(gop(0, 0))
    parts = heads(packaged, (VIDEO, AAC))
    plan = Mp4Plan([VIDEO, AAC])
    big = _with_size(parts[0], 2**31)
    for _ in range(3):
        plan.add([big, parts[1]])
    header = b"".join(plan.header())
    assert len(header) == plan.header_size
    assert b"co64" in header
    assert header.endswith(struct.pack(">I4sQ", 1, b"mdat", plan.payload_size + 16))
    at = header.index(b"co64") + 12
    first, second, _ = struct.unpack_from(">3Q", header, at)
    assert first == len(header)
    assert second - first == plan.payload_size // 3


def _with_size(part, size):
    """Make the first sample of a head say another size."""
    head = bytearray(part.head)
    (old,) = struct.unpack_from(">I", head, 92 + 4)
    struct.pack_into(">I", head, 92 + 4, size)
    place = dataclasses.replace(part.place, length=part.place.length + size - old)
    return Part(part.format, place, bytes(head))


def test_plan_of_hours_then_memory_and_time_stay_in_proportion():
    """Segments of 6 s at 30 pictures a second; a whole day is 6.6 million samples."""
    samples = [
        picture(i * 33_333 + (0 if i == 0 else (66_667, 0, -33_333)[i % 3]), i * 33_333, key=not i)
        for i in range(180)
    ]
    samples += [sound(i * 64_000 // 3) for i in range(281)]
    one = segment(samples, next_pts_us={Medium.VIDEO: 6_000_000, Medium.AUDIO: 6_000_000})
    parts = heads(media_segment(one), one.formats)
    hours = 1
    plan = Mp4Plan(one.formats)
    tracemalloc.start()
    began = time.process_time()
    for k in range(hours * 600):
        plan.add([_at(part, k * 6) for part in parts])
    planned = tracemalloc.get_traced_memory()[0]
    written = sum(map(len, plan.header()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    count = hours * 600 * 461
    assert written == plan.header_size
    assert planned < 16 * count
    assert peak - planned < 3_000_000
    assert (time.process_time() - began) / count < 20e-6


def _at(part, seconds):
    """Move a head to another time."""
    head = bytearray(part.head)
    scale = 90_000 if part.format is VIDEO else 48_000
    struct.pack_into(">Q", head, 64, seconds * scale)
    return Part(part.format, part.place, bytes(head))


def test_head_size_of_a_range_then_is_where_its_payload_begins():
    packaged = media_segment(gop(0, 0))
    for place in packaged.tracks:
        moof, mdat = walk(packaged.body, place.offset, place.offset + place.length)
        assert mdat.body == place.offset + head_size(place)
        assert moof.start == place.offset
    assert isinstance(place, TrackRange)
