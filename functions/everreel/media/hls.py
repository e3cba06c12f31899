"""HLS media playlists: the sliding one of each segment, the full one at intervals, the final one.

A segment's text is made once; writing a playlist again joins what is there, so that the cost of a
segment stays the same however long the recording is.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from everreel.media.index import InitRow, SegmentRow

PlaylistKind = Literal["live", "event", "vod"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {"live": "", "event": "#EXT-X-PLAYLIST-TYPE:EVENT\n", "vod": "#EXT-X-PLAYLIST-TYPE:VOD\n"}
_END = "#EXT-X-ENDLIST\n"
_MAP = b'#EXT-X-MAP:URI="'
_SUFFIXES = (b".m4s\n", b".ts\n")
_HEAD = re.compile(
    rb"#EXTM3U\n#EXT-X-VERSION:(?P<version>[36])\n(?P<independent>#EXT-X-INDEPENDENT-SEGMENTS\n)?"
    rb"#EXT-X-TARGETDURATION:(?P<target>[1-9]\d{0,8})\n#EXT-X-MEDIA-SEQUENCE:0\n"
    rb"#EXT-X-PLAYLIST-TYPE:EVENT\n"
)
_ALWAYS_BELOW = 50
"""Up to this many segments the full playlist is written with each one."""
_GROWTH = 50
"""Beyond, when it has grown by one part in this many: 2 %."""


@dataclass(frozen=True, slots=True)
class PlaylistEntry:
    """A segment as a playlist shows it.

    Attributes:
        uri: of the segment, relative to the playlist.
        duration_us: microseconds.
        utc_us: UTC of its start.
        init_uri: of the init segment it needs; None for MPEG-TS.
        discontinuity: a break lies directly before it.
        independent: starts with a keyframe.
    """

    uri: str
    duration_us: int
    utc_us: int
    init_uri: str | None
    discontinuity: bool
    independent: bool


def entry(row: SegmentRow, inits: Mapping[int, InitRow]) -> PlaylistEntry:
    """Make the entry of a row; `inits` are the recording's init segments by number."""
    init_uri = inits[row.init].keys["all"] if row.init else None
    return PlaylistEntry(
        row.key, row.duration_us, row.utc_us, init_uri, row.discontinuity, row.independent
    )


def due(count_written: int, count_now: int) -> bool:
    """Tell whether the full playlist is to be written again.

    With each segment while there are few, then whenever it has grown by 2 %: all writes together
    stay in proportion to the length of the recording.
    """
    grown = count_now - count_written
    return grown > 0 and (count_now <= _ALWAYS_BELOW or grown * _GROWTH >= count_written)


def media_playlist(
    entries: Iterable[PlaylistEntry],
    *,
    target_s: int,
    kind: PlaylistKind,
    media_sequence: int = 0,
    discontinuity_sequence: int = 0,
    ended: bool = False,
) -> str:
    """Write a media playlist.

    Args:
        entries: its segments in order.
        target_s: target duration, seconds; raised if a segment is longer.
        kind: "live" for a window that slides, "event" for one that only grows, "vod" for a final.
        media_sequence: segments that were before the first entry and are gone.
        discontinuity_sequence: breaks that went with them.
        ended: nothing will be added any more.

    Source: RFC 8216 §4.3.
    """
    listed = list(entries)
    lines = [
        _header(
            kind,
            max([target_s, *(_target(item.duration_us) for item in listed)]),
            media_sequence,
            discontinuity_sequence,
            fmp4=any(item.init_uri is not None for item in listed),
            independent=all(item.independent for item in listed),
        )
    ]
    init_uri: str | None = None
    for position, item in enumerate(listed):
        lines.append(
            _segment(
                item,
                # A break before the very first segment of all separates it from nothing.
                after_break=item.discontinuity and position + media_sequence > 0,
                new_init=item.init_uri != init_uri,
                dated=kind == "live" or item.discontinuity or not position,
            )
        )
        init_uri = item.init_uri
    return "".join(lines) + (_END if ended else "")


