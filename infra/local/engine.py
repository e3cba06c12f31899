"""The cloud on one machine: ministack as a subprocess, with what it lacks (see `supplements/`).

    with LocalEngine(Path(".build/engine")) as engine:
        engine.client("s3").list_buckets()

    python -m infra.local.engine            run one until Ctrl-C and print how to reach it

The engine lives in `.engine`, the functions in `.lambda`; it listens on a free port of 127.0.0.1
only. It leads a process group of its own that holds all function processes, and watches a pipe from
its owner: whichever way the owner ends, the whole group ends with it.
"""

import argparse
import atexit
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
REGION = "us-east-1"
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_START_TRIES = 3
# An address of this machine is not for a proxy, whatever the environment says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_API_ID = re.compile(r"^[a-z]+://([a-z0-9]+)\.execute-api\.[^/]*(/.*)?$")


class EngineError(Exception):
    """The local engine could not start or has ended; the message quotes its log."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One function process.

    `request_id` is None while it waits for work.
    """

    function: str
    version: str
    pid: int
    request_id: str | None


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class LocalEngine:
    """One running engine and the way to it."""

    def __init__(
        self,
        directory: Path,
        *,
        log_path: Path | None = None,
        port: int | None = None,
        object_store: str | None = None,
        engine_python: Path = ROOT / ".engine" / "bin" / "python",
        lambda_python: Path = ROOT / ".lambda" / "bin" / "python",
    ) -> None:
        """Describe an engine; `object_store` is where functions find S3 if not in the engine."""
        self.directory = directory.resolve()
        self.log_path = (log_path or self.directory / "engine.log").resolve()
        self.port = port or 0
        self._fixed_port = port
        self._object_store = object_store
        self._engine_python = engine_python
        self._lambda_python = lambda_python
        self._process: subprocess.Popen[bytes] | None = None
        self._claim: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The address of every service."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The engine's process id, which is its process group's too."""
        if self._process is None:
            raise EngineError("the local engine is not running: call start() first")
        return self._process.pid

    def start(self) -> None:
        """Start the engine and wait until it answers.

        Raises:
            EngineError: a virtual environment is missing, another engine uses the directory, or
                the engine did not come up.
        """
        for python in (self._engine_python, self._lambda_python):
            if not python.exists():
                raise EngineError(f"{python} is missing: run `make setup`")
        if self._process is not None:
            raise EngineError("the local engine is running already: stop() it first")
        self._claim_directory()
        atexit.register(self.stop)
        for tries_left in reversed(range(1 if self._fixed_port else _START_TRIES)):
            try:
                self._launch()
            except EngineError:
                self._end()
                if not tries_left:
                    self.stop()
                    raise
            else:
                return

    def _claim_directory(self) -> None:
        """Take the directory for this engine alone; the claim ends with this process."""
        self.directory.mkdir(parents=True, exist_ok=True)
        claim = (self.directory / "engine.lock").open("wb")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            claim.close()
            raise EngineError(
                f"another engine uses {self.directory}: end it, or choose another directory"
            ) from error
        self._claim = claim

    def _launch(self) -> None:
        self.port = self._fixed_port or free_port()
        temporary = self.directory / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            "BIND_HOST": _HOST,
            "GATEWAY_PORT": str(self.port),
            "HOME": str(self.directory),
            "IOT_MTLS_ENABLED": "0",
            "LANG": "C.UTF-8",
            "MINISTACK_REGION": REGION,
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
        }
        if self._object_store:
            environment["EVERREEL_LOCAL_OBJECT_STORE"] = self._object_store
        command = [str(self._engine_python), "-m", "infra.local.supplements"]
        command.append(str(self._lambda_python))
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                raise EngineError(f"the local engine ended at once:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise EngineError(f"the local engine does not answer:\n{self.log_tail()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with _DIRECT.open(f"{self.endpoint}/_ministack/ready", timeout=5) as answer:
                status: int = answer.status
                return status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def stop(self) -> None:
        """End the engine and every function process; remove its temporary files. Repeatable."""
        atexit.unregister(self.stop)
        self._end()
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The leader is not reaped yet, so its id still means this group and no other.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()
        shutil.rmtree(self.directory / "tmp", ignore_errors=True)

    def env(self) -> dict[str, str]:
        """Give the variables that lead any AWS client here and nowhere else."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def client(self, service: str) -> Any:  # boto3 makes its clients at run time
        """Make a boto3 client for a service of this engine."""
        import boto3
        from botocore.config import Config

        session: Any = boto3.session.Session(
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  # the engine takes any
            region_name=REGION,
        )
        # TestState and StartSyncExecution would otherwise go to a host named sync-127.0.0.1.
        config = Config(
            inject_host_prefix=False,
            proxies={},
            retries={"max_attempts": 1},
            read_timeout=910,
            s3={"addressing_style": "path"},
        )
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def api_url(self, url: str) -> str:
        """Turn an API's address from the stack's outputs into one that works here.

        The engine serves `https://<id>.execute-api.<anything>/path` under a path of its own,
        so no name has to resolve.
        """
        match = _API_ID.match(url)
        if match is None:
            raise EngineError(f"not the address of an API Gateway API: {url}")
        path = (match[2] or "").rstrip("/")
        return f"{self.endpoint}/_aws/execute-api/{match[1]}/$default{path}"

    def workers(self, function: str | None = None) -> list[Worker]:
        """List the function processes, all or one function's."""
        with _DIRECT.open(f"{self.endpoint}/_everreel/workers", timeout=30) as answer:
            rows = json.load(answer)
        return [
            Worker(row["function"], row["version"], row["pid"], row["requestId"])
            for row in rows
            if function in (None, row["function"])
        ]

    def log_tail(self, lines: int = 40) -> str:
        """Give the last lines of the engine's log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])


def main(arguments: list[str] | None = None) -> int:
    """Run an engine until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.engine", description=main.__doc__)
    parser.add_argument("--directory", type=Path, default=ROOT / ".build" / "engine")
    parser.add_argument("--port", type=int, help="default: a free one")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with LocalEngine(options.directory, port=options.port) as engine:
        for name, value in engine.env().items():
            print(f"export {name}={value}")
        print(f"# log: {engine.log_path}; end with Ctrl-C", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
