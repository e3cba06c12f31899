"""Python functions run under AWS's own runtime interface client, on an interpreter of our choice.

AWS: a fresh process per execution environment runs `awslambdaric` with the variables Lambda
documents and nothing else; the layers are on `sys.path`; an exception reaches the caller with its
class name as `errorType` and a `stackTrace`; at the time-out the process is killed at once.

Engine: runs handlers in a wrapper script under its own interpreter and with its own environment and
packages, reports every exception as `Runtime.HandlerError`, unzips layers for every worker. It has
a faithful Runtime API, but uses it for `provided.*` only: we use it for `python*` too.

Known differences kept: layers are not at `/opt`, memory size is not enforced, `AWS_ENDPOINT_URL`
and `TMPDIR` are set although Lambda sets neither; `AWS_ENDPOINT_URL_S3` too if the engine was given
an object store of its own (a proxy that fails, for tests).

Tests: `test_function_*`, `test_worker_*`.
"""

import io
import os
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import ministack.core.lambda_runtime as engine_runtime
import ministack.services.lambda_svc as engine_lambda
from ministack.core.responses import get_region

Record = dict[str, Any]

_interpreter = Path("python3")
# Layer version ARN -> its zip (kept to notice a republished one) and where it was unpacked.
_unpacked: dict[str, tuple[bytes, Path]] = {}
_plain_worker_class = engine_runtime._worker_class_for
_plain_execute = engine_lambda._execute_function_warm
_plain_environment = engine_lambda._provided_worker_env


def runs_python(config: Record) -> bool:
    """Tell whether a function's runtime is one of the Python ones."""
    return str(config.get("Runtime", "")).startswith("python")


@lru_cache(maxsize=64)
def with_bootstrap(code: bytes) -> bytes:
    """Add the `bootstrap` program that the Runtime API worker starts to a code zip."""
    script = f"#!/bin/sh\nexec '{_interpreter}' -P -m awslambdaric \"$_HANDLER\"\n"
    buffer = io.BytesIO(code)
    with zipfile.ZipFile(buffer, "a") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, script)
    return buffer.getvalue()


def layer_folders(config: Record) -> list[Path]:
    """Unpack a function's layers, each version once for all workers, in their order."""
    folders = []
    for attachment in config.get("Layers") or []:
        arn = attachment["Arn"] if isinstance(attachment, dict) else str(attachment)
        content = engine_lambda._resolve_layer_zip(attachment)
        if not content:
            continue
        known = _unpacked.get(arn)
        if known is None or known[0] is not content or not known[1].is_dir():
            known = (content, Path(engine_lambda._docker_extracted_dir(content, "layer")))
            _unpacked[arn] = known
        folders.append(known[1])
    return folders


def environment(config: Record, code: str, port: int) -> dict[str, str]:
    """Build a worker's whole environment: what Lambda documents, and the engine's address."""
    if not runs_python(config):
        plain: dict[str, str] = _plain_environment(config, code, port)
        return plain
    name, region = config["FunctionName"], get_region()
    layers = layer_folders(config)
    programs = [*(layer / "bin" for layer in layers), *map(Path, ("/usr/local/bin", "/usr/bin"))]
    logging = config.get("LoggingConfig") or {}
    variables = {
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{engine_lambda._GATEWAY_PORT}",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": engine_lambda.new_uuid(),
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_REGION": region,
        "LAMBDA_TASK_ROOT": code,
        "LANG": "C.UTF-8",
        "PATH": ":".join(map(str, programs)) + ":/bin",
        "PYTHONPATH": ":".join([code, *(str(layer / "python") for layer in layers)]),
        "TMPDIR": tempfile.gettempdir(),
        "TZ": ":UTC",
        "_HANDLER": config.get("Handler", ""),
    }
    libraries = [str(layer / "lib") for layer in layers if (layer / "lib").is_dir()]
    if libraries:
        variables["LD_LIBRARY_PATH"] = ":".join(libraries)
    if store := os.environ.get("EVERREEL_LOCAL_OBJECT_STORE"):
        variables["AWS_ENDPOINT_URL_S3"] = store
    variables.update(engine_runtime.execution_credentials(config))
    variables.update(engine_lambda._runtime_env_vars(config))
    return variables


class RuntimeClientWorker(engine_runtime.ProvidedWorker):  # type: ignore[misc]  # untyped engine
    """An execution environment whose runtime is `awslambdaric`."""

    def __init__(self, name: str, config: Record, code_zip: bytes) -> None:
        super().__init__(name, config, with_bootstrap(code_zip))
        self._exit_status: int | None = None

    def _await_init(self, init_timeout: float | None = None) -> None:
        """Let a failed import keep its class name (`Runtime.ImportModuleError`)."""
        try:
            super()._await_init(init_timeout)
        except RuntimeError as error:
            reported = self._init_error
            if not isinstance(reported, dict):
                raise
            raise engine_runtime.ProvidedRuntimeError(
                reported.get("errorMessage", str(error)), reported.get("errorType", "Unhandled")
            ) from error

    def _teardown(self) -> None:
        """Kill at once: Lambda gives a function without extensions no signal to clean up."""
        process = self._proc
        if process is not None:
            self._exit_status = process.poll()
            process.kill()
        super()._teardown()

    def invoke(self, event: object, request_id: str, **context: Any) -> Record:
        """Run one invocation; word a death and a time-out as AWS does."""
        outcome: Record = super().invoke(event, request_id, **context)
        payload = outcome.get("error_payload")
        if isinstance(payload, dict) and payload.get("errorType") == "Sandbox.Timedout":
            seconds = float(self.config.get("Timeout", 3))
            payload["errorMessage"] = (
                f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
            )
        elif isinstance(payload, dict) and payload.get("errorType") == "Runtime.ExitError":
            status = self._exit_status or 0
            cause = "signal: killed" if status == -9 else f"exit status {status}"
            payload["errorMessage"] = (
                f"RequestId: {request_id} Error: Runtime exited with error: {cause}"
            )
        return outcome


def worker_class(config: Record) -> type:
    """Choose the kind of execution environment for a function."""
    if runs_python(config):
        return RuntimeClientWorker
    plain: type = _plain_worker_class(config)
    return plain


def execute(func: Record, event: object, request_id: str) -> Record:
    """Send Python functions to the Runtime API executor, the rest where they went before."""
    chosen = (
        engine_lambda._execute_function_provided_warm
        if runs_python(func.get("config") or func)
        else _plain_execute
    )
    result: Record = chosen(func, event, request_id)
    return result


def install(interpreter: Path) -> None:
    """Run Python functions on this interpreter, which must have `awslambdaric`."""
    global _interpreter  # noqa: PLW0603  # one engine per process
    _interpreter = interpreter
    engine_runtime._worker_class_for = worker_class
    engine_lambda._execute_function_warm = execute
    engine_lambda._provided_worker_env = environment
