"""From rows of the registry to functions: role, log, published version, alias `live`."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.artifacts import Artifacts
from infra.logs import log_group
from infra.nag import acknowledge
from infra.parameters import Parameters
from infra.registry import RECORDER, FunctionRow, Grant

ALIAS = "live"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What functions may be told about and allowed to use.

    Attributes:
        settings: field of `everreel.settings.Settings` -> value.
        resources: what a grant can be on -> ARN.
        destinations: where given-up asynchronous invocations can go.
        key: of the bucket, if the deployment has its own.
        many_objects: what a grant can be on, of those that are many objects of the bucket -> what
            cdk-nag calls that.
    """

    settings: Mapping[str, str]
    resources: Mapping[str, str]
    destinations: Mapping[str, lambda_.IDestination]
    key: kms.IKey | None
    many_objects: Mapping[str, str]


def memory_mb(row: FunctionRow, parameters: Parameters) -> int:
    """Say how much memory a function gets; the recorder's is the deployment's choice."""
    return parameters.recorder_memory_mb if row is RECORDER else row.memory_mb


class LiveFunction(Construct):
    """One function, called through its alias and nothing else.

    A change of code, layers or environment publishes a new version and moves the alias to it, all
    at once. Older versions stay, so that a lap still running on one is left in peace.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        row: FunctionRow,
        artifacts: Artifacts,
        parameters: Parameters,
        around: Surroundings,
    ) -> None:
        super().__init__(scope, name)
        self.row = row
        full_name = f"{Stack.of(self).stack_name}-{row.name.replace('_', '-')}"
        self._log = log_group(self, f"/aws/lambda/{full_name}", parameters)
        role = self._make_role(around)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=full_name,
            description=row.why,
            code=artifacts.code,
            handler=f"{row.name}.handler.handler",
            runtime=artifacts.runtime,
            architecture=artifacts.architecture,
            layers=[artifacts.layers[layer] for layer in row.layers],
            memory_size=memory_mb(row, parameters),
            timeout=Duration.seconds(row.timeout_s),
            environment={f"EVERREEL_{key.upper()}": around.settings[key] for key in row.settings},
            role=role.without_policy_updates(),
            log_group=self._log,
            logging_format=lambda_.LoggingFormat.JSON,
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
        )
        self.alias = self._make_alias(around)
        acknowledge(
            self.function,
            "L1",
            "The runtime is the one that the layers are built and the suite is run for; a newer "
            "one is a decision (`-c python=`), not a side effect of a new CDK.",
        )

    def _make_role(self, around: Surroundings) -> iam.Role:
        """Make a role that can do what the row grants, write its own log, and nothing else."""
        statements = [
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[self._log.log_group_arn],
            )
        ]
        statements += [
            iam.PolicyStatement(actions=list(grant.actions), resources=[around.resources[grant.on]])
            for grant in self._grants()
        ]
        many = {grant.on for grant in self.row.grants} & around.many_objects.keys()
        if around.key and many:
            statements.append(
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[around.key.key_arn],
                )
            )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What {self.row.name} may do",
            inline_policies={"everreel": iam.PolicyDocument(statements=statements)},
        )
        for which in sorted(many):
            acknowledge(
                role,
                around.many_objects[which],
                "Callers choose the prefix under which a recording lies, so those who work on "
                "recordings may use all such objects of this one bucket, which holds nothing else.",
            )
        return role

    def _grants(self) -> list[Grant]:
        """Add to the row's grants the right to report a given-up invocation."""
        rule = self.row.asynchronous
        queue = [Grant("queue", ("sqs:SendMessage",))]
        return [*self.row.grants, *(queue if rule and rule.failures_to == "queue" else [])]

    def _make_alias(self, around: Surroundings) -> lambda_.Alias:
        rule = self.row.asynchronous
        version = self.function.current_version
        if rule is None:
            return lambda_.Alias(self, "Live", alias_name=ALIAS, version=version)
        return lambda_.Alias(
            self,
            "Live",
            alias_name=ALIAS,
            version=version,
            retry_attempts=rule.retries,
            max_event_age=Duration.seconds(rule.longest_wait_s),
            on_failure=around.destinations[rule.failures_to],
        )
