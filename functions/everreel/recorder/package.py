"""Turns segments into the objects that are stored, in the container the caller asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.bitstream.describe import codec_string
from everreel.media.index import Container, TrackDescription
from everreel.media.isobmff.fragment import media_segment
from everreel.media.isobmff.init import init_segment
from everreel.media.segment import Segment, TrackRange


@dataclass(frozen=True, slots=True)
class Packaged:
    """A segment ready to be stored.

    Attributes:
        segment: what it holds; its samples are let go, only their description is kept.
        body: the object.
        tracks: where each track lies inside the body.
        descriptions: the tracks of the init segment it needs, video first.
        inits: bodies of that init segment: "all", and per medium; empty for MPEG-TS.
    """

    segment: Segment
    body: bytes
    tracks: tuple[TrackRange, ...]
    descriptions: tuple[TrackDescription, ...]
    inits: dict[str, bytes]

    @property
    def size(self) -> int:
        """Bytes that wait in memory."""
        return len(self.body)


class Packager:
    """Packages one recording's segments; remembers the init segments of the current formats."""

    def __init__(self, container: Container) -> None:
        """Package into `container`."""
        self._container = container
        self._formats: tuple[TrackFormat, ...] = ()
        self._descriptions: tuple[TrackDescription, ...] = ()
        self._inits: dict[str, bytes] = {}

    def package(self, segment: Segment) -> Packaged:
        """Write one segment."""
        if segment.formats != self._formats:
            self._formats = segment.formats
            self._descriptions = tuple(describe(track) for track in segment.formats)
            self._inits = {} if self._container is Container.MPEGTS else _inits(segment.formats)
        if self._container is Container.MPEGTS:
            from everreel.media.ts_writer import write_segment  # noqa: PLC0415 - 5 ms few laps need

            body = write_segment(segment)
            tracks = tuple(
                TrackRange(medium.value, 0, len(body), len(units))
                for medium, units in segment.samples.items()
            )
        else:
            packaged = media_segment(segment)
            body, tracks = packaged.body, packaged.tracks
        segment.samples.clear()
        return Packaged(segment, body, tracks, self._descriptions, self._inits)


def describe(track: TrackFormat) -> TrackDescription:
    """Describe a track as playlists and the manifest show it."""
    return TrackDescription(
        medium=track.medium.value,
        codec=codec_string(track),
        timescale=90_000 if track.medium is Medium.VIDEO else track.sample_rate,
        width=track.width,
        height=track.height,
        sample_rate=track.sample_rate,
        channels=track.channels,
        config=track.config,
    )


def _inits(formats: Sequence[TrackFormat]) -> dict[str, bytes]:
    bodies = {"all": init_segment(formats)}
    for track in formats:
        bodies[track.medium.value] = init_segment([track])
    return bodies
