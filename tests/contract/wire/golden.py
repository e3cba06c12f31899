"""The words on the wire as files: what callers and subscribers were promised.

`make golden` rewrites them; the diff is a change of the API and is reviewed as one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from everreel.clock import ManualClock
from everreel.contract.events import (
    EventError,
    LapEnded,
    LapLost,
    LapStarted,
    RecordingFailed,
    RecordingSealed,
    RecordingStarted,
    SegmentCommitted,
    VendorNotice,
)
from everreel.contract.requests import RequestedBody
from everreel.contract.wire import Reply
from everreel.events.fan_in import NoticeDoor
from everreel.events.memory import MemoryBus
from everreel.events.ports import Happening
from everreel.http.app import create_app
from everreel.lifecycle.at_vendors import AtVendors
from everreel.lifecycle.memory import MemoryRunner
from everreel.lifecycle.use_cases import Lifecycle
from everreel.sealing.verification import Verifications
from everreel.state.memory import MemoryRecordings
from everreel.state.notices import MemoryNotices
from everreel.state.vendor import MemoryVendorTasks
from everreel.store.memory import MemoryStore

FOLDER = Path(__file__).parent
SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
FOLDER_KEY = f"lobby/{SID}/"

SAMPLES: Mapping[Happening, Reply] = {
    Happening.STARTED: RecordingStarted(
        sid=SID, start_time="2026-01-01T00:00:01.250Z", playlist=f"{FOLDER_KEY}index.m3u8"
    ),
    Happening.SEGMENT: SegmentCommitted(
        sid=SID,
        k=3,
        key=f"{FOLDER_KEY}segments/00000003-1.m4s",
        start_time="2026-01-01T00:00:19.250Z",
        duration_seconds=6.0,
        size=1_204_511,
        lane="a",
        lap=1,
    ),
    Happening.LAP_STARTED: LapStarted(
        sid=SID,
        lane="b",
        lap=1,
        follows="a1",
        why="takeover: a1 recorder_died",
        attempt=1,
    ),
    Happening.LAP_LOST: LapLost(
        sid=SID,
        lane="a",
        lap=1,
        error=EventError(code="recorder_died", message="the recorder stopped answering"),
    ),
    Happening.LAP_ENDED: LapEnded(
        sid=SID,
        lane="a",
        lap=1,
        reason="source_failed",
        segments=14,
        media_seconds=84.0,
        error=EventError(code="source_denied", message="the server refuses the credentials"),
    ),
    Happening.SEALED: RecordingSealed(
        sid=SID,
        status=8,
        reason="stopped",
        segments=14,
        recorded_seconds=84.0,
        coverage=1.0,
        manifest=f"{FOLDER_KEY}recording.json",
    ),
    Happening.FAILED: RecordingFailed(
        sid=SID,
        lane="a",
        lap=1,
        error=EventError(code="recorder_died", message="the recorder stopped answering"),
    ),
    Happening.NOTICE: VendorNotice(
        sid="",
        vendor="agora",
        task="1f2e3d4c5b6a79880102030405060708",
        event=31,
        uid="101",
        mark="last",
        channel="lobby",
        at="2026-01-01T00:00:01.250Z",
        notice_id="4eb720f0-8da7-11e9-a43e-53f411c2761f",
        detail={"msgName": "uploaded", "status": 0},
    ),
}
"""One event of each kind that everreel publishes."""


def openapi() -> dict[str, Any]:
    """Make the API's description as it is served."""
    runner = MemoryRunner()
    lifecycle = Lifecycle(
        MemoryRecordings(),
        runner,
        ManualClock(),
        check_source=str,
        vendors=AtVendors(MemoryVendorTasks(), MemoryNotices(), runner),
        source_template="",
    )
    notices = NoticeDoor(str, MemoryBus, MemoryNotices, ManualClock())
    verifications = Verifications(
        MemoryRecordings(), MemoryStore(), ManualClock(), starter=MemoryRunner
    )
    app = create_app(lifecycle, bucket="recordings", notices=notices, verifications=verifications)
    return app.openapi()


def documents() -> dict[str, dict[str, Any]]:
    """Make every golden file: path relative to this folder -> content."""
    found = {"openapi.json": openapi()}
    found["events/RecordingRequested.schema.json"] = RequestedBody.model_json_schema()
    for happening, sample in SAMPLES.items():
        schema = type(sample).model_json_schema(mode="serialization")
        found[f"events/{happening.value}.schema.json"] = schema
        found[f"events/{happening.value}.json"] = sample.model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
    return found


def text(document: Mapping[str, Any]) -> str:
    """Write a document as its file has it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def rewrite() -> None:
    """Bring the files up to date; files of words that are gone are removed."""
    for path in FOLDER.rglob("*.json"):
        path.unlink()
    for name, document in documents().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text(document), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    rewrite()
