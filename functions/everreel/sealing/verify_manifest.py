"""Holds a manifest against itself: its chain, its sums, and who it says wrote what."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from everreel.clock import MICROSECONDS
from everreel.media import names
from everreel.media.index import Container
from everreel.sealing.verify_claims import GapClaim, Malformed, ManifestClaim, SegmentClaim, instant
from everreel.sealing.verify_playlist import segment_words
from everreel.sealing.verify_report import Report, Trouble, Writer

_FIELDS = {
    "version", "sid", "app", "channel", "uid", "mode", "source", "container", "segmentSeconds",
    "reason", "startTime", "recordedSeconds", "spanSeconds", "coverage", "gaps", "missing", "bytes",
    "chain", "tracks", "laps", "files", "omitted",
}  # fmt: skip
_LAP_FIELDS = {
    "lane", "lap", "requestId", "startTime", "segments", "why", "follows", "reconnects", "state",
    "reason",
}  # fmt: skip


def check_manifest(claim: ManifestClaim, report: Report) -> None:
    """Find what in a manifest does not follow from the rest of it."""
    _Check(claim, report).run()


class _Check:
    def __init__(self, claim: ManifestClaim, report: Report) -> None:
        self._document = claim.document
        self._segments = claim.segments
        self._gaps = claim.gaps
        self._report = report

    def run(self) -> None:
        for field in sorted(_FIELDS - self._document.keys()):
            self._find(f"it does not tell its {field}")
        self._chain()
        self._order()
        self._names()
        self._sums()
        self._times()
        self._files()

    def _find(self, text: str, k: int | None = None) -> None:
        self._report.problem(Trouble.CONTRADICTION, names.MANIFEST, text, k)

    def _chain(self) -> None:
        """Follow the digest chain; each break is told once, at the first link that is wrong."""
        sid = self._document.get("sid")
        link = hashlib.sha256(str(sid).encode()).digest()
        whole = True
        for segment in self._segments:
            link = hashlib.sha256(link + segment.sha256).digest()
            if link != segment.link:
                self._report.problem(
                    Trouble.CHAIN,
                    names.MANIFEST,
                    f"chain broken at {segment.k}: the link does not follow from the one before "
                    "and the digest of the object",
                    segment.k,
                )
                link, whole = segment.link, False
        if self._document.get("chain") != link.hex():
            self._report.problem(
                Trouble.CHAIN, names.MANIFEST, "its chain is not the link of its last segment"
            )
            whole = False
        self._report.chain, self._report.chain_whole = link.hex(), whole

    def _order(self) -> None:
        for before, after in zip(self._segments, self._segments[1:], strict=False):
            if after.k <= before.k:
                self._report.problem(
                    Trouble.MISPLACED,
                    names.MANIFEST,
                    f"{after.key} follows segment {before.k}",
                    after.k,
                )

    def _names(self) -> None:
        container = self._document.get("container")
        known = {_written_by(lap) for lap in _laps(self._document)}
        for segment in self._segments:
            writer = segment.lane, segment.lap
            words = segment_words(segment.key)
            if words is None or words != (segment.k, *writer, container):
                self._find(f"{segment.key} is not the name of its number, lane, lap", segment.k)
            if writer not in known:
                self._find(f"was written by lap {writer[0]}{writer[1]}, of which it knows nothing",
                           segment.k)  # fmt: skip
            if (segment.init == 0) != (container == Container.MPEGTS):
                self._find(f"init segment {segment.init} does not go with {container}", segment.k)

    def _sums(self) -> None:
        segments, gaps = self._segments, self._gaps
        span_us = claim_span_us(segments, gaps)
        gap_us = sum(gap.duration_us for gap in gaps)
        media_us = sum(each.duration_us for each in segments) - _inside(segments, gaps)
        self._same("bytes", sum(each.size for each in segments))
        self._same("recordedSeconds", media_us / MICROSECONDS)
        self._same("spanSeconds", span_us / MICROSECONDS)
        self._same("coverage", round((span_us - gap_us) / span_us, 6) if span_us else 0.0)

    def _same(self, field: str, true: float) -> None:
        said = self._document.get(field)
        if said != true or isinstance(said, bool):
            self._find(f"{field} is {said!r}, its segments and gaps add up to {true!r}")

    def _times(self) -> None:
        try:
            origin_us = instant(self._document.get("startTime"), "startTime")
        except Malformed as error:
            self._find(str(error))
            return
        self._report.origin_utc_us = origin_us
        for segment in self._segments:
            # Both were cut off to the millisecond.
            if not -1000 <= segment.utc_us - origin_us - segment.start_us <= 1000:
                self._find("startTime is not where startSeconds says", segment.k)

    def _files(self) -> None:
        files = self._document.get("files")
        if not isinstance(files, dict):
            self._find("files: this names no objects")
            return
        known = {
            "index": names.INDEX, "live": names.LIVE, "mpd": names.MPD, "poster": names.POSTER,
            "mp4": names.MP4,
        }  # fmt: skip
        must = {"index", "live"}
        if self._document.get("container") == Container.FMP4:
            must.add("mpd")
        for what, name in files.items():
            if known.get(what) != name:
                self._find(f"files: {what!r} is not {name!r}")
        for what in sorted(must - files.keys()):
            self._find(f"files: {what} is not named")


def claim_span_us(segments: Sequence[SegmentClaim], gaps: Sequence[GapClaim]) -> int:
    """Tell how long a recording lasts; what was missing at its ends counts."""
    begin_us = min([segments[0].start_us, *(gap.start_us for gap in gaps[:1])])
    end_us = max([segments[-1].end_us, *(gap.start_us + gap.duration_us for gap in gaps[-1:])])
    return end_us - begin_us


def check_laps(
    claim: ManifestClaim, writers: Sequence[Writer], report: Report
) -> set[tuple[object, object]]:
    """Hold what the laps say they wrote against what is theirs; return their lanes and numbers."""
    found: dict[tuple[object, object], Writer]
    found = {(writer.lane, writer.lap): writer for writer in writers}
    lost = claim.document.get("missing")
    known = set(found)
    laps = _laps(claim.document)
    told = {f"{lane}{number}" for lane, number in map(_written_by, laps)}
    for lap in laps:
        if not isinstance(lap, dict):
            report.problem(Trouble.CONTRADICTION, names.MANIFEST, "laps: this is no lap")
            continue
        for field in sorted(_LAP_FIELDS - lap.keys()):
            text = f"a lap does not tell its {field}"
            report.problem(Trouble.CONTRADICTION, names.MANIFEST, text)
        lane, number = _written_by(lap)
        known.add((lane, number))
        before = lap.get("follows")
        if before is not None and str(before) not in told:
            text = f"lap {lane}{number} follows {before}, which is no lap"
            report.problem(Trouble.CONTRADICTION, names.MANIFEST, text)
        writer = found.get((lane, number))
        if writer is not None:
            writer.state, writer.reason = str(lap.get("state") or ""), str(lap.get("reason") or "")
        segments = writer.segments if writer else 0
        # A lap that died told of its work for the last time before its end.
        if lap.get("state") == "ended" and not lost and lap.get("segments") != segments:
            report.problem(
                Trouble.CONTRADICTION,
                names.MANIFEST,
                f"lap {lane}{number} says it wrote {lap.get('segments')} "
                f"segments, {segments} are its own",
            )
    return known


def _laps(document: Mapping[str, Any]) -> list[Any]:
    laps = document.get("laps")
    return laps if isinstance(laps, list) else []


def _written_by(lap: object) -> tuple[str, str | int]:
    """Give lane and number of what a manifest calls a lap; those that are none are no lap's."""
    told = lap if isinstance(lap, dict) else {}
    lane, number = told.get("lane"), told.get("lap")
    return str(lane), number if isinstance(number, int) else str(number)


def declared_inits(document: dict[str, Any]) -> dict[int, dict[str, Any] | None]:
    """Give what a manifest says of each init segment, by number. Raises: Malformed."""
    tracks = document.get("tracks")
    if not isinstance(tracks, list):
        raise Malformed("tracks: this is no list")
    found: dict[int, dict[str, Any] | None] = {}
    for each in tracks:
        if not isinstance(each, dict) or not isinstance(each.get("init"), int):
            raise Malformed("tracks: an init segment has no number")
        found[each["init"]] = each
    return found


def _inside(segments: Sequence[SegmentClaim], gaps: Sequence[GapClaim]) -> int:
    """Add up the declared gaps that lie inside a segment, not before it."""
    total, at = 0, 0
    for gap in gaps:
        while at < len(segments) - 1 and segments[at].end_us < gap.start_us + gap.duration_us:
            at += 1
        inside = segments[at].start_us <= gap.start_us < segments[at].end_us
        total += gap.duration_us if inside else 0
    return total
