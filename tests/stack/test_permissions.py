"""Nobody may do more than the registry says; stars are few and each has a reason."""

import itertools
import json
import re

import pytest

from infra.registry import FUNCTIONS, FunctionRow
from tests.stack.assembly import Assembly, machines, many, targets

ROWS = pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row.name)
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
# Actions that know no resources; the state machine's, for its log and its traces.
WITHOUT_RESOURCES = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def allowed(row: FunctionRow) -> set[str]:
    extra = {"sqs:SendMessage"} if row.asynchronous and row.name != "record_lap" else set()
    return LOG | extra | {action for grant in row.grants for action in grant.actions}


@ROWS
def test_function_when_granted_then_exactly_what_its_row_lists(
    usual: Assembly, row: FunctionRow
) -> None:
    statements = usual.function_statements(row.name)
    assert {s["Effect"] for s in statements} == {"Allow"}
    assert {action for s in statements for action in many(s["Action"])} == allowed(row)


@ROWS
def test_function_when_the_key_is_ours_then_it_may_use_it_only_if_it_touches_objects(
    special: Assembly, row: FunctionRow
) -> None:
    actions = {a for s in special.function_statements(row.name) for a in many(s["Action"])}
    needs = any(grant.on in {"objects", "reports", "timelines"} for grant in row.grants)
    assert {a for a in actions if a.startswith("kms:")} == (
        {"kms:Decrypt", "kms:GenerateDataKey"} if needs else set()
    )


