"""Fixtures of the doors: handlers over a deployment in memory."""

from collections.abc import Generator

import pytest

from everreel.wiring import rewired
from tests.unit.doors.memory import Deployment


@pytest.fixture
def deployment() -> Generator[Deployment]:
    deployment = Deployment()
    with rewired(deployment.wiring):
        yield deployment
    deployment.wiring.door.close()
