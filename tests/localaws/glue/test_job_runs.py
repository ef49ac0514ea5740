"""Python shell jobs really run: their arguments, rights, output, and every way to end."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.localaws.glue.service import Glue
from pipeline.localaws.machine.processes import mark_of, process_ids
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localaws.conftest import free_port


class World:
    """A region with Glue, a bucket for scripts and a role."""

    def __init__(self, folder: Path, port: int) -> None:
        self.region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", folder)
        self.server = Server(LocalAws(self.region, [Glue(self.region, Path(sys.executable))]), port)
        self.server.start()
        self.mark = uuid.uuid4().hex[:8]
        self.glue, self.s3 = self.region.client("glue"), self.region.client("s3")
        self.bucket = f"scripts-{self.mark}"
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        policy = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = self.region.client("iam").create_role(RoleName=f"glue-{self.mark}", AssumeRolePolicyDocument=policy)
        self.role = role["Role"]["Arn"]

    def job(self, script: str, **settings: Any) -> str:
        name = f"job-{uuid.uuid4().hex[:8]}"
        self.s3.put_object(Bucket=self.bucket, Key=f"{name}.py", Body=script.encode())
        command = {"Name": "pythonshell", "ScriptLocation": f"s3://{self.bucket}/{name}.py", "PythonVersion": "3.9"}
        self.glue.create_job(**({"Name": name, "Role": self.role, "Command": command} | settings))
        return name

    def start(self, name: str, **request: Any) -> str:
        return str(self.glue.start_job_run(JobName=name, **request)["JobRunId"])

    def wait(self, name: str, run: str, *states: str) -> dict[str, Any]:
        end = monotonic() + 30
        while (found := self.glue.get_job_run(JobName=name, RunId=run)["JobRun"])["JobRunState"] not in states:
            assert monotonic() < end, found
            sleep(0.05)
        return dict(found)

    def run(self, name: str, **request: Any) -> dict[str, Any]:
        return self.wait(name, self.start(name, **request), "SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED")

    def log(self, run: dict[str, Any], which: str) -> list[str]:
        events = self.region.client("logs").get_log_events(
            logGroupName=f"{run['LogGroupName']}/{which}", logStreamName=run["Id"], startFromHead=True
        )["events"]
        return [event["message"] for event in events]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    opened = World(tmp_path_factory.mktemp("local"), free_port())
    yield opened
    opened.server.stop()


def test_a_script_runs_with_its_arguments_and_the_rights_of_its_role(world: World) -> None:
    script = """
import os, sys, boto3
print("arguments", *sys.argv[1:])
boto3.client("s3").put_object(Bucket=sys.argv[sys.argv.index("--bucket") + 1], Key="made", Body=b"by glue")
print(boto3.client("sts").get_caller_identity()["Arn"])
print(sorted(name for name in os.environ if name.startswith("PYTEST")))
print("careful", file=sys.stderr)
"""
    name = world.job(script, DefaultArguments={"--bucket": "nobody", "--day": "first"})
    run = world.run(name, Arguments={"--bucket": world.bucket})
    assert run["JobRunState"] == "SUCCEEDED"
    arguments, who, environment = world.log(run, "output")
    assert arguments == f"arguments --bucket {world.bucket} --day first"
    assert f"assumed-role/glue-{world.mark}/" in who
    assert environment == "[]"
    assert world.log(run, "error") == ["careful"]
    assert world.s3.get_object(Bucket=world.bucket, Key="made")["Body"].read() == b"by glue"
    assert run["Arguments"] == {"--bucket": world.bucket, "--day": "first"}
    assert run["CompletedOn"] >= run["StartedOn"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise ValueError('no rows')", "ValueError: no rows"),
        ("import sys; sys.exit(3)", "Command Failed due to exit code 3"),
        ("this is no python", "SyntaxError: invalid syntax"),
    ],
)
def test_a_script_that_fails_says_why(world: World, script: str, message: str) -> None:
    run = world.run(world.job(script))
    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", message)


def test_a_script_or_a_role_that_is_not_there_fails_the_run(world: World) -> None:
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{world.bucket}/none.py"}
    run = world.run(world.job("", Command=command))
    assert run["JobRunState"] == "FAILED"
    assert "NoSuchKey" in run["ErrorMessage"]


def test_a_run_is_stopped_with_all_its_processes(world: World) -> None:
    name = world.job("import subprocess; subprocess.run(['sleep', '600'])")
    run = world.start(name)
    world.wait(name, run, "RUNNING")
    end = monotonic() + 10
    while len(_processes(run)) < 2 and monotonic() < end:
        sleep(0.05)
    answer = world.glue.batch_stop_job_run(JobName=name, JobRunIds=[run, "jr_none"])
    assert [each["JobRunId"] for each in answer["SuccessfulSubmissions"]] == [run]
    assert [each["JobRunId"] for each in answer["Errors"]] == ["jr_none"]
    assert "ErrorMessage" not in world.wait(name, run, "STOPPED")
    assert _processes(run) == []


def _processes(mark: str) -> list[int]:
    return [pid for pid in process_ids() if mark_of(pid) == mark]


def test_no_more_runs_at_once_than_the_job_says(world: World) -> None:
    name = world.job("import time; time.sleep(600)", ExecutionProperty={"MaxConcurrentRuns": 1})
    run = world.start(name)
    with pytest.raises(ClientError, match="ConcurrentRunsExceededException"):
        world.start(name)
    world.glue.batch_stop_job_run(JobName=name, JobRunIds=[run])
    world.wait(name, run, "STOPPED")
    again = world.start(name)
    assert [each["Id"] for each in world.glue.get_job_runs(JobName=name)["JobRuns"]] == [again, run]
    world.glue.batch_stop_job_run(JobName=name, JobRunIds=[again])


def test_spark_is_refused_by_name_instead_of_pretended(world: World) -> None:
    name = world.job("", Command={"Name": "glueetl", "ScriptLocation": "s3://x/y.py"})
    with pytest.raises(ClientError, match="it has no Spark or Ray for 'glueetl'"):
        world.start(name)


def test_a_job_or_a_run_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        world.start("nobody")
    name = world.job("")
    with pytest.raises(ClientError, match=r"EntityNotFoundException.*jr_none"):
        world.glue.get_job_run(JobName=name, RunId="jr_none")


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.localaws.glue.test_job_runs import World
world = World(Path(sys.argv[1]), int(sys.argv[2]))
name = world.job("import time; time.sleep(600)")
run = world.start(name)
world.wait(name, run, "RUNNING")
print(run, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_server_ran_is_ended_by_the_next_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = done.stdout.strip()
    assert len(_processes(run)) == 1
    world = World(tmp_path, free_port())
    world.server.stop()
    assert _processes(run) == []
    assert list((tmp_path / "glue").iterdir()) == []
