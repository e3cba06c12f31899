"""Clips cut into packaged segments and served over HTTP, for tests that let real players judge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av

from everreel.media.access_unit import Codec, Medium, TrackFormat
from everreel.media.bitstream import describe, opus
from everreel.media.index import Container, InitRow, SegmentRow, TrackDescription
from everreel.media.isobmff.fragment import media_segment
from everreel.media.isobmff.init import init_segment
from everreel.media.names import segment_name
from everreel.media.segment import Sample, Segment

CODECS = {"h264": Codec.H264, "hevc": Codec.H265, "aac": Codec.AAC, "opus": Codec.OPUS}
ORIGIN_UTC_US = 1_760_000_000_000_000


@dataclass
class Demuxed:
    """A clip as formats and timed samples, in decode order."""

    formats: tuple[TrackFormat, ...]
    samples: dict[Medium, list[Sample]]


@dataclass
class Packaged:
    """Objects of a recording by relative key, with the rows that name them."""

    objects: dict[str, bytes] = field(default_factory=dict)
    rows: list[SegmentRow] = field(default_factory=list)
    inits: list[InitRow] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write all objects below `folder`."""
        for key, body in self.objects.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)


def demux(path: Path) -> Demuxed:
    """Read a clip with FFmpeg's demuxer; presentation starts at 0."""
    formats: dict[Medium, TrackFormat] = {}
    samples: dict[Medium, list[Sample]] = {}
    with av.open(str(path)) as reader:
        for stream in reader.streams:
            codec = CODECS[stream.codec_context.name.removeprefix("lib")]
            config = bytes(stream.codec_context.extradata or b"")
            if codec is Codec.OPUS:
                config = opus.dops(opus.parse_head(config))
            formats[codec.medium] = describe.track_format(codec, config, 1_000_000, 0)
        for packet in reader.demux():
            if packet.pts is None or packet.dts is None:
                continue
            medium = Medium(packet.stream.type)
            scale = packet.time_base * 1_000_000
            pts, dts = round(packet.pts * scale), round(packet.dts * scale)
            unit = Sample(medium, pts, dts, packet.is_keyframe, bytes(packet))
            samples.setdefault(medium, []).append(unit)
    origin = min(track[0].pts_us for track in samples.values())
    for track in samples.values():
        for sample in track:
            sample.pts_us -= origin
            sample.dts_us -= origin
    ordered = tuple(formats[m] for m in (Medium.VIDEO, Medium.AUDIO) if m in formats)
    return Demuxed(ordered, samples)


def cut(clip: Demuxed, target_us: int, *, at_us: int = 0) -> list[Segment]:
    """Cut a clip at the keyframes that cross multiples of `target_us`, placed from `at_us` on."""
    video = clip.samples.get(Medium.VIDEO)
    lead = video or clip.samples[Medium.AUDIO]
    end = max(s.pts_us for s in lead) + lead[1].dts_us - lead[0].dts_us
    starts: list[int] = []
    for sample in lead:
        if sample.keyframe and (not starts or sample.pts_us // target_us > starts[-1] // target_us):
            starts.append(sample.pts_us)
    segments: list[Segment] = []
    for start, stop in pairwise([*starts, end]):
        chosen: dict[Medium, list[Sample]] = {}
        following: dict[Medium, int] = {}
        for medium, track in clip.samples.items():
            first = next((i for i, s in enumerate(track) if s.pts_us >= start and s.keyframe), None)
            after = next((i for i, s in enumerate(track) if s.pts_us >= stop and s.keyframe), None)
            if first is None:
                continue
            chosen[medium] = [
                Sample(medium, s.pts_us + at_us, s.dts_us + at_us, s.keyframe, s.data)
                for s in track[first:after]
            ]
            if after is not None and stop != end:
                following[medium] = track[after].pts_us + at_us
        segments.append(
            Segment(
                (start + at_us) // target_us,
                start + at_us,
                stop + at_us,
                clip.formats,
                chosen,
                next_pts_us=following,
            )
        )
    return segments


def package(epochs: list[list[Segment]]) -> Packaged:
    """Package segments; each list is an epoch with an init segment of its own."""
    result = Packaged()
    for number, segments in enumerate(epochs, 1):
        formats = segments[0].formats
        keys = {"all": f"init-{number}.mp4"}
        result.objects[keys["all"]] = init_segment(formats)
        for track in formats:
            key = f"init-{number}-{track.medium}.mp4"
            keys[track.medium.value] = key
            result.objects[key] = init_segment([track])
        tracks = tuple(describe_track(track) for track in formats)
        result.inits.append(InitRow(number, tracks, keys))
        for segment in segments:
            packaged = media_segment(segment)
            key = segment_name(segment.k, "a1", Container.FMP4)
            result.objects[key] = packaged.body
            result.segments.append(segment)
            result.rows.append(
                SegmentRow(
                    segment.k,
                    key,
                    number,
                    segment.start_us,
                    segment.duration_us,
                    ORIGIN_UTC_US + segment.start_us,
                    len(packaged.body),
                    hashlib.sha256(packaged.body).hexdigest(),
                    packaged.tracks,
                    segment is segments[0] and number > 1,
                    None,
                    True,
                    "a",
                    1,
                )
            )
    return result


def describe_track(track: TrackFormat) -> TrackDescription:
    """Describe a track as an init row does."""
    return TrackDescription(
        track.medium.value,
        describe.codec_string(track),
        track.timescale,
        track.width,
        track.height,
        track.sample_rate,
        track.channels,
        track.config,
    )
