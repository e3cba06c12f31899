"""Reads a session description as RTSP servers send it. Source: RFC 8866, RFC 2326 Appendix C."""

import re
from dataclasses import dataclass, field

from everreel.errors import SourceMalformed

MAX_BYTES = 64 << 10
_MAX_MEDIA = 64

_STATIC = {
    0: ("PCMU", 8000, 1), 3: ("GSM", 8000, 1), 8: ("PCMA", 8000, 1), 9: ("G722", 8000, 1),
    14: ("MPA", 90000, 1), 26: ("JPEG", 90000, 1), 32: ("MPV", 90000, 1), 33: ("MP2T", 90000, 1),
    34: ("H263", 90000, 1),
}  # fmt: skip
"""Payload types that need no rtpmap. Source: RFC 3551 tables 4 and 5."""

_RTPMAP = re.compile(r"(\d{1,3})\s+([^/\s]+)/(\d{1,9})(?:/(\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """What one RTP payload type stands for.

    Attributes:
        payload_type: 0 to 127.
        encoding: its name as registered, in capitals (`H264`, `MPEG4-GENERIC`).
        clock_rate: RTP ticks per second.
        channels: audio channels the rtpmap says, 1 if it does not.
        parameters: the fmtp line, names in small letters.
    """

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One `m=` section.

    Attributes:
        kind: `video`, `audio`, `application`, …
        protocol: transport, e.g. `RTP/AVP`.
        formats: what its payload types mean, in order of preference; unknown ones are left out.
        control: the `a=control` attribute, empty if there is none.
    """

    kind: str
    protocol: str
    formats: tuple[PayloadFormat, ...]
    control: str


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description; `control` is that of the session, empty if there is none."""

    media: tuple[MediaDescription, ...]
    control: str


def parse(data: bytes) -> SessionDescription:
    """Read a session description. Lines that are not needed are not looked at.

    Raises: SourceMalformed if it is none, or is larger than any real one.
    """
    if len(data) > MAX_BYTES:
        raise SourceMalformed(f"session description is longer than {MAX_BYTES >> 10} KiB")
    lines = [line.rstrip() for line in data.decode("utf-8", "replace").splitlines()]
    if not any(line.startswith("v=0") for line in lines[:3]):
        raise SourceMalformed("session description does not begin with v=0")
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            if len(sections) > _MAX_MEDIA:
                raise SourceMalformed(f"session description has more than {_MAX_MEDIA} media")
            sections.append([])
        sections[-1].append(line)
    media = tuple(_media(section) for section in sections[1:])
    return SessionDescription(media, _attribute(sections[0], "control"))


def _media(lines: list[str]) -> MediaDescription:
    words = lines[0][2:].split()
    if len(words) < 4:
        raise SourceMalformed("an m= line of the session description lacks its formats")
    kind, _, protocol, *numbers = words
    maps: dict[int, tuple[str, int, int]] = {}
    parameters: dict[str, dict[str, str]] = {}
    for line in lines[1:]:
        if line.startswith("a=rtpmap:"):
            found = _RTPMAP.match(line[9:].strip())
            if found and int(found[3]):
                maps[int(found[1])] = (found[2].upper(), int(found[3]), int(found[4] or 1))
        elif line.startswith("a=fmtp:"):
            number, _, text = line[7:].strip().partition(" ")
            parameters[number] = _parameters(text)
    formats: list[PayloadFormat] = []
    for number in numbers[:128]:
        if not number.isascii() or not number.isdigit() or len(number) > 3:
            continue
        known = maps.get(int(number)) or _STATIC.get(int(number))
        if known is not None:
            formats.append(PayloadFormat(int(number), *known, parameters.get(number, {})))
    return MediaDescription(kind, protocol, tuple(formats), _attribute(lines, "control"))


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            found[name.strip().lower()] = value.strip()
    return found


def _attribute(lines: list[str], name: str) -> str:
    prefix = f"a={name}:"
    return next((line[len(prefix) :].strip() for line in lines if line.startswith(prefix)), "")
