"""The stack in the local engine with short laps, and what a run needs of it."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from everreel.media import names
from everreel.sealing.verify import verify
from everreel.state.dynamodb import DynamoRecordings
from everreel.state.recording import Lap, LapState, Recording
from everreel.state.status import Status
from everreel.store.disk import DiskStore
from infra.local.deploy import deploy
from infra.local.engine import LocalEngine
from infra.parameters import Parameters
from tests.e2e.conftest import OPEN, assembly
from tests.e2e.deployment import Deployment, Json, Wish
from tests.fault.lab.judge import Gap
from tests.fault.lab.stage import Stage
from tests.fault.lab.store_proxy import StoreProxy
from tests.lab.digests import PlaylistPart, UnitDigest, units_by_part
from tests.lab.process import LabError

SEGMENT_S, IDLE_S = 2, 60

POLL_S = 0.5


class Laps(NamedTuple):
    """How long a lap lasts, and for how long two record at a hand-over. Seconds."""

    lap_s: int
    overlap_s: int


SHORT = Laps(80, 30)
LONG = Laps(200, 30)
"""A lap that outlasts the two minutes until lost machines are replaced, as real ones do."""

START_S = 60.0
"""Longest wait for a cold start."""


class Sealed:
    """A recording that was copied out of the bucket.

    Attributes:
        troubles: what `everreel verify` found wrong, one sentence each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Json = json.loads((folder / names.MANIFEST).read_text())
        report = verify(DiskStore(folder), "", deep=True)
        self.troubles = [] if report.whole else [str(problem) for problem in report.problems]

    @property
    def gaps(self) -> list[Gap]:
        """Gaps that the manifest declares."""
        return [
            Gap(
                round(each["startSeconds"] * 1e6), round(each["durationSeconds"] * 1e6),
                each["cause"],
            )
            for each in self.manifest["gaps"]
        ]  # fmt: skip

    @property
    def parts(self) -> list[tuple[PlaylistPart, list[UnitDigest]]]:
        """Segments of the playlist with their units."""
        return units_by_part(self.folder)


