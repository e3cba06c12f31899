"""Test media, encoded once per machine into `.cache/lab/`: with counter, flash and beep.

Every second, on the second, the left half of the picture turns white for two frames and a 1 kHz
tone sounds for 100 ms. A frame counter is burnt in, and faint noise lies under the tone, so that no
two access units of a clip are alike. Every clip loops seamlessly: video and audio both start at 0
and last exactly `Clip.seconds`, a multiple of 8 s where a clip is meant to loop (whole AAC frames).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache
from pathlib import Path

import av

from tests.lab.process import LabError, program

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "lab"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
RECIPE = 3  # raise to make every machine encode anew


@dataclass(frozen=True, slots=True)
class Clip:
    """What a clip holds."""

    name: str
    video: str | None = "h264"  # h264, h265 or none
    audio: str | None = "aac"  # aac, opus or none
    width: int = 640
    height: int = 360
    fps: int = 25
    seconds: int = 40
    gop_s: int = 2
    b_frames: int = 2
    profile: str = "high"
    crf: int = 30
    audio_rate: int = 48000
    audio_kbps: int = 96
    bare: bool = False  # without x264's own message, which GStreamer leaves out at a start
    take: int = 0  # other pictures and another noise, encoded alike: an encoder started anew

    @property
    def path(self) -> Path:
        """The clip's file, encoded on first use."""
        return _made(self)


MAIN = Clip("main")
BASELINE = Clip("baseline", b_frames=0, profile="baseline")
H265 = Clip("h265", video="h265", width=320, height=180, seconds=24, profile="main")
OPUS = Clip("opus", audio="opus", width=320, height=180)
AUDIO_ONLY = Clip("audio_only", video=None)
VIDEO_ONLY = Clip("video_only", audio=None, width=320, height=180)
OTHER_SIZE = Clip("other_size", width=426, height=240, seconds=24)
LONG_GOP = Clip("long_gop", width=320, height=180, gop_s=10)
AUDIO_44100 = Clip("audio_44100", width=320, height=180, seconds=24, audio_rate=44100)
TINY = Clip("tiny", width=160, height=90, seconds=3, gop_s=1, crf=34, audio_kbps=48)
TINY_H265 = Clip(
    "tiny_h265", video="h265", width=160, height=90, seconds=3, gop_s=1, crf=36, profile="main",
    audio_kbps=48,
)  # fmt: skip
TINY_OPUS = Clip(
    "tiny_opus", audio="opus", width=160, height=90, seconds=3, gop_s=1, crf=34, audio_kbps=48
)
TINY_OTHER_SIZE = Clip(
    "tiny_other_size", width=208, height=120, seconds=3, gop_s=1, crf=36, audio_kbps=48
)
FAULT = Clip("fault", width=160, height=90, seconds=240, gop_s=1, crf=36, audio_kbps=48, bare=True)
"""Small, because many are sent at once; long, because a hole must be under half a round."""
FAULT_AGAIN = Clip(
    "fault_again", width=160, height=90, seconds=240, gop_s=1, crf=36, audio_kbps=48, bare=True,
    take=1,
)  # fmt: skip
TINY_AUDIO = Clip("tiny_audio", video=None, seconds=3, audio_kbps=48)
ALL = (
    MAIN, BASELINE, H265, OPUS, AUDIO_ONLY, VIDEO_ONLY, OTHER_SIZE, LONG_GOP, AUDIO_44100,
    TINY, TINY_H265, TINY_OPUS, TINY_OTHER_SIZE, TINY_AUDIO, FAULT, FAULT_AGAIN,
)  # fmt: skip


