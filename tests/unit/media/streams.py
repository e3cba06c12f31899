"""Builds streams of access units for the tests of the timeline and the segmenter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.media.segment import Segment
from everreel.media.segmenter import Segmenter
from everreel.media.timeline import Timeline

WRAP = 2**32
AVC = bytes.fromhex("0164001effe1001c6764001eacd940a02ff9701100000303e90000ea600f162d96") + bytes(8)
VIDEO = TrackFormat(Codec.H264, 1000, WRAP, AVC, width=640, height=360)
AUDIO = TrackFormat(Codec.AAC, 1000, WRAP, bytes.fromhex("1190"), sample_rate=48_000, channels=2)


@dataclass(frozen=True)
class Arrival:
    """One event and when it arrives, microseconds."""

    at_us: int
    event: SourceEvent


def stream(
    seconds: float,
    *,
    fps: int = 25,
    gop: int = 50,
    reorder: int = 0,
    audio: bool = True,
    video: bool = True,
    start_ms: int = 0,
    mark: bytes = b"",
) -> list[Arrival]:
    """A stream as an RTMP server sends it: milliseconds, interleaved, in real time.

    `reorder` pictures of delay between decode and presentation; `start_ms` is where its clock
    stands; `mark` makes its payloads differ from another stream's.
    """
    arrivals = []
    if video:
        for i in range(round(seconds * fps)):
            ms = i * 1000 // fps
            data = b"\0\0\0\x0ev" + i.to_bytes(4, "big") + mark.ljust(9, b".")[:9]
            unit = AccessUnit(
                Medium.VIDEO,
                (start_ms + ms + reorder * 1000 // fps) % WRAP,
                (start_ms + ms) % WRAP,
                i % gop == 0,
                data,
            )
            arrivals.append(Arrival(ms * 1000, unit))
    if audio:
        for i in range(int(seconds * 48_000 / 1024)):
            ms = (i * 1024 * 1000 + 24_000) // 48_000
            stamp = (start_ms + ms + reorder * 1000 // fps) % WRAP
            data = b"a" + i.to_bytes(4, "big") + mark
            arrivals.append(Arrival(ms * 1000, AccessUnit(Medium.AUDIO, stamp, stamp, True, data)))
    arrivals.sort(key=lambda arrival: arrival.at_us)
    formats = [AUDIO] * audio + [VIDEO] * video
    return [Arrival(0, track) for track in formats] + arrivals


def later(arrivals: Sequence[Arrival], by_us: int) -> list[Arrival]:
    """The same arrivals, `by_us` later."""
    return [replace(arrival, at_us=arrival.at_us + by_us) for arrival in arrivals]


class Recorder:
    """Timeline and segmenter as a lap joins them."""

    def __init__(self, *, target_s: int = 6) -> None:
        self.timeline = Timeline()
        self.segmenter = Segmenter(target_s * 1_000_000)
        self.segments: list[Segment] = []

    def take(self, arrivals: Sequence[Arrival]) -> "Recorder":
        for arrival in arrivals:
            timed = self.timeline.feed([arrival.event], 1_000_000_000 + arrival.at_us)
            self.segments += self.segmenter.feed(timed)
        return self

    def reopen(self) -> "Recorder":
        self.segments += self.segmenter.feed(self.timeline.flush())
        self.timeline.reopened()
        return self

    def end(self) -> list[Segment]:
        self.segments += self.segmenter.feed(self.timeline.flush())
        self.segments += self.segmenter.flush()
        return self.segments


def record(arrivals: Sequence[Arrival], *, target_s: int = 6) -> list[Segment]:
    return Recorder(target_s=target_s).take(arrivals).end()


def payloads(source: Sequence[Segment] | Sequence[Arrival], medium: Medium) -> list[bytes]:
    """Every payload of a medium in order, of segments or of arrivals."""
    return list(_payloads(source, medium))


def _payloads(source: Sequence[Segment] | Sequence[Arrival], medium: Medium) -> Iterator[bytes]:
    for item in source:
        if isinstance(item, Segment):
            yield from (sample.data for sample in item.samples.get(medium, ()))
        elif isinstance(item.event, AccessUnit) and item.event.medium is medium:
            yield item.event.data
