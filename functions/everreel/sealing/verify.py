"""Re-reads a recording from the store and tells whether it is whole, and if not, what is wrong.

Works from the stored objects alone. A sealed recording is held against its manifest; one that is
not sealed against its playlists, which hold no digests. docs/verify.md lists what is covered.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from everreel.errors import ObjectMissing, RecordingNotFound
from everreel.media import names
from everreel.media.access_unit import Medium, TrackFormat
from everreel.media.index import Container
from everreel.sealing.export import READERS, in_order
from everreel.sealing.verify_claims import (
    Malformed,
    ManifestClaim,
    PlaylistClaim,
    SegmentClaim,
    read_manifest,
    read_playlist,
)
from everreel.sealing.verify_continuity import Continuity
from everreel.sealing.verify_inits import check_inits, note_formats
from everreel.sealing.verify_manifest import (
    check_laps,
    check_manifest,
    claim_span_us,
    declared_inits,
)
from everreel.sealing.verify_media import InitFound, Media, TrackTimes, read_fmp4, read_ts
from everreel.sealing.verify_mp4 import Mp4Comparison, parameter_sets
from everreel.sealing.verify_mpd import Places, check_mpd
from everreel.sealing.verify_playlist import check_playlist, claims_of, segment_words
from everreel.sealing.verify_report import Change, Piece, Report, Trouble, Writer
from everreel.store.ports import ObjectStore

Progress = Callable[[int, int], None]
"""Takes the number of segments that were read and of those there are."""


def verify(
    store: ObjectStore,
    folder: str,
    on_progress: Progress | None = None,
    *,
    deep: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> Report:
    """Verify the recording whose objects have keys that begin with `folder`.

    Args:
        store: where it lies.
        folder: with a slash at its end; empty if the store holds this recording alone.
        on_progress: called after each segment.
        deep: hold `recording.mp4` against the segments too, which reads it all.
        go_on: asked before each segment but the first; after False no more are read, what needs
            all of them is not judged, and the report is not complete.

    Raises: RecordingNotFound if nothing there is a recording; what `ObjectStore` raises.
    """
    return _Verification(store, folder, on_progress or (lambda *_: None), deep, go_on).run()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An object that was read; `body` is None if it is not there."""

    claim: SegmentClaim
    body: bytes | None
    sha256: bytes


_Judged = tuple[list[TrackTimes] | None, list[Media], tuple[TrackFormat, ...]]
"""Times and payloads of the tracks of a segment, and their formats."""

_USELESS: _Judged = (None, [], ())


