"""A recorder to be killed: `recorder_child.py URL FOLDER STATE SEGMENT_S`.

Its state table lives in a file that is replaced whole with every change, as a table outside the
process would: what a commit has returned is there after a SIGKILL.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any

from everreel.clock import SystemClock
from everreel.events.memory import MemoryBus
from everreel.recorder.lap import run_lap
from everreel.recorder.orders import LapSettings
from everreel.state.memory import MemoryRecordings
from everreel.state.recording import LapOrder, Options
from everreel.store.disk import DiskStore
from tests.servers.started import LANE, LAP, new_recording, open_here

WRITING = ("claim", "beat", "set_origin", "put_init", "commit", "end_lap", "create", "invoked")


class KeptRecordings(MemoryRecordings):
    """Rows in memory, and after every change in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    def keep(self) -> None:
        """Replace the file."""
        part = self._path.with_suffix(".part")
        part.write_bytes(pickle.dumps(self))
        part.replace(self._path)


def _kept(name: str) -> Callable[..., Any]:
    def call(self: KeptRecordings, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            answer = getattr(MemoryRecordings, name)(self, *args, **kwargs)
            self.keep()
            return answer

    return call


for _name in WRITING:
    setattr(KeptRecordings, _name, _kept(_name))


def load(path: Path) -> KeptRecordings:
    """Read the table that a child left behind."""
    recordings = pickle.loads(path.read_bytes())
    assert isinstance(recordings, MemoryRecordings)
    return recordings  # type: ignore[return-value]


def main(argv: list[str]) -> None:
    """Record until killed, the first sign of life being the state file."""
    url, folder, state, segment_s = argv
    recordings = KeptRecordings(Path(state))
    recording = new_recording(recordings, url, Options(segment_s=int(segment_s), max_idle_s=20))
    clock = SystemClock()
    outcome = run_lap(
        LapOrder(recording.sid, LANE, LAP),
        open_source=open_here,
        store=DiskStore(Path(folder)),
        recordings=recordings,
        bus=MemoryBus(),
        clock=clock,
        settings=LapSettings(beat_s=0.2),
        deadline_s=clock.monotonic() + 600,
        request_id="request-1",
    )
    print(outcome, flush=True)


if __name__ == "__main__":
    sys.path[:0] = [os.fspath(Path(__file__).resolve().parents[2])]
    from tests.fault import recorder_child  # pickled classes need their real module

    recorder_child.main(sys.argv[1:])
