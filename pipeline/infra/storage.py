"""Buckets: private, encrypted, reached by TLS only, and kept when their stack goes."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from pipeline.infra.nag import excuse

_ACCESS_LOGS = "AccessLogs"
ACCESS_LOGS_KEPT = Duration.days(90)


def private_bucket(
    scope: Construct,
    name: str,
    *,
    versioned: bool,
    key: kms.IKey | None = None,
    lifecycle: Sequence[s3.LifecycleRule] = (),
) -> s3.Bucket:
    """A bucket of ours. Who read and wrote it is logged to the one bucket for access logs of its stack.

    It is retained with its stack: data and releases outlive a mistake in a template.
    """
    return s3.Bucket(
        scope,
        name,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        bucket_key_enabled=True if key else None,  # one call to KMS for many objects
        enforce_ssl=True,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=versioned,
        lifecycle_rules=[
            s3.LifecycleRule(id="failed-uploads", abort_incomplete_multipart_upload_after=Duration.days(7)),
            *lifecycle,
        ],
        removal_policy=RemovalPolicy.RETAIN,
        server_access_logs_bucket=_access_logs(Stack.of(scope)),
        server_access_logs_prefix=f"{name}/",
    )


def _access_logs(stack: Stack) -> s3.Bucket:
    found = stack.node.try_find_child(_ACCESS_LOGS)
    if isinstance(found, s3.Bucket):
        return found
    bucket = s3.Bucket(
        stack,
        _ACCESS_LOGS,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,  # S3 cannot write its logs with a key of ours
        enforce_ssl=True,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        lifecycle_rules=[s3.LifecycleRule(id="expire", expiration=ACCESS_LOGS_KEPT)],
        removal_policy=RemovalPolicy.RETAIN,
    )
    excuse(bucket, "AwsSolutions-S1", "It receives the access logs; logging access to itself would never end.")
    return bucket
