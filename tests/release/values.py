"""Small values the tests of this package build plans and records from."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.release.bucket import Listed
from pipeline.release.deploy import Origin
from pipeline.release.environment import Deployment
from pipeline.release.record import FileRecord, ReleaseRecord
from pipeline.release.tree import Source, generated

ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/etl-ingest:{}"
ORIGIN = Origin(commit="c0ffee1", by="ann@laptop")
FIRST = "20261107T101500Z-c0ffee1-0001"
SECOND = "20261107T111500Z-c0ffee2-0002"


def md5(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def source(key: str, content: str, level: int = 0) -> Source:
    return generated(key, content.encode(), level)


def listed(content: str) -> Listed:
    return Listed(etag=md5(content), size=len(content))


def file_record(content: str, version: str = "v1", level: int = 0, etag: str | None = None) -> FileRecord:
    return FileRecord(
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        size=len(content),
        etag=etag or md5(content),
        version=version,
        level=level,
    )


def release(files: Mapping[str, FileRecord] | None = None, **given: Any) -> ReleaseRecord:
    values: dict[str, Any] = {
        "id": FIRST,
        "kind": "deploy",
        "environment": "dev",
        "commit": "c0ffee1",
        "by": "ann@laptop",
        "time": datetime(2026, 11, 7, 10, 15, tzinfo=UTC),
        "files": files or {},
    }
    return ReleaseRecord(**values | given)


def deployment(bucket: str, revision: int = 1) -> Deployment:
    return Deployment(
        environment="dev",
        account="123456789012",
        region="eu-west-1",
        bucket=bucket,
        airflow_environment="etl-dev",
        cluster="etl-dev",
        subnets=("subnet-1", "subnet-2"),
        security_groups=("sg-1",),
        data_bucket="data",
        task_definitions={"ingest": ARN.format(revision)},
        log_group="/etl/dev",
    )


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
