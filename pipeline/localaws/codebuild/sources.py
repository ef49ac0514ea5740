"""Bringing a build's sources into its folder: S3 objects, CodeCommit repositories, or nothing."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pipeline.errors import PipelineError
from pipeline.git import Git
from pipeline.localaws.codebuild.archive import unpack
from pipeline.localaws.region import LocalRegion

DEFAULT_BUILDSPEC = "buildspec.yml"


def fetch(region: LocalRegion, source: Mapping[str, Any], version: str, folder: Path) -> str:
    """Put a source below `folder`, which is created.

    Args:
        region: Where S3 and CodeCommit answer.
        source: A `ProjectSource`.
        version: For S3 the version id of the object, for CodeCommit a branch, tag or commit; "" for the newest.
        folder: The source's folder.

    Returns:
        The version that was fetched: a commit or a version id; "" when the source has none.

    Raises:
        PipelineError: It is not there, or it cannot be unpacked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if source["type"] == "S3":
        return _from_s3(region, source.get("location", ""), version, folder)
    if source["type"] == "CODECOMMIT":
        return _from_codecommit(region, source.get("location", ""), version, folder, source.get("gitCloneDepth"))
    return ""


def s3_text(region: LocalRegion, arn: str) -> str:
    """The text of the S3 object of that ARN, for a project whose buildspec lies in S3.

    Raises:
        PipelineError: It cannot be read.
    """
    bucket, _, key = arn.removeprefix("arn:aws:s3:::").partition("/")
    try:
        return str(region.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())
    except ClientError as error:
        raise PipelineError(f"cannot read the buildspec {arn}: {error}") from None


def _from_s3(region: LocalRegion, location: str, version: str, folder: Path) -> str:
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    if not key:
        raise PipelineError(f"the source location must be BUCKET/KEY, it is {location!r}")
    s3 = region.client("s3")
    extra = {"VersionId": version} if version else {}
    try:
        if key.endswith("/"):
            _from_prefix(s3, bucket, key, folder)
            return ""
        answer = s3.get_object(Bucket=bucket, Key=key, **extra)
        archive = folder.with_suffix(".zip")
        with archive.open("wb") as into:
            for chunk in answer["Body"].iter_chunks(1 << 20):
                into.write(chunk)
    except ClientError as error:
        raise PipelineError(f"cannot read the source s3://{bucket}/{key}: {error}") from None
    unpack(archive, folder)
    archive.unlink()
    return str(answer.get("VersionId", ""))


def _from_prefix(s3: Any, bucket: str, prefix: str, folder: Path) -> None:
    """A location that ends with a slash is a folder of plain files."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            target = folder / item["Key"].removeprefix(prefix)
            if item["Key"].endswith("/") or not target.resolve().is_relative_to(folder.resolve()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())


def _from_codecommit(region: LocalRegion, location: str, version: str, folder: Path, depth: int | None) -> str:
    name = location.rstrip("/").rpartition("/")[2]
    with suppress(OSError):
        folder.rmdir()
    repository = Git.clone(f"{region.endpoint}/v1/repos/{name}", folder, revision=version or None, depth=depth or None)
    return repository.commit_of("HEAD") or ""
