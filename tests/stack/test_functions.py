"""Every function is what its row of the registry says, and is called through its alias."""

import pytest

from everreel.settings import Settings
from infra.registry import API, FUNCTIONS, RECORDER, SEALER, STARTER, FunctionRow
from layers.build import ROOT
from tests.stack.assembly import Assembly, targets

BY_NAME = {row.name: row for row in FUNCTIONS}
ROWS = pytest.mark.parametrize("row", FUNCTIONS, ids=BY_NAME)


def test_functions_when_synthesised_then_they_are_those_of_the_registry(either: Assembly) -> None:
    assert set(either.functions()) == set(BY_NAME)


def test_functions_when_registered_then_their_folders_are_the_functions_of_the_repository() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert folders == set(BY_NAME)


@ROWS
def test_function_when_synthesised_then_it_has_its_rows_numbers(
    usual: Assembly, row: FunctionRow
) -> None:
    function = usual.functions()[row.name]
    assert function["Handler"] == f"{row.name}.handler.handler"
    assert (function["MemorySize"], function["Timeout"]) == (row.memory_mb, row.timeout_s)
    assert function["Description"] == row.why
    assert function["FunctionName"] == f"Everreel-{row.name.replace('_', '-')}"
    assert len(function["Layers"]) == len(row.layers)


def test_architecture_when_left_alone_then_arm_and_the_newest_tested_python(
    usual: Assembly,
) -> None:
    made = {(f["Architectures"][0], f["Runtime"]) for f in usual.functions().values()}
    assert made == {("arm64", "python3.13")}
    for layer in usual.properties("AWS::Lambda::LayerVersion"):
        assert layer["CompatibleArchitectures"] == ["arm64"]
        assert layer["CompatibleRuntimes"] == ["python3.13"]


def test_architecture_when_chosen_then_functions_and_layers_follow(special: Assembly) -> None:
    made = {(f["Architectures"][0], f["Runtime"]) for f in special.functions().values()}
    assert made == {("x86_64", "python3.12")}
    for layer in special.properties("AWS::Lambda::LayerVersion"):
        assert layer["CompatibleArchitectures"] == ["x86_64"]
        assert layer["CompatibleRuntimes"] == ["python3.12"]


def test_recorder_when_synthesised_then_it_carries_no_codecs(either: Assembly) -> None:
    recorder, sealer = (either.functions()[row.name] for row in (RECORDER, SEALER))
    media = {"Ref": either.id_of("AWS::Lambda::LayerVersion", "LayersMedia")}
    assert media not in recorder["Layers"]
    assert media in sealer["Layers"]


def test_recorder_when_given_more_memory_then_more_media_may_wait(
    usual: Assembly, special: Assembly
) -> None:
    sizes = [
        (f["MemorySize"], f["Environment"]["Variables"]["EVERREEL_QUEUE_MIB"])
        for f in (usual.functions()["record_lap"], special.functions()["record_lap"])
    ]
    assert sizes == [(256, "64"), (512, "128")]


def test_code_when_synthesised_then_all_functions_share_one_asset(either: Assembly) -> None:
    assert len({str(f["Code"]) for f in either.functions().values()}) == 1


def test_functions_when_called_by_anything_then_through_their_alias(either: Assembly) -> None:
    aliases = either.of_type("AWS::Lambda::Alias")
    assert {either.function_of(name) for name in aliases} == set(BY_NAME)
    for alias in aliases.values():
        assert alias["Properties"]["Name"] == "live"
        version = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0]
        assert version in either.of_type("AWS::Lambda::Version")
    functions = set(either.of_type("AWS::Lambda::Function"))
    callers = (
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Permission",
        "AWS::StepFunctions::StateMachine",
    )
    for kind in callers:
        for name, resource in either.of_type(kind).items():
            assert not functions & set(targets(either, resource["Properties"])), name


def test_versions_when_replaced_then_the_old_ones_stay(either: Assembly) -> None:
    for version in either.of_type("AWS::Lambda::Version").values():
        assert version["DeletionPolicy"] == version["UpdateReplacePolicy"] == "Retain"


@ROWS
def test_settings_when_handed_over_then_they_are_fields_that_can_be_read(
    special: Assembly, row: FunctionRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = special.functions()[row.name]["Environment"]["Variables"]
    assert set(row.settings) <= set(Settings.model_fields)
    assert set(given) == {f"EVERREEL_{name.upper()}" for name in row.settings}
    for key, value in given.items():
        monkeypatch.setenv(key, value if isinstance(value, str) else "a name made by the cloud")
    read = Settings.from_environment()
    for name in row.settings:
        assert getattr(read, name) != ""


def test_settings_when_chosen_then_every_function_that_needs_them_has_them(
    special: Assembly,
) -> None:
    variables = {
        name: function["Environment"]["Variables"] for name, function in special.functions().items()
    }
    for row in (API, STARTER):
        assert variables[row.name]["EVERREEL_SOURCE_TEMPLATE"].startswith("rtmp://media.example/")
        assert variables[row.name]["EVERREEL_MAX_DURATION_S"] == "7200"
    for row in (API, STARTER, RECORDER):
        assert variables[row.name]["EVERREEL_ALLOW_PRIVATE_SOURCES"] == "true"


def test_private_sources_when_left_alone_then_refused_everywhere(usual: Assembly) -> None:
    for function in usual.functions().values():
        allowed = function["Environment"]["Variables"].get("EVERREEL_ALLOW_PRIVATE_SOURCES")
        assert allowed in (None, "false")


def test_late_laps_when_queued_then_given_up_after_a_minute_and_never_repeated(
    either: Assembly,
) -> None:
    configs = {
        either.function_of(c["FunctionName"]["Ref"]): c
        for c in either.properties("AWS::Lambda::EventInvokeConfig")
    }
    assert set(configs) == {row.name for row in FUNCTIONS if row.asynchronous}
    lap = configs["record_lap"]
    assert (lap["MaximumRetryAttempts"], lap["MaximumEventAgeInSeconds"]) == (0, 60)
    bus = either.id_of("AWS::Events::EventBus")
    assert list(targets(either, lap["DestinationConfig"]["OnFailure"])) == [bus]
    queue = either.id_of("AWS::SQS::Queue", "BusAbandoned")
    for name in ("start_recording", "seal_recording", "ingest_notice"):
        assert configs[name]["MaximumRetryAttempts"] == 2
        assert list(targets(either, configs[name]["DestinationConfig"]["OnFailure"])) == [queue]
    for config in configs.values():
        assert list(targets(either, config["Qualifier"])) or config["Qualifier"] == "live"


def test_recorder_when_synthesised_then_nothing_limits_how_many_run(either: Assembly) -> None:
    for function in either.functions().values():
        assert "ReservedConcurrentExecutions" not in function


def test_logs_when_synthesised_then_they_are_found_by_name_and_end(
    usual: Assembly, special: Assembly
) -> None:
    for assembly, days in ((usual, 30), (special, 7)):
        groups = assembly.of_type("AWS::Logs::LogGroup")
        assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {days}
        for function in assembly.functions().values():
            group = groups[function["LoggingConfig"]["LogGroup"]["Ref"]]
            name = group["Properties"]["LogGroupName"]
            assert name == f"/aws/lambda/{function['FunctionName']}"
