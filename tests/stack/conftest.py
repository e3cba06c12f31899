"""Templates made once per session, without layers that were built and without any network."""

import zipfile
from pathlib import Path

import pytest

from infra.local.deploy import synthesise
from layers.build import ROOT
from tests.stack.assembly import Assembly

SOURCE = "rtmp://media.example/live/{channel}-{uid}"


@pytest.fixture(scope="session")
def layer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the built layers: a template only needs that they exist."""
    folder = tmp_path_factory.mktemp("layers")
    for layer in ("runtime", "media"):
        for target in ("arm64-3.13", "x86_64-3.12"):
            with zipfile.ZipFile(folder / f"{layer}-{target}.zip", "w") as archive:
                archive.writestr(zipfile.ZipInfo("python/empty.py"), f"# {layer} {target}\n")
    return folder


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory, layer_folder: Path) -> Assembly:
    """The stack with every parameter left alone."""
    folder = tmp_path_factory.mktemp("usual")
    return Assembly(synthesise(folder, {"layerFolder": str(layer_folder)}), "Everreel")


@pytest.fixture(scope="session")
def special(tmp_path_factory: pytest.TempPathFactory, layer_folder: Path) -> Assembly:
    """The stack with every parameter changed, the values as the command line hands them over."""
    context = {
        "arch": "x86_64",
        "python": "3.12",
        "stackName": "Trial",
        "allowPrivateSources": "true",
        "sourceTemplate": SOURCE,
        "maxDurationSeconds": "7200",
        "retentionDays": "0",
        "logDays": "7",
        "recorderMemory": "512",
        "lapSeconds": "20",
        "overlapSeconds": "5",
        "requestsPerSecond": "5",
        "alarmEmail": "on-call@team.example",
        "customerKey": "true",
        "ephemeral": "true",
        "layerFolder": str(layer_folder),
    }
    return Assembly(synthesise(tmp_path_factory.mktemp("special"), context), "Trial")


@pytest.fixture(params=["usual", "special"])
def either(request: pytest.FixtureRequest) -> Assembly:
    """Both stacks, one after the other: what must hold in any deployment."""
    assembly: Assembly = request.getfixturevalue(request.param)
    return assembly


@pytest.fixture(scope="session")
def documents() -> dict[str, str]:
    """The pages of docs/ by name."""
    return {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
