"""A live stream made from nothing: a clock that runs, a frame counter, a flash and a beep.

    python -m infra.local.publisher                 until Ctrl-C, on a free port
    python -m infra.local.publisher --port 8080 --seconds 30

It is served over HTTP-FLV on 127.0.0.1; play it with `ffplay URL` or VLC. There is no RTMP server
in it: to record RTMP, give the demo the address of yours (make demo SOURCE=rtmp://...).
"""

import argparse
import signal
import sys
import threading
import time
from typing import Self

from infra.local.publisher_server import Broadcast, FlvServer
from infra.local.publisher_stream import FRAME_US, DemoStream, PublishedUnit


class DemoPublisher:
    """Publishes in real time from a thread of its own.

    Attributes:
        fault: what ended the stream, if anything did.
    """

    def __init__(self, port: int = 0) -> None:
        """Prepare the stream and take the port (0: a free one)."""
        self._stream = DemoStream(time.time_ns() // 1000)
        self._broadcast = Broadcast(self._stream.heads)
        self._server = FlvServer(self._broadcast, port)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-publisher", daemon=True)
        self.fault: Exception | None = None

    @property
    def url(self) -> str:
        """Where the stream is served."""
        return self._server.url

    @property
    def subscribers(self) -> int:
        """Who is watching now."""
        return self._broadcast.subscribers

    @property
    def frames(self) -> int:
        """Pictures sent so far."""
        return self._stream.frames

    def units(self) -> list[PublishedUnit]:
        """Everything sent so far, in order."""
        return list(self._stream.units)

    def __enter__(self) -> Self:
        self._server.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the stream and the server. Repeatable."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        self._server.__exit__(None, None, None)

    def _run(self) -> None:
        """Send each frame when its time has come; after a hiccup of the machine, catch up."""
        # The stream's first instant lies up to a frame before now.
        began_s = time.monotonic() - (time.time_ns() // 1000 - self._stream.origin_utc_us) / 1e6
        try:
            while not self._ended.is_set():
                due_s = began_s + self._stream.frames * FRAME_US / 1e6
                wait_s = due_s - time.monotonic()
                if wait_s > 0 and self._ended.wait(wait_s):
                    return
                for tag in self._stream.next_frame():
                    self._broadcast.publish(tag)
        except Exception as error:  # noqa: BLE001  # the thread's outermost loop
            self.fault = error
            self._broadcast.end()


def main(arguments: list[str] | None = None) -> int:
    """Publish until interrupted or for a number of seconds."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.publisher",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--seconds", type=float, help="default: until Ctrl-C")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        publisher = DemoPublisher(options.port)
    except OSError as error:
        print(f"port {options.port} of 127.0.0.1: {error.strerror}", file=sys.stderr)
        return 1
    with publisher:
        print(publisher.url, flush=True)
        ended.wait(options.seconds)
    if publisher.fault is not None:
        print(f"the stream ended: {publisher.fault}", file=sys.stderr)
        return 1
    print(f"{publisher.frames} frames published", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
