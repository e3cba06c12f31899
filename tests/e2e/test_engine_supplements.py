"""The local engine does what the cloud does, in everything the stack relies on.

One test per supplement (and per stock behaviour we build on), so that an engine upgrade fails here.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.deploy import DeploymentError, deploy, deploy_template
from infra.local.engine import ROOT, EngineError, LocalEngine
from tests.e2e.engine_fixture import assembly
from tests.e2e.probe_stack import Stack, notes, task, until

LIVE = {"FunctionName": "probe", "Qualifier": "live"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("engine")
    with LocalEngine(folder / "engine") as engine:
        outputs = deploy(assembly(folder / "cdk.out"), engine.client)
        yield Stack(engine, outputs, folder / "cdk.out")


# --- the engine itself ---------------------------------------------------------------------------


def test_engine_when_started_then_it_listens_on_loopback_only(stack: Stack) -> None:
    sockets = Path("/proc/net/tcp").read_text().splitlines()[1:]
    port = f":{stack.engine.port:04X}"
    listening = [row.split()[1] for row in sockets if row.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(port)] == [f"0100007F{port}"]


def test_engine_when_its_directory_is_taken_then_a_second_one_says_so(stack: Stack) -> None:
    with pytest.raises(EngineError, match="another engine uses"):
        LocalEngine(stack.engine.directory).start()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_engine_when_its_owner_is_killed_then_no_process_is_left(
    how: signal.Signals, tmp_path: Path
) -> None:
    program = (
        "import sys, time, pathlib; from infra.local.engine import LocalEngine\n"
        f"engine = LocalEngine(pathlib.Path({str(tmp_path)!r})); engine.start()\n"
        "print(engine.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout
        group = int(owner.stdout.readline())
        owner.send_signal(how)
    until(lambda: not group_members(group), 5)


def group_members(group: int) -> list[int]:
    members = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(entry.parent.name))
    return members


# --- function processes --------------------------------------------------------------------------


def test_function_when_invoked_then_it_runs_on_the_lambda_interpreter_with_a_clean_environment(
    stack: Stack,
) -> None:
    seen = stack.invoke("probe:live", {"do": "describe"})
    assert seen["executable"] == str(ROOT / ".lambda" / "bin" / "python")
    assert seen["layered"] == "from the layer"
    assert seen["arn"].endswith(":function:probe:live")
    assert 18_000 < seen["left"] <= 20_000
    documented = {"LANG", "LD_LIBRARY_PATH", "MINE", "PATH", "PYTHONPATH", "TZ", "_HANDLER"}
    documented |= {"LAMBDA_TASK_ROOT", "TMPDIR", "PWD", "SHLVL", "_", "_X_AMZN_TRACE_ID", "OLDPWD"}
    extra = {n for n in seen["environ"] if not n.startswith("AWS_")} - documented
    assert not extra
    assert seen["environ"]["AWS_LAMBDA_FUNCTION_NAME"] == "probe"
    assert seen["environ"]["MINE"] == "yes"
    assert not any(".engine" in entry or ".venv" in entry for entry in seen["path"])


def test_function_when_it_raises_then_the_error_keeps_its_class_and_trace(stack: Stack) -> None:
    error = stack.invoke("probe", {"do": "raise"})
    assert error["errorType"] == "SourceUnreachable"
    assert error["errorMessage"] == "no answer from the source"
    assert any("raise SourceUnreachable" in line for line in error["stackTrace"])


def test_function_when_it_cannot_be_imported_then_the_error_says_so(stack: Stack) -> None:
    error = stack.invoke("broken", {})
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "missing" in error["errorMessage"]


def test_function_when_it_exceeds_its_timeout_then_its_process_is_killed(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    began = time.monotonic()
    error = stack.invoke("short", {"do": "sleep", "seconds": 9, "notes": str(log)})
    assert time.monotonic() - began < 4
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in error["errorMessage"]
    assert not Path(f"/proc/{notes(log)[0]['pid']}").exists()


def test_worker_when_it_is_killed_then_its_invocation_fails_and_the_next_one_works(
    stack: Stack,
) -> None:
    errors: list[Any] = []
    call = threading.Thread(
        target=lambda: errors.append(stack.invoke("single", {"do": "sleep", "seconds": 15}))
    )
    call.start()
    busy = until(lambda: [w for w in stack.engine.workers("single") if w.request_id], 10)[0]
    environment = Path(f"/proc/{busy.pid}/environ").read_bytes()
    assert b"AWS_LAMBDA_FUNCTION_NAME=single" in environment
    os.kill(busy.pid, signal.SIGKILL)
    call.join(10)
    assert errors[0]["errorType"] == "Runtime.ExitError"
    assert errors[0]["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert stack.invoke("single", {})["pid"] != busy.pid


def test_reserved_concurrency_when_an_alias_is_busy_then_a_second_call_is_throttled(
    stack: Stack,
) -> None:
    call = threading.Thread(
        target=lambda: stack.invoke("single:live", {"do": "sleep", "seconds": 2})
    )
    call.start()
    until(lambda: [w for w in stack.engine.workers("single") if w.request_id], 10)
    with pytest.raises(ClientError) as refused:
        stack.invoke("single:live", {})
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    states = {"Go": task("single:live", {}, Retry=[], TimeoutSeconds=5)}
    assert stack.run("throttled", states)["error"] == "Lambda.TooManyRequestsException"
    call.join(10)


# --- asynchronous invocations --------------------------------------------------------------------


def test_async_invocation_when_it_succeeds_then_the_answer_carries_its_request_id(
    stack: Stack,
) -> None:
    request_id = stack.invoke_event({"n": 1}, **LIVE)
    told = stack.message("Successes", lambda b: b["requestContext"]["requestId"] == request_id)
    assert told["Body"]["responsePayload"]["id"] == request_id
    assert told["Body"]["requestContext"]["condition"] == "Success"


def test_async_invocation_when_it_fails_then_the_alias_retries_zero_times_and_tells_the_queue(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    event = {"do": "raise", "notes": str(log)}
    request_id = stack.invoke_event(event, **LIVE)
    body = stack.message("Failures", lambda b: b["requestPayload"] == event)["Body"]
    assert body["version"] == "1.0"
    assert body["requestContext"]["requestId"] == request_id
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert body["requestContext"]["approximateInvokeCount"] == 1
    assert body["requestContext"]["functionArn"].endswith(":function:probe:live")
    assert body["responseContext"]["functionError"] == "Unhandled"
    assert body["responsePayload"]["errorType"] == "SourceUnreachable"
    assert [note["id"] for note in notes(log)] == [request_id]


def test_async_invocation_when_it_fails_then_a_bus_destination_gets_an_event_and_retries_one_id(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    event = {"do": "raise", "notes": str(log)}
    request_id = stack.invoke_event(event, FunctionName="retried", Qualifier="live")
    found = stack.message("FailureEvents", lambda b: b["detail"]["requestPayload"] == event)
    assert found["Body"]["source"] == "lambda"
    assert found["Body"]["detail-type"] == "Lambda Function Invocation Result - Failure"
    assert found["Body"]["detail"]["requestContext"]["approximateInvokeCount"] == 2
    assert [note["id"] for note in notes(log)] == [request_id, request_id]


def test_async_invocation_when_it_fails_then_a_dead_letter_queue_gets_the_bare_event(
    stack: Stack,
) -> None:
    request_id = stack.invoke_event({"n": 5}, FunctionName="broken")
    found = stack.message("DeadLetters")
    assert found["Body"] == {"n": 5}
    assert found["MessageAttributes"]["RequestID"]["StringValue"] == request_id


def test_async_invocation_when_its_worker_is_killed_then_the_destination_says_so(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    event = {"do": "sleep", "seconds": 15, "notes": str(log)}
    request_id = stack.invoke_event(event, **LIVE)
    until(lambda: notes(log), 10)
    busy = [w for w in stack.engine.workers("probe") if w.request_id == request_id]
    os.kill(busy[0].pid, signal.SIGKILL)
    body = stack.message("Failures", lambda b: b["requestPayload"] == event)["Body"]
    assert body["responsePayload"]["errorType"] == "Runtime.ExitError"


def test_async_invocation_when_it_is_throttled_then_it_waits_for_its_turn(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    event = {"do": "sleep", "seconds": 0.6, "notes": str(log)}
    ids = {stack.invoke_event(event, FunctionName="single", Qualifier="live") for _ in range(2)}
    seen = until(lambda: notes(log), 10, lambda rows: len(rows) == 2)
    assert {note["id"] for note in seen} == ids
    assert abs(seen[0]["at"] - seen[1]["at"]) >= 0.6


# --- rules ---------------------------------------------------------------------------------------


def test_rule_when_its_function_fails_then_the_functions_own_destination_is_told(
    stack: Stack,
) -> None:
    put_event(stack, {"do": "raise", "case": "rule"})
    body = stack.message("Failures", lambda b: b["requestPayload"].get("source") == "probe")["Body"]
    assert body["requestPayload"]["detail"]["case"] == "rule"


def test_rule_when_its_function_does_not_exist_then_the_targets_queue_gets_the_event(
    stack: Stack,
) -> None:
    put_event(stack, {"case": "gone"})
    found = stack.message("RuleLetters", lambda b: b["detail"]["case"] == "gone")
    assert found["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "RESOURCE_NOT_FOUND"
    assert found["MessageAttributes"]["TARGET_ARN"]["StringValue"].endswith(":gone:live")


def put_event(stack: Stack, detail: dict[str, Any]) -> None:
    entry = {"Source": "probe", "DetailType": "Probe", "Detail": json.dumps(detail)}
    stack.aws["events"].put_events(Entries=[{**entry, "EventBusName": "probe-bus"}])


# --- state machines ------------------------------------------------------------------------------


def test_task_when_its_function_raises_then_retry_and_catch_see_the_class_name(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    retry = {"ErrorEquals": ["SourceUnreachable"], "IntervalSeconds": 1, "MaxAttempts": 1}
    states = {
        "Go": task(
            "probe:live",
            {"do": "raise", "notes": str(log)},
            Retry=[{**retry, "BackoffRate": 9, "MaxDelaySeconds": 2, "JitterStrategy": "FULL"}],
            Catch=[{"ErrorEquals": ["SourceUnreachable"], "Next": "Caught"}],
        ),
        "Caught": {"Type": "Pass", "Result": "caught", "End": True},
    }
    ended = stack.run("retries", states)
    assert json.loads(ended["output"]) == "caught"
    assert len(notes(log)) == 2


def test_task_when_it_invokes_an_event_then_it_goes_on_at_once(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    payload = {"do": "sleep", "seconds": 5, "notes": str(log)}
    parameters = {"FunctionName": "probe:live", "InvocationType": "Event", "Payload": payload}
    began = time.monotonic()
    ended = stack.run("event", {"Go": task("", {}, Parameters=parameters, OutputPath="$")})
    assert time.monotonic() - began < 4
    output = json.loads(ended["output"])
    assert output["StatusCode"] == 202
    ran = until(lambda: notes(log), 10)
    assert ran[0]["id"] == output["SdkResponseMetadata"]["RequestId"]


def test_task_when_it_exceeds_its_timeout_then_it_fails_with_states_timeout(stack: Stack) -> None:
    states = {"Go": task("probe", {"do": "sleep", "seconds": 3}, TimeoutSeconds=1)}
    assert stack.run("slow-task", states)["error"] == "States.Timeout"


def waiting(notes_path: Path, **fields: Any) -> dict[str, Any]:
    parameters = {
        "FunctionName": "probe:live",
        "InvocationType": "Event",
        "Payload": {"notes": str(notes_path), "token.$": "$$.Task.Token"},
    }
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    return task("", {}, Resource=resource, Parameters=parameters, OutputPath="$", **fields)


def test_task_token_when_the_beats_stop_then_the_task_fails_with_heartbeat_timeout(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    machine = stack.machine("beats", {"Go": waiting(log, HeartbeatSeconds=1)})
    states = stack.aws["stepfunctions"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    token = until(lambda: notes(log), 10)[0]["event"]["token"]
    for _ in range(4):
        states.send_task_heartbeat(taskToken=token)
        time.sleep(0.4)
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    assert stack.ended(execution, 5)["error"] == "States.HeartbeatTimeout"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        states.send_task_heartbeat(taskToken=token)


def test_task_token_when_it_succeeds_then_the_task_has_its_output(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "notes"
    machine = stack.machine("token", {"Go": waiting(log, HeartbeatSeconds=5)})
    execution = stack.aws["stepfunctions"].start_execution(stateMachineArn=machine)["executionArn"]
    token = until(lambda: notes(log), 10)[0]["event"]["token"]
    stack.aws["stepfunctions"].send_task_success(taskToken=token, output='{"laps": 2}')
    assert json.loads(stack.ended(execution)["output"]) == {"laps": 2}


def test_task_token_when_the_call_itself_fails_then_the_task_fails(
    stack: Stack, tmp_path: Path
) -> None:
    state = waiting(tmp_path / "notes")
    state["Parameters"] |= {"FunctionName": "nobody"}
    assert stack.run("no-call", {"Go": state})["error"] == "Lambda.ResourceNotFoundException"


def test_execution_when_it_takes_too_long_then_it_is_timed_out(stack: Stack) -> None:
    states = {"Wait": {"Type": "Wait", "Seconds": 4, "End": True}}
    assert stack.run("too-long", states, TimeoutSeconds=1)["status"] == "TIMED_OUT"


def test_execution_when_started_twice_with_one_name_then_it_is_one_execution(stack: Stack) -> None:
    machine = stack.machine("named", {"Wait": {"Type": "Wait", "Seconds": 2, "End": True}})
    states = stack.aws["stepfunctions"]
    request = {"stateMachineArn": machine, "name": "sid"}
    first = states.start_execution(**request, input='{"a": 1}')
    again = states.start_execution(**request, input='{"a": 1}')
    assert again["executionArn"] == first["executionArn"]
    assert again["startDate"] == first["startDate"]
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(**request, input='{"a": 2}')
    stack.ended(first["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(**request, input='{"a": 1}')


def test_machine_when_it_waits_and_chooses_then_paths_come_from_its_input(stack: Stack) -> None:
    rule = {"Variable": "$.action", "StringEquals": "end", "Next": "End"}
    states = {
        "Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Choose"},
        "Choose": {"Type": "Choice", "Choices": [rule], "Default": "Wrong"},
        "Wrong": {"Type": "Fail", "Error": "Wrong"},
        "End": {"Type": "Succeed"},
    }
    began = time.monotonic()
    assert stack.run("choice", states, {"seconds": 1, "action": "end"})["status"] == "SUCCEEDED"
    assert 1 <= time.monotonic() - began < 4


# --- templates -----------------------------------------------------------------------------------


def test_template_when_it_sets_what_the_engine_forgets_then_it_is_applied(stack: Stack) -> None:
    bucket, table = stack.outputs["Bucket"], stack.outputs["Table"]
    s3, dynamodb = stack.aws["s3"], stack.aws["dynamodb"]
    tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert {"Key": "purpose", "Value": "probe"} in tags
    rule = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]
    assert rule["Expiration"]["Days"] == 7
    assert rule["Filter"]["Prefix"] == "recordings/"
    expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires")
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"


def test_template_when_it_has_a_composite_alarm_then_it_is_named(stack: Stack) -> None:
    assert stack.outputs["CompositeAlarm"].endswith(":alarm:both")


def test_template_when_it_has_a_secret_then_its_ref_is_the_arn(stack: Stack) -> None:
    arn = stack.outputs["Secret"]
    assert arn.startswith("arn:aws:secretsmanager:")
    value = stack.engine.client("secretsmanager").get_secret_value(SecretId=arn)
    assert len(value["SecretString"]) == 40


def test_template_when_it_is_refused_then_the_error_lists_the_failed_resource(
    stack: Stack,
) -> None:
    resource = {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {"FunctionName": "nobody"}}
    body = json.dumps({"Resources": {"Nobody": resource}})
    with pytest.raises(DeploymentError, match=r"Nobody \(AWS::Lambda::EventInvokeConfig\)"):
        deploy_template("Refused", {"TemplateBody": body}, stack.engine.client)


def test_template_when_deployed_again_then_code_alias_and_properties_change(stack: Stack) -> None:
    outputs = deploy(assembly(stack.folder, word="two", days=9), stack.engine.client)
    assert outputs == stack.outputs
    assert stack.invoke("probe:live", {})["word"] == "two"
    rules = stack.aws["s3"].get_bucket_lifecycle_configuration(Bucket=outputs["Bucket"])["Rules"]
    assert rules[0]["Expiration"]["Days"] == 9
    assert deploy(stack.folder, stack.engine.client) == outputs


# --- stock behaviour the stack is built on -------------------------------------------------------


def test_http_api_when_called_then_the_authorizer_decides_and_the_body_arrives(
    stack: Stack,
) -> None:
    assert call(stack, None)[0] == 401
    assert call(stack, "shut")[0] == 403
    status, answer = call(stack, "open")
    assert status == 202
    assert answer == {"body": {"source": "é"}, "raw": "/v1/recordings", "who": "me"}


def call(stack: Stack, authorization: str | None) -> tuple[int, Any]:
    request = urllib.request.Request(
        stack.engine.api_url(stack.outputs["Api"]) + "/v1/recordings",
        data=json.dumps({"source": "é"}).encode(),
        headers={"content-type": "application/json"},
        method="POST",
    )
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def test_bucket_when_an_object_is_put_twice_as_new_then_the_second_is_refused(
    stack: Stack,
) -> None:
    place = {"Bucket": stack.outputs["Bucket"], "Key": "k"}
    stack.aws["s3"].put_object(**place, Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        stack.aws["s3"].put_object(**place, Body=b"2", IfNoneMatch="*")


def test_table_when_a_transaction_checks_another_row_then_a_stale_fence_is_refused(
    stack: Stack,
) -> None:
    table = stack.outputs["Table"]
    lane = {"pk": {"S": "sid"}, "sk": {"S": "lane"}}
    stack.aws["dynamodb"].put_item(TableName=table, Item={**lane, "fence": {"N": "2"}})

    def commit(number: int, fence: int) -> None:
        row = {"pk": {"S": "sid"}, "sk": {"S": f"segment#{number}"}}
        check = {
            "TableName": table,
            "Key": lane,
            "ConditionExpression": "fence = :fence",
            "ExpressionAttributeValues": {":fence": {"N": str(fence)}},
        }
        put = {
            "TableName": table,
            "Item": row,
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        stack.aws["dynamodb"].transact_write_items(
            TransactItems=[{"ConditionCheck": check}, {"Put": put}]
        )

    commit(1, 2)
    for number, fence, reasons in (
        (1, 2, ["None", "ConditionalCheckFailed"]),
        (2, 1, ["ConditionalCheckFailed", "None"]),
    ):
        with pytest.raises(ClientError) as refused:
            commit(number, fence)
        assert [r["Code"] for r in refused.value.response["CancellationReasons"]] == reasons
