"""Digests of access units, read with FFmpeg's demuxers (PyAV) and never with everreel's parsers.

One form whatever the container: video as 4-byte length-prefixed NAL units without access unit
delimiters, filler and parameter sets; audio as one raw AAC frame or one Opus packet.
"""

from __future__ import annotations

import hashlib
import io
import json
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin

import av

Medium = Literal["video", "audio"]

# NAL unit types that carry no picture and differ between containers.
_H264_DROPPED = frozenset({7, 8, 9, 12})  # SPS, PPS, access unit delimiter, filler
_H265_DROPPED = frozenset({32, 33, 34, 35, 38})  # VPS, SPS, PPS, access unit delimiter, filler


@dataclass(frozen=True, slots=True)
class UnitDigest:
    """One access unit without its bytes.

    Units: `pts_us` microseconds on the container's own timeline, `size` bytes after normalising.
    """

    medium: Medium
    pts_us: int
    keyframe: bool
    sha: str
    size: int


def digest(medium: Medium, pts_us: int, keyframe: bool, payload: bytes) -> UnitDigest:
    """Make the digest of a normalised payload."""
    sha = hashlib.sha256(payload).hexdigest()[:16]
    return UnitDigest(medium, pts_us, keyframe, sha, len(payload))


def normalise_video(codec: str, nals: Iterable[bytes]) -> bytes:
    """Join NAL units in the lab's one form; `codec` is h264 or hevc."""
    kept: list[bytes] = []
    for nal in nals:
        if not nal:
            continue
        if codec == "h264":
            dropped = nal[0] & 0x1F in _H264_DROPPED
        else:
            dropped = (nal[0] >> 1) & 0x3F in _H265_DROPPED
        if not dropped:
            kept += (len(nal).to_bytes(4, "big"), nal)
    return b"".join(kept)


def split_length_prefixed(data: bytes, length_size: int = 4) -> Iterator[bytes]:
    """Cut a sample of MP4, FLV or Matroska into NAL units."""
    at = 0
    while at + length_size <= len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if at + size > len(data):
            raise ValueError(f"NAL unit of {size} bytes runs out of its sample at byte {at}")
        yield data[at : at + size]
        at += size
    if at != len(data):
        raise ValueError(f"{len(data) - at} stray bytes after the last NAL unit")


def split_annex_b(data: bytes) -> Iterator[bytes]:
    """Cut a byte stream at its start codes.

    Source: ISO/IEC 14496-10 Annex B.
    """
    start = data.find(b"\0\0\1")
    while start >= 0:
        following = data.find(b"\0\0\1", start + 3)
        end = len(data) if following < 0 else following
        # A NAL unit never ends in a zero byte, so trailing zeros belong to the next start code.
        yield data[start + 3 : end].rstrip(b"\0")
        start = following


def normalise_packet(stream: Any, data: bytes) -> bytes:
    """Bring one packet of FFmpeg's into the lab's one form."""
    codec = stream.codec_context.name
    codec = {"libdav1d": "av1", "libopus": "opus"}.get(codec, codec)
    if stream.type == "video":
        extradata = stream.codec_context.extradata or b""
        prefixed = extradata[:1] == b"\x01"  # avcC and hvcC begin with version 1, Annex B with 0
        if codec in {"h264", "hevc"}:
            split = split_length_prefixed(data) if prefixed else split_annex_b(data)
            return normalise_video(codec, split)
        return data
    # An ADTS header is there when the syncword and the length it states fit the packet.
    if codec == "aac" and len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        stated = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        if stated == len(data):
            return data[7 if data[1] & 1 else 9 :]
    return data


