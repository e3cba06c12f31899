"""Reads FLV: tags out of a byte stream, and tracks out of tags (which RTMP carries too)."""

from collections.abc import Iterator

from everreel.errors import (
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.media.bitstream import h264, h265, opus
from everreel.media.bitstream.coded_picture import CodedPicture, as_it_stands
from everreel.media.bitstream.describe import track_format
from everreel.media.bitstream.nal import split_length_prefixed
from everreel.media.bitstream.parameter_sets import ParameterSets

AUDIO = 8
VIDEO = 9
TIMESCALE = 1000
WRAP = 1 << 32

Tag = tuple[int, int, bytes]
"""Type, timestamp in ms (32 bits), payload."""

_TAG_TYPES = (VIDEO, AUDIO, 18, 15)
_ENCRYPTED = 0x20
_MAX_HEADER = 1024

_VIDEO_CODECS = {7: Codec.H264, 12: Codec.H265}
_VIDEO_FOURCC = {b"avc1": Codec.H264, b"hvc1": Codec.H265}
_AUDIO_FOURCC = {b"mp4a": Codec.AAC, b"Opus": Codec.OPUS}
_AAC = 10
_VIDEO_NAMES = {
    1: "JPEG", 2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha",
    6: "Screen video 2", 13: "AV1",
}  # fmt: skip
_AUDIO_NAMES = {
    0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser",
    7: "G.711 A-law", 8: "G.711 mu-law", 11: "Speex", 14: "MP3",
}  # fmt: skip
_COMMAND_FRAME = 5
_EXTENDED_AUDIO = 9

# Packet types shared by the legacy and the enhanced tags of both media.
_HEADER, _FRAME, _FRAME_WITHOUT_OFFSET, _MODIFIED = 0, 1, 3, 7
_VIDEO_MULTITRACK, _AUDIO_MULTITRACK = 6, 5

_NOT_FLV = {
    0x3C: "a web page",
    0x23: "a playlist",
    0x47: "an MPEG transport stream",
    0x49: "an MP3 file",
    0x7B: "a JSON document",
    0xFF: "an MP3 or AAC stream",
}


class FlvTags:
    """Splits the bytes of an FLV file or live stream into tags.

    Holds at most one incomplete tag (16 MiB).

    Source: Adobe Flash Video File Format 10.1, Annex E.
    """

    __slots__ = ("_begun", "_held", "_wanted")

    def __init__(self) -> None:
        self._begun = False
        self._held = bytearray()
        self._wanted = 9

    @property
    def begun(self) -> bool:
        """Tell whether the file header has been read."""
        return self._begun

    def receive(self, data: bytes) -> Iterator[Tag]:
        """Take what arrived; give the tags it completes. To be iterated to the end.

        Raises: SourceUnsupported if it is another, known format or encrypted; SourceMalformed if
            it is none, or no tag begins where one must.
        """
        if self._held:
            if self._begun and len(self._held) + len(data) < self._wanted:
                self._held += data
                return
            data = b"".join((self._held, data))
        at = 0
        if not self._begun:
            at = _header_end(data)
            self._begun = at > 0
        end = len(data)
        needed = 11
        while self._begun and at + 11 <= end:
            # One number: type (8 bits), size (24), timestamp (24), its extension (8).
            header = int.from_bytes(data[at : at + 8], "big")
            after = at + 11 + (header >> 32 & 0xFFFFFF)
            kind = header >> 56
            if kind not in _TAG_TYPES:
                _refuse_tag(kind)
            if after + 4 > end:
                needed = after + 4 - at
                break
            stamp = header & 0xFFFFFFFF
            yield kind, stamp >> 8 | (stamp & 0xFF) << 24, data[at + 11 : after]
            at = after + 4
        self._held = bytearray(data[at:])
        self._wanted = needed


class FlvTracks:
    """Turns FLV tags into track formats and access units.

    Units that come before their header are dropped, empty tags and metadata passed over. Handles
    AVC, HEVC (codec id 12 and enhanced RTMP), AAC and Opus.

    Source: Adobe Flash Video File Format 10.1, Annex E.4; Enhanced RTMP v2.
    """

    __slots__ = ("_audio_codec", "_formats", "_length_size", "_sets", "_video_codec")

    def __init__(self) -> None:
        self._formats: dict[Medium, TrackFormat] = {}
        self._video_codec: Codec | None = None
        self._audio_codec: Codec | None = None
        self._sets = ParameterSets(Codec.H264)
        self._length_size = 4

    def tag(self, kind: int, timestamp_ms: int, payload: bytes) -> list[SourceEvent]:
        """Take one tag; return what it holds.

        Raises: SourceUnsupported naming the codec; SourceMalformed if a header or the framing of
            a picture cannot be read.
        """
        if len(payload) < 2:
            return []
        if kind == VIDEO:
            return self._video(timestamp_ms, payload)
        if kind == AUDIO:
            return self._audio(timestamp_ms, payload)
        return []

    def _video(self, stamp: int, payload: bytes) -> list[SourceEvent]:
        first = payload[0]
        if first >> 4 & 7 == _COMMAND_FRAME:
            return []
        if first & 0x80:
            packet, at, fourcc = _enhanced(payload, first & 15, _VIDEO_MULTITRACK)
            codec = _VIDEO_FOURCC.get(fourcc)
            name = _printable(fourcc)
            if packet == _FRAME:
                at += 3
        else:
            packet, at = payload[1], 5
            codec = _VIDEO_CODECS.get(first & 15)
            name = _VIDEO_NAMES.get(first & 15, f"codec id {first & 15}")
            if packet > _FRAME:
                packet = -1
        if codec is None:
            raise SourceUnsupported(f"video codec {name} cannot be recorded; send H.264 or H.265")
        if packet == _HEADER:
            return self._video_header(codec, payload[at:])
        if packet not in (_FRAME, _FRAME_WITHOUT_OFFSET) or codec is not self._video_codec:
            return []
        offset = 0
        if packet == _FRAME:
            offset = int.from_bytes(payload[at - 3 : at], "big", signed=True)
        picture = self._clean(codec, payload, at)
        events: list[SourceEvent] = []
        if picture.parameter_sets and self._sets.update(picture.parameter_sets):
            events = self._changed(codec, self._sets.config)
        if picture.data and self._sets.config:
            pts = (stamp + offset) % WRAP
            events.append(AccessUnit(Medium.VIDEO, pts, stamp, picture.keyframe, picture.data))
        return events

    def _clean(self, codec: Codec, payload: bytes, at: int) -> CodedPicture:
        avc = codec is Codec.H264
        if self._length_size == 4:
            picture = as_it_stands(payload, at, h264.KINDS if avc else h265.KINDS)
            if picture is not None:
                return picture
        nals = split_length_prefixed(payload, self._length_size, at)
        return h264.access_unit(nals) if avc else h265.access_unit(nals)

    def _video_header(self, codec: Codec, config: bytes) -> list[SourceEvent]:
        if not config:
            return []
        if codec is Codec.H264:
            sps_list, pps_list, self._length_size = h264.read_avcc(config)
            nals = [*sps_list, *pps_list]
        else:
            vps_list, sps_list, pps_list, self._length_size = h265.read_hvcc(config)
            nals = [*vps_list, *sps_list, *pps_list]
        if nals or codec is not self._video_codec:
            self._video_codec = codec
            self._sets = ParameterSets(codec)
            self._sets.update(nals)
        return self._changed(codec, self._sets.config) if self._sets.config else []

    def _audio(self, stamp: int, payload: bytes) -> list[SourceEvent]:
        kind = payload[0] >> 4
        if kind == _AAC:
            packet, at, codec = payload[1], 2, Codec.AAC
        elif kind == _EXTENDED_AUDIO:
            packet, at, fourcc = _enhanced(payload, payload[0] & 15, _AUDIO_MULTITRACK)
            known = _AUDIO_FOURCC.get(fourcc)
            if known is None:
                name = _printable(fourcc)
                raise SourceUnsupported(f"audio codec {name} cannot be recorded; send AAC or Opus")
            codec = known
        else:
            name = _AUDIO_NAMES.get(kind, f"format {kind}")
            raise SourceUnsupported(f"audio codec {name} cannot be recorded; send AAC or Opus")
        data = payload[at:]
        if not data:
            return []
        if packet == _HEADER:
            self._audio_codec = codec
            if codec is Codec.OPUS:
                data = opus.dops(opus.parse_head(data))
            return self._changed(codec, data)
        if packet != _FRAME or codec is not self._audio_codec:
            return []
        return [AccessUnit(Medium.AUDIO, stamp, stamp, keyframe=True, data=data)]

    def _changed(self, codec: Codec, config: bytes) -> list[SourceEvent]:
        """Make the format, unless it is the one that is in force already."""
        before = self._formats.get(codec.medium)
        if before is not None and before.codec is codec and before.config == config:
            return []
        after = track_format(codec, config, TIMESCALE, WRAP)
        self._formats[codec.medium] = after
        return [after]


class HttpFlv:
    """HTTP-FLV from the first byte of the reply's body on (`SansIO`)."""

    __slots__ = ("_delivered", "_error", "_tags", "_tracks")

    def __init__(self) -> None:
        self._error: SourceError | None = None
        self._tags = FlvTags()
        self._tracks = FlvTracks()
        self._delivered = False

    def receive(self, data: bytes) -> list[SourceEvent]:
        """Take bytes of the body; return the events they complete.

        What was complete before an error is returned first, the error raised by the next call.
        """
        if self._error:
            raise self._error
        events: list[SourceEvent] = []
        take = self._tracks.tag
        try:
            for kind, stamp, payload in self._tags.receive(data):
                events += take(kind, stamp, payload)
        except SourceError as error:
            if not events:
                raise
            self._error = error
        self._delivered = self._delivered or bool(events)
        return events

    def data_to_send(self) -> bytes:
        """Return nothing: after the request the client is silent."""
        return b""

    def tick(self, now_s: float) -> None:
        """Do nothing: HTTP-FLV has no keep-alives."""

    def end_of_input(self) -> list[SourceEvent]:
        """Tell how the body ended; nothing complete is ever held back.

        Raises: SourceEnded after media, SourceUnreachable without any, SourceMalformed if not even
            the FLV header came.
        """
        if self._error:
            raise self._error
        if self._delivered:
            raise SourceEnded("the server ended the FLV stream")
        if self._tags.begun:
            raise SourceUnreachable("the server closed the FLV stream before any media")
        raise SourceMalformed("the server closed the stream before the end of the FLV header")


def _header_end(data: bytes) -> int:
    """Find the first tag; 0 if the header is not complete."""
    if not data.startswith(b"FLV"[: len(data)]):
        known = _NOT_FLV.get(data[0])
        if known:
            raise SourceUnsupported(f"the URL delivers {known}, not FLV")
        raise SourceMalformed("the URL delivers something that is not FLV")
    if len(data) < 9:
        return 0
    end = int.from_bytes(data[5:9], "big") + 4
    if not 13 <= end <= _MAX_HEADER:
        raise SourceMalformed(f"FLV header says it is {end - 4} bytes long")
    return end if len(data) >= end else 0


def _refuse_tag(kind: int) -> None:
    if kind & _ENCRYPTED:
        raise SourceUnsupported("the FLV stream is encrypted")
    raise SourceMalformed(f"FLV tag of unknown type {kind}")


def _enhanced(payload: bytes, packet: int, multitrack: int) -> tuple[int, int, bytes]:
    """Read the head of an enhanced tag: packet type, where the body begins, FourCC.

    Source: Enhanced RTMP v2, ExAudioTagHeader and ExVideoTagHeader.
    """
    at = 1
    while packet == _MODIFIED:
        size = payload[at] + 1 if at < len(payload) else 0
        at += 1
        if size == 256:
            size = int.from_bytes(payload[at : at + 2], "big") + 1
            at += 2
        at += size + 1
        if at > len(payload):
            raise SourceMalformed("FLV tag ends inside its packet modifiers")
        packet = payload[at - 1] & 15
    if packet == multitrack:
        raise SourceUnsupported("several tracks of one kind (enhanced RTMP multitrack)")
    fourcc = payload[at : at + 4]
    if len(fourcc) < 4:
        raise SourceMalformed("FLV tag ends before its FourCC")
    return packet, at + 4, fourcc


def _printable(fourcc: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "?" for byte in fourcc)
