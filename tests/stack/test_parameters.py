"""What a deployment may decide is checked before anything is built, and the message says how."""

from typing import Any

import pytest

from infra.parameters import KEYS, LOG_PERIODS, ParameterError, Parameters, read, words


def test_parameters_when_nothing_is_given_then_the_safe_ones() -> None:
    usual = read({})
    assert usual == Parameters()
    assert usual.arch == "arm64"
    assert not usual.allow_private_sources
    assert not usual.ephemeral


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"arch": "x86_64"}, {"arch": "x86_64"}),
        ({"ephemeral": True}, {"ephemeral": True}),
        ({"ephemeral": "false"}, {"ephemeral": False}),
        ({"allowPrivateSources": "TRUE"}, {"allow_private_sources": True}),
        ({"retentionDays": 0}, {"retention_days": 0}),
        ({"retentionDays": "30"}, {"retention_days": 30}),
        ({"maxDurationSeconds": "14400"}, {"max_duration_seconds": 14400}),
        ({"sourceTemplate": ""}, {"source_template": ""}),
        (
            {"sourceTemplate": "rtmp://a.example/{channel}?as={recorderUid}"},
            {"source_template": "rtmp://a.example/{channel}?as={recorderUid}"},
        ),
        (
            {"lapSeconds": "60", "overlapSeconds": "22"},
            {"lap_seconds": 60, "overlap_seconds": 22},
        ),
        ({"stackName": None}, {}),
        ({"@aws-cdk/core:newStyle": True, "aws:cdk:toolkit": 1, "cli-telemetry": 0}, {}),
    ],
)
def test_parameters_when_given_then_read_as_the_command_line_or_json_has_them(
    context: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert read(context) == Parameters(**expected)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"arch": "arm"}, "arch=arm: must be one of arm64, x86_64"),
        ({"python": "3.10"}, "python=3.10: must be one of 3.11"),
        ({"stackName": "-x"}, "stackName=-x: a letter, then"),
        ({"stackName": "x" * 31}, "up to 29 letters"),
        ({"allowPrivateSources": "maybe"}, "allowPrivateSources=maybe: must be true or false"),
        ({"retentionDays": "-1"}, "retentionDays=-1: must be 0 or a whole number from 1 to 3650"),
        ({"retentionDays": "1.5"}, "retentionDays=1.5"),
        ({"maxDurationSeconds": "5"}, "maxDurationSeconds=5"),
        ({"lapSeconds": "19"}, "lapSeconds=19: must be a whole number from 20 to 880"),
        ({"lapSeconds": "881"}, "lapSeconds=881"),
        ({"overlapSeconds": "4"}, "overlapSeconds=4: must be a whole number from 5 to 120"),
        (
            {"lapSeconds": "60", "overlapSeconds": "25"},
            "a lap records 45 s, which must be at least",
        ),
        ({"recorderMemory": "128"}, "recorderMemory=128: must be a whole number from 192"),
        ({"requestsPerSecond": "²"}, "requestsPerSecond"),
        ({"logDays": "31"}, "logDays=31: CloudWatch Logs knows 1, 3, 7"),
        ({"alarmEmail": "nobody"}, "alarmEmail=nobody: must be an e-mail address"),
        ({"sourceTemplate": "ftp://a.example/{channel}"}, "must be an address that starts with"),
        ({"sourceTemplate": "rtmp:///live/{channel}"}, "must be an address"),
        ({"sourceTemplate": "rtmp://a.example/live/{room}"}, "unknown {room}"),
        ({"sourceTemplate": "rtmp://a.example/live"}, "must contain {channel}"),
        ({"sourceTemplate": "rtmp://a.example/{channel}/" + "x" * 2048}, "longer than 2048"),
        ({"retention": "30"}, "retention: no such parameter; there are arch, python"),
    ],
)
def test_parameter_when_wrong_then_named_with_the_fix(context: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        read(context)
    assert said in str(caught.value)


def test_source_template_when_it_holds_a_password_then_refused_without_repeating_it() -> None:
    with pytest.raises(ParameterError, match="holds a password") as caught:
        read({"sourceTemplate": "rtsp://me:hunter2@cameras.example/{channel}"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("days", LOG_PERIODS)
def test_log_days_when_known_then_accepted(days: int) -> None:
    assert read({"logDays": str(days)}).log_days == days


@pytest.mark.parametrize(
    ("lap_s", "drain_s"), [(20, 6), (24, 6), (60, 15), (100, 25), (840, 25), (880, 25)]
)
def test_lap_when_short_then_a_smaller_part_of_it_is_kept_for_the_end(
    lap_s: int, drain_s: int
) -> None:
    parameters = read({"lapSeconds": lap_s, "overlapSeconds": 5})
    assert parameters.drain_seconds == drain_s
    assert parameters.record_seconds == lap_s - drain_s


def test_words_when_read_then_keys_and_values() -> None:
    template = "http://a.example/{channel}.flv?x=1"
    given = words(f"arch=x86_64  sourceTemplate={template}")
    assert given == {"arch": "x86_64", "sourceTemplate": template}


def test_words_when_one_has_no_value_then_named() -> None:
    with pytest.raises(ParameterError, match="'ephemeral' is not key=value"):
        words("arch=arm64 ephemeral")


def test_parameters_when_documented_then_all_of_them(documents: dict[str, str]) -> None:
    for key in KEYS:
        assert f"`{key}`" in documents["deploying.md"], f"{key} is not in docs/deploying.md"
