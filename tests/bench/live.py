"""Recording a live stream: `everreel record` and FFmpeg on the same RTMP stream at the same time.

Not equal, to our disadvantage: we flush each object to disk before we name it, digest it, keep an
index with a fence, beat twice a second, and write a sliding playlist besides the full one.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Running
from tests.bench.media import CLIP, check_recorded, ffmpeg_hls
from tests.bench.registry import Group, Metric, Pair, Round, Setting
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp

_SECONDS, _QUICK_SECONDS = 24, 12
STEADY_FROM_S = 6
"""FFmpeg probes its input for up to 5 s; from here on both do nothing but record."""


@contextmanager
def _open(setting: Setting) -> Iterator[Round]:
    seconds = _QUICK_SECONDS if setting.quick else _SECONDS
    with NginxRtmp() as server, Publisher(CLIP, server.rtmp_url()):
        yield lambda number: _measure(setting.scratch / "live", server.rtmp_url(), number, seconds)


def _measure(folder: Path, url: str, number: int, seconds: int) -> Mapping[str, Pair]:
    folder.mkdir()
    ours_out, peer_out = folder / "ours", folder / "peer"
    # As installed: the script that pip makes.
    script = str(Path(sys.executable).with_name("everreel"))
    commands = {
        "ours": [script, "record", url, "--no-mp4", "--no-poster", "--out", str(ours_out)],
        "peer": ffmpeg_hls(url, peer_out),
    }
    order = list(commands) if number % 2 else list(reversed(commands))
    running = {
        who: Running(
            commands[who],
            folder / f"{who}.log",
            stop_after_s=seconds,
            marks_s=(STEADY_FROM_S, seconds - 0.5),
        )
        for who in order
    }
    cost = {who: each.cost() for who, each in running.items()}
    for out in (ours_out, peer_out):
        check_recorded(out, seconds // 6 - 1)
    shutil.rmtree(folder)
    ours, peer = cost["ours"], cost["peer"]
    return {
        "copy_cpu": Pair(ours.cpu_s, peer.cpu_s),
        "copy_rss": Pair(ours.rss_mib, peer.rss_mib),
        "copy_steady_cpu": Pair(
            ours.clocks_s[1] - ours.clocks_s[0], peer.clocks_s[1] - peer.clocks_s[0]
        ),
    }


GROUPS = [
    Group(
        name="copy_live",
        against="ffmpeg -c copy -f hls",
        metrics=(
            Metric("copy_cpu", "s", goal=0.8),
            Metric("copy_rss", "MiB", goal=0.5),
            Metric("copy_steady_cpu", "s"),
        ),
        rounds=5,
        open=_open,
    )
]