class _Verification:
    """One verification under way."""

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        on_progress: Progress,
        deep: bool,
        go_on: Callable[[], bool],
    ) -> None:
        self._store = store
        self._go_on = go_on
        self._folder = folder
        self._on_progress = on_progress
        self._report = Report(deep=deep)
        listing = store.list(folder)
        self._sizes = {info.key[len(folder) :]: info.size for info in listing}
        self._manifest: ManifestClaim | None = None
        self._playlists: dict[str, PlaylistClaim] = {}
        self._claims: list[SegmentClaim] = []
        self._places: list[Places | None] = []
        self._writers: dict[tuple[str, int], Writer] = {}
        self._inits: dict[int, InitFound] = {}

    def run(self) -> Report:
        self._read_claims()
        report, document = self._report, self._manifest.document if self._manifest else {}
        report.segments = len(self._claims)
        report.sid, report.channel = str(document.get("sid", "")), str(document.get("channel", ""))
        report.reason = str(document.get("reason") or "")
        fmp4 = bool(self._claims[0].init)
        report.container = (Container.FMP4 if fmp4 else Container.MPEGTS).value
        self._check_inits()
        self._read_segments()
        self._check_playlists(document.get("segmentSeconds"))
        self._check_files()
        laps: set[tuple[object, object]] = set(self._writers)
        if self._manifest and report.complete:
            laps = check_laps(self._manifest, list(self._writers.values()), report)
        gaps = self._manifest.gaps if self._manifest else []
        report.span_us = claim_span_us(self._claims, gaps)
        if not report.complete:
            report.span_us = report.end_us - report.begin_us
        report.writers = [self._writers[writer] for writer in sorted(self._writers)]
        if report.complete:
            self._check_strays(laps)
        self._note_checked()
        return report

    # ------------------------------------------------------------------ what it says of itself

    def _read_claims(self) -> None:
        report, problem = self._report, self._report.problem
        if names.MANIFEST in self._sizes:
            try:
                body = self._store.get(self._folder + names.MANIFEST)
                self._manifest = read_manifest(body)
            except Malformed as error:
                problem(Trouble.UNREADABLE, names.MANIFEST, str(error))
        for name in (names.INDEX, names.LIVE):
            if name in self._sizes:
                try:
                    self._playlists[name] = read_playlist(self._store.get(self._folder + name))
                except Malformed as error:
                    problem(Trouble.UNREADABLE, name, str(error))
        if self._manifest:
            report.sealed = True
            self._claims = self._manifest.segments
            check_manifest(self._manifest, report)
            report.declared_coverage = _number(self._manifest.document.get("coverage"))
            self._tell_missing(self._manifest.document.get("missing"))
            return
        index, live = self._playlists.get(names.INDEX), self._playlists.get(names.LIVE)
        try:
            self._claims = claims_of(index, live)
        except Malformed as error:
            problem(Trouble.UNREADABLE, names.INDEX if index else names.LIVE, str(error))
        if not self._claims:
            found = "; ".join(map(str, report.problems)) or "neither recording.json nor index.m3u8"
            raise RecordingNotFound(
                f"no recording can be read here: {found}. Name the folder that holds "
                "recording.json or index.m3u8",
                field="recording",
            )
        if names.MANIFEST not in self._sizes and index is not None and index.ended:
            text = "the playlist is closed, so the recording was sealed"
            problem(Trouble.MISSING, names.MANIFEST, text)
        if self._claims[0].utc_us >= 0:
            report.origin_utc_us = self._claims[0].utc_us  # until its start is known

    def _tell_missing(self, missing: object) -> None:
        if not isinstance(missing, list):
            text = "missing: this is no list"
            self._report.problem(Trouble.CONTRADICTION, names.MANIFEST, text)
            return
        for key in missing:
            words = segment_words(str(key))
            text = "missing or truncated already when the recording was sealed"
            self._report.problem(Trouble.MISSING, str(key), text, words[0] if words else None)

    def _check_inits(self) -> None:
        needed = {claim.init for claim in self._claims if claim.init}
        numbers = dict.fromkeys(sorted(needed))
        if self._manifest:
            try:
                declared = declared_inits(self._manifest.document)
            except Malformed as error:
                self._report.problem(Trouble.CONTRADICTION, names.MANIFEST, str(error))
            else:
                for number in sorted(needed - declared.keys()):
                    text = f"tracks: init segment {number} is not there"
                    self._report.problem(Trouble.CONTRADICTION, names.MANIFEST, text)
                numbers |= declared
        self._inits = check_inits(self._store, self._folder, numbers, self._sizes, self._report)

    # ------------------------------------------------------------------ segments

    def _read_segments(self) -> None:
        report, manifest = self._report, self._manifest
        continuity = Continuity(report, manifest.gaps if manifest else None)
        mp4 = self._open_mp4()
        before: SegmentClaim | None = None
        with ThreadPoolExecutor(READERS) as pool:
            for number, loaded in enumerate(in_order(pool, self._load, self._to_read()), 1):
                claim = loaded.claim
                problems = len(report.problems)
                times, media, formats = self._judge(loaded)
                continuity.add(claim, times)
                if mp4 is not None and times is not None:
                    mp4.compare(claim, media, parameter_sets(formats), report)
                elif mp4 is not None:
                    text = "not compared from here on: a segment it was made of cannot be read"
                    report.remark(Trouble.MISSING, names.MP4, text, claim.k)
                    mp4 = None
                if loaded.body is None:
                    continuity.lost_segment(claim)
                self._places.append(
                    {each.medium: (each.offset, each.length) for each in times} if times else None
                )
                self._note(claim, before, sound=problems == len(report.problems))
                before = claim
                self._on_progress(number, len(self._claims))
        if report.complete:
            continuity.finish()
            if mp4 is not None:
                mp4.finish(report)
        self._check_independence(continuity.cut_by_force)
        if not manifest and report.origin_utc_us:
            report.origin_utc_us -= self._claims[0].start_us

    def _to_read(self) -> Iterator[SegmentClaim]:
        for number, claim in enumerate(self._claims):
            if number and not self._go_on():
                self._report.complete = False
                return
            yield claim

    def _load(self, claim: SegmentClaim) -> _Loaded:
        """Read a segment and digest it; runs on a thread of the pool."""
        if claim.key not in self._sizes:
            return _Loaded(claim, None, b"")
        try:
            body = self._store.get(self._folder + claim.key)
        except ObjectMissing:
            return _Loaded(claim, None, b"")
        return _Loaded(claim, body, hashlib.sha256(body).digest())

    def _judge(self, loaded: _Loaded) -> _Judged:
        """Hold an object against what is said of it."""
        claim, body, problem = loaded.claim, loaded.body, self._report.problem
        if body is None:
            problem(Trouble.MISSING, claim.key, "the store does not hold it", claim.k)
            return _USELESS
        self._report.bytes += len(body)
        if claim.sha256 and loaded.sha256 != claim.sha256:
            if len(body) < claim.size:
                text = f"{len(body)} bytes are left of {claim.size}"
                problem(Trouble.TRUNCATED, claim.key, text, claim.k)
            else:
                text = (
                    f"{len(body)} bytes of SHA-256 {loaded.sha256.hex()[:16]}…, written were "
                    f"{claim.size} of {claim.sha256.hex()[:16]}…"
                )
                problem(Trouble.TAMPERED, claim.key, text, claim.k)
            return _USELESS
        if claim.size not in {-1, len(body)}:
            text = f"size of {claim.key} is {claim.size}, the object has {len(body)} bytes"
            problem(Trouble.CONTRADICTION, names.MANIFEST, text, claim.k)
        try:
            if not claim.init:
                times, media, formats = read_ts(body, claim)
                note_formats(formats, self._report)
            elif init := self._inits.get(claim.init):
                times, media = read_fmp4(body, init.tracks, claim)
                formats = init.formats
            else:
                return _USELESS  # told already
        except Malformed as error:
            problem(Trouble.UNREADABLE, claim.key, str(error), claim.k)
            return _USELESS
        self._count(claim, times)
        return times, media, formats

    def _count(self, claim: SegmentClaim, times: Sequence[TrackTimes]) -> None:
        units = {each.medium.value: each.units for each in times}
        if self._manifest and units != claim.units:
            text = f"{claim.key} holds {units}, it says {claim.units}"
            self._report.problem(Trouble.CONTRADICTION, names.MANIFEST, text, claim.k)
        for track in self._report.tracks:
            if track.init == claim.init:
                track.units += units.get(track.medium, 0)

    def _note(self, claim: SegmentClaim, before: SegmentClaim | None, *, sound: bool) -> None:
        """Write down who wrote a segment and where it lies in the picture."""
        writer = self._writers.setdefault(
            (claim.lane, claim.lap), Writer(claim.lane, claim.lap, claim.k, claim.k)
        )
        writer.last_k = claim.k
        writer.segments += 1
        writer.media_us += claim.duration_us
        writer.bytes += self._sizes.get(claim.key, 0)
        self._report.pieces.append(
            Piece(claim.k, claim.start_us, claim.duration_us, claim.lane, claim.lap, sound)
        )
        if before is not None and (before.lane, before.lap) != (claim.lane, claim.lap):
            names_of = f"{before.lane}{before.lap}", f"{claim.lane}{claim.lap}"
            self._report.changes.append(Change(claim.k, claim.start_us, *names_of))

    def _check_independence(self, cut_by_force: Sequence[SegmentClaim]) -> None:
        index = self._playlists.get(names.INDEX)
        for claim in cut_by_force:
            text = "it does not start with a keyframe"
            if index is not None and index.independent:
                text += ", the playlist says that each segment does"
                self._report.problem(Trouble.CONTRADICTION, claim.key, text, claim.k)
            else:
                text += ": a group of pictures was cut by force or joined late"
                self._report.remark(Trouble.TIMES, claim.key, text, claim.k)

    # ------------------------------------------------------------------ the MP4

    def _open_mp4(self) -> Mp4Comparison | None:
        size = self._sizes.get(names.MP4)
        if not self._report.deep or size is None:
            return None
        try:
            return Mp4Comparison.open(self._store, self._folder + names.MP4, size)
        except Malformed as error:
            self._report.problem(Trouble.UNREADABLE, names.MP4, str(error))
            return None

    # ------------------------------------------------------------------ everything else

    def _check_playlists(self, segment_s: object) -> None:
        if self._manifest:
            target_s = segment_s if isinstance(segment_s, int) else None
            for name, playlist in self._playlists.items():
                check_playlist(name, playlist, self._claims, self._report, segment_s=target_s)

    def _check_files(self) -> None:
        """Look for the objects that the manifest names beside segments and init segments."""
        if not self._manifest:
            return
        files = self._manifest.document.get("files")
        for name in files.values() if isinstance(files, dict) else ():
            if name not in self._sizes:
                self._report.problem(Trouble.MISSING, str(name), "the manifest names it")
            elif not self._sizes[name]:
                self._report.problem(Trouble.TRUNCATED, str(name), "it is empty")
        if names.MPD in self._sizes and self._report.complete:
            body = self._store.get(self._folder + names.MPD)
            check_mpd(body, self._claims, self._places, self._inits, self._report)

    def _check_strays(self, laps: set[tuple[object, object]]) -> None:
        """Tell of objects in the folder that are not part of the recording."""
        known = {claim.key for claim in self._claims}
        fixed = {names.MANIFEST, names.INDEX, names.LIVE, names.MPD, names.MP4, names.POSTER}
        fixed |= {names.VERIFICATION, names.TIMELINE}
        for number in self._inits:
            fixed |= {names.init_name(number, medium) for medium in (None, *Medium)}
        for name in self._sizes:
            if name in known or name in fixed:
                continue
            words = segment_words(name)
            if words is not None and (words[1], words[2]) in laps:
                text = "left over: a lap stored it and could not commit it; nothing plays it"
                self._report.remark(Trouble.FOREIGN, name, text, words[0])
            elif name.startswith("segments/"):
                text = "no lap of this recording wrote it, and nothing names it"
                self._report.problem(Trouble.FOREIGN, name, text, words[0] if words else None)
            else:
                self._report.remark(Trouble.FOREIGN, name, "it is no object of a recording")

    def _note_checked(self) -> None:
        """List which objects were held against what."""
        checked = self._report.checked
        read, every = len(self._report.pieces), len(self._claims)
        part = "" if self._report.complete else f"{read} of "
        checked.append(f"{part}{every} segments: sample tables and times")
        if self._manifest:
            checked.append("every byte of the segments: SHA-256 and digest chain")
            checked.append(f"{names.MANIFEST}: its sums, laps and gaps")
        if self._inits:
            checked.append(f"{len(self._inits)} init segments: against those of single tracks")
        checked += [f"{name}: against the segments" for name in self._playlists]
        if not self._report.complete:
            return
        if self._manifest and names.MPD in self._sizes:
            checked.append(f"{names.MPD}: byte ranges and times")
        if self._report.deep and names.MP4 in self._sizes:
            checked.append(f"{names.MP4}: every sample against the segments")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
