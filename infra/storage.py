"""Where recordings are kept: a private bucket for objects, one table for rows."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.nag import acknowledge
from infra.parameters import Parameters

INDEX = "by_app"
UNSEALED = "unsealed"


class Storage(Construct):
    """The bucket and the table; both stay when the stack goes, unless it is ephemeral."""

    def __init__(self, scope: Construct, name: str, parameters: Parameters) -> None:
        super().__init__(scope, name)
        fate = RemovalPolicy.DESTROY if parameters.ephemeral else RemovalPolicy.RETAIN
        self.key = (
            kms.Key(self, "Key", enable_key_rotation=True, removal_policy=fate)
            if parameters.customer_key
            else None
        )
        self.bucket = self._make_bucket(parameters, fate)
        self.table = self._make_table(fate)

    def _make_bucket(self, parameters: Parameters, fate: RemovalPolicy) -> s3.Bucket:
        rules = [
            # An upload that its function could not finish or abort is paid for until it is.
            s3.LifecycleRule(
                id="abandoned-uploads", abort_incomplete_multipart_upload_after=Duration.days(1)
            )
        ]
        if parameters.retention_days:
            rules.append(
                s3.LifecycleRule(
                    id="retention", expiration=Duration.days(parameters.retention_days)
                )
            )
        bucket = s3.Bucket(
            self,
            "Recordings",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.KMS if self.key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self.key,
            # One data key for many objects: otherwise each segment pays for a KMS request.
            bucket_key_enabled=bool(self.key),
            enforce_ssl=True,
            minimum_tls_version=1.2,
            # A segment is put once and never overwritten (If-None-Match). What is overwritten are
            # playlists, at every segment: each old one would be kept, and paid for, for nothing.
            versioned=False,
            lifecycle_rules=rules,
            removal_policy=fate,
        )
        acknowledge(
            bucket,
            "S1",
            "Access logs cost a line per request, in another bucket, and arrive hours later. The "
            "bucket is private; who must know every reader turns on CloudTrail data events.",
        )
        return bucket

    def _make_table(self, fate: RemovalPolicy) -> dynamodb.TableV2:
        def text(name: str) -> dynamodb.Attribute:
            return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

        return dynamodb.TableV2(
            self,
            "State",
            partition_key=text("PK"),
            sort_key=text("SK"),
            billing=dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.dynamo_owned_key(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires_at",
            global_secondary_indexes=[
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name=INDEX, partition_key=text("gsi_pk"), sort_key=text("gsi_sk")
                ),
                # Sparse: only what is not sealed has this key, so its one partition stays small.
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name=UNSEALED, partition_key=text("open_pk"), sort_key=text("gsi_sk")
                ),
            ],
            deletion_protection=fate is RemovalPolicy.RETAIN,
            removal_policy=fate,
        )
