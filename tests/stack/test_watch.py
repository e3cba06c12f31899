"""Alarms tell of what a person must look at; the dashboard and the outputs say where."""

import json
from typing import Any

from infra.registry import FUNCTIONS
from tests.stack.assembly import Assembly, targets

OUTPUTS = {
    "ApiKeySecretArn",
    "NoticeSecretsArn",
    "AgoraKeySecretArn",
    "ApiUrl",
    "BucketName",
    "BusName",
    "DashboardUrl",
    "LaneMachineArn",
    "RecordFunction",
    "SealFunction",
    "StartFunction",
    "StateMachineArn",
    "TableName",
}


def watched(assembly: Assembly) -> set[tuple[str, str, str]]:
    """Say what has an alarm: namespace, metric, what it is about."""
    found = set()
    for alarm in assembly.properties("AWS::CloudWatch::Alarm"):
        about = [
            name for d in alarm.get("Dimensions", []) for name in targets(assembly, d["Value"])
        ]
        found.add((alarm["Namespace"], alarm["MetricName"], about[0] if about else ""))
    return found


def test_alarms_when_made_then_for_every_function_queue_and_machine(either: Assembly) -> None:
    alarms = watched(either)
    functions = either.of_type("AWS::Lambda::Function")
    machines = either.of_type("AWS::StepFunctions::StateMachine")
    recorder = either.id_of("AWS::Lambda::Function", "RecordLap")
    api = either.id_of("AWS::ApiGatewayV2::Api")
    assert len(functions) == len(FUNCTIONS)
    assert len(machines) == 2
    assert alarms == {
        *(("AWS/Lambda", "Errors", name) for name in functions),
        *(
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", name)
            for name in either.of_type("AWS::SQS::Queue")
        ),
        ("AWS/Lambda", "Throttles", ""),
        ("AWS/Lambda", "AsyncEventAge", recorder),
        ("AWS/Lambda", "AsyncEventsDropped", recorder),
        *(("AWS/States", "ExecutionsFailed", name) for name in machines),
        *(("AWS/States", "ExecutionsAborted", name) for name in machines),
        ("AWS/ApiGateway", "5xx", api),
    }


def test_alarms_when_all_is_quiet_then_quiet(either: Assembly) -> None:
    for alarm in either.properties("AWS::CloudWatch::Alarm"):
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"]
        assert alarm["AlarmName"].startswith(f"{either.stack}-")


def test_alarms_when_nobody_is_named_then_they_stay_in_the_console(usual: Assembly) -> None:
    assert not usual.of_type("AWS::SNS::Topic")
    for alarm in usual.properties("AWS::CloudWatch::Alarm"):
        assert "AlarmActions" not in alarm


def test_alarms_when_somebody_is_named_then_told(special: Assembly) -> None:
    topic = special.id_of("AWS::SNS::Topic")
    subscription = special.only("AWS::SNS::Subscription")
    assert subscription["Protocol"] == "email"
    assert subscription["Endpoint"] == "on-call@team.example"
    for alarm in special.properties("AWS::CloudWatch::Alarm"):
        assert alarm["AlarmActions"] == [{"Ref": topic}]


def test_dashboard_when_made_then_its_body_is_json_with_every_graph(either: Assembly) -> None:
    body = either.only("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "x" for part in body)
    widgets: list[Any] = json.loads(text)["widgets"]
    assert len(widgets) == 9
    assert all(widget["properties"]["title"] for widget in widgets)


def test_outputs_when_deployed_then_they_say_where_things_are(either: Assembly) -> None:
    assert set(either.template["Outputs"]) == OUTPUTS
