"""The lab's own small readers of captured sessions: RTMP chunks, FLV tags, interleaved RTP.

They are written for trusted captures, to say what a capture holds; they share nothing with
everreel's parsers, which have to survive hostile bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.lab.digests import Medium, UnitDigest, digest, normalise_video


@dataclass(slots=True)
class _Chunk:
    """What a chunk stream remembers from message to message."""

    timestamp: int = 0
    delta: int = 0
    length: int = 0
    kind: int = 0
    extended: bool = False
    body: bytearray = field(default_factory=bytearray)


def rtmp_messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Read what a server sent: (message type, timestamp, body) after the handshake.

    Source: Adobe RTMP 1.0 §5.
    """
    at, chunk_size = 1 + 1536 + 1536, 128
    streams: dict[int, _Chunk] = {}
    while at < len(data):
        form, number = data[at] >> 6, data[at] & 63
        at += 1
        if number == 0:
            number, at = 64 + data[at], at + 1
        elif number == 1:
            number, at = 64 + data[at] + 256 * data[at + 1], at + 2
        chunk = streams.setdefault(number, _Chunk())
        header = data[at : at + (11, 7, 3, 0)[form]]
        at += len(header)
        if form < 3:
            stamp = int.from_bytes(header[:3], "big")
            chunk.extended = stamp == 0xFFFFFF
            if form < 2:
                chunk.length, chunk.kind = int.from_bytes(header[3:6], "big"), header[6]
        else:
            stamp = chunk.delta
        if chunk.extended:
            stamp, at = int.from_bytes(data[at : at + 4], "big"), at + 4
        if not chunk.body:
            chunk.delta = stamp if form else 0
            chunk.timestamp = stamp if form == 0 else chunk.timestamp + stamp
        take = min(chunk_size, chunk.length - len(chunk.body))
        if at + take > len(data):
            return
        chunk.body += data[at : at + take]
        at += take
        if len(chunk.body) == chunk.length:
            body, chunk.body = bytes(chunk.body), bytearray()
            if chunk.kind == 1:
                chunk_size = int.from_bytes(body, "big") & 0x7FFFFFFF
            yield chunk.kind, chunk.timestamp, body


@dataclass(frozen=True, slots=True)
class Tag:
    """One FLV tag.

    Units: `timestamp` milliseconds.
    """

    kind: int  # 8 audio, 9 video, 18 script
    timestamp: int
    body: bytes


def flv_file(tags: list[Tag], flags: int = 5) -> bytes:
    """Write tags as an FLV file.

    Source: Adobe FLV 10.1 Annex E.
    """
    parts = [b"FLV\x01", bytes([flags]), struct.pack(">II", 9, 0)]
    for tag in tags:
        stamp = tag.timestamp & 0xFFFFFFFF
        parts.append(bytes([tag.kind]) + len(tag.body).to_bytes(3, "big"))
        parts.append((stamp & 0xFFFFFF).to_bytes(3, "big") + bytes([stamp >> 24]) + b"\0\0\0")
        parts.append(tag.body + struct.pack(">I", 11 + len(tag.body)))
    return b"".join(parts)


def flv_tags(data: bytes) -> list[Tag]:
    """Read the tags of an FLV file, whole ones only."""
    at = int.from_bytes(data[5:9], "big") + 4
    tags: list[Tag] = []
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if at + 15 + size > len(data):
            break
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        tags.append(Tag(data[at] & 31, stamp, data[at + 11 : at + 11 + size]))
        at += 15 + size
    return tags


def rtmp_to_flv(data: bytes) -> bytes:
    """Turn a captured RTMP play session into an FLV file."""
    kept = [
        Tag(kind, at, body) for kind, at, body in rtmp_messages(data) if kind in {8, 9} and body
    ]
    return flv_file(kept)


def http_body(data: bytes) -> bytes:
    """Take the body out of one captured HTTP reply, chunked or not; a cut one ends at the cut."""
    head, _, rest = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return rest
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        body += rest[:length]
        rest = rest[length + 2 :]
    return bytes(body)


def interleaved(data: bytes) -> Iterator[tuple[int, bytes] | bytes]:
    """Cut what an RTSP server sent into (channel, packet) and replies.

    Source: RFC 2326 §10.12.
    """
    at = 0
    while at < len(data):
        if data[at] == 0x24:
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            if at + 4 + size > len(data):
                return
            yield data[at + 1], data[at + 4 : at + 4 + size]
            at += 4 + size
            continue
        end = data.index(b"\r\n\r\n", at) + 4
        for line in data[at:end].split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                end += int(line.split(b":")[1])
        yield data[at:end]
        at = end


