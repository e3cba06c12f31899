"""Install what the whole suite needs besides Python packages: servers, judges, a browser, players.

Run by `make test` as `python -m tests.prepare`; quick when nothing is missing. System packages
come from apt, when this is root on a Debian-like machine; anywhere else the missing ones are named.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local.node import node, node_folder, npm

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "tests" / "web"
SYSTEM_PACKAGES = (
    "nginx",
    "libnginx-mod-rtmp",
    "ffmpeg",
    "mediainfo",
    "chromium",
    "gstreamer1.0-tools",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-ugly",
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "fonts-dejavu-core",
)
INSTALLED = "install ok installed"


class PrepareError(Exception):
    """Something the suite needs cannot be installed here; the message says what and how."""


def missing_packages() -> list[str]:
    """List the Debian packages that are not installed.

    Raises:
        PrepareError: this is not a Debian-like system.
    """
    if shutil.which("dpkg-query") is None:
        raise PrepareError(
            "the whole suite runs on Debian or Ubuntu (it needs dpkg and apt). Needed here: "
            + " ".join(SYSTEM_PACKAGES)
        )
    query = ["dpkg-query", "--show", "--showformat=${Package}\t${Status}\n", *SYSTEM_PACKAGES]
    known = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    statuses = dict(line.split("\t", 1) for line in known.splitlines())
    return [name for name in SYSTEM_PACKAGES if statuses.get(name) != INSTALLED]


def install_system_packages() -> None:
    """Install the missing Debian packages.

    Raises:
        PrepareError: not root, or apt failed.
    """
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0:
        raise PrepareError(
            f"system packages are missing. Run:\n  sudo apt-get install {' '.join(missing)}"
        )
    print(f"apt: installing {', '.join(missing)}", flush=True)
    # policy-rc.d keeps packages from starting their servers: tests start their own.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    quiet = ["--quiet=2", "--option", "Dpkg::Use-Pty=0"]
    for command in (
        ["apt-get", "update", *quiet],
        ["apt-get", "install", "--yes", "--no-install-recommends", *quiet, *missing],
    ):
        done = subprocess.run(
            command,
            env=environment,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise PrepareError(f"{done.stdout}\nfailed: {' '.join(command)}")
    still = missing_packages()
    if still:
        raise PrepareError(f"apt did not install {', '.join(still)}")


def install_web_packages() -> None:
    """Install the players' npm packages exactly as locked, unless they already are.

    Raises:
        PrepareError: npm is not to be had or failed.
    """
    lock = WEB / "package-lock.json"
    stamp_file = WEB / "node_modules" / ".everreel-stamp"
    stamp = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp_file.exists() and stamp_file.read_text() == stamp:
        return
    print("npm: installing the players of tests/web", flush=True)
    path = os.pathsep.join([str(node_folder()), os.environ.get("PATH", "")])
    command = [*npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        command,
        cwd=WEB,
        env=os.environ | {"PATH": path},
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise PrepareError(f"{done.stdout}\nfailed in tests/web: {' '.join(command)}")
    stamp_file.write_text(stamp)


def link_node() -> None:
    """Put the Node.js that the CDK accepts beside the environment's Python, as .venv/bin/node."""
    link = Path(sys.prefix) / "bin" / "node"
    if node() != link:
        link.unlink(missing_ok=True)
        link.symlink_to(node())


def main() -> int:
    """Install everything; say what is missing instead of tracing back."""
    try:
        install_system_packages()
        link_node()
        install_web_packages()
    except (PrepareError, FileNotFoundError) as error:
        print(f"\nmake test cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
