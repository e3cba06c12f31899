"""Writes one segment of the recording as an MPEG-2 transport stream.

A segment is a pure function of its content, so two recorders write the same bytes. Every packet id
starts counting at 0 and sends a multiple of 16 packets, so that segments played one after another
count on without a break (ISO/IEC 13818-1 §2.4.3.3), whichever recorder wrote each.

Time stamps are the recording timeline in 90 kHz ticks plus `OFFSET_US`, modulo 2**33.
"""

from collections.abc import Iterator
from itertools import chain

from everreel.errors import SourceUnsupported
from everreel.media import psi
from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream import aac, h264, h265
from everreel.media.bitstream.nal import split_length_prefixed
from everreel.media.psi import CLOCK, PACKET, WRAP, ElementaryStream, ProgrammeMap
from everreel.media.segment import Sample, Segment

OFFSET_US = 10_000_000
"""Added to the recording timeline. Time 0 is a presentation time: the decode times of the first
pictures of a stream with B-frames lie before it, and the PCR before those."""

PCR_LEAD = 63_000
"""Ticks from a unit's PCR to its decode time: 0.7 s, the buffering time of the standard decoder."""

PMT_PID, VIDEO_PID, AUDIO_PID = 0x1000, 0x100, 0x101

_TABLES = 16
_FULL = PACKET - 4
_PES_HEADER = 19
_GATHERED_BYTES, _GATHERED_TICKS = 2800, CLOCK // 10
"""How much AAC shares a PES packet: 16 transport packets, or the longest time between two PCR."""

_START = b"\x00\x00\x00\x01"
_STREAM_TYPES = {
    Codec.H264: psi.H264,
    Codec.H265: psi.H265,
    Codec.AAC: psi.AAC_ADTS,
    Codec.OPUS: psi.PRIVATE,
}
_STREAM_IDS = {Codec.H264: 0xE0, Codec.H265: 0xE0, Codec.AAC: 0xC0, Codec.OPUS: 0xBD}
_DELIMITERS = {Codec.H264: _START + b"\x09\xf0", Codec.H265: _START + b"\x46\x01\x50"}

_Pes = tuple[int, int, bool, bytes]
"""Decode time (ticks, not wrapped), order of the track, whether a decoder may enter, PES packet."""


def write_segment(segment: Segment) -> bytes:
    """Write a segment that can be played by itself.

    PAT and PMT come first and are repeated, sixteen of each. The PCR is on the video track, or on
    the audio of a segment without video. Keyframes carry their parameter sets; so does the first
    picture in any case.

    Raises: SourceUnsupported for AAC that ADTS cannot describe.
    """
    tracks = [
        (track, VIDEO_PID if track.medium is Medium.VIDEO else AUDIO_PID)
        for track in segment.formats
    ]
    clock_pid = tracks[0][1]
    if not segment.samples.get(tracks[0][0].medium):
        clock_pid = next((p for t, p in tracks if segment.samples.get(t.medium)), clock_pid)
    tables = _tables(tracks, clock_pid)
    packets = sorted(
        chain.from_iterable(
            _pes_packets(track, segment.samples.get(track.medium, []), order)
            for order, (track, _) in enumerate(tracks)
        ),
        key=lambda pes: pes[:2],
    )
    last = {pes[1]: index for index, pes in enumerate(packets)}
    counters = dict.fromkeys(last, 0)
    parts: list[bytes] = []
    repeated = 0
    for index, (dts, order, start, data) in enumerate(packets):
        while repeated * len(packets) <= index * _TABLES and repeated < _TABLES:
            parts += tables[repeated]
            repeated += 1
        pid = tracks[order][1]
        pcr = (dts - PCR_LEAD) % WRAP if pid == clock_pid else None
        whole = index == last[order]
        counters[order] = _packetise(parts, pid, data, counters[order], pcr, start, whole)
    for rest in tables[repeated:]:
        parts += rest
    return b"".join(parts)


def ticks(time_us: int) -> int:
    """Place the recording timeline on the clock of the transport stream, before it wraps.

    Units: microseconds in, 90 kHz ticks out, rounded to nearest: exact for what came as 90 kHz.
    """
    return ((time_us + OFFSET_US) * 9 + 50) // 100


