"""Verifies a recording that was copied out of the bucket, from the files alone.

Nothing of the code that wrote them is used to judge them: digests come from hashlib, media from
FFmpeg, playlists are read by their text.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
from PIL import Image

from infra.local.demo_media import decode, recorded_units
from infra.local.demo_proof import RecordedUnit, prove
from infra.local.publisher_stream import PublishedUnit

_MPD = "{urn:mpeg:dash:schema:mpd:2011}"
_SYNC_LIMIT_MS = 40.0
_LENGTH_LIMIT_S = 0.1
_ROUNDING_S = 0.0011


class NotHeldError(Exception):
    """A check failed; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified.

    Attributes:
        name: key in `summary.json`.
        text: what was found, or what is wrong.
        figures: for `summary.json`.
    """

    name: str
    ok: bool
    text: str
    figures: dict[str, Any] = field(default_factory=dict)


Findings = tuple[str, dict[str, Any]]


class Verification:
    """All checks of one recording."""

    def __init__(self, folder: Path, published: Sequence[PublishedUnit] | None) -> None:
        """Verify the files in `folder`; `published` is what the demo's own publisher sent."""
        self._folder = folder
        self._published = published
        self._manifest: dict[str, Any] = {}

    def checks(self) -> list[tuple[str, Callable[[], Findings]]]:
        """List the checks by name, in the order in which they are to be made."""
        listed = [
            ("chain", self._chain),
            ("playlists", self._playlists),
            ("durations", self._durations),
            ("mp4", self._mp4),
            ("poster", self._poster),
        ]
        if self._published is not None:
            listed.insert(3, ("units", self._units))
        return listed

    def make(self, name: str, check: Callable[[], Findings]) -> Check:
        """Make one check; whatever is wrong with the files makes it fail, nothing else."""
        try:
            text, figures = check()
        except NotHeldError as error:
            return Check(name, False, str(error))
        except (OSError, ValueError, KeyError, TypeError, av.error.FFmpegError) as error:
            return Check(name, False, f"cannot be read: {type(error).__name__}: {error}")
        return Check(name, True, text, figures)

    # ------------------------------------------------------------------ the checks

    def _chain(self) -> Findings:
        """Recompute the manifest's digest chain from the objects."""
        self._manifest = json.loads((self._folder / "recording.json").read_text())
        segments = self._manifest["segments"]
        _hold(bool(segments), "recording.json lists no segments")
        _hold(not self._manifest["missing"], f"objects are missing: {self._manifest['missing']}")
        link = hashlib.sha256(self._manifest["sid"].encode()).digest()
        for segment in segments:
            body = (self._folder / segment["key"]).read_bytes()
            digest = hashlib.sha256(body).digest()
            link = hashlib.sha256(link + digest).digest()
            _hold(len(body) == segment["size"], f"{segment['key']} has another size")
            _hold(digest.hex() == segment["sha256"], f"{segment['key']} has another SHA-256")
            _hold(link.hex() == segment["chain"], f"{segment['key']}: the chain breaks here")
        _hold(link.hex() == self._manifest["chain"], "the chain's last link is another one")
        return f"{len(segments)} segments, chain ends {link.hex()[:12]}…", {"chain": link.hex()}

    def _playlists(self) -> Findings:
        """Look up every object that the HLS playlists and the DASH manifest name."""
        lines = (self._folder / "index.m3u8").read_text().splitlines()
        _hold(lines[-1:] == ["#EXT-X-ENDLIST"], "index.m3u8 has no end")
        uris = [line for line in lines if line and not line.startswith("#")]
        inits = [line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP:")]
        listed = [segment["key"] for segment in self._manifest["segments"]]
        _hold(uris == listed, "index.m3u8 and recording.json list different segments")
        dash = self._dash_ranges()
        for name, end in [*((uri, 0) for uri in [*uris, *inits]), *dash]:
            path = self._folder / name
            _hold(path.is_file(), f"{name} is named but does not exist")
            _hold(path.stat().st_size >= end, f"{name} is shorter than manifest.mpd says")
        text = f"{len(uris)} segments, {len(inits)} init in index.m3u8"
        return text + (f"; {len(dash)} ranges in manifest.mpd" if dash else ""), {}

    def _dash_ranges(self) -> list[tuple[str, int]]:
        """Read the objects that the DASH manifest addresses, and how long they must be."""
        if "mpd" not in self._manifest["files"]:
            return []
        root = ElementTree.fromstring((self._folder / "manifest.mpd").read_text())  # noqa: S314
        found = [(each.attrib["sourceURL"], 1) for each in root.iter(f"{_MPD}Initialization")]
        for each in root.iter(f"{_MPD}SegmentURL"):
            last = int(each.attrib["mediaRange"].partition("-")[2])
            found.append((each.attrib["media"], last + 1))
        _hold(bool(found), "manifest.mpd addresses nothing")
        return found

    def _durations(self) -> Findings:
        """Add up durations in all the places that tell them."""
        segments = self._manifest["segments"]
        recorded_s = self._manifest["recordedSeconds"]
        total_s = sum(segment["durationSeconds"] for segment in segments)
        lines = (self._folder / "index.m3u8").read_text().splitlines()
        listed = [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
        _hold(abs(total_s - recorded_s) < _ROUNDING_S, f"segments last {total_s}, not {recorded_s}")
        _hold(abs(sum(listed) - recorded_s) < _ROUNDING_S, f"index.m3u8 lasts {sum(listed)} s")
        for left, right in pairwise(segments):
            gap_s = right["startSeconds"] - left["startSeconds"] - left["durationSeconds"]
            silent = abs(gap_s) > _ROUNDING_S and not right["discontinuity"]
            _hold(not silent, f"{gap_s:.3f} s are unaccounted for before {right['key']}")
        text = f"{recorded_s:.2f} s in {len(listed)} segments, {len(self._manifest['gaps'])} gaps"
        return text, {"seconds": recorded_s, "coverage": self._manifest["coverage"]}

    def _units(self) -> Findings:
        """Find every recorded access unit in what was published, and nothing missing between."""
        inits = {row["init"]: row["keys"]["all"] for row in self._manifest["tracks"]}
        recorded: list[RecordedUnit] = []
        for segment in self._manifest["segments"]:
            head = (self._folder / inits[segment["init"]]).read_bytes()
            recorded += recorded_units(head + (self._folder / segment["key"]).read_bytes())
        proof = prove(self._published or [], recorded)
        _hold(proof.exact, str(proof))
        figures = {
            "lost": proof.lost,
            "doubled": proof.doubled,
            "pictures": proof.pictures,
            "audioFrames": proof.sounds,
            "skewMs": round(proof.skew_ms, 3),
        }
        return str(proof), figures

    def _mp4(self) -> Findings:
        """Decode the one file from end to end."""
        _hold("mp4" in self._manifest["files"], "there is no recording.mp4")
        path = self._folder / "recording.mp4"
        kinds = _top_boxes(path)
        _hold(kinds.index("moov") < kinds.index("mdat"), "recording.mp4: moov comes after mdat")
        found = decode(path)
        wanted_s = self._manifest["recordedSeconds"]
        pictures = sum(each["units"].get("video", 0) for each in self._manifest["segments"])
        gapless = not self._manifest["gaps"]
        _hold(
            not gapless or abs(found.seconds - wanted_s) < _LENGTH_LIMIT_S,
            f"recording.mp4 lasts {found.seconds:.2f} s, not {wanted_s:.2f} s",
        )
        # In a stream we do not know, pictures may refer to some from before the recording began.
        strict = self._published is not None or not pictures
        decoded = found.pictures == pictures if strict else found.pictures > 0
        _hold(decoded, f"{found.pictures} pictures decode, {pictures} were stored")
        text = f"{found.seconds:.2f} s, moov first, {found.pictures:,} pictures decode"
        figures: dict[str, Any] = {"seconds": round(found.seconds, 3), "pictures": found.pictures}
        if self._published is not None:
            _hold(bool(found.offsets_ms), "recording.mp4: no flash with a beep")
            worst_ms = max(found.offsets_ms, key=abs)
            _hold(abs(worst_ms) < _SYNC_LIMIT_MS, f"sound is {worst_ms:.0f} ms off the picture")
            text += f", sound within {abs(worst_ms):.1f} ms"
            figures["soundOffsetMs"] = round(worst_ms, 3)
        return text, figures

    def _poster(self) -> Findings:
        """Open the poster, if there is video to make one of."""
        sizes = [
            (track["width"], track["height"])
            for row in self._manifest["tracks"]
            for track in row["tracks"]
            if track["medium"] == "video"
        ]
        if not sizes:
            return "none: there is no video", {}
        with Image.open(self._folder / "poster.jpg") as picture:
            picture.load()
            text = f"{picture.width} x {picture.height} {picture.format}"
            _hold(picture.format == "JPEG", f"poster.jpg is a {picture.format}")
        return text, {}


def _hold(held: bool, otherwise: str) -> None:
    if not held:
        raise NotHeldError(otherwise)


def _top_boxes(path: Path) -> list[str]:
    """List the types of a file's outermost boxes."""
    kinds: list[str] = []
    with path.open("rb") as file:
        while head := file.read(8):
            size, kind = int.from_bytes(head[:4], "big"), head[4:].decode("latin1")
            used = 8
            if size == 1:
                size, used = int.from_bytes(file.read(8), "big"), 16
            kinds.append(kind)
            if size < used:
                break
            file.seek(size - used, 1)
    return kinds
