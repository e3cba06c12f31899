"""Plays a stream from an RTSP server over one TCP connection. Source: RFC 2326 (RTSP 1.0)."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from everreel import redact
from everreel.errors import (
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceMalformed,
    SourceNotFound,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import SourceEvent
from everreel.protocols import rtsp_tracks, sdp
from everreel.protocols.rtsp_auth import Credentials, best_challenge
from everreel.protocols.rtsp_message import (
    Framing,
    Message,
    Packet,
    control_url,
    resolve,
    split_credentials,
)
from everreel.protocols.rtsp_tracks import SessionClock, Track

REPORT_INTERVAL_S = 5.0
"""Time between receiver reports."""

_AGENT = "everreel"
_DEFAULT_TIMEOUT_S = 60
_MAX_QUEUE = 256 << 10
_MAX_EARLY = 1 << 20
"""Bytes of packets kept that overtake the reply to PLAY."""
_INTERLEAVED = re.compile(r"interleaved\s*=\s*(\d{1,3})(?:-(\d{1,3}))?", re.IGNORECASE)


@dataclass(slots=True)
class _Request:
    """A request the server has not answered yet."""

    method: str
    url: str
    headers: str = ""
    track: Track | None = None
    attempts: int = field(default=0)


class RtspPlay:
    """An RTSP client as a `SansIO`: OPTIONS, DESCRIBE, SETUP of each track, PLAY, then media.

    The first video and the first audio stream that can be recorded are set up. All formats that
    the description tells are emitted when PLAY is answered, before any unit.

    Clock references come as `SessionClock` tells, each before the units it is about.

    Attributes:
        redirect: where the server says the stream is now, if that is why it raised.
        ignored: audio and video that cannot be recorded, by name.
        tracks: what is played; `receiver.counts` tell what happened to its packets.
    """

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        *,
        client_nonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """Prepare to play `url`; user and password may be in it instead."""
        self._url, url_user, url_password = split_credentials(url)
        self._has_credentials = bool(user or url_user)
        self._credentials = Credentials(
            user or url_user, password if user else url_password, client_nonce
        )
        self.redirect: str | None = None
        self.ignored: tuple[str, ...] = ()
        self.tracks: list[Track] = []
        self._framing = Framing()
        self._out = bytearray()
        self._open: dict[int, _Request] = {}
        self._sequence = 0
        self._session = ""
        self._timeout_s = _DEFAULT_TIMEOUT_S
        self._aggregate = self._url
        self._clock = SessionClock(())
        self._channels: dict[int, tuple[Track, bool]] = {}
        self._early: list[Packet] = []
        self._early_bytes = 0
        self._playing = False
        self._keep_alive = "OPTIONS"
        self._now_s = 0.0
        self._beat_s: float | None = None
        self._report_s = 0.0
        self._ssrc = 0x65766572
        self._ntp_origin_us: int | None = None
        self._failure: SourceError | None = None
        self._send(_Request("OPTIONS", self._url))

    # ------------------------------------------------------------------ SansIO

    def receive(self, data: bytes) -> list[SourceEvent]:
        """Take what the server sent, cut anywhere; return the events it completes.

        Raises: SourceNotFound, SourceDenied, SourceUnsupported, SourceEnded, SourceMalformed.
        """
        if self._failure is not None:
            raise self._failure
        out: list[SourceEvent] = []
        try:
            self._framing.add(data)
            while (item := self._framing.next()) is not None:
                if isinstance(item, Message):
                    self._message(item, out)
                else:
                    self._packet(item[0], item[1], out)
        except SourceError as error:
            self._failure = error
            if not out:
                raise
        return out

    def data_to_send(self) -> bytes:
        """Return and forget the bytes the server must get now."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def tick(self, now_s: float) -> None:
        """Keep the session alive and report reception. Units: monotonic seconds."""
        self._now_s = now_s
        if not self._playing:
            return
        if self._beat_s is None:
            self._beat_s = now_s
            self._report_s = now_s
        if now_s - self._beat_s >= self._timeout_s / 2:
            self._beat_s = now_s
            if not any(request.method == self._keep_alive for request in self._open.values()):
                self._send(_Request(self._keep_alive, self._aggregate))
        if now_s - self._report_s >= REPORT_INTERVAL_S:
            self._report_s = now_s
            for track in self.tracks:
                report = track.receiver.report(self._ssrc, now_s)
                if report:
                    self._out += bytes([0x24, track.channel + 1])
                    self._out += len(report).to_bytes(2, "big") + report

    def goodbye(self) -> bytes:
        """Return the bytes that end the session, to be sent before the connection is closed."""
        if not self._session:
            return b""
        self._out.clear()
        self._send(_Request("TEARDOWN", self._aggregate))
        self._session = ""
        return self.data_to_send()

    def end_of_input(self) -> list[SourceEvent]:
        """Give out packets that waited for their order.

        Raises: SourceUnreachable if the stream had not begun; on the next use SourceEnded.
        """
        if self._failure is not None:
            raise self._failure
        if not self._playing:
            self._failure = SourceUnreachable(
                f"the server of {redact.url(self._url)} closed the connection before it played"
            )
            raise self._failure
        self._failure = SourceEnded("the RTSP server closed the connection")
        return [event for track in self.tracks for event in track.receiver.flush()]

    # ------------------------------------------------------------------ requests and replies

    def _send(self, request: _Request) -> None:
        self._sequence += 1
        self._open[self._sequence] = request
        lines = [f"{request.method} {request.url} RTSP/1.0", f"CSeq: {self._sequence}"]
        answer = self._credentials.header(request.method, request.url)
        if answer:
            lines.append(f"Authorization: {answer}")
        if self._session:
            lines.append(f"Session: {self._session}")
        lines.append(f"User-Agent: {_AGENT}")
        text = "\r\n".join(lines) + "\r\n" + request.headers + "\r\n"
        self._out += text.encode("utf-8", "replace")

    def _message(self, message: Message, out: list[SourceEvent]) -> None:
        if message.method:
            self._answer(message)
            return
        number = message.header("cseq")
        known = number.isdecimal() and len(number) < 10
        request = self._open.pop(int(number), None) if known else None
        if request is None:
            if number or not self._open:
                return  # not an answer to anything we asked
            request = self._open.pop(min(self._open))
        if message.status < 200:
            self._open[int(number) if number else self._sequence] = request
        elif message.status == 401:
            self._authorise(message, request)
        elif message.status < 300:
            self._proceed(message, request, out)
        else:
            self._refused(message, request)

    def _authorise(self, message: Message, request: _Request) -> None:
        """Send the request again with credentials; twice only if the nonce was stale."""
        where = redact.url(self._url)
        if not self._has_credentials:
            raise SourceDenied(f"{where} asks for a user and password; give them with the source")
        challenge = best_challenge(message.headers.get("www-authenticate", []))
        if challenge is None:
            raise SourceDenied(f"{where} wants an authentication other than Basic, MD5 or SHA-256")
        if request.attempts and not (challenge.stale and request.attempts < 3):
            raise SourceDenied(f"{where} refuses the user or the password of the source")
        self._credentials.take(challenge)
        request.attempts += 1
        self._send(request)

    def _refused(self, message: Message, request: _Request) -> None:
        """Turn an error status into the error it stands for. Source: RFC 2326 §11."""
        status, where = message.status, redact.url(self._url)
        said = f"{where} answers {request.method} with {status}"
        location = message.header("location")
        if status < 400 and location:
            self.redirect = resolve(request.url, location)
            raise SourceUnsupported(f"{said}: it is at {redact.url(self.redirect)}; use that URL")
        if request.method == "OPTIONS" and not self._playing:
            self._send(_Request("DESCRIBE", self._url, "Accept: application/sdp\r\n"))
        elif self._playing and request.method == "GET_PARAMETER" and status != 454:
            self._keep_alive = "OPTIONS"
        elif self._playing and request.method == "OPTIONS" and status != 454:
            return
        elif status in {404, 410}:
            raise SourceNotFound(f"{said}: no such stream; check the path, or publish it")
        elif status in {402, 403, 407}:
            raise SourceDenied(f"{said}: access is not allowed")
        elif status == 454:
            raise SourceEnded(f"{said}: the server has ended the session")
        elif status in {405, 406, 415, 451, 461, 501, 505, 551}:
            raise SourceUnsupported(f"{said}: it does not serve RTP over the RTSP connection")
        else:
            raise SourceUnreachable(f"{said}: the server cannot serve the stream now")

    def _proceed(self, message: Message, request: _Request, out: list[SourceEvent]) -> None:
        match request.method:
            case "OPTIONS" if not self.tracks:
                if "GET_PARAMETER" in ",".join(message.headers.get("public", [])).upper():
                    self._keep_alive = "GET_PARAMETER"
                self._send(_Request("DESCRIBE", self._url, "Accept: application/sdp\r\n"))
            case "DESCRIBE":
                self._described(message, request)
                self._set_up_next()
            case "SETUP" if request.track is not None:
                self._set_up(message, request.track)
                self._set_up_next()
            case "PLAY":
                self._played(message, out)

    def _described(self, message: Message, request: _Request) -> None:
        """Choose the tracks of the session description."""
        base = message.header("content-base") or message.header("content-location")
        base = resolve(request.url, base) if base else request.url
        session = sdp.parse(message.body)
        self._aggregate = control_url(base, session.control)
        self.tracks, self.ignored = rtsp_tracks.choose(session, base)
        self._clock = SessionClock(self.tracks)
        if not self.tracks:
            what = f"only {', '.join(self.ignored)}" if self.ignored else "neither video nor audio"
            raise SourceUnsupported(
                f"{redact.url(self._url)} has {what}; it must offer H.264 or H.265 video, or AAC "
                "(mpeg4-generic) or Opus audio"
            )

    def _set_up_next(self) -> None:
        """Set up the next track, or play when all are."""
        for index, track in enumerate(self.tracks):
            if track.channel < 0:
                channels = f"interleaved={2 * index}-{2 * index + 1}"
                transport = f"Transport: RTP/AVP/TCP;unicast;{channels}\r\n"
                self._send(_Request("SETUP", track.url, transport, track))
                return
        # No Range: a live stream plays from now, and a file shared by several is not rewound.
        self._send(_Request("PLAY", self._aggregate))

    def _set_up(self, message: Message, track: Track) -> None:
        session, *rest = message.header("session").split(";")
        if not session.strip():
            raise SourceMalformed("RTSP reply to SETUP names no session")
        self._session = session.strip()
        for word in rest:
            name, _, value = word.strip().partition("=")
            if name.lower() == "timeout" and value.isdecimal():
                self._timeout_s = min(max(int(value[:6]), 2), 3600)
        transport = message.header("transport")
        found = _INTERLEAVED.search(transport)
        if transport and "TCP" not in transport.upper():
            raise SourceUnsupported("the RTSP server insists on UDP; allow TCP (interleaved) there")
        channel = int(found[1]) if found else 2 * self.tracks.index(track)
        if channel > 254 or channel in self._channels or channel + 1 in self._channels:
            raise SourceMalformed("RTSP reply to SETUP gives a channel that is taken or too high")
        track.channel = channel
        self._channels[channel] = (track, True)
        self._channels[int(found[2]) if found and found[2] else channel + 1] = (track, False)

    def _played(self, message: Message, out: list[SourceEvent]) -> None:
        """Begin: formats first, then the packets that overtook the reply."""
        self._playing = True
        self._clock.rtp_info(",".join(message.headers.get("rtp-info", [])))
        for track in self.tracks:
            out += track.receiver.begin()
        early, self._early = self._early, []
        self._early_bytes = 0
        for channel, data in early:
            self._packet(channel, data, out)

    def _answer(self, message: Message) -> None:
        """Answer a request of the server. Source: RFC 2326 §10.

        Raises: SourceEnded if the server ends or moves the session, SourceMalformed if answers
            pile up because nobody sends them.
        """
        known = message.method in {
            "OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "REDIRECT", "TEARDOWN",
        }  # fmt: skip
        status = "200 OK" if known else "501 Not Implemented"
        number = message.header("cseq")[:20]
        self._out += f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n".encode("ascii", "replace")
        if self._session:
            self._out += f"Session: {self._session}\r\n".encode("utf-8", "replace")
        self._out += b"\r\n"
        if len(self._out) > _MAX_QUEUE:
            raise SourceMalformed("the RTSP server sends requests faster than they are answered")
        if message.method == "REDIRECT" and message.header("location"):
            self.redirect = resolve(self._url, message.header("location"))
        if message.method in {"REDIRECT", "TEARDOWN"}:
            raise SourceEnded("the RTSP server ended the session")

    # ------------------------------------------------------------------ media

    def _packet(self, channel: int, data: bytes, out: list[SourceEvent]) -> None:
        entry = self._channels.get(channel)
        if entry is None:
            return
        if not self._playing:
            self._early_bytes += len(data)
            if self._early_bytes <= _MAX_EARLY:
                self._early.append((channel, data))
            return
        track, is_media = entry
        if not is_media:
            report = track.receiver.control(data, self._now_s)
            if report is not None:
                out += self._clock.report(track, *report)
        elif track.started:
            out += track.receiver.receive(data)
        else:
            events = track.receiver.receive(data)
            out += self._clock.start(track)
            out += events
