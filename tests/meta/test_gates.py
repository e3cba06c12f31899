"""The gates themselves: what must fail does fail."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.repository import ROOT
from tests.tools import require_tool

SUITE = """
import pytest

def test_passes():
    pass

def test_skips():
    pytest.skip("no such tool")
"""


def run_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", *options, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_skip_when_no_skips_is_asked_then_fails(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SUITE, encoding="utf-8")
    done = run_pytest(tmp_path, "--no-skips")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "no such tool" in done.stdout


def test_module_skip_when_no_skips_is_asked_then_fails(tmp_path: Path) -> None:
    sample = "import pytest\npytest.skip('not here', allow_module_level=True)\n"
    (tmp_path / "test_sample.py").write_text(sample, encoding="utf-8")
    done = run_pytest(tmp_path, "--no-skips")
    assert done.returncode != 0, done.stdout
    assert "not here" in done.stdout


def test_tool_when_missing_then_fails_with_the_fix() -> None:
    with pytest.raises(pytest.fail.Exception, match="surely-not-a-program is missing: `make test`"):
        require_tool("surely-not-a-program")


def test_connection_when_it_would_leave_the_machine_then_is_refused() -> None:
    # 192.0.2.0/24 is documentation only (RFC 5737); the refusal comes before any packet.
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing,
        pytest.raises(ConnectionRefusedError, match="only this machine"),
    ):
        outgoing.connect(("192.0.2.1", 9))


@pytest.mark.parametrize(
    ("make", "status"),
    [
        ("echo '== 3 passed in 1.20s =='", 0),
        ("echo '== 3 passed in 1.20s =='; exit 2", 2),
        ("echo '== 1 failed, 3 passed in 1.20s =='; exit 2", 2),
        ("echo '== no tests ran in 0.01s =='", 1),
        ("true", 1),
    ],
)
def test_ci_when_make_test_ends_then_tells_the_truth(
    tmp_path: Path, make: str, status: int
) -> None:
    program = tmp_path / "make"
    program.write_text(f"#!/bin/sh\n{make}\n", encoding="utf-8")
    program.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "run"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    if "passed" in make:
        assert "passed in" in done.stdout.splitlines()[-1]
