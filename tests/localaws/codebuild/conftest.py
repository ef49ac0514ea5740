"""A CodeBuild to test with: one real server for all tests, a project for each build."""

import json
import os
import sys
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from pipeline.localaws.codebuild.environment import Host
from pipeline.localaws.codebuild.service import CodeBuild
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from pipeline.pythons import find_python
from tests.localaws.conftest import free_port

ROLE = "arn:aws:iam::123456789012:role/build"
PATIENCE = 60.0


@dataclass(frozen=True)
class Bench:
    """Starts builds as a client would and looks at what became of them."""

    region: LocalRegion
    service: CodeBuild
    events: list[tuple[str, Mapping[str, Any]]]

    def client(self, service: str = "codebuild") -> Any:
        return self.region.client(service)

    def project(self, buildspec: str, **members: Any) -> str:
        """A new project without a source; `members` replace what it would have."""
        name = f"p-{uuid.uuid4().hex[:8]}"
        definition = {
            "source": {"type": "NO_SOURCE", "buildspec": buildspec},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            "serviceRole": ROLE,
        }
        self.client().create_project(name=name, **{**definition, **members})
        return name

    def start(self, project: str, **overrides: Any) -> str:
        return str(self.client().start_build(projectName=project, **overrides)["build"]["id"])

    def get(self, build: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client().batch_get_builds(ids=[build])["builds"][0]
        return found

    def wait(self, build: str) -> dict[str, Any]:
        until = monotonic() + PATIENCE
        while monotonic() < until:
            found = self.get(build)
            if found["buildComplete"]:
                return found
            sleep(0.05)
        raise AssertionError(f"{build} did not end: {self.get(build)}")

    def run(self, buildspec: str, members: Mapping[str, Any] | None = None, **overrides: Any) -> dict[str, Any]:
        """A build of a new project, run to its end."""
        return self.wait(self.start(self.project(buildspec, **(members or {})), **overrides))

    def log(self, build: Mapping[str, Any]) -> list[str]:
        """The lines of a build's log."""
        where = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
        answer = self.client("logs").get_log_events(**where, startFromHead=True)
        return [event["message"].removesuffix("\n") for event in answer["events"]]

    def output(self, build: Mapping[str, Any]) -> list[str]:
        """The lines that the build's commands printed."""
        return [line for line in self.log(build) if not line.startswith("[Container] ")]

    def bucket(self, files: Mapping[str, str] | None = None, key: str = "source.zip") -> str:
        """A new bucket; with `files`, a ZIP of them lies in it."""
        name = f"b-{uuid.uuid4().hex[:8]}"
        self.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region.region}
        )
        if files is not None:
            content = BytesIO()
            with zipfile.ZipFile(content, "w") as archive:
                for path, text in files.items():
                    archive.writestr(path, text)
            self.client("s3").put_object(Bucket=name, Key=key, Body=content.getvalue())
        return name

    def zip(self, bucket: str, key: str) -> zipfile.ZipFile:
        """A ZIP in a bucket."""
        return zipfile.ZipFile(BytesIO(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()))


def phases(build: Mapping[str, Any]) -> dict[str, str]:
    """The status of each phase the build went through."""
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in build["phases"]}


def context(build: Mapping[str, Any], phase: str) -> tuple[str, str]:
    """Why a phase did not succeed: code and message."""
    found = next(each for each in build["phases"] if each["phaseType"] == phase)["contexts"][0]
    return found["statusCode"], found["message"]


@pytest.fixture(scope="session")
def started_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server with CodeBuild that is not there for one test only: its Python template is made once."""
    port = free_port()
    folder = tmp_path_factory.mktemp("codebuild")
    region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", folder)
    events: list[tuple[str, Mapping[str, Any]]] = []
    host = Host(
        environment={**os.environ, "SECRET_OF_THE_HOST": "must not be seen"},
        docker_host="unix:///nowhere/docker.sock",
        python=Path(sys.executable),
        find_python=find_python,
        programs=(Path(sys.prefix) / "bin" / "aws",),
        base_images=lambda sources, say: say(f"base images of {sorted(path.name for path in sources.iterdir())}"),
    )
    service = CodeBuild(region, host, emit=lambda _source, kind, detail, _resources: events.append((kind, detail)))
    server = Server(LocalAws(region, [service]), port)
    server.start()
    yield Bench(region, service, events)
    server.stop()


@pytest.fixture
def bench(started_bench: Bench) -> Bench:
    """The bench with its role: moto's state is one for all servers of a process, and other tests empty it."""
    iam = started_bench.client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="build", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17"}))
    return started_bench
