"""The bucket and the table: private, encrypted, kept, and without what nobody needs any more."""

from typing import Any

from everreel.state import rows
from tests.stack.assembly import Assembly, many


def rules(assembly: Assembly) -> dict[str, Any]:
    bucket = assembly.only("AWS::S3::Bucket")
    return {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}


def test_bucket_when_made_then_private_encrypted_and_over_tls(either: Assembly) -> None:
    bucket = either.only("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    ownership = bucket["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    denied = [
        s
        for s in either.only("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        if s["Effect"] == "Deny"
    ]
    conditions = [str(s["Condition"]) for s in denied]
    assert any("aws:SecureTransport" in c for c in conditions)
    assert any("s3:TlsVersion" in c for c in conditions)
    assert all(s["Principal"] == {"AWS": "*"} and many(s["Action"]) == ["s3:*"] for s in denied)


def test_encryption_when_left_alone_then_the_services_own_keys(usual: Assembly) -> None:
    (rule,) = usual.only("AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert not usual.of_type("AWS::KMS::Key")


def test_encryption_when_the_key_is_ours_then_it_turns_and_serves_the_bucket(
    special: Assembly,
) -> None:
    key = special.id_of("AWS::KMS::Key")
    assert special.only("AWS::KMS::Key")["EnableKeyRotation"] is True
    (rule,) = special.only("AWS::S3::Bucket")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": [key, "Arn"]}


def test_objects_when_old_then_they_expire_unless_told_otherwise(
    usual: Assembly, special: Assembly
) -> None:
    assert rules(usual)["retention"]["ExpirationInDays"] == 365
    assert "retention" not in rules(special)


def test_uploads_when_abandoned_then_removed_after_a_day(either: Assembly) -> None:
    rule = rules(either)["abandoned-uploads"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_playlists_when_rewritten_then_old_ones_are_not_kept(either: Assembly) -> None:
    assert "VersioningConfiguration" not in either.only("AWS::S3::Bucket")


def test_table_when_made_then_its_keys_are_those_the_rows_use(either: Assembly) -> None:
    table = either.only("AWS::DynamoDB::GlobalTable")
    assert table["KeySchema"] == [
        {"AttributeName": rows.PARTITION_KEY, "KeyType": "HASH"},
        {"AttributeName": rows.SORT_KEY, "KeyType": "RANGE"},
    ]
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    partitions = {
        rows.INDEX: rows.INDEX_PARTITION_KEY,
        rows.UNSEALED_INDEX: rows.UNSEALED_KEY,
    }
    assert set(indexes) == set(partitions)
    for name, partition in partitions.items():
        assert indexes[name]["Projection"] == {"ProjectionType": "ALL"}
        assert indexes[name]["KeySchema"] == [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": rows.INDEX_SORT_KEY, "KeyType": "RANGE"},
        ]
    assert table["TimeToLiveSpecification"] == {"AttributeName": rows.EXPIRES, "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    (replica,) = table["Replicas"]
    recovery = replica["PointInTimeRecoverySpecification"]
    assert recovery["PointInTimeRecoveryEnabled"] is True


def test_recordings_when_the_stack_goes_then_they_stay_unless_it_was_a_trial(
    usual: Assembly, special: Assembly
) -> None:
    kinds = ("AWS::S3::Bucket", "AWS::DynamoDB::GlobalTable")
    for assembly, fate in ((usual, "Retain"), (special, "Delete")):
        for kind in kinds:
            (resource,) = assembly.of_type(kind).values()
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == fate
        (replica,) = assembly.only("AWS::DynamoDB::GlobalTable")["Replicas"]
        assert replica["DeletionProtectionEnabled"] is (fate == "Retain")


def test_stack_when_synthesised_then_no_custom_resource_runs_code_of_its_own(
    either: Assembly,
) -> None:
    kinds = {resource["Type"] for resource in either.template["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith(("Custom::", "AWS::CloudFormation::Cus"))]
