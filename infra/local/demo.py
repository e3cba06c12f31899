"""everreel in a minute: the deployed stack records a live stream, here and now, and proves it.

    make demo                                   a stream of our own, 60 s of it
    make demo DEMO_SECONDS=20                   a shorter one
    make demo SOURCE=rtmp://host/app/stream     your stream: rtmp, rtsp, http-flv, mpeg-ts or hls
    python -m infra.local.demo --keep           leave the stack running afterwards, until Ctrl-C

The unmodified CloudFormation template is deployed into a local engine; the recorder runs in it as
an asynchronous function and writes to its bucket. What comes out is in .demo/out, ready for any
player; logs are in .demo/log. Exit status 0 means that the verification held.
"""

import argparse
import fcntl
import io
import json
import os
import shlex
import shutil
import signal
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from everreel import redact
from infra.local.demo_api import ApiRefused, RecordingApi
from infra.local.demo_logs import save_logs
from infra.local.demo_screen import Screen, size
from infra.local.demo_stack import (
    ASSEMBLY,
    StackError,
    build_layers,
    count_resources,
    synthesise_for_host,
)
from infra.local.demo_take import Director, Take, TakeFailedError, why_not
from infra.local.demo_verify import Check, Verification
from infra.local.demo_watch import watch_server
from infra.local.deploy import DeploymentError, deploy
from infra.local.engine import ROOT, EngineError, LocalEngine
from infra.local.publisher import DemoPublisher

