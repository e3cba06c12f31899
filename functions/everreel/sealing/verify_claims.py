"""What a recording says of itself: its manifest and playlists, read without trusting them."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from everreel.clock import MICROSECONDS, parse_iso

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", re.ASCII)
_DURATION = re.compile(r"(\d{1,9})\.(\d{6}),\Z", re.ASCII)
_COUNT = re.compile(r"(?:0|[1-9]\d{0,11})\Z", re.ASCII)
_MAP = re.compile(r'URI="([^"]*)"\Z')
_NUMBERS = {
    "#EXT-X-VERSION": "version",
    "#EXT-X-TARGETDURATION": "target_s",
    "#EXT-X-MEDIA-SEQUENCE": "media_sequence",
    "#EXT-X-DISCONTINUITY-SEQUENCE": "discontinuity_sequence",
}


class Malformed(Exception):
    """A claim cannot be read; the text tells which and why."""


@dataclass(slots=True)
class SegmentClaim:
    """What manifest or playlist say of one segment.

    Attributes:
        k, key, init, lane, lap, discontinuity: as in the index row.
        start_us: -1 if only the playlist tells of it, which has no place for it.
        utc_us: UTC of its start to the millisecond, -1 if not told.
        size: -1 if not told.
        sha256, link: of the object and the chain; empty if not told.
        units: access units by medium; empty if not told.
    """

    k: int
    key: str
    init: int
    start_us: int
    duration_us: int
    utc_us: int
    discontinuity: bool
    lane: str
    lap: int
    size: int = -1
    sha256: bytes = b""
    link: bytes = b""
    units: dict[str, int] = field(default_factory=dict)

    @property
    def end_us(self) -> int:
        """Where it ends on the recording timeline."""
        return self.start_us + self.duration_us


@dataclass(slots=True)
class GapClaim:
    """A gap that the manifest declares."""

    cause: str
    start_us: int
    duration_us: int


@dataclass(slots=True)
class ManifestClaim:
    """`recording.json`: the segments as claims, the rest as it stands."""

    document: dict[str, Any]
    segments: list[SegmentClaim]
    gaps: list[GapClaim]


def read_manifest(body: bytes) -> ManifestClaim:
    """Read a manifest.

    Raises: Malformed naming what cannot be read.
    """
    try:
        # Segments become claims while the text is read: that keeps the memory of long ones small.
        document = json.loads(body, object_hook=_hook)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Malformed("it holds no object")
    if document.get("version") != 1:
        raise Malformed(f"version {document.get('version')!r} is not one that this everreel reads")
    segments = document.pop("segments", None)
    if not isinstance(segments, list) or not segments:
        raise Malformed("segments: there are none")
    for number, segment in enumerate(segments):
        if not isinstance(segment, SegmentClaim):
            raise Malformed(f"segments[{number}]: lacks what a segment has")
    gaps = document.get("gaps")
    if not isinstance(gaps, list):
        raise Malformed("gaps: this is no list")
    return ManifestClaim(document, segments, [_gap(n, each) for n, each in enumerate(gaps)])


def _hook(value: dict[str, Any]) -> dict[str, Any] | SegmentClaim:
    return _segment(value) if {"k", "key", "sha256"} <= value.keys() else value


def _segment(value: dict[str, Any]) -> SegmentClaim:
    name = f"segment {value['k']!r}"
    units = value.get("units")
    if not isinstance(units, dict) or not all(_is_count(each) for each in units.values()):
        raise Malformed(f"{name}: units: a number for each track")
    for field_name in ("k", "init", "size", "lap"):
        if not _is_count(value.get(field_name)):
            raise Malformed(f"{name}: {field_name}: this is no number")
    for field_name in ("sha256", "chain"):
        if not isinstance(value.get(field_name), str) or not _HEX.match(value[field_name]):
            raise Malformed(f"{name}: {field_name}: this is no SHA-256")
    for field_name in ("key", "lane"):
        if not isinstance(value.get(field_name), str):
            raise Malformed(f"{name}: {field_name}: this is no text")
    if not isinstance(value.get("discontinuity"), bool):
        raise Malformed(f"{name}: discontinuity: true or false")
    return SegmentClaim(
        k=value["k"],
        key=value["key"],
        init=value["init"],
        start_us=_microseconds(value.get("startSeconds"), f"{name}: startSeconds"),
        duration_us=_microseconds(value.get("durationSeconds"), f"{name}: durationSeconds"),
        utc_us=instant(value.get("startTime"), f"{name}: startTime"),
        discontinuity=value["discontinuity"],
        lane=value["lane"],
        lap=value["lap"],
        size=value["size"],
        sha256=bytes.fromhex(value["sha256"]),
        link=bytes.fromhex(value["chain"]),
        units=units,
    )


def _gap(number: int, value: object) -> GapClaim:
    name = f"gaps[{number}]"
    if not isinstance(value, dict) or not isinstance(value.get("cause"), str):
        raise Malformed(f"{name}: cause: this is no text")
    return GapClaim(
        value["cause"],
        _microseconds(value.get("startSeconds"), f"{name}: startSeconds"),
        _microseconds(value.get("durationSeconds"), f"{name}: durationSeconds"),
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _microseconds(value: object, name: str) -> int:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1 << 33:
        raise Malformed(f"{name}: this is no time in seconds")
    return round(value * MICROSECONDS)


def instant(value: object, name: str) -> int:
    """Read an instant as manifest and playlists write it. Raises: Malformed."""
    if not isinstance(value, str) or not _DATE.match(value):
        raise Malformed(f"{name}: {value!r} is no instant")
    try:
        return parse_iso(value)
    except ValueError as error:
        raise Malformed(f"{name}: {value!r} is no instant") from error


# ---------------------------------------------------------------------- playlists


@dataclass(slots=True)
class Listed:
    """A segment as a playlist shows it.

    Attributes:
        utc_us: its EXT-X-PROGRAM-DATE-TIME, -1 without one.
        init: the EXT-X-MAP that applies, empty for MPEG-TS.
    """

    uri: str
    duration_us: int
    utc_us: int
    init: str
    discontinuity: bool


@dataclass(slots=True)
class PlaylistClaim:
    """A media playlist."""

    listed: list[Listed] = field(default_factory=list)
    version: int = 0
    target_s: int = -1
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    kind: str = ""
    independent: bool = False
    ended: bool = False


class _PlaylistReader:
    """Reads line by line; each tag sets what it says or what waits for the next segment."""

    def __init__(self) -> None:
        self.found = PlaylistClaim()
        self._duration_us: int | None = None
        self._utc_us = -1
        self._init = ""
        self._discontinuity = False

    def line(self, line: str) -> None:
        found = self.found
        if found.ended:
            raise Malformed("something follows EXT-X-ENDLIST")
        tag, _, value = line.partition(":")
        if not line.startswith("#"):
            self._uri(line)
        elif tag in _NUMBERS:
            if not _COUNT.match(value):
                raise Malformed(f"{tag} says {value!r}")
            setattr(found, _NUMBERS[tag], int(value))
        elif tag == "#EXTINF":
            match = _DURATION.match(value)
            if match is None:
                raise Malformed(f"EXTINF says {value!r}")
            self._duration_us = int(match[1]) * MICROSECONDS + int(match[2])
        elif tag == "#EXT-X-PROGRAM-DATE-TIME":
            self._utc_us = instant(value, "EXT-X-PROGRAM-DATE-TIME")
        elif tag == "#EXT-X-MAP" and (match := _MAP.match(value)):
            self._init = match[1]
        elif tag == "#EXT-X-PLAYLIST-TYPE" and value in {"EVENT", "VOD"}:
            found.kind = value
        else:
            self._mark(line)

    def _mark(self, line: str) -> None:
        """Take a tag without a value."""
        if line == "#EXT-X-DISCONTINUITY":
            self._discontinuity = True
        elif line == "#EXT-X-INDEPENDENT-SEGMENTS":
            self.found.independent = True
        elif line == "#EXT-X-ENDLIST":
            self.found.ended = True
        else:
            raise Malformed(f"{line[:60]!r} is no line that everreel writes")

    def _uri(self, uri: str) -> None:
        if self._duration_us is None:
            raise Malformed(f"{uri[:60]!r} has no EXTINF")
        self.found.listed.append(
            Listed(uri, self._duration_us, self._utc_us, self._init, self._discontinuity)
        )
        self._duration_us, self._utc_us, self._discontinuity = None, -1, False


def read_playlist(body: bytes) -> PlaylistClaim:
    """Read a media playlist, strictly: a line that everreel does not write is an error.

    Raises: Malformed naming the line.
    """
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("it holds bytes that are no ASCII") from error
    lines = text.split("\n")
    if lines[0] != "#EXTM3U":
        raise Malformed("it does not begin with #EXTM3U")
    if lines.pop() != "":
        raise Malformed("its last line is cut off")
    reader = _PlaylistReader()
    for number, line in enumerate(lines[1:], 2):
        try:
            reader.line(line)
        except Malformed as error:
            raise Malformed(f"line {number}: {error}") from error
    if not reader.found.listed:
        raise Malformed("it lists no segment")
    return reader.found
