"""A real moto server that counts requests, an environment deployed in it, and a project to release."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from pipeline.release.s3 import S3Bucket
from tests.images.conftest import AsNobody, as_nobody, readable_by_all
from tests.release import forked
from tests.release.world import World

__all__ = ["AsNobody", "as_nobody", "readable_by_all"]

REGION = "eu-west-1"
ACCOUNT = "123456789012"
TASK = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition"

_numbers = count(1)


@dataclass(frozen=True)
class Sent:
    """A request as the server saw it."""

    service: str
    method: str
    path: str
    query: str

    @property
    def writes(self) -> bool:
        return self.service == "s3" and self.method in ("PUT", "POST", "DELETE")

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}{'?' + self.query if self.query else ''}"


@dataclass
class Aws:
    """The server: what it was asked, and a hook that may answer or act before and after a request."""

    endpoint: str = ""
    backstage: str = ""  # the same server, without hooks and uncounted: for looking at its state
    ahead: timedelta = timedelta()  # how far the server's clock is ahead of the times of its objects
    sent: list[Sent] = field(default_factory=list)
    before: Callable[[Sent], Response | None] = lambda _: None
    after: Callable[[Sent], Response | None] = lambda _: None

    def session(self) -> boto3.Session:
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)

    def client(self, service: str, *, backstage: bool = False) -> Any:
        session: Any = self.session()
        return session.client(service, endpoint_url=self.backstage if backstage else self.endpoint)

    def s3(self) -> list[Sent]:
        return [request for request in self.sent if request.service == "s3"]

    def writes(self) -> list[Sent]:
        return [request for request in self.sent if request.writes]

    def forget(self) -> None:
        self.sent.clear()


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the tests count requests themselves."""


@pytest.fixture(scope="session")
def _server() -> Iterator[Aws]:
    aws = Aws()
    moto: Any = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        scope = request.headers.get("Authorization", "").partition("Credential=")[2].split("/")
        sent = Sent(scope[3] if len(scope) > 3 else "", request.method, request.path, environ.get("QUERY_STRING", ""))
        with lock:
            aws.sent.append(sent)
        if (instead := aws.before(sent)) is not None:
            return instead(environ, start_response)
        answer = Response.from_app(moto, environ)
        return (aws.after(sent) or answer)(environ, start_response)

    class Clock(_Quiet):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) + aws.ahead.total_seconds())

    servers = [make_server("127.0.0.1", 0, each, threaded=True, request_handler=Clock) for each in (app, moto)]
    aws.endpoint, aws.backstage = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield aws
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def aws(_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name in [name for name in os.environ if name.startswith(("AWS_", "CODEBUILD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _server.before = _server.after = lambda _: None
    _server.ahead = timedelta()
    _server.forget()
    return _server


@pytest.fixture
def bucket(aws: Aws) -> S3Bucket:
    """A versioned bucket of its own, through the adapter."""
    name = f"bucket-{next(_numbers)}"
    make_bucket(aws, name)
    aws.forget()
    return S3Bucket(aws.session(), name)


def make_bucket(aws: Aws, name: str, *, versioned: bool = True) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


@dataclass
class Project:
    """A project folder and its environment `dev`, deployed in the server."""

    folder: Path
    name: str
    aws: Aws
    bucket: str
    revision: int = 1
    definition: dict[str, Any] = field(default_factory=dict)  # of the task definition, beside its container
    container: dict[str, Any] = field(default_factory=dict)

    def write(self, files: dict[str, str | bytes | None]) -> "Project":
        """Write files of the DAG folder; None removes one."""
        for name, content in files.items():
            path = self.folder / "dags" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def deploy_tasks(self, revision: int) -> None:
        """Let the tasks stack name another revision."""
        self.revision = revision
        self.aws.client("cloudformation").update_stack(
            StackName=f"{self.name}-dev-tasks", TemplateBody=_template(self._task_outputs())
        )

    def _task_outputs(self) -> dict[str, str]:
        ecs = self.aws.client("ecs")
        arn = ""
        while not arn.endswith(f":{self.revision}"):
            arn = ecs.register_task_definition(
                family=f"{self.name}-ingest",
                containerDefinitions=[
                    {"name": "ingest", "image": f"registry/etl/ingest:{self.revision}", "memory": 512, **self.container}
                ],
                **self.definition,
            )["taskDefinition"]["taskDefinitionArn"]
        return {
            "Cluster": f"{self.name}-dev",
            "Subnets": "subnet-1,subnet-2",
            "SecurityGroup": "sg-1",
            "DataBucket": f"{self.bucket}-data",
            "LogGroup": f"/{self.name}/dev",
            "TaskDefinitions": json.dumps({"ingest": arn}),
        }

    def deploy(self) -> None:
        cloudformation = self.aws.client("cloudformation")
        outputs = {"Bucket": self.bucket, "AirflowEnvironment": f"{self.name}-dev"}
        cloudformation.create_stack(StackName=f"{self.name}-dev-airflow", TemplateBody=_template(outputs))
        cloudformation.create_stack(StackName=f"{self.name}-dev-tasks", TemplateBody=_template(self._task_outputs()))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", *arguments]

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=_variables() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The real command, in a process of its own."""
        return forked.start(self.folder, *arguments, **variables).end()

    def sync(self, *arguments: str, commit: str = "c0ffee1", code: int = 0) -> str:
        done = self.run("sync", "dev", "--no-verify", "--commit", commit, *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def contents(self) -> dict[str, bytes]:
        """What the bucket holds below dags/."""
        s3 = self.aws.client("s3")
        keys = [
            item["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="dags/")
            for item in page.get("Contents", [])
        ]
        return {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def pointer(self) -> dict[str, Any]:
        document: dict[str, Any] = self.json("releases/current.json")
        return document

    def json(self, key: str) -> Any:
        return json.loads(self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())


def _variables() -> dict[str, str]:
    """This process's own, but with compiled modules kept: a command starts in half the time."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "pipeline-tests-compiled"))}


def _template(outputs: dict[str, str]) -> str:
    return json.dumps(
        {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {key: {"Value": value} for key, value in outputs.items()},
        }
    )


@pytest.fixture
def project(aws: Aws, tmp_path: Path) -> Project:
    number = next(_numbers)
    name = f"etl{number}"
    folder = tmp_path / "project"
    (folder / "dags").mkdir(parents=True)
    settings = {
        "name": name,
        "region": REGION,
        "repository": "etl",
        "airflow": {"version": "3.3.1"},
        "environments": {"dev": {"keep": ["kept/*"]}},
    }
    (folder / "cdk.json").write_text(json.dumps({"context": {"pipeline": settings}}))
    made = Project(folder, name, aws, f"{name}-dev-dags")
    make_bucket(aws, made.bucket)
    made.deploy()
    made.write(
        {"orders.py": "from common.s3 import copy\n", "common/s3.py": "def copy(): ...\n", "sql/a.sql": "select 1"}
    )
    aws.forget()
    return made


@pytest.fixture
def world(bucket: S3Bucket, tmp_path: Path) -> World:
    """A project beside an empty bucket, and nobody who releases yet."""
    (tmp_path / "dags").mkdir()
    return World(tmp_path / "dags", bucket)
