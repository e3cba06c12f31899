"""The one place that reads the settings and picks adapters. Importing it does nothing heavy."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from everreel.clock import Clock, SystemClock
from everreel.settings import Settings

if TYPE_CHECKING:
    from everreel.auth import KeyRing
    from everreel.events.facts import Facts
    from everreel.events.fan_in import NoticeDoor
    from everreel.events.ports import EventBus
    from everreel.http.door import Door
    from everreel.lifecycle.ports import Runner
    from everreel.lifecycle.use_cases import Lifecycle
    from everreel.protocols.guard import Guard
    from everreel.recorder.orders import Outcome
    from everreel.sealing.seal import SealReport
    from everreel.sealing.verification import Verifications
    from everreel.state.notices import Notices
    from everreel.state.ports import Recordings
    from everreel.store.ports import ObjectStore
    from everreel.supervisor.verdict import Verdict, Watch


Part = TypeVar("Part")


class Wiring:
    """The parts of a deployment, each made when it is first asked for."""

    def __init__(
        self, settings: Settings | None = None, clock: Clock | None = None, **parts: object
    ) -> None:
        """Wire up for `settings` (default: the environment).

        `parts` replace what would be made, by the name of the property: recordings, notices,
        store, bus, runner, guard, keys, notice_door.
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
    ) -> "Outcome":
        """Run a lap with `remaining_s` seconds until the function is killed."""
        from everreel.protocols.open import open_source
        from everreel.recorder.lap import run_lap
        from everreel.recorder.orders import LapSettings
        from everreel.state.recording import LapOrder

        settings = self.settings
        return run_lap(
            LapOrder(sid, lane, lap, follows),
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

        period_s = self.settings.relay_s
        return look(
            Watch(**watch),
            recordings=self.recordings,
            bus=self.bus,
            clock=self.clock,
            starter=self.runner if period_s else None,
            period_s=period_s,
        )

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

    def take_notice(self, detail: Mapping[str, Any]) -> "tuple[bool, Facts]":
        """Keep what a vendor told, once: the detail of a `VendorNotice` of the bus."""
        from everreel.events.fan_in import take

        return take(detail, notices=self.notices, clock=self.clock)

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

        return self._once("notice_door", lambda: NoticeDoor(read, lambda: self.bus, self.clock))

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
                self.settings.table,
                clock=self.clock,
                retention_days=self.settings.retention_days,
            ),
        )

    @property
    def notices(self) -> "Notices":
        """What vendors told, in the state table."""
        from everreel.state.dynamodb_notices import DynamoNotices

        return self._once("notices", lambda: DynamoNotices(self.settings.table, clock=self.clock))

    @property
    def bus(self) -> "EventBus":
        """The event bus."""
        from everreel.events.eventbridge import EventBridgeBus

        return self._once("bus", lambda: EventBridgeBus(self.settings.bus, client("events")))

    @property
    def runner(self) -> "Runner":
        """What queues laps and starts supervision."""
        from everreel.aws.runner import AwsRunner

        return self._once(
            "runner",
            lambda: AwsRunner(
                record_function=self.settings.record_function,
                verify_function=self.settings.verify_function,
                state_machine=self.settings.state_machine,
                functions=client("lambda"),
                machines=client("stepfunctions"),
            ),
        )

    def _make_lifecycle(self) -> "Lifecycle":
        from everreel.lifecycle.use_cases import Lifecycle

        return Lifecycle(
            self.recordings,
            self.runner,
            self.clock,
            check_source=self.guard.check_syntax,
            source_template=self.settings.source_template,
            max_duration_s=self.settings.max_duration_s,
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
