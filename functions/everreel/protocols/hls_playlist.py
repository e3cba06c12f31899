"""Reads HLS playlists: the tags a recorder needs, strictly, and nothing else.

Source: RFC 8216 §4. Tags that do not matter for copying (dates, ads, low-latency parts, steering,
trick play, subtitles) are passed over. A library for this (m3u8) takes 30 ms to import.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.protocols.guard import join

SEGMENTS_MAX = 200_000
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s][^",]*)(?:,\s*|$)')
_VIDEO_CODECS = ("avc1", "avc3", "hvc1", "hev1")
_OTHER_VIDEO_CODECS = ("av01", "vp09", "vp08", "dvh1", "dvhe", "vvc1")


@dataclass(frozen=True, slots=True)
class Part:
    """A resource or a range of one.

    Attributes:
        url: absolute; may hold credentials or tokens.
        byte_range: (offset, length), or None for all of it.
    """

    url: str = field(repr=False)
    byte_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment.

    Attributes:
        sequence: its media sequence number.
        media: what to fetch.
        duration_s: as EXTINF says.
        init: the EXT-X-MAP that applies, or None.
        gap: EXT-X-GAP says that it does not exist.
        encrypted: method of the EXT-X-KEY that applies, empty if none does.
        discontinuity: what comes before it may have had other tracks and another clock.
    """

    sequence: int
    media: Part
    duration_s: float
    init: Part | None
    gap: bool
    encrypted: str
    discontinuity: bool = False


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """A list of segments.

    Attributes:
        target_s: target duration.
        first: media sequence number of the first segment listed.
        segments: in order.
        ended: no segment will be added.
    """

    target_s: float
    first: int
    segments: tuple[Segment, ...]
    ended: bool

    @property
    def end(self) -> int:
        """The media sequence number that the next new segment will have."""
        return self.first + len(self.segments)


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendition of the whole presentation.

    Attributes:
        url: its media playlist.
        bandwidth: peak bits per second.
        codecs: as the playlist says, empty if it does not.
        audio: group of alternate audio, empty if the sound is in the segments.
    """

    url: str = field(repr=False)
    bandwidth: int
    codecs: tuple[str, ...]
    audio: str


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """A list of variants.

    Attributes:
        variants: in the order of the playlist.
        audio: for each group the URL of its default rendition; None if that is in the variant.
    """

    variants: tuple[Variant, ...]
    audio: dict[str, str | None]

    def best(self) -> tuple[str, str | None]:
        """Choose the variant of the highest bandwidth that can be recorded, and its audio.

        Returns: URLs of the media playlist and of the audio's, None if that is not apart.
        Raises: SourceUnsupported.
        """
        usable = [v for v in self.variants if not _has(v.codecs, _OTHER_VIDEO_CODECS)]
        if not usable:
            raise SourceUnsupported(
                "the HLS source offers neither H.264 nor H.265: add such a variant", field="source"
            )
        chosen = max(
            usable, key=lambda v: (not v.codecs or _has(v.codecs, _VIDEO_CODECS), v.bandwidth)
        )
        return chosen.url, self.audio.get(chosen.audio)


def parse(data: bytes, url: str) -> MediaPlaylist | MasterPlaylist:
    """Read a playlist that was fetched from `url`.

    Raises: SourceMalformed; SourceUnsupported for variable substitution.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceMalformed("the HLS playlist is not UTF-8") from error
    if not lines or lines[0].rstrip() != "#EXTM3U":
        raise SourceMalformed("the HLS playlist does not begin with #EXTM3U")
    tags = _tags(lines)
    if any(line.startswith("#EXT-X-STREAM-INF") for line in lines):
        return _master(tags, url)
    return _Media(url).read(tags)


