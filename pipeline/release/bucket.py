"""The bucket as a release needs it: the port, and its values. `s3.py` is the adapter."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

from pipeline.errors import PipelineError

ANYTHING = None
ABSENT = "*"  # as `expected`: the key must not exist
NO_VERSION = "null"


@dataclass(frozen=True)
class Listed:
    """A key in the bucket's listing."""

    etag: str
    size: int


@dataclass(frozen=True)
class Written:
    """What S3 says of an object it has stored.

    Attributes:
        version: NO_VERSION for what was stored while the bucket kept none.
        sha256: Of the content, in hexadecimal; "" where S3 was not asked, or does not know: not every client tells it.
    """

    etag: str
    version: str
    sha256: str = field(default="", compare=False)

    def holds(self, sha256: str, md5: str) -> bool:
        """Whether the content is the one with these checksums. The ETag is the MD5 unless KMS encrypts."""
        return self.sha256 == sha256 or self.etag == md5


@dataclass(frozen=True)
class Stored:
    """An object read from the bucket. `modified` and `now` are S3's own times."""

    content: bytes
    etag: str
    modified: datetime
    now: datetime


class ConflictError(PipelineError):
    """A conditional write found another state than it expected: someone else was quicker."""


class UnversionedError(PipelineError):
    """S3 has stored an object, but keeps no versions of it.

    Attributes:
        etag: Of the object.
    """

    def __init__(self, etag: str, *, where: str) -> None:
        super().__init__(
            "the bucket keeps no versions, so nothing could be rolled back",
            where=where,
            mend="Switch versioning on: MWAA demands it, and the environment's stack does it.",
        )
        self.etag = etag


class Bucket(Protocol):
    """The operations a release needs. ETags are without quotes. Every failure is a `PipelineError`."""

    name: str

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, repeated ones included."""

    def keeps_versions(self) -> bool:
        """Whether versioning is on."""

    def listing(self, prefix: str) -> dict[str, Listed]:
        """Every key below a prefix: one request per 1,000."""

    def get(self, key: str, version: str | None = None) -> Stored | None:
        """An object, or None when there is none."""

    def head(self, key: str, version: str | None = None) -> Written | None:
        """What S3 says of an object, or None when there is none."""

    def put(self, key: str, content: bytes | BinaryIO, sha256: str, *, expected: str | None = ANYTHING) -> Written:
        """Store an object.

        Args:
            key: Where.
            content: What.
            sha256: Of the content, in hexadecimal; S3 refuses content that does not match.
            expected: The ETag the key must have now, `ABSENT`, or `ANYTHING`.

        Raises:
            ConflictError: The key's state is not the expected one (and not the content itself: a repeated
                request, whose first answer got lost, is no conflict).
            UnversionedError: It is stored, but without a version.
        """

    def copy(self, key: str, version: str, *, expected: str | None = ANYTHING) -> Written:
        """Make an earlier version of a key the current one, on the server.

        Raises:
            ConflictError: As for `put`.
        """

    def delete(self, keys: Collection[str], expected: Mapping[str, str] | None = None) -> None:
        """Delete keys: one request per 1,000, and for each that XML cannot hold. With versioning they can be restored.

        Keys that are gone are no error.

        Args:
            keys: What to delete, in this order as far as there are several requests.
            expected: For some or all of them, the ETag they must have.

        Raises:
            ConflictError: A key has another ETag: someone changed it.
        """