@cache
def _made(clip: Clip) -> Path:
    """Encode a clip unless this machine has it; safe when several test processes ask at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    recipe = repr((RECIPE, [(f.name, getattr(clip, f.name)) for f in fields(clip)]))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    target = CACHE / f"{clip.name}-{key}.mp4"
    with (CACHE / f"{clip.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            raw = CACHE / f"{clip.name}-{os.getpid()}.raw.mp4"
            part = CACHE / f"{clip.name}-{os.getpid()}.part.mp4"
            try:
                _encode(clip, raw)
                _trim(clip, raw, part)
                part.rename(target)
            finally:
                raw.unlink(missing_ok=True)
                part.unlink(missing_ok=True)
    return target


def _encode(clip: Clip, target: Path) -> None:
    """Run FFmpeg over synthetic picture and sound."""
    argv = [program("ffmpeg"), "-v", "error", "-nostdin", "-y", "-threads", "2"]
    codec: list[str] = []
    if clip.video:
        size = f"{clip.width}x{clip.height}"
        flash = f"drawbox=x=0:y=0:w=iw/2:h=ih:c=white:t=fill:enable='lt(mod(n,{clip.fps}),2)'"
        number = f"{clip.take} %{{n}}" if clip.take else "%{n}"
        text = (
            f"drawtext=fontfile={FONT}:text='{number}':fontsize={clip.height // 4}:x=(w-tw)/2"
            f":y=(h-th)/2:fontcolor=white:box=1:boxcolor=black"
        )
        source = f"testsrc2=s={size}:r={clip.fps}:d={clip.seconds},{flash},{text},format=yuv420p"
        argv += ["-f", "lavfi", "-i", source]
        codec += _video_codec(clip)
    if clip.audio:
        beep = "0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.1)"
        loud = 0.01 * (1 + clip.take)
        left, right = (f"{beep}+{loud}*(random({n})-0.5)" for n in (0, 1))
        # One second more than the picture: codec delay eats into the end, _trim cuts exactly.
        sound = f"aevalsrc='{left}|{right}':s={clip.audio_rate}:d={clip.seconds + 1}"
        argv += ["-f", "lavfi", "-i", sound]
        codec += ["-c:a", "libopus" if clip.audio == "opus" else "aac"]
        codec += ["-b:a", f"{clip.audio_kbps}k"]
    run = subprocess.run([*argv, *codec, str(target)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise LabError(f"clip {clip.name}: ffmpeg failed\n{run.stderr[-2000:]}")


def _video_codec(clip: Clip) -> list[str]:
    gop = str(clip.gop_s * clip.fps)
    if clip.video == "h265":
        params = (
            f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:bframes={clip.b_frames}"
            ":b-adapt=0:log-level=error:pools=2:info=0"
        )
        return ["-c:v", "libx265", "-preset", "ultrafast", "-crf", str(clip.crf),
                "-x265-params", params]  # fmt: skip
    high = ":cabac=1:8x8dct=1" if clip.profile == "high" else ""
    params = (
        f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:bframes={clip.b_frames}"
        f":b-adapt=0:ref=1:sliced-threads=0{high}"
    )
    bare = ["-bsf:v", "filter_units=remove_types=6"] if clip.bare else []
    return [*bare, "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", clip.profile, "-crf",
            str(clip.crf), "-x264-params", params, "-threads", "2"]  # fmt: skip


def _trim(clip: Clip, source: Path, target: Path) -> None:
    """Copy exactly the clip's length, from time 0, without the audio encoder's run-in packet."""
    with (
        av.open(str(source)) as reader,
        av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as writer,
    ):
        outputs = {s.index: writer.add_stream_from_template(s) for s in reader.streams}
        wanted = {
            s.index: clip.seconds * (clip.fps if s.type == "video" else Fraction(
                clip.audio_rate, 1024 if clip.audio == "aac" else clip.audio_rate // 50
            ))
            for s in reader.streams
        }  # fmt: skip
        for packet in reader.demux():
            index = packet.stream.index
            if packet.pts is None or packet.pts < 0 or wanted[index] <= 0:
                continue
            wanted[index] -= 1
            packet.stream = outputs[index]
            writer.mux(packet)