def _tables(tracks: list[tuple[TrackFormat, int]], clock_pid: int) -> list[list[bytes]]:
    """Make the sixteen pairs of PAT and PMT packets."""
    streams = tuple(
        ElementaryStream(
            _STREAM_TYPES[track.codec],
            pid,
            psi.opus_descriptors(track.channels) if track.codec is Codec.OPUS else b"",
        )
        for track, pid in tracks
    )
    sections = (
        (psi.PAT_PID, psi.pat([(1, PMT_PID)])),
        (PMT_PID, psi.pmt(ProgrammeMap(1, clock_pid, streams))),
    )
    return [
        [
            (_header(pid, True, 0x10 | count) + b"\x00" + section).ljust(PACKET, b"\xff")
            for pid, section in sections
        ]
        for count in range(_TABLES)
    ]


def _pes_packets(track: TrackFormat, samples: list[Sample], order: int) -> Iterator[_Pes]:
    if track.codec is Codec.AAC:
        return _aac_packets(track, samples, order)
    if track.codec is Codec.OPUS:
        return _opus_packets(samples, order)
    return _video_packets(track, samples, order)


def _video_packets(track: TrackFormat, samples: list[Sample], order: int) -> Iterator[_Pes]:
    """One access unit per PES packet, in Annex B with a delimiter."""
    if track.codec is Codec.H264:
        sets = list(chain.from_iterable(h264.read_avcc(track.config)[:2]))
    else:
        sets = list(chain.from_iterable(h265.read_hvcc(track.config)[:3]))
    delimiter = _DELIMITERS[track.codec]
    first = b"".join([delimiter, *(_START + nal for nal in sets)])
    for index, sample in enumerate(samples):
        start = sample.keyframe or index == 0
        nals = split_length_prefixed(sample.data)
        data = _START.join([first if start else delimiter, *nals])
        dts = ticks(sample.dts_us)
        head = _pes_header(_STREAM_IDS[track.codec], ticks(sample.pts_us), dts, len(data))
        yield dts, order, start, head + data


