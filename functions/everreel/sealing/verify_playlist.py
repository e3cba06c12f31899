"""Holds playlists against the manifest, or takes the segments from them where there is none."""

import re
from collections.abc import Sequence

from everreel.clock import MICROSECONDS
from everreel.media import names
from everreel.media.index import Container
from everreel.sealing.verify_claims import Listed, Malformed, PlaylistClaim, SegmentClaim
from everreel.sealing.verify_report import Report, Trouble

_INIT = re.compile(r"init-([1-9][0-9]{0,8})\.mp4\Z", re.ASCII)
_SEGMENT = re.compile(r"segments/([0-9]{8,12})-([a-z])([1-9][0-9]{0,8})\.(m4s|ts)\Z", re.ASCII)
_LIVE_WINDOW = 6


def segment_words(key: str) -> tuple[int, str, int, Container] | None:
    """Read number, lane, lap and container from a segment's name; None if it is none."""
    match = _SEGMENT.match(key)
    if match is None:
        return None
    container = Container.FMP4 if match[4] == "m4s" else Container.MPEGTS
    name = names.segment_name(int(match[1]), f"{match[2]}{match[3]}", container)
    return (int(match[1]), match[2], int(match[3]), container) if name == key else None


def claims_of(full: PlaylistClaim | None, live: PlaylistClaim | None) -> list[SegmentClaim]:
    """Make claims from playlists: the full one, and what the live one already has beyond it.

    Raises: Malformed if a name is none of ours.
    """
    listed = list(full.listed) if full else []
    if live is not None:
        # The full playlist is written at intervals, the live one with each segment.
        first = live.media_sequence if full else 0
        listed += live.listed[max(0, len(listed) - first) :] if first <= len(listed) else []
    claims: list[SegmentClaim] = []
    for each in listed:
        words = segment_words(each.uri)
        init = _INIT.match(each.init)
        if words is None or (each.init and init is None):
            raise Malformed(f"{each.uri!r} with init segment {each.init!r} is no name of ours")
        k, lane, lap, container = words
        if (container is Container.FMP4) != (init is not None):
            raise Malformed(f"{each.uri!r}: fMP4 needs an EXT-X-MAP, MPEG-TS has none")
        claims.append(
            SegmentClaim(
                k=k,
                key=each.uri,
                init=int(init[1]) if init else 0,
                start_us=-1,
                duration_us=each.duration_us,
                utc_us=each.utc_us,
                discontinuity=each.discontinuity,
                lane=lane,
                lap=lap,
            )
        )
    return claims


def check_playlist(
    name: str,
    found: PlaylistClaim,
    claims: Sequence[SegmentClaim],
    report: Report,
    *,
    segment_s: int | None,
) -> None:
    """Hold a playlist of a sealed recording against its segments.

    Args:
        name: of the playlist: the live one holds the last few.
        found: what it says.
        claims: every segment, in order.
        report: where findings go.
        segment_s: target duration asked for; None if nobody knows.
    """
    live = name == names.LIVE
    first = max(0, len(claims) - _LIVE_WINDOW) if live else 0
    expected = list(claims[first:])
    gone = sum(claim.discontinuity for claim in claims[1:first])
    header = [
        ("EXT-X-ENDLIST", found.ended, True),
        ("EXT-X-VERSION", found.version, 6 if claims[0].init else 3),
        ("EXT-X-MEDIA-SEQUENCE", found.media_sequence, first),
        ("EXT-X-DISCONTINUITY-SEQUENCE", found.discontinuity_sequence, gone),
        ("EXT-X-PLAYLIST-TYPE", found.kind in ({""} if live else {"EVENT", "VOD"}), True),
    ]
    longest = max((claim.duration_us + MICROSECONDS // 2) // MICROSECONDS for claim in claims)
    if segment_s is not None:
        header.append(("EXT-X-TARGETDURATION", found.target_s, max(segment_s, longest)))
    for tag, said, true in header:
        if said != true:
            text = f"{tag} is {said!r} instead of {true!r}"
            report.problem(Trouble.CONTRADICTION, name, text)
    if [each.uri for each in found.listed] != [claim.key for claim in expected]:
        _name_differences(name, found, expected, report)
    by_key = {claim.key: (at, claim) for at, claim in enumerate(expected, first)}
    for position, each in enumerate(found.listed):
        if each.uri in by_key:
            at, claim = by_key[each.uri]
            dated = live or not position or claim.discontinuity
            _check_entry(name, each, claim, report, after_break=claim.discontinuity and at > 0,
                         dated=dated)  # fmt: skip


def _name_differences(
    name: str, found: PlaylistClaim, expected: Sequence[SegmentClaim], report: Report
) -> None:
    """Name what the list lacks, has too much, and has in the wrong place."""
    listed = [each.uri for each in found.listed]
    known = {claim.key: claim for claim in expected}
    seen: set[str] = set()
    for uri in listed:
        if uri not in known:
            report.problem(Trouble.FOREIGN, name, f"lists {uri}, which is not in recording.json")
        elif uri in seen:
            report.problem(Trouble.MISPLACED, name, f"lists {uri} twice", known[uri].k)
        seen.add(uri)
    for claim in expected:
        if claim.key not in seen:
            report.problem(Trouble.OMITTED, name, f"does not list {claim.key}", claim.k)
    order = [uri for uri in dict.fromkeys(listed) if uri in known]
    wanted = [key for key in known if key in seen]
    for uri, true in zip(order, wanted, strict=True):
        if uri != true:
            text = f"lists {uri} where {true} belongs"
            report.problem(Trouble.MISPLACED, name, text, known[uri].k)


def _check_entry(
    name: str,
    each: Listed,
    claim: SegmentClaim,
    report: Report,
    *,
    after_break: bool,
    dated: bool,
) -> None:
    init = names.init_name(claim.init) if claim.init else ""
    wrong: list[str] = []
    if each.duration_us != claim.duration_us:
        wrong.append(f"lasts {each.duration_us / 1e6} s instead of {claim.duration_us / 1e6} s")
    if each.discontinuity != after_break:
        wrong.append("has no discontinuity" if after_break else "has a discontinuity")
    if each.init != init:
        wrong.append(f"needs init segment {init!r}, the list says {each.init!r}")
    # The playlist rounds to the millisecond, the manifest cuts off.
    if each.utc_us >= 0 and each.utc_us - claim.utc_us not in {0, 1000}:
        wrong.append("has another date than in the manifest")
    elif dated and each.utc_us < 0:
        wrong.append("has no date")
    for text in wrong:
        report.problem(Trouble.CONTRADICTION, name, f"{claim.key} {text}", claim.k)
