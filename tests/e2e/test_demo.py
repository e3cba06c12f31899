"""The demo as a newcomer runs it: a process of its own, to the end, interrupted, and failing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.local.engine import ROOT

pytestmark = pytest.mark.timeout(600)

SECONDS = 30
"""Long enough for a hand-over: the demo starts a lap every 18 s."""
PATIENCE_S = 300


class Run:
    """A demo under way; its output is read line by line."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "infra.local.demo", "--directory", str(directory)]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str) -> str:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for line in list(self.lines):
                if words in line:
                    return line
            assert self.process.poll() is None, self.text
            time.sleep(0.05)
        raise AssertionError(f"{words!r} did not come:\n{self.text}")

    def wait(self) -> int:
        status = self.process.wait(PATIENCE_S)
        self._reader.join(10)
        return status

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def demo(tmp_path):
    runs = []

    def start(*arguments, **environment):
        runs.append(Run(tmp_path / "demo", *arguments, **environment))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


def processes_of(directory: Path) -> list[str]:
    """List processes that were told of the directory: the engine, its functions, the demo."""
    found, needle = [], str(directory).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue  # it ended while we looked, or is none of ours
        if needle in told and int(process.name) != os.getpid():
            found.append(told.decode(errors="replace"))
    return found


def probe(require_tool, path: Path) -> dict:
    command = [str(require_tool("ffprobe")), "-v", "error", "-of", "json", "-show_streams"]
    command += ["-allowed_extensions", "ALL"] if path.suffix == ".m3u8" else []
    command += ["-show_format", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    found: dict = json.loads(done.stdout)
    return found


def test_demo_records_proves_and_leaves_files_that_play(demo, tmp_path, require_tool):
    run = demo(DEMO_SECONDS=str(SECONDS))
    assert run.wait() == 0, run.text

    out = tmp_path / "demo" / "out"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ok"]
    assert summary["failed"] is None
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert summary["status"] == 8
    assert SECONDS <= summary["seconds"] < SECONDS + 30
    assert summary["segments"] == len(list((out / "segments").iterdir()))
    assert summary["startup"]["accepted"] < summary["startup"]["firstSegment"]
    assert all(check["ok"] for check in summary["checks"].values())
    assert set(summary["checks"]) == {"chain", "playlists", "durations", "units", "mp4", "poster"}

    names = ("index.m3u8", "manifest.mpd", "recording.mp4", "recording.json", "poster.jpg")
    assert all((out / name).stat().st_size for name in names)
    for name in ("recording.mp4", "index.m3u8"):
        found = probe(require_tool, out / name)
        assert {each["codec_name"] for each in found["streams"]} == {"h264", "aac"}
        assert float(found["format"]["duration"]) == pytest.approx(summary["seconds"], abs=0.1)

    assert "\x1b" not in run.text
    assert "0 lost, 0 doubled" in run.text
    assert processes_of(tmp_path / "demo") == []


def test_demo_interrupted_while_recording_leaves_nothing_running(demo, tmp_path):
    run = demo(DEMO_SECONDS="120")
    run.wait_for("segment   0")
    assert len(processes_of(tmp_path / "demo")) > 2  # the demo, the engine, functions

    run.process.send_signal(signal.SIGINT)

    assert run.wait() == 130
    assert "everything that was started has ended" in run.lines[-1]
    assert "Traceback" not in run.text
    assert processes_of(tmp_path / "demo") == []


def test_demo_of_a_source_that_refuses_connections_fails_and_says_why(demo, tmp_path):
    run = demo(SOURCE="rtmp://127.0.0.1:9/live/secretname", DEMO_SECONDS="5")

    assert run.wait() == 1
    assert "127.0.0.1:9 cannot be reached" in run.text
    assert "Traceback" not in run.text
    log = tmp_path / "demo" / "log"
    assert str(log) in run.lines[-1]
    assert "source_unreachable" in (log / "aws-lambda-Everreel-record-lap.log").read_text()
    told = run.text + "".join(path.read_text() for path in log.glob("aws-lambda-*"))
    assert "secretname" not in told
    summary = json.loads((tmp_path / "demo" / "out" / "summary.json").read_text())
    assert not summary["ok"]
    assert "cannot be reached" in summary["failed"]
    assert processes_of(tmp_path / "demo") == []


def test_demo_in_a_directory_that_another_one_uses_refuses_at_once(demo, tmp_path):
    import fcntl

    (tmp_path / "demo" / "out").mkdir(parents=True)
    (tmp_path / "demo" / "out" / "kept").touch()
    with (tmp_path / "demo" / "demo.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = demo()

        assert run.wait() == 1
    assert "another demo runs in" in run.text
    assert (tmp_path / "demo" / "out" / "kept").exists()


def test_demo_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo", "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    for word in ("DEMO_SECONDS", "SOURCE", "--keep", ".demo/out", "rtmp", "http-flv"):
        assert word in done.stdout