class LabStack:
    """One engine, one deployment, the media servers beside it.

    Args:
        store_fails: put the failing proxy between the functions and the bucket.
        laps: how long laps last and overlap.

    Attributes:
        ending: set when the runs are to give up.
        record_s, alone_s: how long a lap records; and until the one starts that relieves it.
    """

    def __init__(self, *, store_fails: bool, laps: Laps) -> None:
        self.ending = threading.Event()
        self._laps = laps
        parameters = Parameters(lap_seconds=laps.lap_s, overlap_seconds=laps.overlap_s)
        self.record_s = parameters.record_seconds
        self.alone_s = self.record_s - laps.overlap_s
        self._door = threading.Lock()
        self._stack = ExitStack()
        self._store_fails = store_fails
        self.store: StoreProxy | None = None
        self.folder = Path()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="fault-lab-", ignore_cleanup_errors=True)
            )
            self.folder = Path(temporary)
            self.stage = stack.enter_context(Stage())
            if self._store_fails:
                self.store = stack.enter_context(StoreProxy(lambda: self.engine.port))
            lap_s, overlap_s = self._laps
            context = {**OPEN, "lapSeconds": str(lap_s), "overlapSeconds": str(overlap_s)}
            template = assembly(f"fault-{lap_s}", context)
            self.engine = stack.enter_context(
                LocalEngine(
                    self.folder / "engine", object_store=self.store.url if self.store else None
                )
            )
            outputs = deploy(template, self.engine.client)
            self.deployment = Deployment(self.engine, outputs, template)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._stack.close()

    @cached_property
    def recordings(self) -> DynamoRecordings:
        """The state table: asking the API twice a second for each run would cost more than runs."""
        return DynamoRecordings(
            self.deployment.outputs["TableName"], self.engine.client("dynamodb")
        )

    @cached_property
    def functions(self) -> Any:
        """A client of the functions."""
        return self.engine.client("lambda")

    @cached_property
    def machines(self) -> Any:
        """A client of the state machines."""
        return self.engine.client("stepfunctions")

    def start(self, wish: Wish) -> str:
        """Start a recording through the API and wait until its first lap runs; gives its sid.

        One at a time: a dozen functions that start cold at once keep each other for half a minute,
        and laps of a lab are no longer than that.
        """
        with self._door:
            sid: str = self.deployment.start(wish)["sid"]
            self.until(sid, "a lap that runs", lambda: self.running(sid), START_S)
            return sid

    def stop(self, sid: str) -> None:
        """Stop a recording through the API."""
        with self._door:
            answer = self.deployment.stop(sid)
        if answer.status not in {202, 409}:
            raise LabError(f"stopping was answered with {answer}")

    def recording(self, sid: str) -> Recording:
        """Read a recording's row."""
        found = self.recordings.find(sid)
        if found is None:
            raise LabError(f"the recording {sid} has no row")
        return found

    def pid(self, lap: Lap) -> int | None:
        """Find the process that runs a lap."""
        worker = self.deployment.recorder(lap.request_id)
        return worker.pid if worker is not None else None

    def running(self, sid: str) -> list[Lap]:
        """List the laps that run, by their rows."""
        return [lap for lap in self.recordings.laps(sid) if lap.state is LapState.RUNNING]

    def committed(self, sid: str) -> int:
        """Give the number of the newest segment, -1 before the first."""
        newest = self.recordings.newest(sid, 1)
        return newest[-1].k if newest else -1

    def until(self, sid: str, what: str, fits: Callable[[], object], seconds: float) -> None:
        """Wait until something is so.

        Raises:
            LabError: it is not in time, or the recording has ended without.
        """
        deadline = time.monotonic() + seconds
        while not fits():
            recording = self.recording(sid)
            over = recording.status >= Status.STOPPED and "sealed" not in what
            if over or time.monotonic() > deadline or self.ending.is_set():
                laps = ", ".join(_say(lap) for lap in self.recordings.laps(sid))
                when = "it ended" if over else f"not after {seconds:.0f} s"
                raise LabError(
                    f"{what}: {when}; status {int(recording.status)} {recording.reason} "
                    f"{recording.failure or ''}; laps: {laps}"
                )
            self.ending.wait(POLL_S)

    def sealed(self, sid: str, channel: str) -> Sealed:
        """Copy a sealed recording out of the bucket and free the bucket of it."""
        s3, bucket = self.deployment.s3, self.deployment.bucket
        folder = self.folder / "recordings"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{channel}/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        for key in keys:
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            s3.delete_object(Bucket=bucket, Key=key)
        return Sealed(folder / channel / sid)

    def said(self, sid: str) -> list[str]:
        """Read what the functions logged while they worked for a recording, in order of time."""
        names = {sid, *(lap.request_id for lap in self.recordings.laps(sid) if lap.request_id)}
        with self._door:
            lines = self.deployment.logs()
        found = []
        for line in lines:
            if line.startswith("{") and any(name in line for name in names):
                told = json.loads(line)
                keys = ("timestamp", "function", "request_id", "level", "message", "error")
                found.append(" ".join(str(told[key]) for key in keys if key in told))
        return sorted(found)

    def executions(self, sid: str) -> Sequence[str]:
        """List the running executions that belong to a recording, of every state machine."""
        found: list[str] = []
        for machine in self.machines.list_state_machines()["stateMachines"]:
            pages = self.machines.get_paginator("list_executions").paginate(
                stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
            )
            found += [
                each["executionArn"]
                for page in pages
                for each in page["executions"]
                if sid in each["name"]
            ]
        return found


def _say(lap: Lap) -> str:
    why = lap.reason.value if lap.reason else ""
    return (
        f"{lap.name} {lap.state.value} {why} {lap.failure.message if lap.failure else ''}".strip()
    )
