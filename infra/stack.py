"""The stack: one construct per capability, put together."""

from dataclasses import replace

from aws_cdk import CfnOutput, Stack, Tags
from aws_cdk import aws_lambda_destinations as destinations
from constructs import Construct

from infra.api import Api
from infra.artifacts import Artifacts
from infra.bus import Bus
from infra.functions import LiveFunction, Surroundings, memory_mb
from infra.nag import all_in
from infra.parameters import Parameters
from infra.registry import (
    API,
    AUTHORIZER,
    FUNCTIONS,
    INGESTER,
    LOOK,
    RECORDER,
    RELAY,
    SEALER,
    STARTER,
    SWEEPER,
    VERIFIER,
    FunctionRow,
)
from infra.secrets import AGORA_KEY, API_KEYS, NOTICE_SECRETS, KeptSecret
from infra.storage import INDEX, UNSEALED, Storage
from infra.watch import Watch
from infra.workflow import LANE, SUPERVISION, Workflow, machine_arn

INVOKED = {
    RECORDER: ("record_function", "recorder"),
    LOOK: ("look_function", "look"),
    VERIFIER: ("verify_function", "verifier"),
}
"""Functions that others of ours invoke: by which setting, under which name of a grant."""

_QUEUE_SHARE = 4
"""Of the recorder's memory this part may hold media that waits for the store."""

_SOME_OBJECTS = {"reports": "*/verify.json", "timelines": "*/timeline.svg"}
"""What a grant can be on -> which objects of the bucket that are."""


class EverreelStack(Stack):
    """Everything that one deployment of everreel consists of."""

    def __init__(self, scope: Construct, name: str, parameters: Parameters) -> None:
        super().__init__(
            scope,
            name,
            stack_name=parameters.stack_name,
            description="everreel records live streams with short-lived functions",
            termination_protection=False,
        )
        self._parameters = parameters
        self._storage = Storage(self, "Storage", parameters)
        self._bus = Bus(self, "Bus")
        self._keys = KeptSecret(self, API_KEYS)
        self._notice_secrets = KeptSecret(self, NOTICE_SECRETS)
        self._agora_key = KeptSecret(self, AGORA_KEY)
        self._artifacts = Artifacts(self, "Layers", parameters)
        self._functions: dict[str, LiveFunction] = {}
        self._make_functions()
        self._workflow = Workflow(
            self,
            "Workflow",
            parameters,
            look=self._function(LOOK).alias,
            relay=self._function(RELAY).alias,
            seal=self._function(SEALER).alias,
        )
        self._bus.sweep(self._function(SWEEPER).alias)
        self._bus.seal_on_lap_end(self._function(SEALER).alias)
        self._bus.start_on_request(self._function(STARTER).alias)
        self._bus.ingest_notices(self._function(INGESTER).alias)
        self._api = Api(
            self,
            "Gateway",
            parameters,
            handler=self._function(API).alias,
            authorizer=self._function(AUTHORIZER).alias,
        )
        self._watch = Watch(
            self,
            "Watch",
            parameters,
            functions=[self._function(row) for row in FUNCTIONS],
            recorder=self._function(RECORDER),
            machine=self._workflow.machine,
            lanes=self._workflow.lanes,
            bus=self._bus.bus,
            queues={
                "undelivered": self._bus.undelivered,
                "abandoned": self._bus.abandoned,
                "dead-lap": self._bus.dead_laps,
            },
            api=self._api.api,
        )
        self._say_where_things_are()
        Tags.of(self).add("application", "everreel")

    def _function(self, row: FunctionRow) -> LiveFunction:
        return self._functions[row.name]

    def _make_functions(self) -> None:
        """Make those first that others invoke."""
        around = self._surroundings()
        for row in (*INVOKED, *(row for row in FUNCTIONS if row not in INVOKED)):
            name = "".join(word.capitalize() for word in row.name.split("_"))
            self._functions[row.name] = LiveFunction(
                self, name, row, self._artifacts, self._parameters, around
            )
            if row in INVOKED:
                setting, resource = INVOKED[row]
                arn = self._function(row).alias.function_arn
                around = replace(
                    around,
                    settings={**around.settings, setting: arn},
                    resources={**around.resources, resource: arn},
                )

    def _surroundings(self) -> Surroundings:
        """Gather what functions can be given."""
        parameters, bucket, table = self._parameters, self._storage.bucket, self._storage.table
        settings = {
            "table": table.table_name,
            "bucket": bucket.bucket_name,
            "bus": self._bus.bus.event_bus_name,
            "api_keys_secret": self._keys.secret.secret_arn,
            "notice_secrets": self._notice_secrets.secret.secret_arn,
            "agora_secret": self._agora_key.secret.secret_arn,
            "source_template": parameters.source_template,
            "allow_private_sources": str(parameters.allow_private_sources).lower(),
            "max_duration_s": str(parameters.max_duration_seconds),
            "retention_days": str(parameters.retention_days),
            "queue_mib": str(memory_mb(RECORDER, parameters) // _QUEUE_SHARE),
            "lap_s": str(parameters.lap_seconds),
            "drain_s": str(parameters.drain_seconds),
            "overlap_s": str(parameters.overlap_seconds),
            "state_machine": machine_arn(self, SUPERVISION),
            "lane_machine": machine_arn(self, LANE),
        }
        resources = {
            "table": table.table_arn,
            "index": f"{table.table_arn}/index/{INDEX}",
            "unsealed": f"{table.table_arn}/index/{UNSEALED}",
            "supervision": machine_arn(self, SUPERVISION),
            "lanes": machine_arn(self, LANE),
            "bucket": bucket.bucket_arn,
            "objects": bucket.arn_for_objects("*"),
            **{name: bucket.arn_for_objects(which) for name, which in _SOME_OBJECTS.items()},
            "bus": self._bus.bus.event_bus_arn,
            "api_keys": self._keys.secret.secret_arn,
            "notice_secrets": self._notice_secrets.secret.secret_arn,
            "agora_key": self._agora_key.secret.secret_arn,
            "queue": self._bus.abandoned.queue_arn,
        }
        return Surroundings(
            settings=settings,
            resources=resources,
            destinations={
                "bus": destinations.EventBridgeDestination(self._bus.bus),
                "queue": destinations.SqsDestination(self._bus.abandoned),
            },
            key=self._storage.key,
            many_objects={
                "objects": all_in(bucket),
                **{name: all_in(bucket, which) for name, which in _SOME_OBJECTS.items()},
            },
        )

    def _say_where_things_are(self) -> None:
        board = f"#dashboards:name={self._watch.dashboard.dashboard_name}"
        outputs = {
            "ApiUrl": self._api.url,
            "ApiKeySecretArn": self._keys.secret.secret_arn,
            "NoticeSecretsArn": self._notice_secrets.secret.secret_arn,
            "AgoraKeySecretArn": self._agora_key.secret.secret_arn,
            "BucketName": self._storage.bucket.bucket_name,
            "BusName": self._bus.bus.event_bus_name,
            "TableName": self._storage.table.table_name,
            "StateMachineArn": self._workflow.machine.state_machine_arn,
            "LaneMachineArn": self._workflow.lanes.state_machine_arn,
            "RecordFunction": self._function(RECORDER).function.function_name,
            "StartFunction": self._function(STARTER).function.function_name,
            "SealFunction": self._function(SEALER).function.function_name,
            "DashboardUrl": f"https://console.aws.amazon.com/cloudwatch/home?region={self.region}{board}",
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
