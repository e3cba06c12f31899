"""Template properties that the engine's CloudFormation accepts and forgets.

AWS: applies them. Engine: drops bucket tags and lifecycle rules, TTL and point-in-time recovery of
tables (Table and GlobalTable), `ReservedConcurrentExecutions` and `DeadLetterConfig` of functions,
and stores CORS of an HTTP API in a spelling it does not read.

Each is applied after the engine's own create and update, through the engine's own API code.

Tests: `test_template_*`.
"""

from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import ministack.services.apigateway as engine_api
import ministack.services.dynamodb as engine_tables
import ministack.services.lambda_svc as engine_lambda
import ministack.services.s3 as engine_buckets
from ministack.services.cloudformation import provisioners

Record = dict[str, Any]
Apply = Callable[[str, Record], None]

_NUMBERS_IN_DAYS = {
    "ExpirationInDays": ("Expiration", "Days"),
    "NoncurrentVersionExpirationInDays": ("NoncurrentVersionExpiration", "NoncurrentDays"),
}


def _add(parent: Element, name: str, text: object | None = None) -> Element:
    child = SubElement(parent, name)
    child.text = None if text is None else str(text)
    return child


def tagging_document(tags: list[Record]) -> bytes:
    """Write tags as the body of PutBucketTagging."""
    root = Element("Tagging", xmlns=engine_buckets.S3_NS)
    tag_set = _add(root, "TagSet")
    for tag in tags:
        entry = _add(tag_set, "Tag")
        _add(entry, "Key", tag["Key"])
        _add(entry, "Value", tag["Value"])
    return tostring(root)


def lifecycle_document(rules: list[Record]) -> bytes:
    """Write lifecycle rules as the body of PutBucketLifecycleConfiguration."""
    root = Element("LifecycleConfiguration", xmlns=engine_buckets.S3_NS)
    for number, rule in enumerate(rules):
        entry = _add(root, "Rule")
        _add(entry, "ID", rule.get("Id", f"rule-{number}"))
        _add(entry, "Status", rule["Status"])
        _filter(_add(entry, "Filter"), rule)
        for name, (group, member) in _NUMBERS_IN_DAYS.items():
            if rule.get(name):
                _add(_add(entry, group), member, rule[name])
        unfinished = rule.get("AbortIncompleteMultipartUpload")
        if unfinished:
            days = unfinished["DaysAfterInitiation"]
            _add(_add(entry, "AbortIncompleteMultipartUpload"), "DaysAfterInitiation", days)
        for step in rule.get("Transitions") or []:
            transition = _add(entry, "Transition")
            _add(transition, "Days", step.get("TransitionInDays", 0))
            _add(transition, "StorageClass", step["StorageClass"])
    return tostring(root)


def _filter(parent: Element, rule: Record) -> None:
    tags = rule.get("TagFilters") or []
    home = _add(parent, "And") if tags and (len(tags) > 1 or rule.get("Prefix")) else parent
    if not tags or rule.get("Prefix"):
        _add(home, "Prefix", rule.get("Prefix", ""))
    for tag in tags:
        entry = _add(home, "Tag")
        _add(entry, "Key", tag["Key"])
        _add(entry, "Value", tag["Value"])


def bucket(name: str, properties: Record) -> None:
    """Apply a bucket's tags and lifecycle rules."""
    tags = properties.get("Tags")
    if tags:
        engine_buckets._put_bucket_tagging(name, tagging_document(tags))
    else:
        engine_buckets._delete_bucket_tagging(name)
    rules = (properties.get("LifecycleConfiguration") or {}).get("Rules")
    if rules:
        engine_buckets._put_bucket_lifecycle(name, lifecycle_document(rules))
    else:
        engine_buckets._delete_bucket_lifecycle(name)


def _backup_settings(properties: Record) -> Iterator[Record]:
    yield properties.get("PointInTimeRecoverySpecification") or {}
    for replica in properties.get("Replicas") or []:
        yield replica.get("PointInTimeRecoverySpecification") or {}


def table(name: str, properties: Record) -> None:
    """Apply a table's expiry attribute and its point-in-time recovery."""
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        engine_tables._update_ttl({"TableName": name, "TimeToLiveSpecification": expiry})
    wanted = any(s.get("PointInTimeRecoveryEnabled") for s in _backup_settings(properties))
    engine_tables._update_continuous_backups(
        {
            "TableName": name,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": wanted},
        }
    )


def function(name: str, properties: Record) -> None:
    """Apply a function's reserved concurrency and dead-letter queue."""
    record = engine_lambda._functions[name]
    limit = properties.get("ReservedConcurrentExecutions")
    record["concurrency"] = None if limit is None else int(limit)
    record["config"]["DeadLetterConfig"] = properties.get("DeadLetterConfig") or {}


def http_api(name: str, properties: Record) -> None:
    """Apply an HTTP API's CORS in the spelling the engine reads."""
    cors = properties.get("CorsConfiguration")
    if cors:
        engine_api._apis[name]["corsConfiguration"] = {
            key[0].lower() + key[1:]: value for key, value in cors.items()
        }


def after(resource_type: str, apply: Apply) -> None:
    """Call `apply` with the physical id and properties after each create and update."""
    handlers = provisioners._RESOURCE_HANDLERS
    plain = handlers[resource_type]

    def create(logical_id: str, properties: Record, *rest: Any) -> tuple[str, Record]:
        physical_id, attributes = plain["create"](logical_id, properties, *rest)
        apply(physical_id, properties)
        return physical_id, attributes

    def update(
        physical_id: str,
        old: Record,
        new: Record,
        *rest: Any,
        **named: Any,
    ) -> tuple[str, Record]:
        kept_id, attributes = plain["update"](physical_id, old, new, *rest, **named)
        apply(kept_id, new)
        return kept_id, attributes

    handlers[resource_type] = {**plain, "create": create, "update": update}


def install() -> None:
    """Add what each type's provisioner leaves out."""
    after("AWS::S3::Bucket", bucket)
    after("AWS::DynamoDB::Table", table)
    after("AWS::DynamoDB::GlobalTable", table)
    after("AWS::Lambda::Function", function)
    after("AWS::ApiGatewayV2::Api", http_api)
