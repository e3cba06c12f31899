"""What every test gets: Hypothesis profiles, tools that must exist, no way off this machine."""

import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import tools

settings.register_profile(
    "everreel", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("everreel"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "everreel")

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0", "::ffff:127.")


@pytest.fixture
def require_tool() -> Callable[[str], Path]:
    """Give the function that finds a program or fails the test with the fix in its message."""
    return tools.require_tool


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse every connection that would leave the machine, whichever library asks for it."""
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
        if isinstance(host, str) and not host.startswith(LOOPBACK):
            raise ConnectionRefusedError(f"tests may not reach {host}: only this machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --no-skips, with which `make test` turns every skipped test into a failure."""
    parser.addoption(
        "--no-skips", action="store_true", help="a skipped test is a failed one (make test)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Close the way out of the machine, unless tests against a real account were asked for."""
    if config.getoption("markexpr") != "live":
        sys.addaudithook(_stay_on_this_machine)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that need a real account, unless `-m live` asks for them."""
    if config.getoption("markexpr") == "live":
        return
    live = [item for item in items if item.get_closest_marker("live")]
    if live:
        config.hook.pytest_deselected(items=live)
        items[:] = [item for item in items if item not in live]


def _fail_if_skipped(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config
) -> None:
    if config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped tests fail here (--no-skips). {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip inside a test into a failure when --no-skips is given."""
    report = yield
    _fail_if_skipped(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a module-level skip (importorskip) into a failure when --no-skips is given."""
    report = yield
    _fail_if_skipped(report, collector.config)
    return report
