"""The stack as it is deployed, and the live sources that its recorder reaches.

Every worker of the test run has an engine of its own; all share the synthesised templates.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local.deploy import deploy, synthesise
from infra.local.engine import ROOT, LocalEngine
from layers.build import host_arch, host_python
from tests.e2e.deployment import Deployment
from tests.e2e.endings import Ended, begin
from tests.lab import clips
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp

ASSEMBLIES = ROOT / ".build" / "e2e"
"""Kept from run to run: synthesising takes longer than engine and deployment together."""

HERE = {"arch": host_arch(), "python": host_python(), "ephemeral": "true"}
OPEN = {**HERE, "allowPrivateSources": "true"}
STRICT = {**HERE, "stackName": "Strict"}


def assembly(name: str, context: dict[str, str]) -> Path:
    """Synthesise the app unless nothing changed; one process at a time."""
    ASSEMBLIES.mkdir(parents=True, exist_ok=True)
    with (ASSEMBLIES / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return synthesise(ASSEMBLIES / name, context)


@pytest.fixture(scope="session")
def assemblies() -> dict[str, Path]:
    """The templates of a deployment that may record this machine, and of one that may not."""
    with ThreadPoolExecutor() as pool:
        made = {
            name: pool.submit(assembly, name, context)
            for name, context in (("open", OPEN), ("strict", STRICT))
        }
    return {name: each.result() for name, each in made.items()}


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """One engine for all tests of the stack."""
    with LocalEngine(tmp_path_factory.mktemp("stack") / "engine") as running:
        yield running


@pytest.fixture(scope="session")
def deployed(engine: LocalEngine, assemblies: dict[str, Path]) -> Deployment:
    """The stack, deployed with sources of this machine allowed."""
    outputs = deploy(assemblies["open"], engine.client)
    return Deployment(engine, outputs, assemblies["open"])


@pytest.fixture(scope="session")
def strict(engine: LocalEngine, assemblies: dict[str, Path]) -> Deployment:
    """A second stack beside it with every parameter that matters left alone."""
    outputs = deploy(assemblies["strict"], engine.client)
    return Deployment(engine, outputs, assemblies["strict"])


@pytest.fixture(scope="session")
def nginx() -> Iterator[NginxRtmp]:
    """A media server."""
    with NginxRtmp() as server:
        yield server


@pytest.fixture(scope="session")
def ends_under_way(
    deployed: Deployment, nginx: NginxRtmp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Ended]]]:
    """Recordings that take long to end, going on beside the tests."""
    pool = ThreadPoolExecutor()
    try:
        yield begin(deployed, nginx, tmp_path_factory.mktemp("ends"), pool)
    finally:
        # What still goes on (a failed run was cut short) ends with the engine.
        pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture(scope="session", autouse=True)
def early_beginning(request: pytest.FixtureRequest) -> None:
    """Let those that take long begin with the first test here, if any test waits for them."""
    if any("ends" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("ends_under_way")


@pytest.fixture(scope="session")
def live(nginx: NginxRtmp) -> Iterator[Publisher]:
    """A stream that is always on air at `nginx.rtmp_url()`."""
    with Publisher(clips.MAIN, nginx.rtmp_url()) as publisher:
        yield publisher
