"""Synthesise the CDK app and deploy its template with nothing but boto3.

    outputs = deploy(synthesise(Path("cdk.out"), {"arch": "x86_64"}), engine.client)

The template is deployed as it is: assets go to the bucket it names, the bootstrap version to the
parameter it reads. The CDK command line is not needed.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.local.engine import ACCOUNT, REGION, ROOT
from infra.local.node import node

ClientFactory = Callable[[str], Any]

APP_MODULE = "infra.app"
# What a template is made from; the local tools beside the app are not part of it.
_SOURCES = ("infra", "functions", "layers", "cdk.json", "pyproject.toml", "requirements")
_LEFT_OUT = re.compile(r"(^|/)(__pycache__|local|\.[^/]+)(/|$)|\.py[co]$")
_STAMP = "everreel.stamp"
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
_SAME_TIME = (1980, 1, 1, 0, 0, 0)


class DeploymentError(Exception):
    """Synthesis or deployment failed; the message lists what failed and why."""


def _source_files() -> Iterator[Path]:
    for name in _SOURCES:
        start = ROOT / name
        files = [start] if start.is_file() else sorted(start.rglob("*"))
        for path in files:
            if path.is_file() and not _LEFT_OUT.search(path.relative_to(ROOT).as_posix()):
                yield path


def fingerprint(context: Mapping[str, Any]) -> str:
    """Digest everything that can change the assembly."""
    digest = hashlib.sha256(json.dumps(dict(context), sort_keys=True).encode())
    for path in _source_files():
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def synthesise(out_dir: Path, context: Mapping[str, Any], *, module: str = APP_MODULE) -> Path:
    """Run the CDK app in a process of its own; do nothing when nothing changed.

    Args:
        out_dir: where the cloud assembly goes; replaced when it is out of date.
        context: CDK context values, over those of `cdk.json`.
        module: the module that holds the app.

    Raises:
        DeploymentError: the app failed; the message holds what it printed.
    """
    out_dir = out_dir.resolve()
    stamp, wanted = out_dir / _STAMP, fingerprint({**context, "module": module})
    if stamp.exists() and stamp.read_text() == wanted:
        return out_dir
    shutil.rmtree(out_dir, ignore_errors=True)
    out_dir.mkdir(parents=True)
    settings = ROOT / "cdk.json"
    defaults = json.loads(settings.read_text()).get("context", {}) if settings.exists() else {}
    environment = {
        **os.environ,
        "CDK_CONTEXT_JSON": json.dumps({**defaults, **context}),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_OUTDIR": str(out_dir),
        "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        "JSII_NODE": str(node()),
        "PATH": os.pathsep.join([str(node().parent), os.environ.get("PATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode or not (out_dir / "manifest.json").exists():
        raise DeploymentError(f"synthesis of {module} failed:\n{done.stdout[-6000:]}")
    stamp.write_text(wanted)
    return out_dir


def stack_names(assembly: Path) -> list[str]:
    """List the stacks of a cloud assembly."""
    manifest = json.loads((assembly / "manifest.json").read_text())
    return [
        name
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    ]


def _filled_in(text: str) -> str:
    for name, value in (("AccountId", ACCOUNT), ("Region", REGION), ("Partition", "aws")):
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def zip_folder(folder: Path) -> bytes:
    """Pack a folder the same way each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _SAME_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (path.stat().st_mode & 0o777) << 16
                archive.writestr(entry, path.read_bytes(), compresslevel=1)
    return buffer.getvalue()


def upload_assets(assembly: Path, stack: str, clients: ClientFactory) -> str | None:
    """Put every asset of a stack where its template expects it; give the template's own address."""
    s3 = clients("s3")
    listing = json.loads((assembly / f"{stack}.assets.json").read_text())
    template_url = None
    for asset in listing.get("files", {}).values():
        source = assembly / asset["source"]["path"]
        for place in asset["destinations"].values():
            bucket, key = _filled_in(place["bucketName"]), _filled_in(place["objectKey"])
            if bucket not in {b["Name"] for b in s3.list_buckets()["Buckets"]}:
                s3.create_bucket(Bucket=bucket)
            if source.name == f"{stack}.template.json":
                template_url = f"{s3.meta.endpoint_url}/{bucket}/{key}"
            # The key is a digest of the content: an object that is there is the right one.
            if s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"]:
                continue
            packed = asset["source"]["packaging"] == "zip"
            body = zip_folder(source) if packed else source.read_bytes()
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    return template_url


