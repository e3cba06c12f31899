"""How requests come in (the API, the bus) and where what nobody could handle ends."""

import json
from typing import Any

import pytest

from everreel.events.own import HEARD
from everreel.events.ports import SOURCE, Happening
from everreel.state.recording import Reason
from tests.stack.assembly import Assembly, targets


def rule(assembly: Assembly, starts: str) -> dict[str, Any]:
    found: dict[str, Any] = assembly.of_type("AWS::Events::Rule")[
        assembly.id_of("AWS::Events::Rule", starts)
    ]["Properties"]
    return found


def test_routes_when_not_named_open_then_they_ask_for_a_key(either: Assembly) -> None:
    authorizer = either.id_of("AWS::ApiGatewayV2::Authorizer")
    routes = {r["RouteKey"]: r for r in either.properties("AWS::ApiGatewayV2::Route")}
    assert set(routes) == {
        "ANY /v1/{proxy+}",
        "GET /v1/health",
        "GET /v1/openapi.json",
        "POST /v1/notices/agora",
        "POST /v1/notices/tencent",
    }
    asking = routes.pop("ANY /v1/{proxy+}")
    assert asking["AuthorizationType"] == "CUSTOM"
    assert asking["AuthorizerId"] == {"Ref": authorizer}
    assert {r["AuthorizationType"] for r in routes.values()} == {"NONE"}


def test_authorizer_when_asked_then_about_the_header_and_remembers_for_a_minute(
    either: Assembly,
) -> None:
    authorizer = either.only("AWS::ApiGatewayV2::Authorizer")
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["EnableSimpleResponses"] is True
    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"
    assert authorizer["AuthorizerResultTtlInSeconds"] == 60


@pytest.mark.parametrize(("name", "rate"), [("usual", 50), ("special", 5)])
def test_api_when_flooded_then_it_refuses(
    name: str, rate: int, request: pytest.FixtureRequest
) -> None:
    stage = request.getfixturevalue(name).only("AWS::ApiGatewayV2::Stage")
    settings = stage["DefaultRouteSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (rate, 2 * rate)


def test_access_log_when_written_then_without_headers(either: Assembly) -> None:
    stage = either.only("AWS::ApiGatewayV2::Stage")
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert logged["status"] == "$context.status"
    assert not [value for value in logged.values() if "header" in value.lower()]
    (group,) = targets(either, stage["AccessLogSettings"]["DestinationArn"])
    assert group in either.of_type("AWS::Logs::LogGroup")


def test_api_key_when_made_then_generated_and_nowhere_in_the_template(either: Assembly) -> None:
    secret = either.of_type("AWS::SecretsManager::Secret")[
        either.id_of("AWS::SecretsManager::Secret", "ApiKeys")
    ]["Properties"]
    assert "SecretString" not in secret
    generated = secret["GenerateSecretString"]
    assert json.loads(generated["SecretStringTemplate"]) == {"id": "default"}
    assert generated["GenerateStringKey"] == "secret"
    assert generated["PasswordLength"] >= 32
    assert generated["ExcludePunctuation"] is True


def test_requests_when_from_anybody_else_then_they_start_a_recording(either: Assembly) -> None:
    found = rule(either, "BusRequested")
    assert found["EventPattern"] == {
        "source": [{"anything-but": [SOURCE]}],
        "detail-type": [Happening.REQUESTED.value],
    }
    (target,) = found["Targets"]
    assert either.function_of(target["Arn"]["Ref"]) == "start_recording"


def test_lap_when_ended_then_its_recording_is_sealed(either: Assembly) -> None:
    found = rule(either, "BusLapEnded")
    assert found["EventPattern"] == {
        "source": [SOURCE],
        "detail-type": [Happening.LAP_ENDED.value],
        # Its successor records on: there is nothing to seal.
        "detail": {"reason": [{"anything-but": [Reason.HANDED_OVER.value]}]},
    }
    (target,) = found["Targets"]
    assert either.function_of(target["Arn"]["Ref"]) == "seal_recording"


def test_recording_when_nobody_records_it_any_more_then_is_sealed(either: Assembly) -> None:
    found = rule(either, "BusFailed")
    assert found["EventPattern"] == {
        "source": [SOURCE],
        "detail-type": [Happening.FAILED.value],
        "detail": {"sid": [{"anything-but": [""]}]},  # a start that was refused has none
    }
    (target,) = found["Targets"]
    assert either.function_of(target["Arn"]["Ref"]) == "seal_recording"


def test_sweep_when_scheduled_then_every_minute_and_not_again_if_it_fails(
    either: Assembly,
) -> None:
    found = rule(either, "BusSweep")
    assert found["ScheduleExpression"] == "rate(1 minute)"
    (target,) = found["Targets"]
    assert either.function_of(target["Arn"]["Ref"]) == "sweep_machines"
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0


def test_events_when_undeliverable_then_kept(either: Assembly) -> None:
    queue = either.id_of("AWS::SQS::Queue", "BusUndelivered")
    for starts in ("BusRequested", "BusLapEnded", "BusFailed", "BusHeard", "BusDeadLap"):
        target = rule(either, starts)["Targets"][-1]
        assert list(targets(either, target["DeadLetterConfig"])) == [queue]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 8
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] >= 300


def test_lap_when_it_dies_without_a_word_then_its_record_is_kept(either: Assembly) -> None:
    found = rule(either, "BusDeadLap")
    assert found["EventPattern"] == {
        "source": ["lambda"],
        "detail-type": ["Lambda Function Invocation Result - Failure"],
    }
    kept, told = found["Targets"]
    assert list(targets(either, kept["Arn"])) == [either.id_of("AWS::SQS::Queue", "BusDeadLaps")]
    assert either.function_of(told["Arn"]["Ref"]) == "ingest_notice"


def test_notices_when_on_the_bus_then_all_that_is_heard_of_goes_to_one_function(
    either: Assembly,
) -> None:
    found = rule(either, "BusHeard")
    pattern = found["EventPattern"]
    assert pattern["source"] == [SOURCE]
    assert set(pattern["detail-type"]) == {Happening.NOTICE.value, *(kind.value for kind in HEARD)}
    (target,) = found["Targets"]
    assert either.function_of(target["Arn"]["Ref"]) == "ingest_notice"


def test_rules_when_made_then_all_on_our_own_bus(either: Assembly) -> None:
    bus = either.id_of("AWS::Events::EventBus")
    for found in either.properties("AWS::Events::Rule"):
        # Only the default bus knows schedules.
        expected = None if "ScheduleExpression" in found else {"Ref": bus}
        assert found.get("EventBusName") == expected


def test_queues_when_made_then_encrypted_over_tls_and_kept_as_long_as_can_be(
    either: Assembly,
) -> None:
    queues = either.of_type("AWS::SQS::Queue")
    assert len(queues) == 3
    for queue in queues.values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    policies = either.properties("AWS::SQS::QueuePolicy")
    covered = {name for policy in policies for name in targets(either, policy["Queues"])}
    assert covered == set(queues)
    for policy in policies:
        statements = policy["PolicyDocument"]["Statement"]
        assert any("aws:SecureTransport" in str(s.get("Condition")) for s in statements)
        for statement in statements:
            if statement["Effect"] == "Allow":
                assert "aws:SourceArn" in str(statement["Condition"])
