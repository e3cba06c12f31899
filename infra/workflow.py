"""The state machines: one supervises a recording, one runs each of its lanes."""

import json
from pathlib import Path

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.logs import log_group
from infra.nag import acknowledge
from infra.parameters import Parameters

DEFINITION = Path(__file__).with_name("supervision.asl.json")
LANE_DEFINITION = Path(__file__).with_name("lane.asl.json")
SUPERVISION, LANE = "supervision", "lane"


def machine_name(scope: Construct, name: str) -> str:
    """Name a state machine."""
    return f"{Stack.of(scope).stack_name}-{name}"


def machine_arn(scope: Construct, name: str) -> str:
    """Return the ARN of a state machine by its name.

    A machine invokes functions that must know it, so one of the two comes first without the other.
    """
    return Stack.of(scope).format_arn(
        service="states",
        resource="stateMachine",
        resource_name=machine_name(scope, name),
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


class Workflow(Construct):
    """One execution of `machine` per recording, one of `lanes` per chain of its laps."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        parameters: Parameters,
        *,
        look: lambda_.IFunction,
        relay: lambda_.IFunction,
        seal: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, name)
        self._parameters = parameters
        lane_arn = machine_arn(self, LANE)
        self.machine = self._make(
            SUPERVISION,
            DEFINITION,
            {
                "LookFunction": look.function_arn,
                "SealFunction": seal.function_arn,
                "LaneMachine": lane_arn,
            },
            invokes=(look, seal),
            starts=(machine_arn(self, SUPERVISION), lane_arn),
        )
        self.lanes = self._make(
            LANE,
            LANE_DEFINITION,
            {"RelayFunction": relay.function_arn},
            invokes=(relay,),
            starts=(lane_arn,),
        )

    def _make(
        self,
        name: str,
        definition: Path,
        substitutions: dict[str, str],
        *,
        invokes: tuple[lambda_.IFunction, ...],
        starts: tuple[str, ...],
    ) -> sfn.StateMachine:
        full_name = machine_name(self, name)
        place = Construct(self, name.capitalize())
        # Names that do not start so count against a limit of the account's log policies.
        log = log_group(place, f"/aws/vendedlogs/states/{full_name}", self._parameters)
        machine = sfn.StateMachine(
            place,
            "Machine",
            state_machine_name=full_name,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(
                json.dumps(json.loads(definition.read_text()))
            ),
            definition_substitutions=substitutions,
            logs=sfn.LogOptions(
                destination=log, level=sfn.LogLevel.ALL, include_execution_data=True
            ),
            tracing_enabled=True,
        )
        for function in invokes:
            function.grant_invoke(machine)
        machine.add_to_role_policy(
            iam.PolicyStatement(actions=["states:StartExecution"], resources=list(starts))
        )
        acknowledge(
            machine.role,
            "IAM5[Resource::*]",
            "Step Functions sets up its log delivery and sends traces with actions that know no "
            "resources.",
        )
        return machine