class IndexBuilder:
    """Keeps the text of a playlist that only grows: about 45 bytes of memory a segment.

    Attributes:
        count: segments added.
        target_s: target duration, seconds: the one asked for, or that of the longest segment.
        last_uri: of the segment added last, "" before the first.
    """

    __slots__ = ("_fmp4", "_independent", "_init_uri", "_text", "count", "last_uri", "target_s")

    def __init__(self, target_s: int) -> None:
        """Start a playlist without segments. Units: `target_s` seconds."""
        self.count = 0
        self.last_uri = ""
        self.target_s = target_s
        self._text = bytearray()
        self._init_uri: str | None = None
        self._independent = True
        self._fmp4 = False

    def add(self, item: PlaylistEntry) -> None:
        """Append a segment."""
        text = _segment(
            item,
            after_break=item.discontinuity and self.count > 0,
            new_init=item.init_uri != self._init_uri,
            dated=item.discontinuity or not self.count,
        )
        self._text += text.encode()
        self._init_uri = item.init_uri
        self._fmp4 = self._fmp4 or item.init_uri is not None
        self._independent = self._independent and item.independent
        self.target_s = max(self.target_s, _target(item.duration_us))
        self.last_uri = item.uri
        self.count += 1

    def render(self, kind: Literal["event", "vod"] = "event", *, ended: bool = False) -> bytes:
        """Write the playlist as it stands: what `media_playlist` makes of the same entries."""
        head = _header(kind, self.target_s, 0, 0, fmp4=self._fmp4, independent=self._independent)
        return b"".join((head.encode(), self._text, _END.encode() if ended else b""))

    @classmethod
    def resume(cls, body: bytes) -> "IndexBuilder | None":
        """Go on with a playlist that `render` wrote; None if it is none, or nothing may follow."""
        match = _HEAD.match(body)
        if match is None or not body.endswith(_SUFFIXES):
            return None
        found = cls(int(match["target"]))
        found._text += body[match.end() :]
        found._fmp4 = match["version"] == b"6"
        found._independent = match["independent"] is not None
        found.count = found._text.count(b"#EXTINF:")
        found.last_uri = found._text[found._text.rindex(b"\n", 0, -1) + 1 : -1].decode()
        if (at := found._text.rfind(_MAP)) >= 0:
            at += len(_MAP)
            found._init_uri = found._text[at : found._text.index(b'"', at)].decode()
        return found


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the playlists of a running recording stand: all a later lap needs to go on.

    Attributes:
        before_k: bucket of the segment before the live playlist's first, -1 if none is.
        media_sequence, discontinuity_sequence: of the live playlist.
        target_s: target duration of both, seconds.
        indexed: segments in the full playlist when it was last written.
    """

    before_k: int
    media_sequence: int
    discontinuity_sequence: int
    target_s: int
    indexed: int


class LiveWindow:
    """The playlist that shows the last few segments.

    Attributes:
        target_s: target duration, seconds: the one asked for, or that of the longest segment ever.
        media_sequence: segments that have left the window.
        discontinuity_sequence: breaks that have left with them.
    """

    __slots__ = ("_entries", "_size", "discontinuity_sequence", "media_sequence", "target_s")

    def __init__(
        self,
        target_s: int,
        size: int = 6,
        *,
        media_sequence: int = 0,
        discontinuity_sequence: int = 0,
    ) -> None:
        """Start a window of `size` segments; a later lap goes on from the sequence numbers given.

        RFC 8216 §6.2.2 wants at least three target durations in a window.
        """
        self.target_s = target_s
        self.media_sequence = media_sequence
        self.discontinuity_sequence = discontinuity_sequence
        self._size = size
        self._entries: deque[PlaylistEntry] = deque()

    def add(self, item: PlaylistEntry) -> None:
        """Append a segment; the oldest leaves if the window is full."""
        self._entries.append(item)
        self.target_s = max(self.target_s, _target(item.duration_us))
        if len(self._entries) > self._size:
            gone = self._entries.popleft()
            # The very first segment of all has no tag (see `media_playlist`).
            self.discontinuity_sequence += gone.discontinuity and self.media_sequence > 0
            self.media_sequence += 1

    def render(self, *, ended: bool = False) -> str:
        """Write the playlist as it stands."""
        return media_playlist(
            self._entries,
            target_s=self.target_s,
            kind="live",
            media_sequence=self.media_sequence,
            discontinuity_sequence=self.discontinuity_sequence,
            ended=ended,
        )


def _header(
    kind: PlaylistKind,
    target_s: int,
    media_sequence: int,
    discontinuity_sequence: int,
    *,
    fmp4: bool,
    independent: bool,
) -> str:
    # EXT-X-MAP outside an I-frame playlist needs version 6, a fraction in EXTINF 3 (RFC 8216 §7).
    lines = f"#EXTM3U\n#EXT-X-VERSION:{6 if fmp4 else 3}\n"
    if independent:
        lines += "#EXT-X-INDEPENDENT-SEGMENTS\n"
    lines += f"#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:{media_sequence}\n"
    if discontinuity_sequence:
        lines += f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}\n"
    return lines + _TYPES[kind]


def _target(duration_us: int) -> int:
    """Round to the whole seconds that a target duration must at least have."""
    return (duration_us + 500_000) // 1_000_000


def _segment(item: PlaylistEntry, *, after_break: bool, new_init: bool, dated: bool) -> str:
    """Write the lines of one segment."""
    text = "#EXT-X-DISCONTINUITY\n" if after_break else ""
    if new_init and item.init_uri is not None:
        text += f'#EXT-X-MAP:URI="{item.init_uri}"\n'
    if dated:
        at = _EPOCH + timedelta(milliseconds=(item.utc_us + 500) // 1000)
        stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
        text += f"#EXT-X-PROGRAM-DATE-TIME:{stamp}\n"
    seconds, fraction = divmod(item.duration_us, 1_000_000)
    return f"{text}#EXTINF:{seconds}.{fraction:06d},\n{item.uri}\n"
