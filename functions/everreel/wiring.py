"""The one place that reads the settings and picks adapters. Importing it does nothing heavy."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from everreel.aws.clients import client
from everreel.clock import MICROSECONDS, Clock, SystemClock
from everreel.settings import Settings

if TYPE_CHECKING:
    from everreel.auth import KeyRing
    from everreel.aws.runner import AwsRunner
    from everreel.events.fan_in import NoticeDoor
    from everreel.events.own import DeadLap
    from everreel.events.ports import EventBus
    from everreel.http.door import Door
    from everreel.lifecycle.use_cases import Lifecycle
    from everreel.protocols.guard import Guard
    from everreel.recorder.orders import Outcome
    from everreel.sealing.seal import SealReport
    from everreel.sealing.verification import Verifications
    from everreel.state.lanes import Lanes
    from everreel.state.notices import Notices
    from everreel.state.ports import Recordings
    from everreel.state.recording import ProviderName
    from everreel.state.vendor import VendorTasks
    from everreel.store.ports import ObjectStore
    from everreel.supervisor.elsewhere import Elsewhere, Service
    from everreel.supervisor.lane import LaneKeeper, LaneVerdict, LaneWatch
    from everreel.supervisor.ports import Tasks
    from everreel.supervisor.verdict import Verdict, Watch


Part = TypeVar("Part")


class Wiring:
    """The parts of a deployment, each made when it is first asked for."""

    def __init__(
        self, settings: Settings | None = None, clock: Clock | None = None, **parts: object
    ) -> None:
        """Wire up for `settings` (default: the environment).

        `parts` replace what would be made, by the name of the property: recordings, lanes, tasks,
        notices, store, bus, runner, guard, keys, notice_door, vendor_tasks, services.
        """
        self.settings = settings if settings is not None else Settings.from_environment()
        self.clock = clock if clock is not None else SystemClock()
        self._made: dict[str, Any] = dict(parts)

    # ------------------------------------------------------------------ what handlers call

    def record_lap(
        self,
        sid: str,
        lane: str,
        lap: int,
        *,
        request_id: str,
        remaining_s: float,
        follows: str = "",
        relieves: bool = False,
        recorder_uid: str = "",
    ) -> "Outcome":
        """Run a lap with `remaining_s` seconds until the function is killed."""
        from everreel.protocols.open import open_source
        from everreel.recorder.lap import run_lap
        from everreel.recorder.orders import LapSettings
        from everreel.recorder.task import LapTask
        from everreel.state.recording import LapOrder

        settings = self.settings
        order = LapOrder(sid, lane, lap, follows, relieves, recorder_uid)
        return run_lap(
            order,
            open_source=lambda url, cancel: open_source(url, self.guard, cancel=cancel),
            store=self.store,
            recordings=self.recordings,
            bus=self.bus,
            clock=self.clock,
            settings=LapSettings(
                beat_s=settings.beat_s,
                queue_bytes=settings.queue_mib * 1024 * 1024,
                drain_s=settings.drain_s,
            ),
            deadline_s=self.clock.monotonic() + min(remaining_s, settings.lap_s),
            request_id=request_id,
            task=LapTask(order, self.lanes, self.tasks),
        )

    def look(self, **watch: Any) -> "tuple[Verdict, Watch, str]":
        """Take one look at a recording; `watch` is what the state machine carries.

        The name is for the execution that goes on, if one is to.
        """
        from everreel.supervisor.look import look
        from everreel.supervisor.sweep import supervision_name
        from everreel.supervisor.verdict import Watch

        verdict, seen = look(
            Watch(**watch),
            recordings=self.recordings,
            bus=self.bus,
            clock=self.clock,
            elsewhere=self.elsewhere,
        )
        return verdict, seen, supervision_name(seen.sid, self.clock.utc_us() // MICROSECONDS)

    def plan_lap(
        self, watch: "dict[str, Any]", *, owner: str, lost: str
    ) -> "tuple[LaneVerdict, LaneWatch, str]":
        """Plan the next lap of a lane; the name is for the execution that goes on, if one is to."""
        from everreel.supervisor.lane import LaneWatch
        from everreel.supervisor.sweep import lane_name

        verdict, seen = self.lane_keeper.plan(LaneWatch(**watch), owner, lost)
        return verdict, seen, lane_name(seen.sid, seen.lane, self.clock.utc_us() // MICROSECONDS)

    def start_lap(self, watch: "dict[str, Any]", *, owner: str, token: str) -> str:
        """Start the lap of a lane that is due; it ends the task of `token`. Returns its name."""
        from everreel.supervisor.lane import LaneWatch

        return self.lane_keeper.start(LaneWatch(**watch), owner, token)

    def sweep(self) -> int:
        """Restart the executions that were lost; return how many."""
        from everreel.supervisor.sweep import sweep

        return sweep(recordings=self.recordings, runner=self.runner, clock=self.clock)

    def seal(self, sid: str, *, remaining_s: float) -> "SealReport":
        """Seal a recording that has ended, with so many seconds until the function is killed."""
        from everreel.codecs.poster import poster
        from everreel.sealing.seal import seal

        return seal(
            sid,
            recordings=self.recordings,
            store=self.store,
            bus=self.bus,
            clock=self.clock,
            poster=poster,
            remaining_s=remaining_s,
        )

    def hear(self, event: Mapping[str, Any]) -> bool:
        """Keep what an event of the bus tells, once; True if it was new."""
        from everreel.events.fan_in import read, take
        from everreel.events.own import DeadLap

        heard = read(event)
        if isinstance(heard, DeadLap):
            return self.lap_died(heard)
        return heard is not None and take(heard, notices=self.notices, clock=self.clock)

    def lap_died(self, dead: "DeadLap") -> bool:
        """Act on the death of a lap; True if it was not known yet.

        Comes at least once, so what is done here is done at every call and harmless when repeated:
        the first call may have died before it was through.
        """
        from everreel.events.fan_in import take
        from everreel.events.own import notice_of_dead_lap
        from everreel.supervisor.lane import lap_died

        lap_died(dead, recordings=self.recordings, lanes=self.lanes, tasks=self.tasks)
        return take(notice_of_dead_lap(dead), notices=self.notices, clock=self.clock)

    def start_recording(self, event: Mapping[str, Any], *, request_id: str) -> dict[str, Any]:
        """Start what an event of the bus, or one pasted into the console, asks for."""
        from everreel.lifecycle.requested import start_requested

        return start_requested(event, request_id=request_id, lifecycle=self.lifecycle, bus=self.bus)

    @property
    def door(self) -> "Door":
        """The HTTP API, from the gateway's event to its answer."""
        from everreel.http.app import create_app
        from everreel.http.door import Door

        return self._once(
            "door",
            lambda: Door(
                create_app(
                    self.lifecycle,
                    bucket=self.settings.bucket,
                    notices=self.notice_door,
                    verifications=self.verifications,
                )
            ),
        )

    @property
    def notice_door(self) -> "NoticeDoor":
        """Where vendors tell what happens."""
        from everreel.aws.secrets import read_secret
        from everreel.events.fan_in import NoticeDoor

        def read() -> str:
            secret = self.settings.notice_secrets
            return read_secret(client("secretsmanager"), secret) if secret else "{}"

        return self._once(
            "notice_door",
            lambda: NoticeDoor(read, lambda: self.bus, lambda: self.notices, self.clock),
        )

    @property
    def lane_keeper(self) -> "LaneKeeper":
        """What plans and starts the laps of lanes."""
        from everreel.supervisor.lane import LaneKeeper
        from everreel.supervisor.relay import Pace

        settings = self.settings
        pace = Pace(settings.lap_s - settings.drain_s, settings.overlap_s)
        return self._once(
            "lane_keeper",
            lambda: LaneKeeper(
                recordings=self.recordings,
                lanes=self.lanes,
                starter=self.runner,
                tasks=self.tasks,
                bus=self.bus,
                clock=self.clock,
                pace=pace,
            ),
        )

    @property
    def verifications(self) -> "Verifications":
        """Asking whether a recording is whole, and finding out."""
        from everreel.sealing.verification import Verifications

        return self._once(
            "verifications",
            lambda: Verifications(self.recordings, self.store, self.clock, lambda: self.runner),
        )

    @property
    def keys(self) -> "KeyRing":
        """Who may call the API."""
        from everreel.auth import KeyRing
        from everreel.aws.secrets import read_secret

        def read() -> str:
            return read_secret(client("secretsmanager"), self.settings.api_keys_secret)

        return self._once("keys", lambda: KeyRing(read, self.clock))

    @property
    def lifecycle(self) -> "Lifecycle":
        """The use cases behind every door."""
        return self._once("lifecycle", self._make_lifecycle)

    # ------------------------------------------------------------------ parts

    @property
    def guard(self) -> "Guard":
        """The check that every address passes."""
        from everreel.protocols.guard import Guard

        return self._once("guard", lambda: Guard(self.settings.allow_private_sources))

    @property
    def store(self) -> "ObjectStore":
        """The bucket."""
        from everreel.store.s3 import S3Store

        return self._once("store", lambda: S3Store(self.settings.bucket))

    @property
    def recordings(self) -> "Recordings":
        """The state table."""
        from everreel.state.dynamodb import DynamoRecordings

        return self._once(
            "recordings",
            lambda: DynamoRecordings(
                self.settings.table, clock=self.clock, retention_days=self.settings.retention_days
            ),
        )

    @property
    def notices(self) -> "Notices":
        """What was told of tasks, in the state table."""
        from everreel.state.dynamodb_notices import DynamoNotices

        return self._once("notices", lambda: DynamoNotices(self.settings.table, clock=self.clock))

    @property
    def vendor_tasks(self) -> "VendorTasks":
        """What vendors were told to record, in the state table."""
        from everreel.state.dynamodb_vendor import DynamoVendorTasks

        table, days = self.settings.table, self.settings.retention_days
        make = partial(DynamoVendorTasks, table, clock=self.clock, retention_days=days)
        return self._once("vendor_tasks", make)

    @property
    def elsewhere(self) -> "Elsewhere":
        """What looks at recordings that run at vendors."""
        from everreel.supervisor.elsewhere import Elsewhere

        tasks, notices = self.vendor_tasks, self.notices
        return Elsewhere(tasks, self.recordings, notices, self.services, self.bus, self.clock)

    @property
    def services(self) -> "Mapping[ProviderName, Service]":
        """The vendors' services."""
        from everreel.aws.secrets import read_secret
        from everreel.vendors.services import make_services

        def read() -> str:
            return read_secret(client("secretsmanager"), self.settings.agora_secret)

        return self._once("services", lambda: make_services(read, self.clock))

    @property
    def lanes(self) -> "Lanes":
        """Who runs each lane, in the state table."""
        from everreel.state.dynamodb_lanes import DynamoLanes

        return self._once("lanes", lambda: DynamoLanes(self.settings.table, clock=self.clock))

    @property
    def tasks(self) -> "Tasks":
        """Tasks of state machines that wait for a token."""
        from everreel.aws.tasks import StepTasks

        return self._once("tasks", lambda: StepTasks(client("stepfunctions")))

    @property
    def bus(self) -> "EventBus":
        """The event bus."""
        from everreel.events.eventbridge import EventBridgeBus

        return self._once("bus", lambda: EventBridgeBus(self.settings.bus, client("events")))

    @property
    def runner(self) -> "AwsRunner":
        """What queues laps and starts supervision."""
        from everreel.aws.runner import AwsRunner

        return self._once(
            "runner",
            lambda: AwsRunner(
                record_function=self.settings.record_function,
                verify_function=self.settings.verify_function,
                state_machine=self.settings.state_machine,
                lane_machine=self.settings.lane_machine,
                functions=client("lambda"),
                machines=client("stepfunctions"),
                look_function=self.settings.look_function,
            ),
        )

    def _make_lifecycle(self) -> "Lifecycle":
        from everreel.lifecycle.at_vendors import AtVendors
        from everreel.lifecycle.use_cases import Lifecycle

        return Lifecycle(
            self.recordings,
            self.runner,
            self.clock,
            check_source=self.guard.check_syntax,
            source_template=self.settings.source_template,
            max_duration_s=self.settings.max_duration_s,
            vendors=AtVendors(self.vendor_tasks, self.notices, self.runner),
        )

    def _once(self, name: str, make: Callable[[], Part]) -> Part:
        if name not in self._made:
            self._made[name] = make()
        part: Part = self._made[name]
        return part


_current: list[Wiring] = []
"""The wiring of this process once it was asked for; above it, those that replace it."""


def wiring() -> Wiring:
    """Return the wiring of this process."""
    if not _current:
        _current.append(Wiring())
    return _current[-1]


@contextmanager
def rewired(replacement: Wiring) -> Iterator[Wiring]:
    """Let every handler of this process use `replacement` for a while."""
    _current.append(replacement)
    try:
        yield replacement
    finally:
        _current.remove(replacement)
