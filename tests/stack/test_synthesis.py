"""Synthesis needs no account and no network; it refuses what cannot work and says why."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from infra.built_layers import built_layers
from infra.deploy import COMMANDS, DeployError, arguments
from infra.local.deploy import DeploymentError, synthesise
from infra.parameters import Parameters
from layers.build import LIMIT_BYTES, LayerError
from tests.stack.assembly import Assembly
from tests.tools import require_tool


def layer_zip(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(zipfile.ZipInfo("python/module.py"), content)


@pytest.mark.parametrize("name", ["usual", "special"])
def test_template_when_linted_then_nothing_is_said(
    name: str, request: pytest.FixtureRequest
) -> None:
    assembly: Assembly = request.getfixturevalue(name)
    # W3005: the CDK states dependencies that a reference states already.
    lint = [str(require_tool("cfn-lint")), "--ignore-checks", "W3005", "--"]
    done = subprocess.run(
        [*lint, str(assembly.template_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_template_when_made_then_it_names_no_account_and_no_region(either: Assembly) -> None:
    text = either.template_path.read_text()
    assert "000000000000" not in text
    assert "us-east-1" not in text


def test_template_when_made_then_far_from_cloudformations_limits(either: Assembly) -> None:
    assert len(either.template["Resources"]) < 250
    assert either.template_path.stat().st_size < 500_000


def versions(assembly: Assembly) -> dict[str, str]:
    return {assembly.function_of(name): name for name in assembly.of_type("AWS::Lambda::Version")}


def test_layer_when_changed_then_the_functions_that_use_it_get_a_new_version(
    usual: Assembly, layer_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(layer_folder / "runtime-arm64-3.13.zip", tmp_path)
    layer_zip(tmp_path / "media-arm64-3.13.zip", b"# another one\n")
    after = Assembly(synthesise(tmp_path / "out", {"layerFolder": str(tmp_path)}), "Everreel")
    same_code = str(usual.functions()["look"]["Code"]) == str(after.functions()["look"]["Code"])
    assert same_code, "functions/ was edited while this test ran: run it again"
    changed = {
        name for name, version in versions(after).items() if version != versions(usual)[name]
    }
    assert changed == {"seal_recording"}


def test_synthesis_when_a_parameter_is_wrong_then_one_line_says_why(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError) as caught:
        synthesise(tmp_path, {"arch": "arm"})
    assert "\neverreel: arch=arm: must be one of arm64, x86_64" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_layers_when_not_built_then_the_command_that_builds_them_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"python -m layers\.build --arch arm64 --python 3\.13"):
        built_layers(Parameters(layer_folder=str(tmp_path)))


def test_layers_when_too_large_then_refused(tmp_path: Path) -> None:
    for layer in ("runtime", "media"):
        layer_zip(tmp_path / f"{layer}-arm64-3.13.zip", bytes(LIMIT_BYTES // 2))
    with pytest.raises(LayerError, match="Lambda allows 250 MB"):
        built_layers(Parameters(layer_folder=str(tmp_path)))


def test_deployment_when_asked_for_then_the_cdk_gets_parameters_and_arguments() -> None:
    told = arguments("deploy", {"arch": "x86_64"}, ["--require-approval", "never"])
    assert told[0] == "deploy"
    assert told[told.index("--context") + 1] == "arch=x86_64"
    assert told[-2:] == ["--require-approval", "never"]
    assert "--outputs-file" in told
    assert "--outputs-file" not in arguments("diff", {}, [])


def test_deployment_when_the_command_is_unknown_then_the_known_ones_are_named() -> None:
    with pytest.raises(DeployError, match=", ".join(COMMANDS)):
        arguments("undeploy", {}, [])
