"""Programs that tests need: found, or the test fails and says how to get them.

A missing tool never skips a test: a suite that was not run proves nothing.
"""

import shutil
import sys
from pathlib import Path

import pytest

# Program -> the Debian package that brings it (tests/prepare.py installs all of them as root).
DEBIAN_PACKAGES = {
    "nginx": "nginx",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "mediainfo": "mediainfo",
    "chromium": "chromium",
    "gst-launch-1.0": "gstreamer1.0-tools",
    "gst-inspect-1.0": "gstreamer1.0-tools",
}
SEARCHED_LAST = "/usr/sbin:/usr/local/sbin"


def find_tool(name: str) -> Path | None:
    """Find a program in the environment, on PATH or where Debian keeps its daemons."""
    beside_python = Path(sys.prefix) / "bin" / name
    if beside_python.exists():
        return beside_python
    found = shutil.which(name) or shutil.which(name, path=SEARCHED_LAST)
    return Path(found) if found else None


def require_tool(name: str) -> Path:
    """Give a program's path, or fail the test with the way to get it."""
    found = find_tool(name)
    if found is None:
        package = DEBIAN_PACKAGES.get(name)
        how = f"apt-get install {package}, or " if package else ""
        pytest.fail(f"{name} is missing: {how}`make test` as root installs it", pytrace=False)
    return found
