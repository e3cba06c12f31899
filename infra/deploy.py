"""Deploy to the AWS account of your credentials, with the pinned CDK command line.

    make deploy CONTEXT="sourceTemplate=rtmp://media.example/live/{channel}-{uid}"
    python -m infra.deploy bootstrap        once per account and region
    python -m infra.deploy diff             what a deployment would change
    python -m infra.deploy destroy          remove the stack

Arguments after the command go to the CDK as they are. docs/deploying.md tells the rest.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local.node import node, node_folder, npm
from infra.parameters import ParameterError, read, words
from layers.build import ROOT

LOCKED = (ROOT / "infra" / "package.json", ROOT / "infra" / "package-lock.json")
FOLDER = ROOT / ".build" / "cdk"
OUTPUTS = ROOT / ".build" / "outputs.json"
COMMANDS = ("deploy", "diff", "destroy", "bootstrap", "synth")


class DeployError(Exception):
    """The CDK command line could not be installed, or an unknown command was given."""


def install_cdk() -> Path:
    """Install the CDK command line exactly as locked, unless it already is; give its script.

    Raises:
        DeployError: npm failed.
    """
    stamp_file = FOLDER / "installed"
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in LOCKED)).hexdigest()
    if not (stamp_file.exists() and stamp_file.read_text() == stamp):
        FOLDER.mkdir(parents=True, exist_ok=True)
        for path in LOCKED:
            shutil.copy(path, FOLDER)
        done = subprocess.run(
            [*npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=FOLDER,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DeployError(f"npm could not install the CDK command line:\n{done.stdout}")
        stamp_file.write_text(stamp)
    return FOLDER / "node_modules" / "aws-cdk" / "bin" / "cdk"


def environment() -> dict[str, str]:
    """Give the environment of the CDK: a Node.js that is new enough first, no telemetry."""
    path = os.pathsep.join([str(node_folder()), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "CDK_DISABLE_CLI_TELEMETRY": "true"}


def arguments(command: str, context: Mapping[str, str], rest: Sequence[str]) -> list[str]:
    """Put together what the CDK command line is told.

    Raises:
        DeployError: the command is none of ours.
    """
    if command not in COMMANDS:
        raise DeployError(f"{command}: must be one of {', '.join(COMMANDS)}")
    told = [command, "--no-notices", "--app", f'"{sys.executable}" -m infra.app']
    for key, value in context.items():
        told += ["--context", f"{key}={value}"]
    if command == "deploy":
        told += ["--outputs-file", str(OUTPUTS)]
    return [*told, *rest]


def main(given: Sequence[str]) -> int:
    """Run the CDK command line; its own exit status is ours."""
    command, *rest = given or ["deploy"]
    try:
        context = words(os.environ.get("CONTEXT", ""))
        read(context)
        told = arguments(command, context, rest)
        script = install_cdk()
    except (DeployError, ParameterError, FileNotFoundError) as error:
        print(f"everreel: {error}", file=sys.stderr)
        return 2
    done = subprocess.run(
        [str(node()), str(script), *told], cwd=ROOT, env=environment(), check=False
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
