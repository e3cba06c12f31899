"""A server that floods a recorder does not fill its memory: measured in a process of its own."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.lab import clips, publish_flv
from tests.lab.http_live import HttpLive, Reply
from tests.lab.process import Child, wait_until
from tests.lab.publish_flv import AUDIO, VIDEO
from tests.lab.wire import Tag, flv_file

ROOT = Path(__file__).resolve().parents[2]
FLOOD_S = 8.0
MIB = 1024 * 1024
BOUND_MIB = 400
"""Well below the memory of the function; a quiet recorder takes about 35."""

SCRIPT = publish_flv.from_clip(clips.TINY)
HEADERS = [item.tag for item in publish_flv.headers(SCRIPT)]
KEY = next(item.tag.body for item in SCRIPT if publish_flv.is_key(item.tag))


def _picture(size: int, *, key: bool) -> bytes:
    """A picture of one slice that is large and says nothing."""
    head = b"\x17\x01\0\0\0" if key else b"\x27\x01\0\0\0"
    nal = (b"\x65" if key else b"\x41") + b"\x9a" * (size - 1)
    return head + len(nal).to_bytes(4, "big") + nal


def huge_sound() -> Iterator[Tag]:
    body = b"\xaf\x01" + b"\x21" * (15 * MIB)
    return (Tag(AUDIO, n, body) for n in count())


def huge_pictures() -> Iterator[Tag]:
    body = _picture(15 * MIB, key=True)
    return (Tag(VIDEO, n, body) for n in count())


def never_a_keyframe() -> Iterator[Tag]:
    body = _picture(MIB, key=False)
    return (Tag(VIDEO, n, body) for n in count())


def never_another_keyframe() -> Iterator[Tag]:
    yield Tag(VIDEO, 0, KEY)
    body = _picture(MIB, key=False)
    yield from (Tag(VIDEO, n, body) for n in count(1))


def never_a_keyframe_but_sound() -> Iterator[Tag]:
    picture, sound = _picture(1000, key=False), b"\xaf\x01" + b"\x21" * (4 * MIB)
    for n in count():
        yield Tag(VIDEO, n, picture)
        yield Tag(AUDIO, n, sound)


def tiny_sound_that_stands_still() -> Iterator[Tag]:
    body = b"\xaf\x01\x21\x10"
    return (Tag(AUDIO, 1000, body) for _ in count())


def a_clock_that_jumps_about() -> Iterator[Tag]:
    body = _picture(20_000, key=True)
    return (Tag(VIDEO, (n * 1_234_567_891) & 0xFFFFFFFF, body) for n in count())


FLOODS: list[Callable[[], Iterator[Tag]]] = [
    huge_sound,
    huge_pictures,
    never_a_keyframe,
    never_another_keyframe,
    never_a_keyframe_but_sound,
    tiny_sound_that_stands_still,
    a_clock_that_jumps_about,
]


class Flood(HttpLive):
    """Sends FLV tags as fast as they are taken."""

    content_type = "video/x-flv"
    path = "/flood.flv"

    def __init__(self, tags: Callable[[], Iterator[Tag]]) -> None:
        super().__init__(chunked=False)
        self._tags = tags
        self.sent = 0

    def serve(self, reply: Reply, number: int) -> None:
        reply.write(flv_file(HEADERS))
        batch: list[Tag] = []
        size = 0
        for tag in self._tags():
            batch.append(tag)
            size += len(tag.body) + 15
            if size > 256_000:
                reply.write(flv_file(batch)[13:])
                self.sent += size
                batch, size = [], 0
            if self.ending.is_set():
                return


def peak_mib(pid: int) -> float:
    """Largest resident size that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("tags", FLOODS, ids=lambda tags: tags.__name__)
def test_recorder_when_a_server_floods_it_then_its_memory_stays_bounded(
    tags: Callable[[], Iterator[Tag]], tmp_path: Path
):
    with Flood(tags) as server:
        argv = [sys.executable, "-m", "tests.fault.recorder_child", server.url,
                str(tmp_path / "store"), str(tmp_path / "state"), "2"]  # fmt: skip
        path = os.pathsep.join((str(ROOT), str(ROOT / "functions")))
        child = Child(argv, tmp_path / "log", cwd=ROOT, env={"PYTHONPATH": path})
        try:
            wait_until("the flood has begun", lambda: server.sent > 0)
            time.sleep(FLOOD_S)
            alive = child.running
            peak = peak_mib(child.pid) if alive else 0.0
        finally:
            child.kill()

    told = child.tail(2)
    print(f"{tags.__name__}: peak {peak:.0f} MiB of {server.sent / MIB:.0f} MiB sent; {told}")
    assert alive or "Outcome(" in told, told
    assert peak < BOUND_MIB
