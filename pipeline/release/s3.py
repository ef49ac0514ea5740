"""The bucket in S3, by boto3."""

import base64
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from pipeline.errors import PipelineError
from pipeline.release.bucket import (
    ABSENT,
    ANYTHING,
    NO_VERSION,
    ConflictError,
    Listed,
    Stored,
    UnversionedError,
    Written,
)

if TYPE_CHECKING:
    import boto3

PARALLEL = 32  # requests at once: as many as one process can keep going at S3's usual latency
_READS = 3  # of an object whose content was cut
_DELETES_PER_REQUEST = 1000
# A conditional write lost to another one: 412; two at the very same time: 409; If-Match on a key that is gone: 404.
_CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion"})
_UNREAD = re.compile(
    rb"<(LastModified|StorageClass|ChecksumAlgorithm|ChecksumType)>[^<]*</\1>|<Owner>.*?</Owner>", re.DOTALL
)
_UNSAYABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # in XML, and so in a request to delete many
_EXPLAINED = {
    "NoSuchBucket": ("the bucket does not exist", "Deploy the environment's stacks first."),
    "AccessDenied": ("S3 denies access", "The release role needs the actions README.md lists under Releases."),
    "PermanentRedirect": ("the bucket is in another region", "Correct the environment's region in cdk.json."),
    "AuthorizationHeaderMalformed": (
        "the bucket is in another region",
        "Correct the environment's region in cdk.json.",
    ),
    "KMS.DisabledException": ("the bucket's KMS key is disabled", "Enable the key, or change the bucket's encryption."),
    "InvalidAccessKeyId": ("AWS does not know these credentials", "Sign in again."),
    "SignatureDoesNotMatch": ("the secret key does not belong to the access key", "Sign in again."),
    "ExpiredToken": ("the credentials have expired", "Sign in again, and run the command again."),
    "RequestTimeTooSkewed": ("this machine's clock is wrong by more than 15 minutes", "Set the clock."),
}
_KMS_DENIED = (
    "the bucket's KMS key denies access",
    "The release role needs kms:GenerateDataKey and kms:Decrypt on the key, and the key's policy must allow it.",
)


