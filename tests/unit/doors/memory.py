"""A deployment in this process: every part a shipped fake, so that handlers run as they are."""

from dataclasses import dataclass

from everreel.auth import KeyRing
from everreel.clock import ManualClock
from everreel.events.fan_in import NoticeDoor
from everreel.events.memory import MemoryBus
from everreel.lifecycle.memory import MemoryRunner
from everreel.settings import Settings
from everreel.state.lanes import MemoryLanes
from everreel.state.memory import MemoryRecordings
from everreel.state.notices import MemoryNotices
from everreel.state.ports import Ticket
from everreel.state.recording import Mode, Options, Recording
from everreel.state.status import Status
from everreel.state.vendor import MemoryVendorTasks
from everreel.store.memory import MemoryStore
from everreel.supervisor.memory import MemoryTasks
from everreel.wiring import Wiring

SID = "5f0c3a9e8b7d46d2a1f4c0e9d3b8a716"
"""The recording that the samples speak of."""

TEMPLATE = "rtmp://media.example/live/{channel}-{uid}"
NOTICE_SECRETS = '{"agora": "replace-with-the-secret", "tencent": "replace-with-the-key"}'
KEYS = '{"id": "default", "secret": "replace-with-the-secret"}'


@dataclass
class Context:
    """What Lambda passes besides the event."""

    aws_request_id: str = "4f1c8b1e-2a55-4b0e-9d2b-1f6a3c0d7e11"
    function_name: str = "everreel-test"
    remaining_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


class Deployment:
    """The fakes, and the wiring over them."""

    def __init__(self, **parts: object) -> None:
        self.clock = ManualClock()
        self.recordings = MemoryRecordings()
        self.lanes = MemoryLanes()
        self.tasks = MemoryTasks()
        self.runner = MemoryRunner()
        self.bus = MemoryBus()
        self.store = MemoryStore()
        self.notices = MemoryNotices()
        self.wiring = Wiring(
            Settings(bucket="recordings", source_template=TEMPLATE),
            self.clock,
            recordings=self.recordings,
            lanes=self.lanes,
            tasks=self.tasks,
            runner=self.runner,
            bus=self.bus,
            store=self.store,
            keys=KeyRing(lambda: KEYS, self.clock),
            notices=self.notices,
            notice_door=NoticeDoor(
                lambda: NOTICE_SECRETS, lambda: self.bus, lambda: self.notices, self.clock
            ),
            **{"vendor_tasks": MemoryVendorTasks(), **parts},
        )

    def add_recording(self, sid: str = SID, source: str = "", **options: object) -> Recording:
        """Write the row of a recording that was just started; no lap is invoked."""
        now_us = self.clock.utc_us()
        resource_id = f"ticket-{sid}"
        self.recordings.put_ticket(
            Ticket(resource_id, "default", "lobby", "recorder", now_us + 300_000_000)
        )
        return self.recordings.create(
            Recording(
                sid=sid,
                app="default",
                channel="lobby",
                uid="camera-1",
                recorder_uid="recorder",
                resource_id=resource_id,
                source=source or TEMPLATE,
                mode=Mode.INDIVIDUAL,
                options=Options(**options),  # type: ignore[arg-type]
                status=Status.STARTING,
                created_utc_us=now_us,
            )
        )
