"""Records an FLV file as if it were live, by the whole lap but its sockets.

    record_file.py FILE FOLDER

What `everreel record` builds, with a source that reads a file through the HTTP-FLV parser and asks
for a stop at its end.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from everreel.clock import SystemClock
from everreel.errors import SourceEnded
from everreel.events.memory import MemoryBus
from everreel.media.access_unit import SourceEvent
from everreel.protocols.connection import READ_CHUNK
from everreel.protocols.flv import HttpFlv
from everreel.protocols.ports import Source
from everreel.recorder.lap import run_lap
from everreel.recorder.orders import LapSettings
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import LapOrder, Mode, Options, Recording
from everreel.state.status import Status
from everreel.store.disk import DiskStore

FOREVER_S = 1e9


class FileSource:
    """A `Source` that is as fast as the page cache."""

    in_bursts = False

    def __init__(self, path: Path, at_end: Callable[[], object]) -> None:
        self._file = path.open("rb", buffering=0)
        self._parser = HttpFlv()
        self._at_end = at_end

    def reach_back(self, back_s: float) -> None:
        pass

    def resume(self, previous: Source) -> None:
        pass

    def read(self, wait_s: float) -> Sequence[SourceEvent]:
        """Return the events of the next piece."""
        data = self._file.read(READ_CHUNK)
        if not data:
            self._at_end()
            raise SourceEnded("the file is over")
        return self._parser.receive(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def main(source: Path, folder: Path) -> int:
    """Record; return 0 if the lap was stopped by the end of the file."""
    logging.basicConfig(level=logging.ERROR)
    clock = SystemClock()
    recordings = MemoryRecordings()
    now_us = clock.utc_us()
    recordings.put_ticket(Ticket("0" * 32, "bench", "file", "1", now_us + 300_000_000))
    recording = recordings.create(
        Recording(
            sid="0" * 32,
            app="bench",
            channel="file",
            uid="1",
            recorder_uid="1",
            resource_id="0" * 32,
            source="http://127.0.0.1/file.flv",
            mode=Mode.INDIVIDUAL,
            options=Options(mp4=False),
            status=Status.STARTING,
            created_utc_us=now_us,
        )
    )
    order = LapOrder(recording.sid, "a", 1)
    recordings.invoked(recording.sid, order.lane, order.lap, "bench", now_us)
    stop = lambda: recordings.request_stop(recording.sid, clock.utc_us())  # noqa: E731
    outcome = run_lap(
        order,
        open_source=lambda url, cancel: FileSource(source, stop),
        store=DiskStore(folder),
        recordings=recordings,
        bus=MemoryBus(),
        clock=clock,
        # A live stream leaves the store time; here the queue would fill whatever it may hold.
        settings=LapSettings(beat_s=0.75, queue_bytes=16 << 20),
        deadline_s=clock.monotonic() + FOREVER_S,
        request_id="bench",
    )
    print(outcome)
    return 0 if outcome.reason.value == "stopped" else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
