"""Objects in the data bucket."""

from typing import TYPE_CHECKING, Protocol

import boto3
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class NoSuchObjectError(Exception):
    """There is no object of that key: the step before has not run."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no object {key!r} in the data bucket; has the step before this one run?")


class Bucket(Protocol):
    """What the steps need of a bucket. Writing replaces, so a step that runs again changes nothing."""

    def read(self, key: str) -> bytes:
        """The content of an object.

        Raises:
            NoSuchObjectError: There is none.
        """
        ...

    def write(self, key: str, content: bytes) -> None:
        """Create or replace an object."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """The keys that start with `prefix`, sorted."""
        ...


class S3Bucket:
    """A bucket in S3. Region, credentials and endpoint come from the environment, as for any AWS client."""

    def __init__(self, name: str, client: "S3Client | None" = None) -> None:
        self._name = name
        self._s3: S3Client = client or boto3.client("s3")

    def read(self, key: str) -> bytes:
        try:
            return self._s3.get_object(Bucket=self._name, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                raise NoSuchObjectError(key) from None
            raise

    def write(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self._name, Key=key, Body=content)

    def keys(self, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


class MemoryBucket:
    """The twin of `S3Bucket` for tests."""

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise NoSuchObjectError(key)
        return self.objects[key]

    def write(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))
