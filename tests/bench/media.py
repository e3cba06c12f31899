"""What is recorded in the benchmarks, made once per machine."""

import subprocess
from pathlib import Path

from tests.bench.measure import OUT, BenchError
from tests.lab.clips import Clip
from tests.lab.process import program

CLIP = Clip("bench_1080p", width=1920, height=1080, fps=30, crf=36, audio_kbps=128)
"""40 s of 1080p30 with two B-frames, 2 s groups and AAC: 4.2 Mbps together."""


def long_flv(seconds: int) -> Path:
    """Make an FLV file of `CLIP` over and over: 600 s are 315 MB."""
    path = OUT / "media" / f"{CLIP.path.stem}-{seconds}.flv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        made = subprocess.run(
            [program("ffmpeg"), "-v", "error", "-nostdin", "-y",
             "-stream_loop", str(seconds // CLIP.seconds - 1), "-i", str(CLIP.path), "-c", "copy",
             "-f", "flv", str(part)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise BenchError(f"ffmpeg could not make {path.name}: {made.stderr[-2000:]}")
        part.rename(path)
    return path


def ffmpeg_hls(source: str, folder: Path) -> list[str]:
    """The peer: FFmpeg copies `source` into HLS with fMP4 segments of 6 s."""
    folder.mkdir(parents=True)
    return [program("ffmpeg"), "-v", "error", "-nostdin", "-y", "-i", source, "-c", "copy",
            "-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "6", "-hls_list_size", "0",
            str(folder / "index.m3u8")]  # fmt: skip


def check_recorded(folder: Path, least: int) -> None:
    """Make sure that something was recorded: a figure of a failure is none.

    Raises:
        BenchError: fewer segments than `least`.
    """
    found = len(list(folder.rglob("*.m4s")))
    if found < least:
        raise BenchError(f"{folder.name} holds {found} segments, expected at least {least}")