def _tags(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (tag, value) for tags and ("", uri) for URI lines."""
    for raw in lines[1:]:
        line = raw.strip()
        if line.startswith("#EXT"):
            name, _, value = line.partition(":")
            if name == "#EXT-X-DEFINE":
                raise SourceUnsupported("the HLS playlist uses variables (EXT-X-DEFINE)")
            yield name, value
        elif line and line[0] != "#":
            yield "", line


def _master(tags: Iterator[tuple[str, str]], url: str) -> MasterPlaylist:
    variants: list[Variant] = []
    audio: dict[str, tuple[bool, str | None]] = {}
    pending: dict[str, str] | None = None
    for name, value in tags:
        if name == "#EXT-X-STREAM-INF":
            pending = _attributes(value)
        elif name == "" and pending is not None:
            variants.append(
                Variant(
                    url=join(url, value),
                    bandwidth=_integer(pending.get("BANDWIDTH", "0"), "BANDWIDTH"),
                    codecs=tuple(c.strip() for c in pending.get("CODECS", "").split(",") if c),
                    audio=pending.get("AUDIO", ""),
                )
            )
            pending = None
        elif name == "#EXT-X-MEDIA":
            rendition = _attributes(value)
            group = rendition.get("GROUP-ID", "")
            default = rendition.get("DEFAULT") == "YES"
            if rendition.get("TYPE") == "AUDIO" and (
                group not in audio or (default and not audio[group][0])
            ):
                uri = rendition.get("URI")
                audio[group] = (default, None if uri is None else join(url, uri))
    if not variants:
        raise SourceMalformed("the HLS master playlist names no variant")
    return MasterPlaylist(tuple(variants), {group: uri for group, (_, uri) in audio.items()})


class _Media:
    """Reads a media playlist tag by tag; what is pending applies to the next URI."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._target_s: float | None = None
        self._first = 0
        self._segments: list[Segment] = []
        self._ended = False
        self._init: Part | None = None
        self._encrypted = ""
        self._duration_s: float | None = None
        self._range: str | None = None
        self._gap = self._discontinuity = False
        self._range_ends: dict[str, int] = {}

    def read(self, tags: Iterator[tuple[str, str]]) -> MediaPlaylist:
        for name, value in tags:
            if name == "":
                self._segment(value)
            elif name == "#EXTINF":
                self._duration_s = _decimal(value.partition(",")[0], "EXTINF")
            else:
                self._tag(name, value)
        if self._target_s is None or self._target_s <= 0:
            raise SourceMalformed("the HLS playlist states no EXT-X-TARGETDURATION")
        return MediaPlaylist(self._target_s, self._first, tuple(self._segments), self._ended)

    def _tag(self, name: str, value: str) -> None:
        if name == "#EXT-X-TARGETDURATION":
            self._target_s = _decimal(value, "EXT-X-TARGETDURATION")
        elif name == "#EXT-X-MEDIA-SEQUENCE":
            self._first = _integer(value, "EXT-X-MEDIA-SEQUENCE")
        elif name == "#EXT-X-BYTERANGE":
            self._range = value
        elif name == "#EXT-X-GAP":
            self._gap = True
        elif name == "#EXT-X-DISCONTINUITY":
            self._discontinuity = True
        elif name == "#EXT-X-MAP":
            self._map(_attributes(value))
        elif name == "#EXT-X-KEY":
            method = _attributes(value).get("METHOD", "")
            self._encrypted = "" if method == "NONE" else method or "unknown"
        elif name == "#EXT-X-SKIP":
            raise SourceMalformed("the HLS server sent a delta playlist though we did not ask")
        elif name == "#EXT-X-ENDLIST":
            self._ended = True

    def _segment(self, uri: str) -> None:
        if self._duration_s is None:
            raise SourceMalformed("the HLS playlist has a segment without EXTINF")
        if len(self._segments) >= SEGMENTS_MAX:
            raise SourceMalformed(f"the HLS playlist lists more than {SEGMENTS_MAX} segments")
        self._segments.append(
            Segment(
                sequence=self._first + len(self._segments),
                media=self._part(uri, self._range),
                duration_s=self._duration_s,
                init=self._init,
                gap=self._gap,
                encrypted=self._encrypted,
                discontinuity=self._discontinuity,
            )
        )
        self._duration_s = self._range = None
        self._gap = self._discontinuity = False

    def _map(self, attributes: dict[str, str]) -> None:
        uri = attributes.get("URI")
        if uri is None:
            raise SourceMalformed("the HLS playlist has an EXT-X-MAP without URI")
        self._init = self._part(uri, attributes.get("BYTERANGE"))

    def _part(self, uri: str, byte_range: str | None) -> Part:
        url = join(self._url, uri)
        if byte_range is None:
            return Part(url)
        length, _, offset = byte_range.partition("@")
        size = _integer(length, "BYTERANGE")
        if offset:
            start = _integer(offset, "BYTERANGE")
        elif url in self._range_ends:
            start = self._range_ends[url]
        else:
            raise SourceMalformed("the HLS playlist has a byte range that starts nowhere")
        if size == 0:
            raise SourceMalformed("the HLS playlist has an empty byte range")
        self._range_ends[url] = start + size
        return Part(url, (start, size))


def _attributes(text: str) -> dict[str, str]:
    """Read an attribute list (RFC 8216 §4.2)."""
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


def _integer(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise SourceMalformed(f"the HLS playlist has a {what} that is no number")
    return int(text)


def _decimal(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 86_400:
        raise SourceMalformed(f"the HLS playlist has a {what} that is no duration")
    return value


def _has(codecs: tuple[str, ...], families: tuple[str, ...]) -> bool:
    return any(codec.startswith(families) for codec in codecs)
