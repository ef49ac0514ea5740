"""A local AWS with MWAA on a free port, and what tests ask it."""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from botocore.exceptions import ClientError

from pipeline.localaws.mwaa.service import Mwaa
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localaws.conftest import free_port

ROOT = Path(__file__).parents[3]
INSTALLATIONS = ROOT / ".airflow"  # shared with `pipeline test dags`: an Airflow is installed once
COMPONENTS = ("DagProcessingLogs", "SchedulerLogs", "TaskLogs", "WebserverLogs", "WorkerLogs")
UPDATES = 240.0  # seconds; about 30 on a machine with nothing else to do

DAG = """
from airflow.sdk import DAG, task
from words import GREETING

with DAG("greet", schedule=None):

    @task
    def say():
        import os
        import boto3

        buckets = [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
        print(GREETING, "to", *buckets, "from", os.environ.get("GREETER", "nobody"))

    say()
"""


def until(seen: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    """What `seen` returns, as soon as it is true."""
    end = monotonic() + seconds
    while True:
        try:
            found = seen()
        except ClientError as error:
            # A machine that does much else may need more than the 10 seconds that InvokeRestApi has.
            if error.response["Error"]["Code"] != "RestApiServerException":
                raise
            found = None
        if found:
            return found
        assert monotonic() < end, f"not within {seconds:g} s: {what}"
        sleep(0.5)


@dataclass
class World:
    """A local AWS with one bucket of DAGs and one environment."""

    region: LocalRegion
    server: Server
    name: str

    @classmethod
    def start(cls, folder: Path, name: str, port: int = 0) -> "World":
        """A server with MWAA; nothing in it yet."""
        port = port or free_port()
        region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", folder)
        folder.mkdir(exist_ok=True)
        server = Server(LocalAws(region, [Mwaa(region, INSTALLATIONS, dict(os.environ))]), port)
        server.start()
        return cls(region, server, name)

    @property
    def bucket(self) -> str:
        return f"dags-of-{self.name}"

    def make_bucket(self) -> None:
        s3 = self.region.client("s3")
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def put(self, key: str, content: str | bytes) -> str:
        """Put an object; its version."""
        answer = self.region.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        return str(answer["VersionId"])

    def delete(self, key: str) -> None:
        self.region.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def create(self, **members: Any) -> None:
        request = {
            "Name": self.name,
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/airflow",
            "SourceBucketArn": f"arn:aws:s3:::{self.bucket}",
            "DagS3Path": "dags",
            "AirflowVersion": "3.3.1",
            "EnvironmentClass": "mw1.micro",
            "NetworkConfiguration": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
            "LoggingConfiguration": {component: {"Enabled": True, "LogLevel": "INFO"} for component in COMPONENTS},
        }
        self.region.client("mwaa").create_environment(**request | members)

    def update(self, **members: Any) -> dict[str, Any]:
        """Update the environment, and wait for the end; the environment then."""
        self.region.client("mwaa").update_environment(Name=self.name, **members)
        return self.settled()

    def environment(self) -> dict[str, Any]:
        return dict(self.region.client("mwaa").get_environment(Name=self.name)["Environment"])

    def settled(self) -> dict[str, Any]:
        """The environment once it is neither created nor updated any more."""

        def seen() -> dict[str, Any]:
            found = self.environment()
            return found if found["Status"] in ("AVAILABLE", "UPDATE_FAILED", "CREATE_FAILED") else {}

        return dict(until(seen, "the environment settles", UPDATES))

    def rest(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        request = {"Body": body} if body is not None else {}
        answer = self.region.client("mwaa").invoke_rest_api(
            Name=self.name, Method=method, Path=path, QueryParameters=query, **request
        )
        return dict(answer["RestApiResponse"])

    def dags(self) -> dict[str, dict[str, Any]]:
        return {dag["dag_id"]: dag for dag in self.rest("GET", "/dags", limit=100)["dags"] if not dag["is_stale"]}

    def begin(self, dag: str) -> str:
        """Start a run of a DAG; the run's id."""
        until(lambda: dag in self.dags(), f"the DAG {dag} is there")
        self.rest("PATCH", f"/dags/{dag}", {"is_paused": False}, update_mask="is_paused")
        return str(self.rest("POST", f"/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def task_states(self, dag: str, run: str) -> list[str]:
        """The states of a run's tasks."""
        body = {"dag_ids": [dag], "dag_run_ids": [run]}
        found = self.rest("POST", "/dags/~/dagRuns/~/taskInstances/list", body)["task_instances"]
        return [str(task["state"]) for task in found]

    def run(self, dag: str) -> str:
        """Run a DAG to its end; the state it ended in."""
        run = self.begin(dag)

        def ended() -> str:
            runs = {found["dag_run_id"]: found for found in self.rest("GET", f"/dags/{dag}/dagRuns")["dag_runs"]}
            return str(runs[run]["state"]) if runs[run]["state"] in ("success", "failed") else ""

        return str(until(ended, "the run ends"))

    def log(self, group: str, part_of_stream: str = "") -> str:
        """All lines of a log group's streams."""
        logs = self.region.client("logs")
        name = f"airflow-{self.name}-{group}"
        lines: list[str] = []
        try:
            streams = logs.describe_log_streams(logGroupName=name)["logStreams"]
            for stream in streams:
                if part_of_stream in stream["logStreamName"]:
                    events = logs.get_log_events(
                        logGroupName=name, logStreamName=stream["logStreamName"], startFromHead=True
                    )["events"]
                    lines += [event["message"] for event in events]
        except ClientError:
            return ""
        return "\n".join(lines)


def archive(files: Mapping[str, str]) -> bytes:
    """A ZIP file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return content.getvalue()
