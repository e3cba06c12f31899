"""The event bus: requests come in, what happens goes out, what nobody could handle is kept."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge

OUR_SOURCE = "everreel"
"""What `everreel.events.eventbridge` signs with; requests come from any other source."""

HEARD = (
    "VendorNotice",
    "RecordingStarted",
    "LapStarted",
    "LapEnded",
    "LapLost",
    "RecordingSealed",
    "RecordingFailed",
)
"""Events of ours that are kept as notices. Not segments: they are many, and the index has them."""

KEPT = Duration.days(14)
TRIES = 8


class DeadLetters(Construct):
    """A queue that should stay empty; an alarm watches it."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=KEPT,
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self.queue, "SQS3", "It is itself the place where undeliverable messages end.")


class Bus(Construct):
    """The custom bus and its rules.

    Attributes:
        bus: where events go.
        undelivered: events that a rule could not hand to its function.
        abandoned: invocations that failed for good after their function had taken them.
        dead_laps: recorder invocations that crashed, ran out of memory or out of time.
    """

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.bus = events.EventBus(
            self,
            "Bus",
            event_bus_name=Stack.of(self).stack_name,
            description="Requests to everreel and what happens to recordings",
        )
        self.undelivered = DeadLetters(self, "Undelivered").queue
        self.abandoned = DeadLetters(self, "Abandoned").queue
        self.dead_laps = DeadLetters(self, "DeadLaps").queue
        self._dead_lap = events.Rule(
            self,
            "DeadLap",
            event_bus=self.bus,
            description="A lap died without a word: keep the record of its invocation",
            event_pattern=events.EventPattern(
                source=["lambda"],
                detail_type=["Lambda Function Invocation Result - Failure"],
            ),
            targets=[targets.SqsQueue(self.dead_laps)],
        )

    def start_on_request(self, starter: lambda_.IFunction) -> None:
        """Let `RecordingRequested`, from anybody but ourselves, start a recording."""
        events.Rule(
            self,
            "Requested",
            event_bus=self.bus,
            description="A recording is asked for: start it",
            event_pattern=events.EventPattern(
                source=events.Match.anything_but(OUR_SOURCE),
                detail_type=["RecordingRequested"],
            ),
            # A start that comes much later records something else than was meant.
            targets=[self._target(starter, Duration.minutes(5))],
        )

    def seal_on_lap_end(self, sealer: lambda_.IFunction) -> None:
        """Let the last end of a lap seal its recording; supervision is the second witness.

        A lap that handed over is not the last one.
        """
        events.Rule(
            self,
            "LapEnded",
            event_bus=self.bus,
            description="A lap has ended: seal its recording",
            event_pattern=events.EventPattern(
                source=[OUR_SOURCE],
                detail_type=["LapEnded"],
                detail={"reason": events.Match.anything_but("handed_over")},
            ),
            targets=[self._target(sealer, Duration.hours(1))],
        )
        events.Rule(
            self,
            "Failed",
            event_bus=self.bus,
            description="Nobody records any more: seal what is there",
            event_pattern=events.EventPattern(
                source=[OUR_SOURCE],
                detail_type=["RecordingFailed"],
                detail={"sid": events.Match.anything_but("")},
            ),
            targets=[self._target(sealer, Duration.hours(1))],
        )

    def sweep(self, sweeper: lambda_.IFunction) -> None:
        """Look once a minute for machines that were lost."""
        events.Rule(
            self,
            "Sweep",
            description="Start anew the state machines that live recordings have lost",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            targets=[targets.LambdaFunction(sweeper, retry_attempts=0)],
        )

    def ingest_notices(self, ingester: lambda_.IFunction) -> None:
        """Let one function hear of dead laps, of what vendors tell, and of our own recordings."""
        events.Rule(
            self,
            "Heard",
            event_bus=self.bus,
            description="Something was told of a task or a recording: keep it once",
            event_pattern=events.EventPattern(source=[OUR_SOURCE], detail_type=list(HEARD)),
            targets=[self._target(ingester, Duration.hours(24))],
        )
        self._dead_lap.add_target(self._target(ingester, Duration.hours(1)))

    def _target(self, function: lambda_.IFunction, longest: Duration) -> targets.LambdaFunction:
        return targets.LambdaFunction(
            function,
            dead_letter_queue=self.undelivered,
            max_event_age=longest,
            retry_attempts=TRIES,
        )