SHORTEST, LONGEST = 3, 780
INTERRUPTED = 130
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for.

    Attributes:
        seconds: length of the recording.
        source: URL of their stream; empty for ours.
        directory: where results, logs and the engine's files go.
        assembly: where the synthesised template is kept.
        keep: go on running afterwards.
    """

    seconds: float
    source: str
    directory: Path
    assembly: Path
    keep: bool

    @property
    def out(self) -> Path:
        """Where the recording is copied to."""
        return self.directory / "out"

    @property
    def log(self) -> Path:
        """Where logs are."""
        return self.directory / "log"


class Demo:
    """One run. Whatever it opens is closed by `held`, in the reverse order, however it ends."""

    def __init__(self, wish: Wish, screen: Screen, held: ExitStack) -> None:
        """Prepare to do as asked."""
        self._wish = wish
        self._screen = screen
        self._held = held
        self._publisher: DemoPublisher | None = None
        self._began_s = time.monotonic()

    def run(self) -> bool:
        """Do it all; True if every check held."""
        wish, screen = self._wish, self._screen
        what = redact.url(wish.source) if wish.source else "a live stream"
        screen.line(
            f"everreel demo: {wish.seconds:g} s of {what}, recorded by the deployed stack\n"
        )
        self._prepare_folders()
        engine, outputs = self._bring_up()
        api = self._open_api(engine, outputs)
        with screen.step("api", "waiting for its first answer") as step:
            step.text = f"everreel {api.health()['version']} answers"
        source = wish.source or self._publish()
        director = Director(
            api,
            screen,
            on_playable=lambda take: self._say_where(engine, take),
            healthy=self._check_publisher,
        )
        with screen.step("record", "asking") as step:
            take, answer = director.begin(source, wish.seconds)
            step.text = f"accepted (202), sid {take.sid}"
            step.took = f"{take.timings['accepted'] * 1000:.0f} ms"
        screen.note("function", f"{outputs['RecordFunction']}, request {answer['requestId']}")
        director.record(take, wish.seconds)
        with screen.step("ended" if take.ending else "stop", "draining, sealing") as step:
            director.finish(take)
            step.text = f"sealed: {take.status_text}, {take.state['reason']}"
        self._say_how_it_went(take)
        place = take.folder()
        files = self._copy(engine, *place) if place else 0
        trouble = why_not(take)
        if trouble:
            self._summarise(take, [], trouble)
            raise DemoError(trouble)
        checks = self._verify()
        ok = all(check.ok for check in checks)
        failed = "; ".join(f"{check.name}: {check.text}" for check in checks if not check.ok)
        self._summarise(take, checks, failed)
        self._say_result(ok, files)
        if wish.keep:
            self._stay(engine, api, outputs, take)
        return ok

    # ------------------------------------------------------------------ coming up

    def _prepare_folders(self) -> None:
        """Make room for the new result; claim the directory, for two would disturb each other."""
        wish = self._wish
        wish.log.mkdir(parents=True, exist_ok=True)
        claim: IO[bytes] = self._held.enter_context((wish.directory / "demo.lock").open("wb"))
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(
                f"another demo runs in {wish.directory}: wait for it, or say --directory"
            ) from error
        shutil.rmtree(wish.out, ignore_errors=True)
        for old in wish.log.iterdir():
            old.unlink()

    def _bring_up(self) -> tuple[LocalEngine, dict[str, str]]:
        wish, screen = self._wish, self._screen
        with screen.step("layers", "building (once)") as step:
            step.text = build_layers(wish.log / "layers.log")
        with screen.step("template", "synthesising the CDK app") as step:
            assembly = synthesise_for_host(wish.assembly)
            resources = count_resources(assembly)
            step.text = f"{resources} resources, as they would go to AWS"
        with screen.step("engine", "starting") as step:
            engine = LocalEngine(wish.directory / "engine", log_path=wish.log / "engine.log")
            self._held.enter_context(engine)
            self._held.callback(save_logs, engine.client("logs"), wish.log)
            step.text = f"up at {engine.endpoint}"
        with screen.step("deploy", "creating the stack") as step:
            outputs = deploy(assembly, engine.client)
            step.text = f"{resources} resources created"
        return engine, outputs

    def _open_api(self, engine: LocalEngine, outputs: dict[str, str]) -> RecordingApi:
        secret = engine.client("secretsmanager").get_secret_value(
            SecretId=outputs["ApiKeySecretArn"]
        )
        key = json.loads(secret["SecretString"])["secret"]
        return RecordingApi(engine.api_url(outputs["ApiUrl"]), key)

    def _publish(self) -> str:
        with self._screen.step("publisher", "starting") as step:
            self._publisher = DemoPublisher()
            self._held.enter_context(self._publisher)
            step.text = f"live at {self._publisher.url}"
        return self._publisher.url

    def _check_publisher(self) -> None:
        if self._publisher is not None and self._publisher.fault is not None:
            raise DemoError(f"our own stream has ended: {self._publisher.fault}")

    # ------------------------------------------------------------------ telling

    def _say_where(self, engine: LocalEngine, take: Take) -> None:
        place = take.folder()
        if place is None:
            return
        server = watch_server(engine.client("s3"), *place)
        self._held.enter_context(server)
        self._screen.note("watch it", f"{server.url}/  (or ffplay / VLC: {server.url}/live.m3u8)")

    def _say_how_it_went(self, take: Take) -> None:
        if "firstSegment" not in take.timings:
            return
        first_s, key_s = take.timings["firstSegment"], take.timings["firstKeyframe"]
        text = f"{take.stored}; first keyframe after {key_s:.1f} s, playable after {first_s:.1f} s"
        self._screen.mark(True, "recorded", text)
        if len(take.laps) > 1:
            count = len(take.laps) - 1
            hand_overs = "1 hand-over" if count == 1 else f"{count} hand-overs"
            self._screen.note("relay", f"{' > '.join(take.laps)}: {hand_overs}")

    def _say_result(self, ok: bool, files: int) -> None:
        out = self._wish.out
        shown = out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out
        total_s = time.monotonic() - self._began_s
        self._screen.line()
        if ok:
            self._screen.line(f"All of it held, in {total_s:.0f} s. {files} files to play with:")
            self._screen.line(
                f"  {shown}/recording.mp4   {shown}/index.m3u8   {shown}/summary.json"
            )

    # ------------------------------------------------------------------ coming down

    def _copy(self, engine: LocalEngine, bucket: str, folder: str) -> int:
        """Copy every object of the recording; gives their number."""
        with self._screen.step("copy", "from the bucket") as step:
            s3 = engine.client("s3")
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
            count = total = 0
            self._wish.out.mkdir(parents=True, exist_ok=True)
            for page in pages:
                for found in page.get("Contents", ()):
                    path = self._wish.out / found["Key"].removeprefix(folder)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    s3.download_file(bucket, found["Key"], str(path))
                    count, total = count + 1, total + found["Size"]
            step.text = f"{count} objects, {size(total)}"
        return count

    def _verify(self) -> list[Check]:
        published = None
        if self._publisher is not None:
            published = self._publisher.units()
            if not self._wish.keep:
                self._publisher.stop()
        verification = Verification(self._wish.out, published)
        checks: list[Check] = []
        self._screen.line()
        for name, check in verification.checks():
            self._screen.moving(f"    {name:<12} verifying ...")
            checks.append(verification.make(name, check))
            self._screen.mark(checks[-1].ok, name, checks[-1].text)
        return checks

    def _summarise(self, take: Take, checks: list[Check], failed: str) -> None:
        """Write summary.json, for programs."""
        figures: dict[str, Any] = {check.name: check.figures for check in checks}
        units = figures.get("units", {})
        summary = {
            "ok": bool(checks) and all(check.ok for check in checks),
            "failed": failed or None,
            "sid": take.sid,
            "source": redact.url(take.state["source"]),
            "status": take.status,
            "reason": take.state["reason"],
            "seconds": figures.get("durations", {}).get("seconds", 0.0),
            "segments": len(take.segments),
            "bytes": take.state["bytes"],
            "lost": units.get("lost"),
            "doubled": units.get("doubled"),
            "startup": take.timings,
            "checks": {
                check.name: {"ok": check.ok, "text": check.text, **check.figures}
                for check in checks
            },
        }
        self._wish.out.mkdir(parents=True, exist_ok=True)
        (self._wish.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")

    def _stay(
        self, engine: LocalEngine, api: RecordingApi, outputs: dict[str, str], take: Take
    ) -> None:
        """Leave everything running and say how to talk to it, until Ctrl-C."""
        call = 'curl -H "Authorization: Bearer $KEY"'
        lines = [
            "",
            "Still running, until Ctrl-C. In another terminal:",
            "",
            *(f"  export {name}={value}" for name, value in engine.env().items()),
            f"  aws s3 ls --recursive s3://{outputs['BucketName']}/",
            "",
            f"  API={shlex.quote(api.url)}",
            f"  KEY={shlex.quote(api.key)}",
            f"  {call} $API/v1/recordings/{take.sid}",
        ]
        if self._publisher is not None:
            wish = {"channel": "mine", "uid": "camera", "source": self._publisher.url}
            typed = "-H 'Content-Type: application/json'"
            lines.append(f"  {call} {typed} $API/v1/start -d '{json.dumps(wish)}'")
            lines.append(f"  {call} -X POST $API/v1/recordings/SID/stop")
        for line in lines:
            self._screen.line(line)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self._screen.line()


def wish_of(arguments: list[str] | None, environment: dict[str, str]) -> Wish:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=environment.get("DEMO_SECONDS") or "60",
        help=f"length of the recording, {SHORTEST} to {LONGEST} (default: DEMO_SECONDS, or 60)",
    )
    parser.add_argument(
        "--source",
        default=environment.get("SOURCE", ""),
        help="URL of the stream to record (default: SOURCE, or a stream of our own over HTTP-FLV)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack running until Ctrl-C")
    parser.add_argument("--directory", type=Path, default=ROOT / ".demo", help="default: .demo")
    parser.add_argument("--assembly", type=Path, default=ASSEMBLY, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not SHORTEST <= options.seconds <= LONGEST:
        parser.error(f"DEMO_SECONDS={options.seconds:g}: from {SHORTEST} to {LONGEST} are possible")
    return Wish(
        options.seconds,
        options.source,
        options.directory.resolve(),
        options.assembly.resolve(),
        options.keep,
    )


def _interrupt(*_: Any) -> None:
    """Let every signal that ends a demo end it the same way."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 only if the verification held."""
    wish = wish_of(arguments, dict(os.environ))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    screen, held = Screen(), ExitStack()
    expected = (ApiRefused, DemoError, DeploymentError, EngineError, StackError, TakeFailedError)
    try:
        try:
            ok = Demo(wish, screen, held).run()
        finally:
            # A second Ctrl-C must not keep the first one from ending everything.
            for number in ENDINGS:
                signal.signal(number, signal.SIG_IGN)
            held.close()
    except KeyboardInterrupt:
        screen.line("\ninterrupted: everything that was started has ended")
        return INTERRUPTED
    except expected as error:
        screen.line()
        screen.mark(False, "failed", str(error))
        screen.line(f"\nLogs: {wish.log}")
        return 1
    if not ok:
        screen.line(f"The verification did not hold. Logs: {wish.log}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
