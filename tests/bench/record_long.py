"""Records so many hours without waiting for them, seals, verifies, and tells what that cost.

    record_long.py HOURS OUT

Writes pairs (late, early): the last six hours of 600 segments against hours 2 to 7. The memory of
a lap, and of seal and verify, is what they held at most beside what was there before, their
peaks of resident memory included; early is the same after one hour.
"""

import json
import sys
import time
from pathlib import Path

from everreel.events.memory import MemoryBus
from everreel.sealing.picture import timeline
from everreel.sealing.seal import seal
from everreel.sealing.verify import verify
from tests.lab.long_recording import HOUR, LAP, SID, LongRecording, Samples

WINDOW = 6
Pairs = dict[str, tuple[float, float]]


def main(hours: int, out: Path) -> None:
    """Measure and write."""
    early = closed(LongRecording(mp4=False), 1)
    recording = LongRecording(mp4=False)
    costs = [recording.record(HOUR) for _ in range(hours)]
    first, last = Samples(costs[1 : 1 + WINDOW], HOUR), Samples(costs[-WINDOW:], HOUR)
    figures: Pairs = {
        "requests": (last.each("requests"), first.each("requests")),
        "put": (last.each("put_bytes"), first.each("put_bytes")),
        "got": (last.each("got_bytes"), first.each("got_bytes")),
        "rows": (last.each("rows_read"), first.each("rows_read")),
        "cpu": (last.each("cpu_s") * 1e6, first.each("cpu_s") * 1e6),
        "lap_memory": (lap_memory(recording), lap_memory(hour_old())),
    }
    late = closed(recording, 0)
    figures |= {name: (late[name], early[name]) for name in early}
    out.write_text(json.dumps({"segments": recording.k, "figures": figures}))


def hour_old() -> LongRecording:
    """Make a recording of an hour."""
    recording = LongRecording(mp4=False)
    recording.record(HOUR)
    return recording


def lap_memory(recording: LongRecording) -> float:
    """Tell what a lap holds at most, MiB."""
    recording.record(-recording.k % LAP)
    return recording.lap_memory() / 2**20


def closed(recording: LongRecording, hours: int) -> dict[str, float]:
    """Record `hours` more, seal and verify; tell what that takes."""
    recording.record(hours * HOUR)
    recording.end()
    store, folder = recording.store, recording.folder.path
    began_s, before = time.process_time(), resident_mib()
    report = seal(
        SID,
        recordings=recording.recordings,
        store=store,
        bus=MemoryBus(),
        clock=recording.clock,
        poster=None,
    )
    sealed_s, sealed = time.process_time(), peak_mib() - before
    before = resident_mib()
    found = verify(store, folder)
    timeline(found)
    if not found.whole or report.segments != found.segments:
        raise SystemExit(f"not whole: {found.problems[:3]}")
    verified_s = time.process_time()
    each = 1e6 / report.segments
    return {
        "seal_cpu": (sealed_s - began_s) * each,
        "seal_rss": sealed,
        "verify_cpu": (verified_s - sealed_s) * each,
        "verify_rss": peak_mib() - before,
    }


def resident_mib() -> float:
    """Tell the memory of this process now, and forget its peak."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_mib() -> float:
    """Tell the peak since `resident_mib`."""
    return _status("VmHWM")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