class S3Bucket:
    """See `bucket.Bucket`."""

    def __init__(self, session: "boto3.Session", name: str, *, attempts: int = 5, timeout: float = 30) -> None:
        """Connect.

        Args:
            session: In the release role.
            name: The bucket's.
            attempts: How often a request is sent when S3 is busy, broken or out of reach.
            timeout: Seconds without a byte after which an attempt is given up.
        """
        self.name = name
        self._s3 = session.client(
            "s3",
            config=Config(
                max_pool_connections=PARALLEL,
                connect_timeout=min(timeout, 10),
                read_timeout=timeout,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )
        self._requests = 0
        self._lock = Lock()
        self._s3.meta.events.register("before-send.s3", self._sent)
        self._s3.meta.events.register("before-parse.s3.ListObjectsV2", _shorten)
        self._s3.meta.events.register_last("before-call.s3.PutObject", _send_at_once)

    def _sent(self, **_: Any) -> None:
        with self._lock:
            self._requests += 1

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, repeated ones included."""
        return self._requests

    def keeps_versions(self) -> bool:
        """Whether versioning is on."""
        with self._explained(""):
            return self._s3.get_bucket_versioning(Bucket=self.name).get("Status") == "Enabled"

    def listing(self, prefix: str) -> dict[str, Listed]:
        """Every key below a prefix: one request per 1,000."""
        with self._explained(prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return {
                item["Key"]: Listed(etag=item["ETag"].strip('"'), size=item["Size"])
                for page in pages
                for item in page.get("Contents", [])
            }

    def get(self, key: str, version: str | None = None) -> Stored | None:
        """An object, or None when there is none."""
        wanted: dict[str, Any] = {"VersionId": version} if version else {}
        with self._explained(key):
            for _ in range(_READS - 1):
                try:
                    return self._get(key, wanted)
                except (HTTPClientError, IncompleteReadError):
                    continue  # cut in the middle of the answer, which botocore does not repeat
            return self._get(key, wanted)

    def _get(self, key: str, wanted: dict[str, Any]) -> Stored | None:
        try:
            answer = self._s3.get_object(Bucket=self.name, Key=key, **wanted)
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return Stored(
            content=answer["Body"].read(),
            etag=answer["ETag"].strip('"'),
            modified=answer["LastModified"],
            now=parsedate_to_datetime(date) if date else datetime.now(UTC),
        )

    def head(self, key: str, version: str | None = None) -> Written | None:
        """What S3 says of an object, or None when there is none."""
        wanted: dict[str, Any] = {"VersionId": version} if version else {}
        with self._explained(key):
            try:
                answer = self._s3.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED", **wanted)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            found, sha256 = answer.get("VersionId", NO_VERSION), _hexadecimal(answer.get("ChecksumSHA256", ""))
            return Written(answer["ETag"].strip('"'), found, sha256)

    def put(self, key: str, content: bytes | BinaryIO, sha256: str, *, expected: str | None = ANYTHING) -> Written:
        """Store an object; see `bucket.Bucket`."""
        condition = _condition(expected)
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with self._explained(key):
            try:
                answer = self._s3.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=content,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                    **condition,
                )
            except ClientError as error:
                if not condition or _code(error) not in _CONFLICTS:
                    raise
                return self._unless_ours(key, checksum)
            return self._written(key, answer["ETag"], answer.get("VersionId"))

    def _unless_ours(self, key: str, checksum: str | None) -> Written:
        """A conflict, or our own earlier attempt whose answer got lost: then the object has the very content."""
        try:
            now = self._s3.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise
        else:
            if checksum and now.get("ChecksumSHA256") == checksum:
                return self._written(key, now["ETag"], now.get("VersionId"))
        raise _conflict(f"s3://{self.name}/{key}")

    def copy(self, key: str, version: str, *, expected: str | None = ANYTHING) -> Written:
        """Make an earlier version of a key the current one, on the server."""
        with self._explained(key):
            source: Any = {"Bucket": self.name, "Key": key, "VersionId": version}
            condition = _condition(expected)
            try:
                answer = self._s3.copy_object(Bucket=self.name, Key=key, CopySource=source, **condition)
            except ClientError as error:
                if _code(error) in _MISSING and self._checksum(key, version) is None:
                    raise PipelineError(
                        f"version {version} of it is gone, so it cannot be restored",
                        where=f"s3://{self.name}/{key}",
                        mend="Deploy the commit of that release again.",
                    ) from None
                if not condition or _code(error) not in _CONFLICTS:
                    raise
                return self._unless_ours(key, self._checksum(key, version))
            return self._written(key, answer["CopyObjectResult"]["ETag"], answer.get("VersionId"))

    def _checksum(self, key: str, version: str) -> str | None:
        try:
            return self._s3.head_object(Bucket=self.name, Key=key, VersionId=version, ChecksumMode="ENABLED").get(
                "ChecksumSHA256", ""
            )
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise

    def delete(self, keys: Collection[str], expected: Mapping[str, str] | None = None) -> None:
        """Delete keys: one request per 1,000; see `bucket.Bucket`."""
        conditions = expected or {}
        for key in filter(_UNSAYABLE.search, keys):
            with self._explained(key):
                self._s3.delete_object(Bucket=self.name, Key=key, **_condition(conditions.get(key)))
        for batch in _batches([key for key in keys if not _UNSAYABLE.search(key)]):
            with self._explained(batch[0]):
                objects: Any = [
                    {"Key": key, "ETag": conditions[key]} if key in conditions else {"Key": key} for key in batch
                ]
                answer = self._s3.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", []):
                code, where = failed.get("Code", ""), f"s3://{self.name}/{failed.get('Key')}"
                if code in _MISSING:
                    continue  # our own earlier attempt, whose answer got lost
                if code in _CONFLICTS:
                    raise _conflict(where)
                raise PipelineError(f"S3 did not delete it: {code}: {failed.get('Message')}", where=where)

    def _written(self, key: str, etag: str, version: str | None) -> Written:
        if (version or NO_VERSION) == NO_VERSION:
            raise UnversionedError(etag.strip('"'), where=f"s3://{self.name}/{key}")
        return Written(etag.strip('"'), version or "")

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        where = f"s3://{self.name}/{key}"
        try:
            yield
        except ClientError as error:
            what, mend = _EXPLAINED.get(_code(error), ("S3 refused", ""))
            if _code(error) == "AccessDenied" and "kms:" in str(error):
                what, mend = _KMS_DENIED
            raise PipelineError(f"{what}: {error}", where=where, mend=mend) from None
        except BotoCoreError as error:
            raise PipelineError(f"S3 cannot be reached: {error}", where=where) from None


def _hexadecimal(checksum: str) -> str:
    """A checksum as S3 writes it; "" for none, and for one of an upload in parts, which is not of the content."""
    return "" if "-" in checksum else base64.b64decode(checksum).hex()


def _condition(expected: str | None) -> dict[str, Any]:
    if expected is ANYTHING:
        return {}
    return {"IfNoneMatch": "*"} if expected == ABSENT else {"IfMatch": f'"{expected}"'}


def _conflict(where: str) -> ConflictError:
    return ConflictError("someone else changed it meanwhile", where=where, mend="Run the command again.")


def _shorten(response_dict: dict[str, Any], **_: Any) -> None:
    """Take out of a listing what nobody here reads: to parse its times alone would be half of a sync's work."""
    response_dict["body"] = _UNREAD.sub(b"", response_dict["body"])


def _send_at_once(params: dict[str, Any], **_: Any) -> None:
    """Send a small content with its request: to ask first whether S3 wants it is a way there and back for each."""
    if isinstance(params["body"], BytesIO):  # larger ones are files
        params["headers"].pop("Expect", None)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _DELETES_PER_REQUEST):
        yield keys[start : start + _DELETES_PER_REQUEST]