def demuxed(source: Path | bytes | str, container_format: str | None = None) -> list[UnitDigest]:
    """Digest every access unit of one file (or bytes, or URL), in its stored order."""
    opened: Any = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    units: list[UnitDigest] = []
    with av.open(opened, format=container_format) as container:
        for packet in container.demux():
            if packet.size == 0 or packet.stream.type not in {"video", "audio"}:
                continue
            if packet.pts is None:
                raise ValueError(f"{packet.stream.type} packet {len(units)} has no timestamp")
            pts_us = round(packet.pts * packet.time_base * 1_000_000)
            payload = normalise_packet(packet.stream, bytes(packet))
            key = packet.stream.type == "audio" or packet.is_keyframe
            units.append(digest(packet.stream.type, pts_us, key, payload))
    return units


def published_units(path: Path) -> list[UnitDigest]:
    """Every access unit a clip sends in one round, in sending order, from time 0."""
    return demuxed(path)


@dataclass(frozen=True, slots=True)
class PlaylistPart:
    """One media segment of a playlist, with the initialisation section it needs."""

    uri: str
    init_uri: str | None
    duration_s: float
    discontinuity: bool
    program_date_time: str | None


def playlist_parts(text: str, base: str) -> tuple[list[PlaylistPart], bool]:
    """Read a media playlist; returns its segments and whether it has ended.

    Source: RFC 8216 §4.3.
    """
    parts: list[PlaylistPart] = []
    init: str | None = None
    duration, discontinuity, when = 0.0, False, None
    if not text.startswith("#EXTM3U"):
        raise ValueError(f"{base}: a playlist begins with #EXTM3U")
    for line in text.splitlines():
        if line.startswith("#EXT-X-MAP:"):
            init = urljoin(base, line.split('URI="', 1)[1].split('"', 1)[0])
        elif line.startswith("#EXTINF:"):
            duration = float(line[8:].split(",", 1)[0])
        elif line == "#EXT-X-DISCONTINUITY":
            discontinuity = True
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            when = line.split(":", 1)[1]
        elif line and not line.startswith("#"):
            parts.append(PlaylistPart(urljoin(base, line), init, duration, discontinuity, when))
            discontinuity, when = False, None
    return parts, "#EXT-X-ENDLIST" in text


def load(uri: str) -> bytes:
    """Read a file path or a loopback http URL."""
    if uri.startswith(("http://", "file://")):
        with urllib.request.urlopen(uri, timeout=10) as reply:
            body: bytes = reply.read()
            return body
    return Path(uri).read_bytes()


def playlist_location(where: Path | str) -> str:
    """Name the playlist of a recording: a directory stands for its `index.m3u8`."""
    if isinstance(where, Path):
        return str(where / "index.m3u8" if where.is_dir() else where)
    return where


def units_by_part(where: Path | str) -> list[tuple[PlaylistPart, list[UnitDigest]]]:
    """Digest every segment of a playlist by itself, its initialisation section put before it."""
    base = playlist_location(where)
    parts, _ended = playlist_parts(load(base).decode(), base)
    inits: dict[str, bytes] = {}
    found: list[tuple[PlaylistPart, list[UnitDigest]]] = []
    for part in parts:
        head = b""
        if part.init_uri is not None:
            if part.init_uri not in inits:
                inits[part.init_uri] = load(part.init_uri)
            head = inits[part.init_uri]
        kind = "mp4" if part.init_uri is not None else "mpegts"
        found.append((part, demuxed(head + load(part.uri), kind)))
    return found


def units_in_playlist(where: Path | str) -> list[UnitDigest]:
    """Every access unit of a recording: a directory, a playlist file or a loopback URL."""
    return [unit for _part, units in units_by_part(where) for unit in units]


def of_medium(units: Iterable[UnitDigest], medium: Medium) -> list[UnitDigest]:
    """Keep the units of one medium."""
    return [unit for unit in units if unit.medium == medium]


def to_json(units: Iterable[UnitDigest]) -> list[dict[str, Any]]:
    """Prepare digests for a JSON file."""
    return [asdict(unit) for unit in units]


def from_json(text: str) -> list[UnitDigest]:
    """Read back what `to_json` prepared, either bare or under `units`."""
    data = json.loads(text)
    return [UnitDigest(**unit) for unit in (data["units"] if isinstance(data, dict) else data)]
