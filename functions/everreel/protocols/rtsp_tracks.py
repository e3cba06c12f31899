"""The tracks of an RTSP session: which are played, and on which clock they run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from everreel.errors import SourceMalformed, SourceUnsupported
from everreel.media.access_unit import Medium, SourceEvent
from everreel.media.track_clock import distance
from everreel.protocols import sdp
from everreel.protocols.rtp import WRAP, RtpCounts, RtpReceiver
from everreel.protocols.rtp_payloads import depacketiser
from everreel.protocols.rtsp_message import control_url

_PLAUSIBLE_S = 10
"""RTP-Info is believed if the first packet is within this of what it says."""

_RTP_TIME = re.compile(r"rtptime\s*=\s*(\d{1,10})", re.IGNORECASE)


@dataclass(slots=True)
class Track:
    """A media section that is played.

    Attributes:
        medium: what it carries.
        url: of its SETUP request.
        clock_rate: RTP ticks per second.
        receiver: of its packets.
        channel: interleaved channel of its RTP packets, -1 before SETUP is answered.
        rtp_time: time stamp at which it starts according to the server, None if it does not say.
        started: its first packet has come.
        early: ticks and NTP time of a report that came before it could be used, and whether that
            was before any packet.
    """

    medium: Medium
    url: str
    clock_rate: int
    receiver: RtpReceiver
    channel: int = -1
    rtp_time: int | None = None
    started: bool = False
    early: tuple[int, int, bool] | None = None


def choose(session: sdp.SessionDescription, base: str) -> tuple[list[Track], tuple[str, ...]]:
    """Pick the first video and the first audio that can be recorded; name the ones that cannot.

    Args:
        session: the description.
        base: URL to which its control attributes are relative.
    """
    tracks: dict[Medium, Track] = {}
    ignored: list[str] = []
    for media in session.media:
        if media.kind not in {"video", "audio"}:
            continue
        track = _track(media, base)
        if track is None:
            names = ", ".join(payload.encoding for payload in media.formats)
            ignored.append(names or f"{media.kind} of an unknown format")
        else:
            tracks.setdefault(track.medium, track)
    return list(tracks.values()), tuple(ignored)


def _track(media: sdp.MediaDescription, base: str) -> Track | None:
    for payload in media.formats:
        counts = RtpCounts()
        try:
            parser = depacketiser(payload, counts)
        except (SourceUnsupported, SourceMalformed):
            continue  # perhaps the next one
        receiver = RtpReceiver(parser, counts, payload.payload_type)
        url = control_url(base, media.control)
        return Track(parser.medium, url, payload.clock_rate, receiver)
    return None


class SessionClock:
    """Ties the RTP time stamps of all tracks to one clock.

    The RTP-Info of the PLAY reply gives every track the same origin before its first unit; without
    it, sender reports give NTP times. Reports after RTP-Info are moved onto its origin, so that the
    clock never jumps. A track that RTP-Info left out is tied by its report once another one has
    told how the two clocks lie.
    """

    __slots__ = ("_origin_us", "_tracks")

    def __init__(self, tracks: Sequence[Track]) -> None:
        """Serve these tracks."""
        self._tracks = tracks
        self._origin_us: int | None = None

    def rtp_info(self, header: str) -> None:
        """Note at which time stamp each track starts. Source: RFC 2326 §12.33."""
        rows = header.split("url=")[1:]
        for index, row in enumerate(rows):
            url = re.split(r'[;,"\s]', row.lstrip('"'), maxsplit=1)[0]
            time = _RTP_TIME.search(row)
            track = self._track_of(url, index, len(rows))
            if time is not None and track is not None:
                track.rtp_time = int(time[1]) % WRAP

    def start(self, track: Track) -> list[SourceEvent]:
        """Take note of a track's first packet: does the clock of RTP-Info fit it?"""
        ticks = track.receiver.last_ticks
        if ticks is None:
            return []
        track.started = True
        if track.rtp_time is None:
            return []
        if abs(distance(ticks, track.rtp_time, WRAP)) > _PLAUSIBLE_S * track.clock_rate:
            track.rtp_time = None
            return []
        return track.receiver.reference(track.rtp_time, 0, promised=True)

    def report(self, track: Track, ticks: int, ntp_us: int) -> list[SourceEvent]:
        """Take a sender report. Units: RTP ticks, microseconds of the sender's NTP clock.

        One that comes before the first packet is made while the server's pipeline warms up: it is
        no more than a promise, and RTP-Info is one already.
        """
        promised = not track.started
        if promised and track.rtp_time is not None:
            return []
        if self._origin_us is None:
            if track.rtp_time is not None:
                since = distance(ticks, track.rtp_time, WRAP) * 1_000_000 // track.clock_rate
                self._origin_us = ntp_us - since
            elif any(other.rtp_time is not None for other in self._tracks):
                # The clock is RTP-Info's, and where this track lies on it is not known yet. Its
                # next report may be six seconds away.
                track.early = ticks, ntp_us, promised
                return []
            else:
                self._origin_us = 0
        events: list[SourceEvent] = []
        for other in self._tracks:
            early, other.early = other.early, None
            if early is not None:
                at, ntp, first = early
                events += other.receiver.reference(at, ntp - self._origin_us, promised=first)
        common_us = ntp_us - self._origin_us
        return events + track.receiver.reference(ticks, common_us, promised=promised)

    def _track_of(self, url: str, index: int, count: int) -> Track | None:
        """Find the track a row of RTP-Info is about: servers write its URL in many ways."""
        for track in self._tracks:
            if track.url == url or track.url.endswith("/" + url.lstrip("/")):
                return track
        same = [track for track in self._tracks if track.url.rpartition("/")[2] in url]
        if len(same) == 1:
            return same[0]
        return self._tracks[index] if count == len(self._tracks) else None
