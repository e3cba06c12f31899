"""Converting 600 s of FLV as fast as the machine can: where CPU is not hidden by waiting."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Running
from tests.bench.media import check_recorded, ffmpeg_hls, long_flv
from tests.bench.registry import Group, Metric, Pair, Round, Setting

_SECONDS, _QUICK_SECONDS = 600, 120
_DRIVER = Path(__file__).with_name("record_file.py")


@contextmanager
def _open(setting: Setting) -> Iterator[Round]:
    seconds = _QUICK_SECONDS if setting.quick else _SECONDS
    source = long_flv(seconds)
    yield lambda number: _measure(setting.scratch / "unpaced", source, number, seconds)


def _measure(folder: Path, source: Path, number: int, seconds: int) -> Mapping[str, Pair]:
    folder.mkdir()
    ours_out, peer_out = folder / "ours", folder / "peer"
    commands = {
        "ours": [sys.executable, str(_DRIVER), str(source), str(ours_out)],
        "peer": ffmpeg_hls(str(source), peer_out),
    }
    order = list(commands) if number % 2 else list(reversed(commands))
    cost = {who: Running(commands[who], folder / f"{who}.log").cost() for who in order}
    for out in (ours_out, peer_out):
        check_recorded(out, seconds // 6 - 1)
    shutil.rmtree(folder)
    ours, peer = cost["ours"], cost["peer"]
    return {
        "copy_unpaced_cpu": Pair(ours.cpu_s, peer.cpu_s),
        "copy_unpaced_rss": Pair(ours.rss_mib, peer.rss_mib),
    }


GROUPS = [
    Group(
        name="copy_unpaced",
        against="ffmpeg -c copy -f hls",
        metrics=(Metric("copy_unpaced_cpu", "s", goal=0.8), Metric("copy_unpaced_rss", "MiB")),
        rounds=7,
        open=_open,
    )
]
