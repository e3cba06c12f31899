"""Holds the DASH manifest against the fragments that were found in the segments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from everreel.media import names
from everreel.media.access_unit import Medium
from everreel.media.isobmff.tracks import to_ticks
from everreel.sealing.verify_claims import Malformed, SegmentClaim
from everreel.sealing.verify_media import InitFound
from everreel.sealing.verify_report import Report, Trouble

_SPACE = "urn:mpeg:dash:schema:mpd:2011"
_TIME = re.compile(r"PT(\d{1,9})\.(\d{6})S\Z", re.ASCII)
_RANGE = re.compile(r"(0|[1-9]\d*)-(0|[1-9]\d*)\Z", re.ASCII)
_COUNT = re.compile(r"(0|[1-9]\d*)\Z", re.ASCII)
_ATTRIBUTES = {
    "MPD": "xmlns profiles minBufferTime maxSegmentDuration type mediaPresentationDuration",
    "Period": "id start duration",
    "AdaptationSet": "contentType mimeType segmentAlignment",
    "Representation": "id bandwidth codecs",
    "AudioChannelConfiguration": "schemeIdUri value",
    "SegmentList": "timescale presentationTimeOffset",
    "Initialization": "sourceURL",
    "SegmentTimeline": "",
    "S": "d",
    "SegmentURL": "media mediaRange",
}
"""The elements that everreel writes, and the attributes that each must have."""

_OPTIONAL = {"Representation": {"width", "height", "audioSamplingRate"}, "S": {"t"}}

Places = Mapping[Medium, tuple[int, int]]
"""Offset and length of the fragment of each track in a segment."""


@dataclass(slots=True)
class Track:
    """A Representation. Units of `times`: (start, duration) in ticks of `scale`."""

    medium: str
    kind: str
    codec: str = ""
    shape: tuple[str, ...] = ()
    scale: int = 0
    offset: int = 0
    init: str = ""
    times: list[tuple[int, int]] = field(default_factory=list)
    media: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Period:
    """A stretch without a break. Units: microseconds."""

    start_us: int
    duration_us: int
    tracks: list[Track] = field(default_factory=list)


@dataclass(slots=True)
class Mpd:
    """What is read of an MPD; anything else in it is not looked at."""

    space: str = ""
    kind: str = ""
    duration_us: int = -1
    periods: list[Period] = field(default_factory=list)


def read_mpd(body: bytes) -> Mpd:
    """Read an MPD as everreel writes it. Raises: Malformed."""
    found = Mpd()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise Malformed("it declares a document type, which everreel never writes")

    def begin(tag: str, attributes: dict[str, str]) -> None:
        try:
            _begin(found, tag, attributes)
        except (KeyError, IndexError) as error:
            raise Malformed(f"line {parser.CurrentLineNumber}: {tag} lacks {error}") from error
        except Malformed as error:
            raise Malformed(f"line {parser.CurrentLineNumber}: {tag}: {error}") from error

    def between(text: str) -> None:
        if text.strip():
            raise Malformed(f"line {parser.CurrentLineNumber}: {text.strip()[:40]!r} between tags")

    parser.StartDoctypeDeclHandler = refuse
    parser.CharacterDataHandler = between
    parser.StartElementHandler = begin
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: of its encoding
        raise Malformed(f"it is no XML: {error}") from error
    return found


def _begin(found: Mpd, tag: str, given: dict[str, str]) -> None:
    if tag not in _ATTRIBUTES:
        raise Malformed("everreel writes no such element")
    must = set(_ATTRIBUTES[tag].split())
    if not must <= given.keys() <= must | _OPTIONAL.get(tag, set()):
        raise Malformed(f"its attributes are {' '.join(given)}")
    if tag == "MPD":
        found.space, found.kind = given["xmlns"], given["type"]
        found.duration_us = _time(given["mediaPresentationDuration"])
        return
    if tag == "Period":
        found.periods.append(Period(_time(given["start"]), _time(given["duration"])))
        return
    tracks = found.periods[-1].tracks
    if tag == "AdaptationSet":
        tracks.append(Track(given["contentType"], given["mimeType"]))
        return
    track = tracks[-1]
    if tag == "Representation":
        track.codec = given["codecs"]
        shape = ("width", "height") if track.medium == "video" else ("audioSamplingRate",)
        track.shape = tuple(given[name] for name in shape)
    elif tag == "SegmentList":
        track.scale = _count(given["timescale"])
        track.offset = _count(given["presentationTimeOffset"])
    elif tag == "Initialization":
        track.init = given["sourceURL"]
    elif tag == "S":
        start = given.get("t")
        follows = sum(track.times[-1]) if track.times else 0
        at = follows if start is None else _count(start)
        track.times.append((at, _count(given["d"])))
    elif tag == "SegmentURL":
        match = _RANGE.match(given["mediaRange"])
        if match is None:
            raise Malformed(f"mediaRange says {given['mediaRange']!r}")
        track.media.append((given["media"], int(match[1]), int(match[2])))


def _time(text: str) -> int:
    match = _TIME.match(text)
    if match is None:
        raise Malformed(f"{text!r} is no time")
    return int(match[1]) * 1_000_000 + int(match[2])


def _count(text: str) -> int:
    if not _COUNT.match(text):
        raise Malformed(f"{text!r} is no number")
    return int(text)


def check_mpd(
    body: bytes,
    claims: Sequence[SegmentClaim],
    places: Sequence[Places | None],
    inits: Mapping[int, InitFound],
    report: Report,
) -> None:
    """Hold an MPD against the segments.

    Args:
        body: of the MPD.
        claims: every segment, in order.
        places: where the fragments lie in each; None where the object could not be read.
        inits: the init segments that could be read.
        report: where findings go.
    """
    check = _Check(report)
    try:
        found = read_mpd(body)
    except Malformed as error:
        report.problem(Trouble.UNREADABLE, names.MPD, str(error))
        return
    check.same("namespace", found.space, _SPACE)
    check.same("type", found.kind, "static")
    check.same("duration in µs", found.duration_us, claims[-1].end_us)
    epochs = _epochs(claims)
    check.same("number of periods", len(found.periods), len(epochs))
    for number, (period, epoch) in enumerate(zip(found.periods, epochs, strict=False)):
        following = epochs[number + 1].start if number + 1 < len(epochs) else len(claims)
        first = claims[epoch.start]
        end_us = claims[following].start_us if following < len(claims) else claims[-1].end_us
        check.same("start of period in µs", period.start_us, first.start_us, first.k)
        check.same("length of period in µs", period.duration_us, end_us - first.start_us, first.k)
        if first.init in inits:
            check.period(period, claims, places, epoch, inits[first.init])


def _epochs(claims: Sequence[SegmentClaim]) -> list[range]:
    begins = [
        at
        for at, claim in enumerate(claims)
        if not at or claim.discontinuity or claim.init != claims[at - 1].init
    ]
    return [range(a, b) for a, b in zip(begins, [*begins[1:], len(claims)], strict=True)]


class _Check:
    def __init__(self, report: Report) -> None:
        self._report = report

    def same(self, what: str, found: object, expected: object, k: int | None = None) -> None:
        if found != expected:
            text = f"{what}: {found!r} instead of {expected!r}"
            self._report.problem(Trouble.CONTRADICTION, names.MPD, text, k)

    def period(
        self,
        period: Period,
        claims: Sequence[SegmentClaim],
        places: Sequence[Places | None],
        epoch: range,
        init: InitFound,
    ) -> None:
        first = claims[epoch.start]
        told = {track.medium: track for track in period.tracks}
        for track in init.tracks.values():
            medium = track.codec.medium
            present = [at for at in epoch if _holds(claims[at], places[at], medium)]
            claim = told.pop(medium.value, None)
            if claim is None:
                if present:
                    self.same("tracks", sorted(told), medium.value, first.k)
                continue
            if track.format is not None:
                wide = track.format.width, track.format.height
                shape = wide if medium is Medium.VIDEO else (track.format.sample_rate,)
                self.same("picture size or rate", claim.shape, tuple(map(str, shape)), first.k)
            name = names.init_name(first.init, medium)
            self.same("init segment", claim.init, name, first.k)
            self.same("mimeType", claim.kind, f"{medium.value}/mp4", first.k)
            codecs = [t.codec for t in self._report.tracks if t.init == first.init]
            self.same("codec is known", claim.codec in codecs, True, first.k)
            self.same("timescale", claim.scale, track.timescale, first.k)
            self.same("time offset", claim.offset, to_ticks(first.start_us, claim.scale), first.k)
            self._segments(claim, claims, places, present, medium)
        for medium_name in told:
            self.same("tracks", medium_name, "none", first.k)

    def _segments(
        self,
        track: Track,
        claims: Sequence[SegmentClaim],
        places: Sequence[Places | None],
        present: Sequence[int],
        medium: Medium,
    ) -> None:
        if not len(track.times) == len(track.media) == len(present):
            self.same(f"{medium.value} segments", len(track.media), len(present))
            self.same(f"{medium.value} times", len(track.times), len(present))
            self._unlisted(track, [claims[at] for at in present])
            return
        for at, (media, first, last), times in zip(present, track.media, track.times, strict=True):
            claim, found = claims[at], places[at]
            self.same(f"{medium.value} segment", media, claim.key, claim.k)
            if found is not None:
                offset, length = found[medium]
                self.same(
                    f"{medium.value} mediaRange", (first, last), (offset, offset + length - 1),
                    claim.k,
                )  # fmt: skip
            start = to_ticks(claim.start_us, track.scale)
            end = to_ticks(claim.end_us, track.scale)
            self.same(f"{medium.value} time and length", times, (start, end - start), claim.k)

    def _unlisted(self, track: Track, claims: Sequence[SegmentClaim]) -> None:
        """Name the segments that are too many or too few."""
        listed = {media for media, _, _ in track.media}
        known = {claim.key for claim in claims}
        for claim in claims:
            if claim.key not in listed:
                text = f"{track.medium}: {claim.key} is not in the MPD"
                self._report.problem(Trouble.OMITTED, names.MPD, text, claim.k)
        for media in sorted(listed - known):
            text = f"{track.medium}: {media} is no segment of this recording"
            self._report.problem(Trouble.FOREIGN, names.MPD, text)


def _holds(claim: SegmentClaim, places: Places | None, medium: Medium) -> bool:
    return medium in places if places is not None else medium.value in claim.units