def test_roles_when_made_then_one_each_and_none_managed_elsewhere(either: Assembly) -> None:
    roles = [f["Role"]["Fn::GetAtt"][0] for f in either.functions().values()]
    assert len(set(roles)) == len(FUNCTIONS)
    for role in either.properties("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role


def test_actions_when_allowed_then_none_is_a_wildcard(either: Assembly) -> None:
    for role in either.of_type("AWS::IAM::Role"):
        for statement in either.role_statements(role):
            assert not [a for a in many(statement["Action"]) if "*" in a]


def test_resources_when_allowed_then_named(either: Assembly) -> None:
    for role in either.of_type("AWS::IAM::Role"):
        for statement in either.role_statements(role):
            if many(statement["Resource"]) == ["*"]:
                assert set(many(statement["Action"])) <= WITHOUT_RESOURCES
            else:
                named = {*targets(either, statement["Resource"]), *machines(statement["Resource"])}
                assert named, statement


def test_objects_when_allowed_then_of_our_bucket_and_for_four_functions(either: Assembly) -> None:
    bucket = either.id_of("AWS::S3::Bucket")
    touching = set()
    for row in FUNCTIONS:
        for statement in either.function_statements(row.name):
            if any(action.startswith("s3:") for action in many(statement["Action"])):
                touching.add(row.name)
                assert set(targets(either, statement["Resource"])) == {bucket}
    assert touching == {"record_lap", "seal_recording", "verify_recording", "http_api"}


def test_objects_when_the_door_may_use_them_then_reports_of_verifications_alone(
    either: Assembly,
) -> None:
    for statement in either.function_statements("http_api"):
        if {"s3:GetObject", "s3:PutObject"} & set(many(statement["Action"])):
            assert json.dumps(statement["Resource"]).count("/*/verify.json") == 1


def test_recordings_when_they_are_verified_then_nothing_of_them_can_be_changed(
    either: Assembly,
) -> None:
    written = [
        re.findall(r"/\*/([a-z.]+)", json.dumps(statement["Resource"]))
        for statement in either.function_statements("verify_recording")
        if "s3:PutObject" in many(statement["Action"])
    ]
    assert sorted(itertools.chain(*written)) == ["timeline.svg", "verify.json"]


def test_invocation_when_allowed_then_only_of_what_is_meant(either: Assembly) -> None:
    invokes = {
        name: {
            either.function_of(target)
            for statement in either.role_statements(name)
            if "lambda:InvokeFunction" in many(statement["Action"])
            for target in targets(either, statement["Resource"])
        }
        for name in either.of_type("AWS::IAM::Role")
    }
    by_owner = {name.split("Role")[0]: found for name, found in invokes.items() if found}
    assert by_owner == {
        "WorkflowSupervisionMachine": {"look", "seal_recording"},
        "WorkflowLaneMachine": {"relay_lap"},
        "RelayLap": {"record_lap"},
        "HttpApi": {"record_lap", "look", "verify_recording"},
        "StartRecording": {"record_lap", "look"},
    }


def test_machines_when_started_or_told_then_by_those_who_are_meant(either: Assembly) -> None:
    may = {
        (name.split("Role")[0], action.removeprefix("states:"), machine)
        for name in either.of_type("AWS::IAM::Role")
        for statement in either.role_statements(name)
        for action in many(statement["Action"])
        if action.startswith("states:")
        for machine in machines(statement["Resource"])
    }
    assert may == {
        ("HttpApi", "StartExecution", "supervision"),
        ("StartRecording", "StartExecution", "supervision"),
        ("WorkflowSupervisionMachine", "StartExecution", "supervision"),
        ("WorkflowSupervisionMachine", "StartExecution", "lane"),
        ("WorkflowLaneMachine", "StartExecution", "lane"),
        ("SweepMachines", "StartExecution", "supervision"),
        ("SweepMachines", "StartExecution", "lane"),
        ("SweepMachines", "ListExecutions", "supervision"),
        ("SweepMachines", "ListExecutions", "lane"),
        ("RecordLap", "SendTaskHeartbeat", "lane"),
        ("RecordLap", "SendTaskSuccess", "lane"),
        ("RelayLap", "SendTaskSuccess", "lane"),
        ("IngestNotice", "SendTaskFailure", "lane"),
    }


def test_key_of_the_api_when_read_then_by_the_authorizer_alone(either: Assembly) -> None:
    assert readers_of(either, "ApiKeys") == {"authorize_call"}


def test_secret_of_notices_when_read_then_by_the_door_alone(either: Assembly) -> None:
    assert readers_of(either, "NoticeSecrets") == {"http_api"}


def test_key_of_agora_when_read_then_by_the_look_alone(either: Assembly) -> None:
    assert readers_of(either, "AgoraKey") == {"look"}


def test_notices_when_kept_then_by_a_function_that_writes_rows_and_ends_tasks_of_the_dead(
    either: Assembly,
) -> None:
    table = either.id_of("AWS::DynamoDB::GlobalTable")
    kept = [
        s for s in either.function_statements("ingest_notice") if not LOG & {*many(s["Action"])}
    ]
    assert {action for s in kept for action in many(s["Action"])} == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "sqs:SendMessage",
        "states:SendTaskFailure",
    }
    for statement in kept:
        if "dynamodb:PutItem" in many(statement["Action"]):
            assert set(targets(either, statement["Resource"])) == {table}


def readers_of(assembly: Assembly, starts: str) -> set[str]:
    secret = assembly.id_of("AWS::SecretsManager::Secret", starts)
    return {
        row.name
        for row in FUNCTIONS
        for statement in assembly.function_statements(row.name)
        if secret in set(targets(assembly, statement["Resource"]))
    }


def test_functions_when_others_may_invoke_them_then_a_named_source_only(either: Assembly) -> None:
    for permission in either.properties("AWS::Lambda::Permission"):
        assert permission["Principal"] in ("apigateway.amazonaws.com", "events.amazonaws.com")
        assert permission["SourceArn"] != "*"
        assert list(targets(either, permission["SourceArn"]))


def test_nag_when_it_judged_then_nothing_was_found_that_has_no_reason(either: Assembly) -> None:
    report = either.nag
    assert report["pluginName"] == "AwsSolutions"
    assert report["conclusion"] == "success"
    assert not report["violations"]
    known = ("APIG4", "IAM5", "L1", "S1", "SMG4", "SQS3")
    for finding in report["suppressedViolations"]:
        assert finding["ruleName"].split("-")[1].split("[")[0] in known
        assert len(finding["reason"].split()) >= 8, finding
