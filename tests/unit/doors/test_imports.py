"""Doors that answer in milliseconds load no web framework."""

import subprocess
import sys
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
FRAMEWORK = {"fastapi", "starlette", "mangum", "anyio"}
START = """
import everreel.lifecycle.requested
"""
AUTHORIZE = """
import everreel.auth, everreel.aws.secrets
"""


@pytest.mark.parametrize(
    ("function", "then"), [("authorize_call", AUTHORIZE), ("start_recording", START)]
)
def test_function_when_it_answers_then_has_loaded_no_web_framework(
    function: str, then: str
) -> None:
    script = f"import sys, {function}.handler\n{then}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FUNCTIONS, capture_output=True, text=True, check=True
    )
    assert not FRAMEWORK & set(done.stdout.split())
