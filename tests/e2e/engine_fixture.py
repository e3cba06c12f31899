"""A small hand-written cloud assembly that touches everything the supplements supply."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from infra.local.deploy import zip_folder

STACK = "EngineProbe"
BUCKET = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"

PROBE = """
import json, os, sys, time

class SourceUnreachable(Exception):
    pass

def handler(event, context):
    event = event.get("detail", event)
    if event.get("notes"):
        with open(event["notes"], "a") as notes:
            notes.write(json.dumps({"id": context.aws_request_id, "at": time.time(),
                                    "pid": os.getpid(), "event": event}) + "\\n")
    do = event.get("do")
    if do == "raise":
        raise SourceUnreachable("no answer from the source")
    if do == "sleep":
        time.sleep(event["seconds"])
    if do == "describe":
        import layered
        return {"environ": dict(os.environ), "path": sys.path, "arn": context.invoked_function_arn,
                "executable": sys.executable, "layered": layered.WORD,
                "left": context.get_remaining_time_in_millis()}
    if "routeKey" in event:
        body = {"body": json.loads(event["body"]), "raw": event["rawPath"],
                "who": event["requestContext"]["authorizer"]["lambda"]["who"]}
        return {"statusCode": 202, "headers": {"content-type": "application/json"},
                "body": json.dumps(body)}
    return {"id": context.aws_request_id, "pid": os.getpid(), "word": WORD}

def authorize(event, context):
    return {"isAuthorized": event["headers"]["authorization"] == "open", "context": {"who": "me"}}

