"""The one place that reads the settings and picks adapters. Importing it does nothing heavy."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from everreel.clock import Clock, SystemClock
from everreel.settings import Settings

if TYPE_CHECKING:
    from everreel.events.ports import EventBus
    from everreel.lifecycle.use_cases import Lifecycle
    from everreel.protocols.guard import Guard
    from everreel.recorder.orders import Outcome
    from everreel.sealing.seal import SealReport
    from everreel.state.ports import Recordings
    from everreel.store.ports import ObjectStore
    from everreel.supervisor.verdict import Verdict, Watch


Part = TypeVar("Part")


class Wiring:
    """The parts of a deployment, each made when it is first asked for."""

    def __init__(self, settings: Settings | None = None, clock: Clock | None = None) -> None:
        """Wire up for `settings` (default: the environment)."""
        self.settings = settings if settings is not None else Settings()
        self.clock = clock if clock is not None else SystemClock()
        self._made: dict[str, Any] = {}

    # ------------------------------------------------------------------ what handlers call

    def record_lap(
        self, sid: str, lane: str, lap: int, *, request_id: str, remaining_s: float
    ) -> "Outcome":
        """Run a lap with `remaining_s` seconds until the function is killed."""
        from everreel.protocols.open import open_source
        from everreel.recorder.lap import run_lap
        from everreel.recorder.orders import LapSettings
        from everreel.state.recording import LapOrder

        settings = self.settings
        return run_lap(
            LapOrder(sid, lane, lap),
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
        )

    def look(self, **watch: Any) -> "tuple[Verdict, Watch]":
        """Take one look at a recording; `watch` is what the state machine carries."""
        from everreel.supervisor.look import look
        from everreel.supervisor.verdict import Watch

        return look(Watch(**watch), recordings=self.recordings, bus=self.bus, clock=self.clock)

    def seal(self, sid: str) -> "SealReport":
        """Seal a recording that has ended."""
        from everreel.codecs.poster import poster
        from everreel.sealing.seal import seal

        return seal(
            sid,
            recordings=self.recordings,
            store=self.store,
            bus=self.bus,
            clock=self.clock,
            poster=poster,
        )

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
                self.settings.table,
                clock=self.clock,
                retention_days=self.settings.retention_days,
            ),
        )

    @property
    def bus(self) -> "EventBus":
        """The event bus."""
        from everreel.events.eventbridge import EventBridgeBus

        return self._once("bus", lambda: EventBridgeBus(self.settings.bus, client("events")))

    def _make_lifecycle(self) -> "Lifecycle":
        from everreel.aws.runner import AwsRunner
        from everreel.lifecycle.use_cases import Lifecycle

        settings = self.settings
        runner = AwsRunner(
            record_function=settings.record_function,
            state_machine=settings.state_machine,
            functions=client("lambda"),
            machines=client("stepfunctions"),
        )
        return Lifecycle(
            self.recordings,
            runner,
            self.clock,
            check_source=self.guard.check_syntax,
            source_template=settings.source_template,
        )

    def _once(self, name: str, make: Callable[[], Part]) -> Part:
        if name not in self._made:
            self._made[name] = make()
        part: Part = self._made[name]
        return part


def client(service: str) -> Any:
    """Make a boto3 client that gives up soon enough for its caller to act."""
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 4}
    )
    make: Any = Session().client
    return make(service, config=config)


@cache
def wiring() -> Wiring:
    """Return the wiring of this process."""
    return Wiring()
