"""The state machine that supervises a recording."""

import json
from pathlib import Path

from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.logs import log_group
from infra.nag import acknowledge
from infra.parameters import Parameters

DEFINITION = Path(__file__).with_name("supervision.asl.json")


class Workflow(Construct):
    """One execution per recording: it waits, looks and does as the look says."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        parameters: Parameters,
        *,
        look: lambda_.IFunction,
        seal: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, name)
        stack = Stack.of(self)
        full_name = f"{stack.stack_name}-supervision"
        # Names that do not start so count against a limit of the account's log policies.
        log = log_group(self, f"/aws/vendedlogs/states/{full_name}", parameters)
        self.machine = sfn.StateMachine(
            self,
            "Supervision",
            state_machine_name=full_name,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(
                json.dumps(json.loads(DEFINITION.read_text()))
            ),
            definition_substitutions={
                "LookFunction": look.function_arn,
                "SealFunction": seal.function_arn,
            },
            logs=sfn.LogOptions(
                destination=log, level=sfn.LogLevel.ALL, include_execution_data=True
            ),
            tracing_enabled=True,
        )
        for function in (look, seal):
            function.grant_invoke(self.machine)
        acknowledge(
            self.machine.role,
            "IAM5[Resource::*]",
            "Step Functions sets up its log delivery and sends traces with actions that know no "
            "resources.",
        )
