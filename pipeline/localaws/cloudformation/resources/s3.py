"""AWS::S3::Bucket and AWS::S3::BucketPolicy."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.localaws.cloudformation.resources.provider import Provider, Request, unless_gone
from pipeline.localaws.cloudformation.resources.s3_lifecycle import lifecycle
from pipeline.localaws.cloudformation.template import Document

# us-east-1 is the one region that must not be named as a location.
_DEFAULT_REGION: Final = "us-east-1"
_GONE: Final = ("NoSuchBucket", "404")


# The API has another name for it than CloudFormation.
_ENCRYPTION_NAMES = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}


class Bucket(Provider):
    """A bucket; everything but its name changes in place."""

    type = "AWS::S3::Bucket"
    implemented = frozenset(
        {
            "AccessControl",
            "BucketEncryption",
            "BucketName",
            "LifecycleConfiguration",
            "LoggingConfiguration",
            "NotificationConfiguration",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "Tags",
            "VersioningConfiguration",
        }
    )

    def create(self, request: Request) -> str:
        """Make the bucket, then put each configuration."""
        name = request.properties.get("BucketName") or request.name(longest=63, lower=True)
        s3 = request.client("s3")
        where = request.place.region
        location: dict[str, Any] = (
            {} if where == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": where}}
        )
        s3.create_bucket(Bucket=name, **location)
        request.note(name)
        self._configure(s3, name, request.properties, {})
        return str(name)

    def update(self, request: Request, physical_id: str, before: Document) -> None:
        """Put what changed; delete what is no longer wanted."""
        self._configure(request.client("s3"), physical_id, request.properties, before)

    def delete(self, request: Request, physical_id: str) -> None:
        """Fails while there is an object in it, as on AWS."""
        with unless_gone(*_GONE):
            request.client("s3").delete_bucket(Bucket=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:
        """The names of the bucket."""
        region = request.place.region
        return {
            "Arn": f"arn:aws:s3:::{physical_id}",
            "DomainName": f"{physical_id}.s3.amazonaws.com",
            "RegionalDomainName": f"{physical_id}.s3.{region}.amazonaws.com",
            "DualStackDomainName": f"{physical_id}.s3.dualstack.{region}.amazonaws.com",
            "WebsiteURL": f"http://{physical_id}.s3-website.{region}.amazonaws.com",
        }

    def _configure(self, s3: Any, bucket: str, wanted: Document, before: Document) -> None:
        for name, put in _PUT.items():
            if wanted.get(name) == before.get(name):
                continue
            if wanted.get(name):
                put(s3, bucket, wanted[name])
            else:
                _REMOVE[name](s3, bucket)


def _put_encryption(s3: Any, bucket: str, value: Document) -> None:
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {_ENCRYPTION_NAMES.get(key, key): item for key, item in rule.items()}
                for rule in value["ServerSideEncryptionConfiguration"]
            ]
        },
    )


def _put_logging(s3: Any, bucket: str, value: Document) -> None:
    enabled = {
        "TargetBucket": value.get("DestinationBucketName", bucket),
        "TargetPrefix": value.get("LogFilePrefix", ""),
    }
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})


def _put_notification(s3: Any, bucket: str, value: Document) -> None:
    configuration: dict[str, Any] = {key: item for key, item in value.items() if key != "EventBridgeConfiguration"}
    if (value.get("EventBridgeConfiguration") or {}).get("EventBridgeEnabled", False):
        configuration["EventBridgeConfiguration"] = {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def _canned(access: str) -> str:
    """`LogDeliveryWrite` → `log-delivery-write`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", access).lower()


# In this order: ownership decides whether an ACL may be set, and logging needs the ACL.
_PUT: Final[Mapping[str, Callable[[Any, str, Any], Any]]] = {
    "OwnershipControls": lambda s3, bucket, value: s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls=value
    ),
    "AccessControl": lambda s3, bucket, value: s3.put_bucket_acl(Bucket=bucket, ACL=_canned(value)),
    "BucketEncryption": _put_encryption,
    "VersioningConfiguration": lambda s3, bucket, value: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration=value
    ),
    "PublicAccessBlockConfiguration": lambda s3, bucket, value: s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=value
    ),
    "LifecycleConfiguration": lambda s3, bucket, value: s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration=lifecycle(value)
    ),
    "LoggingConfiguration": _put_logging,
    "NotificationConfiguration": _put_notification,
    "Tags": lambda s3, bucket, value: s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": value}),
}
_REMOVE: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "OwnershipControls": lambda s3, bucket: s3.delete_bucket_ownership_controls(Bucket=bucket),
    "AccessControl": lambda s3, bucket: s3.put_bucket_acl(Bucket=bucket, ACL="private"),
    "BucketEncryption": lambda s3, bucket: s3.delete_bucket_encryption(Bucket=bucket),
    # Versioning can never be taken away again, only suspended (S3 user guide, "Using versioning").
    "VersioningConfiguration": lambda s3, bucket: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    ),
    "PublicAccessBlockConfiguration": lambda s3, bucket: s3.delete_public_access_block(Bucket=bucket),
    "LifecycleConfiguration": lambda s3, bucket: s3.delete_bucket_lifecycle(Bucket=bucket),
    "LoggingConfiguration": lambda s3, bucket: s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={}),
    "NotificationConfiguration": lambda s3, bucket: s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={}
    ),
    "Tags": lambda s3, bucket: s3.delete_bucket_tagging(Bucket=bucket),
}


class BucketPolicy(Provider):
    """The policy of a bucket."""

    type = "AWS::S3::BucketPolicy"
    implemented = frozenset({"Bucket", "PolicyDocument"})

    def create(self, request: Request) -> str:
        """Put the policy."""
        bucket = str(request.properties["Bucket"])
        self._put(request, bucket)
        return bucket

    def update(self, request: Request, physical_id: str, before: Document) -> None:  # noqa: ARG002 - it is put whole
        """Put the policy."""
        self._put(request, physical_id)

    def delete(self, request: Request, physical_id: str) -> None:
        """Take the policy away."""
        with unless_gone(*_GONE, "NoSuchBucketPolicy"):
            request.client("s3").delete_bucket_policy(Bucket=physical_id)

    def attributes(self, request: Request, physical_id: str) -> Document:  # noqa: ARG002 - it has none
        """None."""
        return {}

    def _put(self, request: Request, bucket: str) -> None:
        policy = request.properties["PolicyDocument"]
        text = policy if isinstance(policy, str) else json.dumps(policy)
        request.client("s3").put_bucket_policy(Bucket=bucket, Policy=text)
