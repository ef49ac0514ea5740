"""The record of a release: what one environment runs, down to every file's checksum and S3 version. Pure.

Records are immutable (`releases/ID.json`). Which of them is current, and who is changing that, is the subject of
`pointer.py`.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.errors import PipelineError
from pipeline.release.structure import Dag

RECORD_FORMAT = 1  # as in `ReleaseRecord.format`
RELEASES_PREFIX = "releases/"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
_TIME = "%Y%m%dT%H%M%SZ"
_ID = r"\d{8}T\d{6}Z-[0-9a-z]{1,8}-[0-9a-f]{4}"
ReleaseId = Annotated[str, StringConstraints(pattern=rf"^{_ID}$")]

PartName = Literal["requirements", "plugins", "startup"]
PARTS: tuple[PartName, ...] = ("requirements", "plugins", "startup")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Frozen):
    """A file of the DAG folder as S3 holds it.

    Attributes:
        sha256: Of the content, in hexadecimal.
        size: In bytes.
        etag: As the bucket's listing shows it, without quotes. It is the MD5 only where S3 did not encrypt with KMS.
        version: The S3 version id a rollback copies from.
        level: Its place in the order of publishing; a file imports only from lower levels (see `imports.py`).
    """

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    etag: Text
    version: Text
    level: Annotated[int, Field(ge=0)]


class PartRecord(_Frozen):
    """requirements.txt, plugins.zip or startup.sh, which MWAA pins by S3 version."""

    key: Text
    sha256: Sha256
    version: Text


class TaskRecord(_Frozen):
    """The task definition of a container: its ARN with the revision, and the image that revision runs."""

    task_definition: Annotated[str, StringConstraints(pattern=r"^arn:[^:]+:ecs:[^:]+:\d+:task-definition/[^:]+:\d+$")]
    image: str | None = None


class ReleaseRecord(_Frozen):
    """What one environment runs.

    Attributes:
        id: Sorts by time; unique in its environment.
        kind: A deploy of a working tree, or a rollback to `restores`, which is always a deploy.
        commit: The commit the files came from.
        uncommitted: The working tree differed from that commit.
        by: Who released: a CodeBuild build, or a person at a machine.
        previous: The release that was current before.
        verified: Airflow was asked and had parsed every changed DAG without error.
        files: Key below the bucket → file.
        parts: What MWAA pins by version; a part that never existed is absent.
        tasks: Container → task definition.
        dags: DAG id → tasks, dependencies and schedule; None where the tests of the DAGs left none.
    """

    format: Literal[1] = 1
    id: ReleaseId
    kind: Literal["deploy", "rollback"]
    environment: Text
    commit: Text
    uncommitted: bool = False
    by: Text
    time: datetime
    previous: ReleaseId | None = None
    restores: ReleaseId | None = None
    verified: bool = False
    files: Mapping[str, FileRecord]
    parts: Mapping[PartName, PartRecord] = {}
    tasks: Mapping[str, TaskRecord] = {}
    dags: Mapping[str, Dag] | None = None

    def dump(self) -> bytes:
        """As stored in the bucket."""
        return self.model_dump_json(indent=1).encode()


def new_id(now: datetime, commit: str, *, after: str | None = None) -> str:
    """`20261107T101500Z-1a2b3c4-9f3e`: the time, the commit for people, and chance against two in one second.

    Args:
        now: This machine's time.
        commit: The commit.
        after: The release before. The new id sorts after it even when this machine's clock is behind.
    """
    short = "".join(sign for sign in commit.lower() if sign.isalnum() and sign.isascii())[:7] or "none"
    time = now.astimezone(UTC)
    if after is not None:
        before = datetime.strptime(after[:16], _TIME).replace(tzinfo=UTC)
        time = max(time, before + timedelta(seconds=1))
    return f"{time:{_TIME}}-{short}-{secrets.token_hex(2)}"


def key_of(release: str) -> str:
    """The S3 key of a record."""
    return f"{RELEASES_PREFIX}{release}.json"


def parse(content: bytes, *, where: str) -> ReleaseRecord:
    """The record stored under a key.

    Args:
        content: The object's content.
        where: `s3://bucket/key`, for errors.

    Raises:
        PipelineError: It is no record of a format this version knows; every wrong field is named.
    """
    try:
        return ReleaseRecord.model_validate_json(content)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}" for problem in error.errors()
        ]
        raise PipelineError(
            f"this is no release record of format {RECORD_FORMAT}: {'; '.join(problems[:5])}",
            where=where,
            mend="Was it written by a newer pipeline, or edited by hand? Restore the object's last version.",
        ) from None


def is_id(text: str) -> bool:
    """Whether a text can be a release's id."""
    return bool(re.fullmatch(_ID, text))
