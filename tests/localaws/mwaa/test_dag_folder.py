from pathlib import Path
from typing import Any

import pytest

from pipeline.localaws.mwaa.dag_folder import Copying, DagFolder, is_safe, plan, touched
from tests.localaws.conftest import Serve


@pytest.mark.parametrize(
    ("bucket", "folder", "present", "expected"),
    [
        ({}, {}, [], Copying((), ())),
        ({"a.py": "1"}, {}, [], Copying(("a.py",), ())),
        ({"a.py": "1"}, {"a.py": "1"}, ["a.py"], Copying((), ())),
        ({"a.py": "2"}, {"a.py": "1"}, ["a.py"], Copying(("a.py",), ())),
        ({"a.py": "1"}, {"a.py": "1"}, [], Copying(("a.py",), ())),
        ({}, {"a.py": "1"}, ["a.py"], Copying((), ("a.py",))),
    ],
)
def test_only_what_differs_is_copied(
    bucket: dict[str, str], folder: dict[str, str], present: list[str], expected: Copying
) -> None:
    assert plan(bucket, folder, present) == expected


SOURCES = {
    "orders.py": "from fargate import task",
    "fargate.py": "from common import config",
    "common/__init__.py": "",
    "common/config.py": "x = 1",
    "alone.py": "print(1)",
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["alone.py"], set()),
        (["fargate.py"], {"orders.py"}),
        (["common/config.py"], {"fargate.py", "orders.py"}),
        (["common/__init__.py"], {"fargate.py", "orders.py"}),
        (["_release.json"], set(SOURCES)),
        (["gone.py"], set()),
    ],
)
def test_files_that_may_use_what_changed_are_parsed_again(changed: list[str], expected: set[str]) -> None:
    assert touched(changed, SOURCES) == expected


@pytest.mark.parametrize(
    ("key", "safe"),
    [("a.py", True), ("a/b.py", True), ("", False), ("a/", False), ("../a.py", False), ("a//b.py", False)],
)
def test_no_key_leads_out_of_the_folder(key: str, safe: bool) -> None:
    assert is_safe(key) == safe


@pytest.fixture
def s3(serve: Serve, request: pytest.FixtureRequest) -> Any:
    client = serve().client("s3")
    client.create_bucket(Bucket=bucket_of(request), CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


def bucket_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).replace("_", "-")[:60].strip("-")


def test_the_folder_follows_the_bucket_below_its_prefix_only(
    s3: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bucket, folder = bucket_of(request), DagFolder(s3, tmp_path / "dags", tmp_path / "dags.json")
    for key in ("dags/a.py", "dags/sub/b.py", "dags/", "dagsque/c.py", "requirements.txt"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert folder.copy(bucket, "dags").fetch == ("a.py", "sub/b.py")
    assert (tmp_path / "dags/sub/b.py").read_text() == "dags/sub/b.py"
    assert not folder.copy(bucket, "dags")
    s3.delete_object(Bucket=bucket, Key="dags/sub/b.py")
    s3.put_object(Bucket=bucket, Key="dags/a.py", Body=b"new")
    assert folder.copy(bucket, "dags/") == Copying(("a.py",), ("sub/b.py",))
    assert sorted(path.name for path in (tmp_path / "dags").iterdir()) == ["a.py"]
    assert (tmp_path / "dags/a.py").read_text() == "new"


def test_a_server_that_was_started_again_copies_nothing_twice(
    s3: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bucket = bucket_of(request)
    s3.put_object(Bucket=bucket, Key="dags/a.py", Body=b"a")
    assert DagFolder(s3, tmp_path / "dags", tmp_path / "dags.json").copy(bucket, "dags")
    assert not DagFolder(s3, tmp_path / "dags", tmp_path / "dags.json").copy(bucket, "dags")


def test_a_bucket_that_cannot_be_read_leaves_the_dags_as_they_are(
    s3: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bucket, folder = bucket_of(request), DagFolder(s3, tmp_path / "dags", tmp_path / "dags.json")
    s3.put_object(Bucket=bucket, Key="dags/a.py", Body=b"a")
    folder.copy(bucket, "dags")
    assert not folder.copy("no-such-bucket", "dags")
    assert (tmp_path / "dags/a.py").exists()
