"""Brings the real stack up on this machine for the demo: layers, template, engine, deployment."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.deploy import stack_names, synthesise
from infra.local.engine import ROOT
from layers.build import LAYERS, Target, host_arch, host_python

ASSEMBLY = ROOT / ".build" / "demo" / "cdk.out"
"""Kept from run to run: synthesising takes longer than all the rest."""


class StackError(Exception):
    """The stack cannot be brought up; the message says where to read why."""


def build_layers(log: Path) -> str:
    """Build the layers for this machine unless they are there; gives a word about them.

    Raises:
        StackError: a layer cannot be built.
    """
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "layers.build", "--host"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        said = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise StackError("the layers cannot be built:\n" + "\n".join(said))
    target = Target.host()
    return f"{' and '.join(LAYERS)} for {target.arch}, Python {target.python}"


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock file, then hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def synthesise_for_host(assembly: Path) -> Path:
    """Synthesise the app for this machine, with sources on it allowed; quick if nothing changed.

    Raises:
        DeploymentError: the app failed.
    """
    context = {
        "arch": host_arch(),
        "python": host_python(),
        # The demo's own source lies at 127.0.0.1. Off, unless a deployment asks for it.
        "allowPrivateSources": "true",
        "ephemeral": "true",
        # Laps so short that a demo sees several of them; a deployment's last up to 14 minutes.
        "lapSeconds": "40",
        "overlapSeconds": "12",
    }
    with turn(assembly.parent / f"{assembly.name}.lock"):
        return synthesise(assembly, context)


def count_resources(assembly: Path) -> int:
    """Count what the template of the one stack declares."""
    (stack,) = stack_names(assembly)
    template = json.loads((assembly / f"{stack}.template.json").read_text())
    return len(template["Resources"])
