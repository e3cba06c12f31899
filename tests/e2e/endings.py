"""Recordings that end by themselves or by a crash: begun early, because an end can take minutes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.deployment import Deployment, Json, Wish
from tests.lab import clips
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp

LATEST_S = 90
"""A crash is known in seconds; on a busy machine everything takes its time."""

IDLE_S = 5
LONGEST_S = 10
MEANWHILE = 2
"""Segments stored before something happens."""

Happens = Callable[[Publisher, Json], None]


@dataclass
class Ended:
    """A recording that came to its end.

    Attributes:
        before: the query just before what happened to it.
        after: the query once it was sealed.
        took_s: from what happened until it was sealed.
    """

    before: Json
    after: Json
    took_s: float
    folder: Path
    publisher: Publisher


def _record(
    deployed: Deployment,
    nginx: NginxRtmp,
    folder: Path,
    name: str,
    happens: Happens,
    options: dict[str, int],
) -> Ended:
    with Publisher(clips.MAIN, nginx.rtmp_url(name)) as publisher:
        wish = Wish(nginx.rtmp_url(name), name, idle_s=IDLE_S, options=options)
        sid = deployed.start(wish)["sid"]
        before = deployed.in_progress(sid, MEANWHILE, 60)
        began = time.monotonic()
        happens(publisher, before)
        after = deployed.sealed(sid, LATEST_S)
        took_s = time.monotonic() - began
    return Ended(before, after, took_s, deployed.download(sid, folder), publisher)


def begin(
    deployed: Deployment, nginx: NginxRtmp, folder: Path, pool: ThreadPoolExecutor
) -> dict[str, Future[Ended]]:
    """Record all of them at once."""

    def crash(_publisher: Publisher, before: Json) -> None:
        worker = deployed.recorder(before["requestId"])
        assert worker is not None, "no process records"
        os.kill(worker.pid, signal.SIGKILL)
        sid = before["sid"]
        deployed.until(
            sid,
            "another lap records",
            lambda r: sum(lap["segments"] >= MEANWHILE for lap in r["laps"]) == 2,
            LATEST_S,
        )
        deployed.stop(sid)

    def leave(publisher: Publisher, _before: Json) -> None:
        publisher.stop()

    def nothing(_publisher: Publisher, _before: Json) -> None:
        """The recording ends by itself."""

    def record(name: str, happens: Happens, **options: int) -> Future[Ended]:
        return pool.submit(_record, deployed, nginx, folder, name, happens, options)

    return {
        "killed": record("killed", crash),
        "left": record("left", leave),
        "limited": record("limited", nothing, maxDurationSeconds=LONGEST_S),
    }
