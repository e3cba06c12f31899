"""Log groups: every one of ours has a name a person finds, and an end."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.parameters import LOG_PERIODS, Parameters


def log_group(scope: Construct, path: str, parameters: Parameters) -> logs.LogGroup:
    """Make a log group; logs go with their stack."""
    return logs.LogGroup(
        scope,
        "Log",
        log_group_name=path,
        retention=logs.RetentionDays[LOG_PERIODS[parameters.log_days]],
        removal_policy=RemovalPolicy.DESTROY,
    )
