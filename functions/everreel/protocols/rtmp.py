"""Plays a live stream from an RTMP server."""

import os
import re
from dataclasses import dataclass
from enum import IntEnum

from everreel import redact
from everreel.errors import (
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from everreel.media.access_unit import SourceEvent
from everreel.protocols import amf
from everreel.protocols.flv import AUDIO, VIDEO, FlvTracks
from everreel.protocols.rtmp_chunks import ChunkReader, write_message

_URL = re.compile(r"(rtmps?)://([^/?#]+)/([^?]*)(?:\?(.*))?", re.DOTALL | re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:.*@)?([^@]+)", re.DOTALL)

_VERSION = 3
_HANDSHAKE = 1536

# Message types (Adobe RTMP 1.0 §5.4, §7.1).
_ACKNOWLEDGEMENT, _USER_CONTROL, _WINDOW, _PEER_BANDWIDTH = 3, 4, 5, 6
_COMMAND_AMF3, _COMMAND, _AGGREGATE = 17, 20, 22
_SET_BUFFER, _PING, _PONG = 3, 6, 7

_CONNECT, _CREATE_STREAM, _PLAY = 1, 2, 3
_CONTROL_CHUNKS, _COMMAND_CHUNKS, _PLAY_CHUNKS = 2, 3, 8

_ANY_START = -2000
"""Live if somebody publishes, else what was recorded under the name: what players ask for.

Servers of live streams ignore the value; the strict "live only" (-1000) gains nothing there and
makes some media servers wait in silence where this one says that there is no such stream.
"""
_BUFFER_MS = 3000
_FIRST_WINDOW = 2_500_000
_KEEP_ALIVE_S = 10.0
_MAX_ANSWERS = 65536
_MAX_WORDS = 200
_SHORTEST_SECRET = 3

_DENIAL = re.compile(r"auth|denied|forbid|permission|credential|token|password|not allowed", re.I)
_UNKNOWN = re.compile(r"not ?found|no such|invalidapp", re.I)


@dataclass(frozen=True, slots=True)
class RtmpTarget:
    """What an RTMP server is asked for.

    Attributes:
        app: application, with its instance if the path has one.
        stream: stream name, with the query of the URL.
        tc_url: the URL of the application, without credentials.
    """

    app: str
    stream: str
    tc_url: str


def target(url: str) -> RtmpTarget:
    """Take a URL apart as players do.

    `/app/stream` and `/app/instance/stream…`; the query stays with the stream name, except in
    `/app?query/stream`. User and password have no place in RTMP and are left out.

    Raises: SourceRefused if the URL has no application or no stream name.
    """
    found = _URL.fullmatch(url)
    app = stream = ""
    if found:
        path, query = found[3], found[4]
        if "/" not in path and query and "/" in query:
            query, _, stream = query.partition("/")
            app = f"{path}?{query}"
        else:
            parts = path.split("/")
            names = 2 if len(parts) > 2 else 1
            app, stream = "/".join(parts[:names]), "/".join(parts[names:])
            if stream and query is not None:
                stream += f"?{query}"
    if not found or not app or not stream:
        raise SourceRefused("an RTMP URL must be rtmp://host/app/stream")
    host = _AUTHORITY.sub(r"\1", found[2])
    return RtmpTarget(app, stream, f"{found[1].lower()}://{host}/{app}")


class _Stage(IntEnum):
    HANDSHAKE = 0
    HANDSHAKE_END = 1
    CONNECT = 2
    CREATE_STREAM = 3
    PLAY = 4
    DELIVERING = 5


_CLOSED_WHILE = {
    _Stage.HANDSHAKE: "during the handshake",
    _Stage.HANDSHAKE_END: "during the handshake",
    _Stage.CONNECT: "instead of opening the application (does it exist?)",
    _Stage.CREATE_STREAM: "instead of creating a stream",
    _Stage.PLAY: "before any media",
}


class RtmpPlay:
    """One play session, sans-IO.

    A publisher that leaves (UnpublishNotify, Play.Stop, Stream EOF) does not end the session: some
    servers keep the connection and go on with new headers and timestamps from 0 when it returns.
    Whether to wait is for the recorder to decide.

    Source: Adobe RTMP 1.0.
    """

    def __init__(self, app: str, stream: str, tc_url: str) -> None:
        """Prepare the handshake for a stream of an application (see `target`)."""
        self._app = app
        self._stream = stream
        self._tc_url = tc_url
        self._stage = _Stage.HANDSHAKE
        self._greeting = bytearray()
        self._chunks = ChunkReader()
        self._tracks = FlvTracks()
        self._error: SourceError | None = None
        self._received = 0
        self._acknowledged = 0
        self._window = _FIRST_WINDOW
        self._spoke_s: float | None = None
        self._out = bytearray([_VERSION]) + bytes(8) + os.urandom(_HANDSHAKE - 8)

    def data_to_send(self) -> bytes:
        """Return and forget the bytes the server must get now."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def tick(self, now_s: float) -> None:
        """Acknowledge every ten seconds even if nothing came, so that no middlebox forgets us."""
        if self._spoke_s is None:
            self._spoke_s = now_s
        elif now_s - self._spoke_s >= _KEEP_ALIVE_S and self._stage > _Stage.HANDSHAKE_END:
            self._spoke_s = now_s
            self._acknowledge()

    def receive(self, data: bytes) -> list[SourceEvent]:
        """Take what arrived; return the events it completes.

        What was complete before an error is returned first, the error raised by the next call.

        Raises: SourceNotFound, SourceDenied, SourceUnreachable as the server says; SourceMalformed,
            SourceUnsupported.
        """
        if self._error:
            raise self._error
        self._received += len(data)
        if self._stage <= _Stage.HANDSHAKE_END:
            data = self._shake_hands(data)
        events: list[SourceEvent] = []
        take = self._tracks.tag
        try:
            for kind, stamp, body in self._chunks.receive(data):
                if kind in (VIDEO, AUDIO):
                    events += take(kind, stamp, body)
                elif kind == _AGGREGATE:
                    self._aggregate(stamp, body, events)
                else:
                    self._control(kind, body)
        except SourceError as error:
            if not events:
                raise
            self._error = error
        if events:
            self._stage = _Stage.DELIVERING
        if self._received - self._acknowledged >= self._window // 2:
            self._acknowledge()
        return events

    def end_of_input(self) -> list[SourceEvent]:
        """Tell how the connection ended; nothing complete is ever held back.

        Raises: SourceEnded after media, SourceUnreachable without any.
        """
        if self._error:
            raise self._error
        if self._stage is _Stage.DELIVERING:
            raise SourceEnded("the RTMP server ended the stream")
        when = _CLOSED_WHILE[self._stage]
        raise SourceUnreachable(f"the RTMP server closed the connection {when}")

    def _shake_hands(self, data: bytes) -> bytes:
        """Answer S1, then connect; pass over S2. Return what follows. Source: RTMP 1.0 §5.2."""
        greeting = self._greeting
        greeting += data
        if greeting and greeting[0] != _VERSION:
            raise SourceMalformed("the server does not speak RTMP (its first byte is not 3)")
        if self._stage is _Stage.HANDSHAKE and len(greeting) > _HANDSHAKE:
            self._out += greeting[1 : 1 + _HANDSHAKE]
            self._send_connect()
            self._stage = _Stage.HANDSHAKE_END
        end = 1 + 2 * _HANDSHAKE
        if len(greeting) < end:
            return b""
        rest = bytes(greeting[end:])
        greeting.clear()
        self._stage = _Stage.CONNECT
        return rest

    def _send_connect(self) -> None:
        about: amf.AmfValue = {
            "app": self._app,
            "flashVer": "LNX 9,0,124,2",
            "tcUrl": self._tc_url,
            "fpad": False,
            "capabilities": 15.0,
            "audioCodecs": 4071.0,
            "videoCodecs": 252.0,
            "videoFunction": 1.0,
            "fourCcList": ["avc1", "hvc1", "mp4a", "Opus"],
        }
        self._send_command(_COMMAND_CHUNKS, 0, "connect", _CONNECT, about)

    def _send_command(self, chunks: int, message_stream: int, *values: amf.AmfValue) -> None:
        self._send(chunks, _COMMAND, message_stream, amf.encode(*values))

    def _send(self, chunks: int, kind: int, message_stream: int, body: bytes) -> None:
        if len(self._out) > _MAX_ANSWERS:
            raise SourceMalformed("the RTMP server asks for more answers than it takes")
        self._out += write_message(chunks, kind, message_stream, body)

    def _acknowledge(self) -> None:
        if len(self._out) < _MAX_ANSWERS:
            self._acknowledged = self._received
            count = (self._received & 0xFFFFFFFF).to_bytes(4, "big")
            self._send(_CONTROL_CHUNKS, _ACKNOWLEDGEMENT, 0, count)

    def _control(self, kind: int, body: bytes) -> None:
        """Obey a message that carries no media; metadata is passed over."""
        if kind == _COMMAND:
            self._command(amf.decode(body))
        elif kind == _COMMAND_AMF3:
            self._command(amf.decode(body[1:]))
        elif kind == _WINDOW and len(body) >= 4:
            self._window = int.from_bytes(body[:4], "big") or _FIRST_WINDOW
        elif kind == _PEER_BANDWIDTH and len(body) >= 4:
            self._send(_CONTROL_CHUNKS, _WINDOW, 0, body[:4])
        elif kind == _USER_CONTROL and body[:2] == _PING.to_bytes(2, "big"):
            self._send(_CONTROL_CHUNKS, _USER_CONTROL, 0, _PONG.to_bytes(2, "big") + body[2:6])

    def _aggregate(self, stamp: int, body: bytes, events: list[SourceEvent]) -> None:
        """Take the tags out of an aggregate message; its own timestamp is that of the first.

        Source: RTMP 1.0 §7.1.6.
        """
        at, shift = 0, None
        while at + 11 <= len(body):
            header = int.from_bytes(body[at : at + 8], "big")
            begin = at + 11
            after = begin + (header >> 32 & 0xFFFFFF)
            if after > len(body):
                raise SourceMalformed("RTMP aggregate message is shorter than its tags")
            own = header >> 8 & 0xFFFFFF | (header & 0xFF) << 24
            if shift is None:
                shift = stamp - own
            events += self._tracks.tag(header >> 56, (own + shift) & 0xFFFFFFFF, body[begin:after])
            at = after + 4

    def _command(self, values: list[amf.AmfValue]) -> None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 else None
        if name == "_result" and transaction == _CONNECT and self._stage is _Stage.CONNECT:
            self._send(_CONTROL_CHUNKS, _WINDOW, 0, _FIRST_WINDOW.to_bytes(4, "big"))
            self._send_command(_COMMAND_CHUNKS, 0, "createStream", _CREATE_STREAM, None)
            self._stage = _Stage.CREATE_STREAM
        elif (
            name == "_result"
            and transaction == _CREATE_STREAM
            and self._stage is _Stage.CREATE_STREAM
        ):
            number = values[3] if len(values) > 3 else None
            if not isinstance(number, float) or not 0 <= number < 1 << 32:
                raise SourceMalformed("the RTMP server created a stream without a number")
            self._send_play(int(number))
            self._stage = _Stage.PLAY
        elif name == "_error":
            self._fail(_information(values))
        elif name == "onStatus":
            self._status(_information(values))
        elif name == "close":
            raise SourceEnded("the RTMP server closed the session")

    def _send_play(self, number: int) -> None:
        self._send_command(_PLAY_CHUNKS, number, "play", _PLAY, None, self._stream, _ANY_START)
        buffer = b"".join(
            (
                _SET_BUFFER.to_bytes(2, "big"),
                number.to_bytes(4, "big"),
                _BUFFER_MS.to_bytes(4, "big"),
            )
        )
        self._send(_CONTROL_CHUNKS, _USER_CONTROL, 0, buffer)

    def _status(self, information: dict[str, amf.AmfValue]) -> None:
        code = information.get("code")
        if code == "NetConnection.Connect.Closed":
            raise SourceEnded("the RTMP server closed the session")
        if information.get("level") == "error" or (
            isinstance(code, str) and code.endswith((".Failed", ".StreamNotFound", ".Rejected"))
        ):
            self._fail(information)

    def _fail(self, information: dict[str, amf.AmfValue]) -> None:
        """Raise what the server means, in its own words without URLs and the stream's name."""
        code = str(information.get("code") or "no code")
        words = f"{code}: {self._hide(str(information.get('description') or 'no description'))}"
        if _UNKNOWN.search(words):
            raise SourceNotFound(f"the RTMP server knows no such stream: {self._hide(words)}")
        if _DENIAL.search(words):
            raise SourceDenied(f"the RTMP server refuses us: {self._hide(words)}")
        raise SourceUnreachable(f"the RTMP server failed: {self._hide(words)}")

    def _hide(self, words: str) -> str:
        words = redact.text(words)
        name, _, query = self._stream.partition("?")
        values = [pair.partition("=")[2] for pair in query.split("&")]
        for secret in (self._stream, name, query, *values):
            if len(secret) >= _SHORTEST_SECRET:
                words = words.replace(secret, redact.HIDDEN)
        return "".join(letter for letter in words if letter.isprintable())[:_MAX_WORDS]


def _information(values: list[amf.AmfValue]) -> dict[str, amf.AmfValue]:
    """Find the object with level, code and description among the values of a command."""
    for value in values[2:]:
        if isinstance(value, dict) and ("code" in value or "level" in value):
            return value
    return {}
