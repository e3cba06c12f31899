"""The native grammar of object names: every key a recording writes, built and read back exactly.

A recording's objects lie in one folder, `<prefix>/<channel>/<sid>/`; rows and playlists name them
relative to it. The relative names are functions of this module, the full keys methods of `Folder`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from everreel.errors import InvalidRequest
from everreel.ids import is_name, is_sid
from everreel.media.access_unit import Medium
from everreel.media.index import Container

LIVE = "live.m3u8"
INDEX = "index.m3u8"
MPD = "manifest.mpd"
MANIFEST = "recording.json"
MP4 = "recording.mp4"
POSTER = "poster.jpg"
VERIFICATION = "verify.json"
TIMELINE = "timeline.svg"

LONGEST_PREFIX = 512
"""Characters of a prefix: with the rest of the longest name still within the 1024 of a store."""

_SUFFIXES = {Container.FMP4: ".m4s", Container.MPEGTS: ".ts"}
_NUMBER = r"(?:0|[1-9][0-9]*)"
_INIT = re.compile(rf"init-({_NUMBER})(?:-(video|audio))?\.mp4\Z", re.ASCII)
_SEGMENT = re.compile(
    r"segments/([0-9]{8}|[1-9][0-9]{8,})-([a-z][1-9][0-9]*)\.(m4s|ts)\Z", re.ASCII
)
_CONTENT_TYPES = {
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
    "ts": "video/mp2t",
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "json": "application/json",
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
}


class Kind(StrEnum):
    """What an object of a recording is."""

    INIT = "init"
    SEGMENT = "segment"
    LIVE = "live"
    INDEX = "index"
    MPD = "mpd"
    MANIFEST = "manifest"
    MP4 = "mp4"
    POSTER = "poster"
    VERIFICATION = "verification"
    TIMELINE = "timeline"


_FIXED = {
    LIVE: Kind.LIVE,
    INDEX: Kind.INDEX,
    MPD: Kind.MPD,
    MANIFEST: Kind.MANIFEST,
    MP4: Kind.MP4,
    POSTER: Kind.POSTER,
    VERIFICATION: Kind.VERIFICATION,
    TIMELINE: Kind.TIMELINE,
}
_FIXED_NAMES = {kind: name for name, kind in _FIXED.items()}


def init_name(number: int, medium: Medium | None = None) -> str:
    """Name init segment `number`, of all tracks or of one, relative to the recording's folder."""
    return f"init-{number}.mp4" if medium is None else f"init-{number}-{medium.value}.mp4"


def segment_name(k: int, writer: str, container: Container) -> str:
    """Name segment `k` as `writer` writes it, relative to the recording's folder.

    `writer` is lane and lap in one word ("a1"): no two laps ever write the same key.
    """
    return f"segments/{k:08d}-{writer}{_SUFFIXES[container]}"


def content_type(name: str) -> str:
    """Tell the media type with which an object is stored and served."""
    return _CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the objects of one recording lie.

    Attributes:
        prefix: leading part, components separated by slashes; may be empty.
        channel, sid: of the recording.

    Raises:
        InvalidRequest: a part is not fit for object names.
    """

    prefix: str
    channel: str
    sid: str

    def __post_init__(self) -> None:
        if not is_prefix(self.prefix):
            raise InvalidRequest(
                f"prefix: up to {LONGEST_PREFIX} characters, names of letters, digits and ._@:+=- "
                "separated by single slashes",
                field="prefix",
            )
        if not is_name(self.channel):
            raise InvalidRequest(
                "channel: 1 to 128 letters, digits and ._@:+=-, a letter or digit first",
                field="channel",
            )
        if not is_sid(self.sid):
            raise InvalidRequest("sid: 32 lowercase hex digits", field="sid")

    @property
    def path(self) -> str:
        """What every key of the recording starts with, slash included."""
        head = f"{self.prefix}/" if self.prefix else ""
        return f"{head}{self.channel}/{self.sid}/"

    def key(self, relative: str) -> str:
        """Build the full key of a name relative to the folder."""
        return self.path + relative

    def init(self, number: int, medium: Medium | None = None) -> str:
        """Build the key of an init segment, of all tracks or of one."""
        return self.path + init_name(number, medium)

    def segment(self, k: int, writer: str, container: Container) -> str:
        """Build the key of a segment."""
        return self.path + segment_name(k, writer, container)

    @property
    def live(self) -> str:
        """The sliding playlist."""
        return self.path + LIVE

    @property
    def index(self) -> str:
        """The full playlist."""
        return self.path + INDEX

    @property
    def mpd(self) -> str:
        """The DASH manifest."""
        return self.path + MPD

    @property
    def manifest(self) -> str:
        """The recording's own manifest."""
        return self.path + MANIFEST

    @property
    def mp4(self) -> str:
        """The whole recording as one file."""
        return self.path + MP4

    @property
    def poster(self) -> str:
        """The picture that stands for the recording."""
        return self.path + POSTER


def is_prefix(text: str) -> bool:
    """Tell whether a prefix is fit for object names: names between single slashes, or empty."""
    return not text or (len(text) <= LONGEST_PREFIX and all(map(is_name, text.split("/"))))


@dataclass(frozen=True, slots=True)
class ObjectName:
    """One object of one recording, in words.

    Attributes:
        number: n of an init segment, k of a segment; 0 for others.
        medium: of an init segment of one track.
        writer, container: of a segment.
    """

    folder: Folder
    kind: Kind
    number: int = 0
    medium: Medium | None = None
    writer: str = ""
    container: Container = Container.FMP4

    @property
    def relative(self) -> str:
        """The name relative to the recording's folder."""
        if self.kind is Kind.INIT:
            return init_name(self.number, self.medium)
        if self.kind is Kind.SEGMENT:
            return segment_name(self.number, self.writer, self.container)
        return _FIXED_NAMES[self.kind]

    @property
    def key(self) -> str:
        """The full key: `parse` turns it back into this."""
        return self.folder.key(self.relative)


def parse(key: str) -> ObjectName | None:
    """Read a full key back; None if it is not one that this grammar builds."""
    parts = key.split("/")
    file_parts = 2 if len(parts) >= 2 and parts[-2] == "segments" else 1
    if len(parts) < file_parts + 2:
        return None
    *prefix, channel, sid = parts[:-file_parts]
    try:
        folder = Folder("/".join(prefix), channel, sid)
    except InvalidRequest:
        return None
    if prefix and not folder.prefix:
        return None
    return _parse_relative(folder, "/".join(parts[-file_parts:]))


def _parse_relative(folder: Folder, relative: str) -> ObjectName | None:
    if kind := _FIXED.get(relative):
        return ObjectName(folder, kind)
    if match := _INIT.match(relative):
        medium = Medium(match[2]) if match[2] else None
        return ObjectName(folder, Kind.INIT, int(match[1]), medium)
    if match := _SEGMENT.match(relative):
        container = Container.FMP4 if match[3] == "m4s" else Container.MPEGTS
        return ObjectName(folder, Kind.SEGMENT, int(match[1]), writer=match[2], container=container)
    return None