class Depacketiser:
    """Collects access units from the RTP packets of one track.

    Source: RFC 6184, RFC 7798, RFC 3640 (AAC-hbr), RFC 7587.
    """

    def __init__(self, encoding: str, clock: int) -> None:
        self.encoding = encoding.lower()
        self.clock = clock
        self.units: list[tuple[int, list[bytes]]] = []  # RTP timestamp, NAL units or one frame
        self._nals: list[bytes] = []
        self._fragment = bytearray()
        self._expected: int | None = None

    def push(self, packet: bytes) -> None:
        """Take one RTP packet.

        Raises:
            ValueError: a packet before it is missing.
        """
        number = int.from_bytes(packet[2:4], "big")
        if self._expected not in {None, number}:
            raise ValueError(f"RTP packet {self._expected} is missing: {number} came")
        self._expected = (number + 1) & 0xFFFF
        marker, stamp = packet[1] >> 7, int.from_bytes(packet[4:8], "big")
        start = 12 + 4 * (packet[0] & 15)
        if packet[0] & 0x10:
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        payload = packet[start : len(packet) - (packet[-1] if packet[0] & 0x20 else 0)]
        if self.encoding == "opus":
            self.units.append((stamp, [payload]))
        elif self.encoding == "mpeg4-generic":
            self._push_aac(payload, stamp, marker)
        else:
            self._push_video(payload)
            if marker:
                self.units.append((stamp, self._nals))
                self._nals = []

    def _push_aac(self, payload: bytes, stamp: int, marker: int) -> None:
        count = int.from_bytes(payload[:2], "big") // 16
        at = 2 + 2 * count
        for n in range(count):
            size = int.from_bytes(payload[2 + 2 * n : 4 + 2 * n], "big") >> 3
            self._fragment += payload[at : at + size]
            at += size
            if len(self._fragment) == size or marker:
                self.units.append((stamp + 1024 * n, [bytes(self._fragment)]))
                self._fragment.clear()

    def _push_video(self, payload: bytes) -> None:
        h264 = self.encoding == "h264"
        kind = payload[0] & 31 if h264 else (payload[0] >> 1) & 63
        head = 1 if h264 else 2
        if kind == (24 if h264 else 48):
            at = head
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                self._nals.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == (28 if h264 else 49):
            fu = payload[head]
            if fu & 0x80:
                first = (
                    bytes([payload[0] & 0xE0 | fu & 31])
                    if h264
                    else bytes([payload[0] & 0x81 | (fu & 63) << 1, payload[1]])
                )
                self._fragment = bytearray(first)
            self._fragment += payload[head + 1 :]
            if fu & 0x40:
                self._nals.append(bytes(self._fragment))
                self._fragment.clear()
        else:
            self._nals.append(payload)


def rtsp_units(data: bytes) -> dict[str, list[UnitDigest]]:
    """Digest a captured RTSP session by track control name, timestamps from the first of each."""
    tracks: list[tuple[Medium, Depacketiser]] = []
    medium: Medium = "video"
    for item in interleaved(data):
        if isinstance(item, bytes):
            for line in item.decode("utf-8", "replace").splitlines():
                if line.startswith("m="):
                    medium = "video" if line.startswith("m=video") else "audio"
                elif line.startswith("a=rtpmap:"):
                    encoding, clock = line.split()[1].split("/")[:2]
                    tracks.append((medium, Depacketiser(encoding, int(clock))))
        elif item[0] % 2 == 0:
            tracks[item[0] // 2][1].push(item[1])
    found: dict[str, list[UnitDigest]] = {}
    for kind, track in tracks:
        units: list[UnitDigest] = []
        origin = track.units[0][0] if track.units else 0
        for stamp, parts in track.units:
            ticks = (stamp - origin + (1 << 31)) % (1 << 32) - (1 << 31)
            key, payload = kind == "audio", parts[0]
            if kind == "video":
                codec = "h264" if track.encoding == "h264" else "hevc"
                key = any(_starts_clean(codec, nal) for nal in parts)
                payload = normalise_video(codec, parts)
            units.append(digest(kind, round(ticks * 1_000_000 / track.clock), key, payload))
        found[kind] = units
    return found


def _starts_clean(codec: str, nal: bytes) -> bool:
    """Whether a NAL unit is a slice of a random access picture."""
    return nal[0] & 31 == 5 if codec == "h264" else 16 <= (nal[0] >> 1) & 63 <= 21
