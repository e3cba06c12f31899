"""Child processes of the lab: started with a log, watched until ready, ended by process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.tools import find_tool

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class LabError(RuntimeError):
    """Says that the lab itself failed, not the code under test."""


def program(name: str) -> str:
    """Find a program of the environment or the machine.

    Raises:
        LabError: the program is not installed.
    """
    found = find_tool(name)
    if found is None:
        raise LabError(f"program {name!r} is missing: `make test` as root installs it")
    return str(found)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Ask the kernel for a port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(what: str, ready: Callable[[], bool], timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait for a condition of the outside world.

    Raises:
        LabError: the condition did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not so after {timeout_s:.0f} s")
        time.sleep(0.03)


def tcp_accepts(port: int) -> bool:
    """Tell whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def http_get(url: str, timeout_s: float = 5.0) -> bytes | None:
    """Read a loopback URL; None when it is not (yet) there."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as reply:
            body: bytes = reply.read()
            return body
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


class Child:
    """One running program with its log file, ended by its process id."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.argv = list(argv)
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def tail(self, lines: int = 25) -> str:
        """The last lines of the log, for messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(
        self, what: str, ready: Callable[[], bool], timeout_s: float = READY_TIMEOUT_S
    ) -> None:
        """Wait until the program serves.

        Raises:
            LabError: it ended or was not ready in time; the message carries its log.
        """

        def check() -> bool:
            ended = not self.running  # asked first: a quick program may be ready and gone
            if not ready():
                if ended:
                    raise LabError(f"{what}: ended with {self._process.returncode}")
                return False
            return True

        try:
            wait_until(what, check, timeout_s)
        except LabError as error:
            self.stop()
            raise LabError(f"{error}\n--- log of {self.argv[0]} ---\n{self.tail()}") from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still lives."""
        if self.running:
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Wait for the process to end by itself and return its exit status."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise LabError(
                f"{self.argv[0]} still runs after {timeout_s} s\n{self.tail()}"
            ) from error

    def stop(self) -> int:
        """End the process politely, then for certain; return its exit status."""
        self.signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        return status

    def kill(self) -> None:
        """End the process the hard way, as a crash would."""
        self._process.kill()
        self._process.wait()