def _aac_packets(track: TrackFormat, samples: list[Sample], order: int) -> Iterator[_Pes]:
    """Frames that follow each other without a gap share a PES packet: the reader counts samples."""
    config = aac.parse_config(track.config)
    frame = config.frame_samples * CLOCK
    rate = config.sample_rate
    gathered: list[bytes] = []
    size = first = 0
    for sample in samples:
        pts = ticks(sample.pts_us)
        expected = first + (len(gathered) * frame // 2 + rate // 2) // rate if gathered else pts
        if gathered and (
            size + len(sample.data) > _GATHERED_BYTES
            or pts - first >= _GATHERED_TICKS
            or abs(pts - expected) > 1
        ):
            yield _audio_pes(Codec.AAC, first, order, gathered)
            gathered, size = [], 0
        if not gathered:
            first = pts
        gathered += (_adts_header(config, track.channels, len(sample.data)), sample.data)
        size += 7 + len(sample.data)
    if gathered:
        yield _audio_pes(Codec.AAC, first, order, gathered)


def _opus_packets(samples: list[Sample], order: int) -> Iterator[_Pes]:
    """One packet per PES packet, behind its control header. Source: ETSI TS 103 491."""
    for sample in samples:
        size = len(sample.data)
        header = b"\x7f\xe0" + b"\xff" * (size // 255) + bytes([size % 255])
        yield _audio_pes(Codec.OPUS, ticks(sample.pts_us), order, [header, sample.data])


def _audio_pes(codec: Codec, pts: int, order: int, parts: list[bytes]) -> _Pes:
    data = b"".join(parts)
    return pts, order, False, _pes_header(_STREAM_IDS[codec], pts, pts, len(data)) + data


def _adts_header(config: aac.AacConfig, channels: int, size: int) -> bytes:
    """Write the header of one frame without CRC. Source: ISO/IEC 14496-3 §1.A.2.2.

    Raises: SourceUnsupported if profile, rate, channels or size have no code in it.
    """
    size += 7
    layout = 7 if channels == 8 else channels
    if (
        not 1 <= config.core_object_type <= 4
        or config.sample_rate not in aac.SAMPLE_RATES
        or not 1 <= layout <= 7
        or size > 0x1FFF
        or config.frame_samples != 1024
    ):
        raise SourceUnsupported(
            "this AAC stream cannot be put into MPEG-TS segments; record it as fMP4"
        )
    rate = aac.SAMPLE_RATES.index(config.sample_rate)
    value = 0xFFF1 << 40 | config.core_object_type - 1 << 38 | rate << 34 | layout << 30
    return (value | size << 13 | 0x7FF << 2).to_bytes(7, "big")


def _pes_header(stream_id: int, pts: int, dts: int, size: int) -> bytes:
    """Write the header of a PES packet with an aligned payload. Source: ISO/IEC 13818-1 §2.4.3.6.

    The length is left open (0) where it does not fit, which only video may do.
    """
    if pts == dts:
        flags, stamps = 0x80, _timestamp(2, pts)
    else:
        flags, stamps = 0xC0, _timestamp(3, pts) + _timestamp(1, dts)
    length = 3 + len(stamps) + size
    return b"".join(
        (
            b"\x00\x00\x01",
            bytes([stream_id]),
            (length if length < 1 << 16 else 0).to_bytes(2, "big"),
            bytes([0x84, flags, len(stamps)]),
            stamps,
        )
    )


def _timestamp(mark: int, value: int) -> bytes:
    value %= WRAP
    return (
        mark << 36
        | (value >> 30) << 33
        | (value >> 15 & 0x7FFF) << 17
        | (value & 0x7FFF) << 1
        | 0x1_0001_0001
    ).to_bytes(5, "big")


def _header(pid: int, starts: bool, control: int) -> bytes:
    return bytes([0x47, (0x40 if starts else 0) | pid >> 8, pid & 255, control])


def _packetise(
    parts: list[bytes], pid: int, data: bytes, count: int, pcr: int | None, start: bool, last: bool
) -> int:
    """Cut a PES packet into transport packets; return the continuity counter that follows."""
    field = b""
    if pcr is not None or start:
        flags = (0x40 if start else 0) | (0x10 if pcr is not None else 0)
        field = bytes([flags])
        if pcr is not None:
            field += ((pcr << 15) | 0x7E00).to_bytes(6, "big")
    room = _FULL - (1 + len(field) if field else 0)
    size = len(data)
    if last:
        return _spread(parts, pid, data, count, field, room)
    at = _stuffed(parts, _header(pid, True, count), field, data[:room])
    heads = [_header(pid, False, 0x10 | n) for n in range(16)]
    while size - at >= _FULL:
        count = (count + 1) & 15
        parts += (heads[count], data[at : at + _FULL])
        at += _FULL
    if at < size:
        count = (count + 1) & 15
        _stuffed(parts, _header(pid, False, count), b"", data[at:])
    return (count + 1) & 15


def _spread(parts: list[bytes], pid: int, data: bytes, count: int, field: bytes, room: int) -> int:
    """Cut a PES packet so that the continuity counter ends at 0.

    No PES packet is shorter than 16 bytes, so there is a byte for every packet.
    """
    size = len(data)
    needed = 1 + max(0, -(-(size - room) // _FULL))
    left = needed + -(count + needed) % 16
    at = 0
    while left:
        step = -(-(size - at) // left)
        if not at:
            # The header stays whole if the other packets still get a byte each.
            step = min(room, max(step, min(_PES_HEADER, size - left + 1)))
        head = _header(pid, not at, count)
        at += _stuffed(parts, head, b"" if at else field, data[at : at + step])
        count = (count + 1) & 15
        left -= 1
    return count


def _stuffed(parts: list[bytes], head: bytes, field: bytes, payload: bytes) -> int:
    """Append a packet, its adaptation field stuffed to fill it; return the payload's length."""
    length = PACKET - 5 - len(payload)
    if length < 0:
        parts += (head[:3], bytes([head[3] | 0x10]), payload)
    elif not length:
        parts += (head[:3], bytes([head[3] | 0x30]), b"\x00", payload)
    else:
        field = (field or b"\x00").ljust(length, b"\xff")
        parts += (head[:3], bytes([head[3] | 0x30]), bytes([length]), field, payload)
    return len(payload)
