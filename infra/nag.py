"""Rules of cdk-nag's AwsSolutions that we do not follow somewhere, each with its reason."""

from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Validations
from constructs import IConstruct


def acknowledge(place: IConstruct, rule: str, reason: str) -> None:
    """Say why `place` and what lies in it need not follow a rule, for example `S1`."""
    Validations.of(place).acknowledge(
        Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
    )


def all_in(resource: IConstruct, which: str = "*") -> str:
    """Name the finding that a policy allows many things in a resource: `<its ARN>/<which>`."""
    logical = Stack.of(resource).get_logical_id(cast(CfnElement, resource.node.default_child))
    return f"IAM5[Resource::<{logical}.Arn>/{which}]"