def _bootstrap_version(template: Mapping[str, Any], clients: ClientFactory) -> None:
    parameter = template.get("Parameters", {}).get("BootstrapVersion")
    if parameter:
        clients("ssm").put_parameter(
            Name=parameter["Default"], Value="30", Type="String", Overwrite=True
        )


def _current(cloudformation: Any, stack: str) -> dict[str, Any] | None:  # boto3
    for found in cloudformation.describe_stacks()["Stacks"]:
        if found["StackName"] == stack and found["StackStatus"] != "DELETE_COMPLETE":
            described: dict[str, Any] = found
            return described
    return None


def _wait(cloudformation: Any, stack: str, seconds: float) -> dict[str, Any] | None:
    deadline = time.monotonic() + seconds
    while True:
        found = _current(cloudformation, stack)
        if found is None or not found["StackStatus"].endswith("IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise DeploymentError(
                f"stack {stack} is still {found['StackStatus']} after {seconds} s"
            )
        time.sleep(0.05)


def _failures(cloudformation: Any, stack_id: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    lines = [
        f"  {e['LogicalResourceId']} ({e['ResourceType']}): {e.get('ResourceStatusReason', '')}"
        for e in reversed(events)
        if e["ResourceStatus"].endswith("FAILED")
    ]
    return "\n".join(lines) or "  (no resource says why)"


def deploy_template(
    stack: str,
    body: Mapping[str, str],
    clients: ClientFactory,
    *,
    seconds: float = 300.0,
) -> dict[str, str]:
    """Create or update a stack and give its outputs.

    Args:
        stack: its name.
        body: `{"TemplateBody": ...}` or `{"TemplateURL": ...}`.
        clients: gives a boto3 client for a service's name.
        seconds: how long it may take.

    Raises:
        DeploymentError: resources failed, or it took too long.
    """
    cloudformation = clients("cloudformation")
    before = _wait(cloudformation, stack, seconds)
    if before and before["StackStatus"] in _BROKEN:
        cloudformation.delete_stack(StackName=stack)
        before = _wait(cloudformation, stack, seconds)
    request = {"StackName": stack, "Capabilities": _CAPABILITIES, **body}
    try:
        if before:
            cloudformation.update_stack(**request)
        else:
            cloudformation.create_stack(**request, DisableRollback=True)
    except cloudformation.exceptions.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentError(f"stack {stack} was refused: {error}") from error
    after = _wait(cloudformation, stack, seconds)
    if after is None or after["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        status = after["StackStatus"] if after else "gone"
        reason = after.get("StackStatusReason", "") if after else ""
        listed = _failures(cloudformation, after["StackId"]) if after else ""
        raise DeploymentError(f"stack {stack} ended {status}: {reason}\n{listed}")
    return {output["OutputKey"]: output["OutputValue"] for output in after.get("Outputs", [])}


def deploy(
    assembly: Path, clients: ClientFactory, *, stack: str | None = None, seconds: float = 300.0
) -> dict[str, str]:
    """Deploy one stack of a cloud assembly; a second time updates it. Gives its outputs.

    Raises:
        DeploymentError: several stacks and none named, resources failed, or it took too long.
    """
    names = stack_names(assembly)
    if stack is None:
        if len(names) != 1:
            raise DeploymentError(f"name one of the stacks {names}: {assembly} holds several")
        stack = names[0]
    template_path = assembly / f"{stack}.template.json"
    _bootstrap_version(json.loads(template_path.read_text()), clients)
    url = upload_assets(assembly, stack, clients)
    body = {"TemplateURL": url} if url else {"TemplateBody": template_path.read_text()}
    return deploy_template(stack, body, clients, seconds=seconds)
