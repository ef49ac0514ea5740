"""A release through a network and an S3 that fail at any request; see `proxy.py` for how.

What must hold is looked at after every write S3 carries out, from beside the proxy:
- no DAG is in the bucket whose helper, or `_release.json`, is older than the one it was tested with;
- `releases/current.json` names a release whose every file is there in the recorded version.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from pipeline.errors import PipelineError
from pipeline.release import lock
from pipeline.release.s3 import S3Bucket
from tests.release.conftest import REGION, Aws, make_bucket
from tests.release.proxy import LATE, Fault, Proxy, proxy
from tests.release.world import World

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("aws")]


@dataclass
class Moments:
    """Looks at the bucket after every write, and keeps what it did not like."""

    s3: Any
    bucket: str
    wrong: list[str] = field(default_factory=list)

    def __call__(self, request: str) -> None:
        if request.startswith(("PUT", "POST", "DELETE")):
            self.wrong += [f"{request}: {problem}" for problem in self.problems()]

    def content(self, key: str) -> bytes | None:
        try:
            return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None

    def problems(self) -> Iterator[str]:
        dag, helper, task = (self.number(key) for key in ("dags/orders.py", "dags/common/s3.py", "dags/_release.json"))
        if dag and (helper < dag or task < dag):
            yield f"DAG {dag} beside helper {helper} and task revision {task}"
        pointer = json.loads(self.content("releases/current.json") or b"{}")
        release = pointer.get("release")
        if release is None:
            return
        record = self.content(f"releases/{release}.json")
        if record is None:
            yield f"the current release {release} has no record"
            return
        there = self.s3.list_object_versions(Bucket=self.bucket).get("Versions", [])
        versions = {(each["Key"], each["VersionId"]) for each in there}
        for key, file in json.loads(record)["files"].items():
            if (key, file["version"]) not in versions:
                yield f"{key} of {release} is not there"

    def number(self, key: str) -> int:
        found = re.search(rb"version (\d+)|task-definition/etl-ingest:(\d+)", self.content(key) or b"")
        return int(found[1] or found[2]) if found else 0


@dataclass
class Line:
    """A world whose S3 is behind a proxy."""

    world: World
    proxy: Proxy
    aws: Aws
    moments: Moments
    version: int = 0

    def edit(self, version: int) -> None:
        """A commit that changes a helper, its DAG, the task definition, the requirements; adds and removes a file."""
        self.version = version
        folder = self.world.folder
        (folder / "common").mkdir(exist_ok=True)
        (folder / "common/s3.py").write_text(f"def copy(): ...  # version {version}\n")
        (folder / "orders.py").write_text(f"from common.s3 import copy  # version {version}\n")
        (folder / "requirements.txt").write_text(f"pandas=={version}\n")
        (folder / f"new_{version}.sql").write_text("select 1")
        (folder / f"new_{version - 1}.sql").unlink(missing_ok=True)
        self.world.revision = version

    def connect(self, *, attempts: int = 4, timeout: float = 30) -> None:
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        through = _Through(session, self.proxy.endpoint)
        self.world.bucket = S3Bucket(through, self.moments.bucket, attempts=attempts, timeout=timeout)  # type: ignore[arg-type]

    def holds(self, version: int) -> bool:
        """Whether the bucket holds that commit, all of it and nothing else, and a record says so."""
        self.proxy.fault = lambda _: None
        contents, current = self.world.contents(), self.world.current()
        return (
            set(contents) == {"dags/common/s3.py", "dags/orders.py", f"dags/new_{version}.sql"}
            and contents["dags/orders.py"].endswith(f"version {version}\n")
            and current is not None
            and set(current.files) == {*contents, "dags/_release.json"}
            and lock.read(self.world.bucket).pointer.lock is None
        )


@dataclass
class _Through:
    """A session whose clients talk to an endpoint."""

    session: boto3.Session
    endpoint: str

    def client(self, service: str, **given: Any) -> Any:
        session: Any = self.session
        return session.client(service, endpoint_url=self.endpoint, **given)


@pytest.fixture
def line(aws: Aws, tmp_path: Path) -> Iterator[Line]:
    name = f"faults-{abs(hash(tmp_path))}"
    make_bucket(aws, name)
    (tmp_path / "dags").mkdir()
    with proxy(aws.endpoint) as through:
        moments = Moments(aws.client("s3", backstage=True), name)
        through.done = moments
        made = Line(World(tmp_path / "dags", S3Bucket(aws.session(), name)), through, aws, moments)
        made.connect()
        yield made


MOST = 40  # no release of this test takes so many requests: the loops below end earlier


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
def test_a_single_fault_at_any_request_is_survived(line: Line, fault: Fault) -> None:
    line.edit(1)
    line.world.sync()
    line.connect(timeout=LATE / 2 if fault is Fault.LATE else 30)
    for at in range(1, MOST):
        line.edit(at + 1)
        line.proxy.forget()
        line.proxy.fault = lambda number, at=at: fault if number == at else None  # type: ignore[misc]
        line.world.sync()
        reached = len(line.proxy.seen) >= at
        assert line.holds(at + 1), f"{fault} at request {at}: {line.proxy.seen}"
        assert line.moments.wrong == []
        if not reached:
            break
    assert 12 < at < MOST


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.ANSWER_LOST], ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("back", [False, True], ids=["deploy", "rollback"])
def test_an_outage_from_any_request_on_leaves_what_the_next_run_completes(line: Line, fault: Fault, back: bool) -> None:
    line.edit(1)
    line.world.sync()
    for at in range(1, MOST):
        line.edit(at + 1)
        if back:
            line.world.sync()
        line.connect(attempts=1)
        line.proxy.forget()
        line.proxy.fault = lambda number, at=at: fault if number >= at else None  # type: ignore[misc]
        target = line.version - back
        try:
            restore(line, target) if back else line.world.sync()
        except PipelineError:
            failed = True
        else:
            failed = False
        line.proxy.fault = lambda _: None
        line.connect()
        there = content(line)
        if failed:
            line.aws.ahead = timedelta(hours=1)  # the dead owner's lock expires
            line.proxy.forget()
            restore(line, target) if back else line.world.sync()
            line.aws.ahead = timedelta()
            assert_nothing_was_sent_again(line, there)
        assert line.holds(target), f"{fault} from request {at} on"
        assert line.moments.wrong == []
        if not failed:
            break
    assert 10 < at < MOST


def content(line: Line) -> dict[str, str]:
    """ETags of what is in the bucket."""
    return {key: listed.etag for key, listed in line.world.bucket.listing("").items()}


def restore(line: Line, version: int) -> None:
    """Roll back to the deploy of that version."""
    listed = line.moments.s3.list_objects_v2(Bucket=line.moments.bucket, Prefix="releases/2")["Contents"]
    records = [json.loads(line.moments.content(item["Key"]) or b"") for item in listed]
    line.world.roll_back(
        next(each["id"] for each in records if each["kind"] == "deploy" and f"dags/new_{version}.sql" in each["files"])
    )


def assert_nothing_was_sent_again(line: Line, there: dict[str, str]) -> None:
    now = content(line)
    written = {
        request.partition("?")[0].split("/", 2)[2]
        for request in line.proxy.seen
        if request.startswith("PUT") and "releases/" not in request
    }
    assert not {key for key in written if there.get(key) == now.get(key)}, "uploaded though it was there"