WORD = "%s"
"""


def _function(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Handler": "probe.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Timeout": 20,
            "Environment": {"Variables": {"MINE": "yes"}},
            "Layers": [{"Ref": "Layer"}],
            **properties,
        },
    }


def _live(name: str, word: str, **settings: Any) -> dict[str, Any]:
    version, alias = f"{name}Version{word}", f"{name}Live"
    resources: dict[str, Any] = {
        version: {
            "Type": "AWS::Lambda::Version",
            "Properties": {"FunctionName": {"Ref": name}},
            "DependsOn": [name],
        },
        alias: {
            "Type": "AWS::Lambda::Alias",
            "Properties": {
                "FunctionName": {"Ref": name},
                "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
                "Name": "live",
            },
        },
    }
    if settings:
        resources[f"{name}Async"] = {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {"FunctionName": {"Ref": name}, "Qualifier": "live", **settings},
            "DependsOn": [alias],
        }
    return resources


def _arn(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, "Arn"]}


def _functions(code: dict[str, Any], word: str) -> dict[str, Any]:
    return {
        "Probe": _function("probe", Code=code),
        **_live(
            "Probe",
            word,
            MaximumRetryAttempts=0,
            MaximumEventAgeInSeconds=60,
            DestinationConfig={
                "OnFailure": {"Destination": _arn("Failures")},
                "OnSuccess": {"Destination": _arn("Successes")},
            },
        ),
        "Retried": _function("retried", Code=code),
        **_live(
            "Retried",
            word,
            MaximumRetryAttempts=1,
            MaximumEventAgeInSeconds=60,
            DestinationConfig={"OnFailure": {"Destination": _arn("Bus")}},
        ),
        "Short": _function("short", Code=code, Timeout=1),
        "Single": _function("single", Code=code, ReservedConcurrentExecutions=1),
        **_live("Single", word),
        "Broken": _function(
            "broken",
            Code=code,
            Handler="missing.handler",
            DeadLetterConfig={"TargetArn": _arn("DeadLetters")},
        ),
        "BrokenAsync": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Broken"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 0,
            },
        },
        "Authorize": _function("authorize", Code=code, Handler="probe.authorize"),
    }


def _events() -> dict[str, Any]:
    return {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "probe-bus"}},
        "ProbeRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventBusName": {"Ref": "Bus"},
                "EventPattern": {"source": ["probe"]},
                "Targets": [
                    {"Id": "live", "Arn": {"Ref": "ProbeLive"}},
                    {
                        "Id": "gone",
                        "Arn": {
                            "Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}"
                            ":function:gone:live"
                        },
                        "DeadLetterConfig": {"Arn": _arn("RuleLetters")},
                    },
                ],
            },
        },
        "FailureRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventBusName": {"Ref": "Bus"},
                "EventPattern": {"source": ["lambda"]},
                "Targets": [{"Id": "queue", "Arn": _arn("FailureEvents")}],
            },
        },
        "ProbePermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "ProbeLive"},
                "Principal": "events.amazonaws.com",
                "SourceArn": _arn("ProbeRule"),
            },
        },
    }


def _http() -> dict[str, Any]:
    uri = "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${%s}/invocations"
    return {
        "Api": {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {
                "Name": "probe",
                "ProtocolType": "HTTP",
                "CorsConfiguration": {"AllowOrigins": ["https://a.example"], "MaxAge": 60},
            },
        },
        "Stage": {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "$default", "AutoDeploy": True},
        },
        "Authorizer": {
            "Type": "AWS::ApiGatewayV2::Authorizer",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "AuthorizerType": "REQUEST",
                "AuthorizerPayloadFormatVersion": "2.0",
                "EnableSimpleResponses": True,
                "AuthorizerResultTtlInSeconds": 0,
                "IdentitySource": ["$request.header.Authorization"],
                "Name": "probe",
                "AuthorizerUri": {"Fn::Sub": uri % "Authorize.Arn"},
            },
        },
        "Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": "AWS_PROXY",
                "PayloadFormatVersion": "2.0",
                "IntegrationUri": {"Ref": "ProbeLive"},
            },
        },
        "Route": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "RouteKey": "ANY /{proxy+}",
                "AuthorizationType": "CUSTOM",
                "AuthorizerId": {"Ref": "Authorizer"},
                "Target": {"Fn::Sub": "integrations/${Integration}"},
            },
        },
    }


def _kept(days: int) -> dict[str, Any]:
    queues = ("Failures", "Successes", "DeadLetters", "RuleLetters", "FailureEvents")
    alarm = {
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "Threshold": 1,
        "EvaluationPeriods": 1,
        "Period": 60,
        "Statistic": "Sum",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }
    return {
        **{name: {"Type": "AWS::SQS::Queue", "Properties": {}} for name in queues},
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "Tags": [{"Key": "purpose", "Value": "probe"}],
                "LifecycleConfiguration": {
                    "Rules": [
                        {
                            "Id": "expire",
                            "Status": "Enabled",
                            "Prefix": "recordings/",
                            "ExpirationInDays": days,
                            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                        }
                    ]
                },
            },
        },
        "Table": {
            "Type": "AWS::DynamoDB::GlobalTable",
            "Properties": {
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "BillingMode": "PAY_PER_REQUEST",
                "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
                "Replicas": [
                    {
                        "Region": {"Ref": "AWS::Region"},
                        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                    }
                ],
            },
        },
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"GenerateSecretString": {"PasswordLength": 40}},
        },
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
        "Both": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "Properties": {"AlarmRule": {"Fn::Sub": "ALARM(${Alarm})"}, "AlarmName": "both"},
        },
        "Board": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardBody": json.dumps({"widgets": []})},
        },
    }


def template(code_key: str, layer_key: str, *, word: str = "one", days: int = 7) -> dict[str, Any]:
    """Write the template: `word` is what the functions say, `days` when objects expire."""
    bucket = {"Fn::Sub": BUCKET}
    names = ("Failures", "Successes", "DeadLetters", "RuleLetters", "FailureEvents")
    outputs: dict[str, Any] = {name: {"Ref": name} for name in (*names, "Bucket", "Table")}
    outputs |= {"Secret": {"Ref": "Secret"}, "Api": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}
    outputs |= {"CompositeAlarm": _arn("Both")}
    return {
        "Parameters": {
            "BootstrapVersion": {
                "Type": "AWS::SSM::Parameter::Value<String>",
                "Default": "/cdk-bootstrap/hnb659fds/version",
            }
        },
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": "sts:AssumeRole",
                                "Principal": {"Service": "lambda.amazonaws.com"},
                            }
                        ]
                    }
                },
            },
            "Layer": {
                "Type": "AWS::Lambda::LayerVersion",
                "Properties": {"Content": {"S3Bucket": bucket, "S3Key": layer_key}},
            },
            **_functions({"S3Bucket": bucket, "S3Key": code_key}, word),
            **_kept(days),
            **_events(),
            **_http(),
        },
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }


def _layer() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/layered.py", "WORD = 'from the layer'\n")
    return buffer.getvalue()


def assembly(folder: Path, *, word: str = "one", days: int = 7) -> Path:
    """Write the stack as a cloud assembly, as the CDK would."""
    code = folder / "asset.code"
    code.mkdir(parents=True, exist_ok=True)
    (code / "probe.py").write_text(PROBE % word)
    layer = folder / "asset.layer.zip"
    layer.write_bytes(_layer())
    code_key = f"{hashlib.sha256(zip_folder(code)).hexdigest()}.zip"
    layer_key = f"{hashlib.sha256(layer.read_bytes()).hexdigest()}.zip"
    body = json.dumps(template(code_key, layer_key, word=word, days=days))
    (folder / f"{STACK}.template.json").write_text(body)
    template_key = f"{hashlib.sha256(body.encode()).hexdigest()}.json"
    files = {
        key: {
            "source": {"path": path, "packaging": packaging},
            "destinations": {"here": {"bucketName": BUCKET, "objectKey": key}},
        }
        for key, path, packaging in (
            (code_key, "asset.code", "zip"),
            (layer_key, "asset.layer.zip", "file"),
            (template_key, f"{STACK}.template.json", "file"),
        )
    }
    (folder / f"{STACK}.assets.json").write_text(json.dumps({"files": files}))
    artifacts = {STACK: {"type": "aws:cloudformation:stack"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder
