"""A data team's clone of this repository, with a local AWS of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import boto3

from pipeline.git import Git
from pipeline.process import run

# A cold machine downloads all packages and builds the base image within it; a hang must not take CI's whole time.
COMMAND_SECONDS = 900
EVENT_SECONDS = 30  # from a push to its execution: a rule and a call
_EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit code and all it printed."""

    code: int
    output: str


@dataclass
class Project:
    """The clone. What it prints and commits is what a developer's shell would show.

    Attributes:
        folder: The working tree.
        port: Where its local AWS answers.
    """

    folder: Path
    port: int
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def copied_from(cls, origin: Path, folder: Path, port: int) -> "Project":
        """All files of the repository as they are now, committed ones or not, as the first commit of a new one."""
        listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=origin)
        for name in filter(None, listed.split("\0")):
            if (origin / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin / name, folder / name, follow_symlinks=False)
        run(["git", "init", "--quiet", "--initial-branch=main"], cwd=folder)
        run(["git", "config", "user.name", "A Developer"], cwd=folder)
        run(["git", "config", "user.email", "developer@example.org"], cwd=folder)
        project = cls(folder, port)
        project.commit("Begin")
        return project

    def sh(self, *command: str) -> Ended:
        """Run a command in the clone, as its README says to."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
        path = f"{self.folder}/.venv/bin{os.pathsep}{os.environ['PATH']}"
        environment = {**outside, "PATH": path, "PIPELINE_LOCAL_PORT": str(self.port), **self.variables}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        sys.stdout.write(f"$ {' '.join(command)}\n{done.stdout}")
        return Ended(done.returncode, done.stdout)

    def make_run(self) -> Ended:
        """`make run`, then `eval "$(pipeline local env)"`."""
        ended = self.sh("make", "run", f"PYTHON={sys.executable}")
        said = dict(_EXPORT.findall(self.sh("pipeline", "local", "env").output))
        assert said.pop("PATH").endswith(':$PATH"')  # for a shell to fill in; `sh` has its own
        self.variables = said
        self.__dict__.pop("session", None)
        return ended

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        run(["git", "add", "--all"], cwd=self.folder)
        run(["git", "commit", "--quiet", "-m", message], cwd=self.folder)
        commit = Git(self.folder).commit_of("HEAD")
        assert commit
        return commit

    def push(self, message: str) -> Ended:
        """Commit, push, and watch the execution that the push starts."""
        self.send(message)
        return self.sh("pipeline", "watch")

    def send(self, message: str) -> str:
        """Commit and push, until the execution has begun that the push starts; the commit's id."""
        commit = self.commit(message)
        pushed = self.sh("git", "push", "--quiet", "local", "main")
        assert pushed.code == 0
        assert self.await_execution(commit), f"no execution of {commit} started"
        return commit

    def await_execution(self, commit: str) -> bool:
        """Whether an execution of a commit begins; nobody asked for it but the push."""
        until = monotonic() + EVENT_SECONDS
        while monotonic() < until:
            found = self.client("codepipeline").list_pipeline_executions(pipelineName="etl", maxResults=1)
            revisions = [
                revision["revisionId"]
                for summary in found["pipelineExecutionSummaries"]
                for revision in summary.get("sourceRevisions", [])  # none before Source has run
            ]
            if commit in revisions:
                return True
            sleep(0.5)
        return False

    def await_action(self, name: str, status: str) -> None:
        """Wait until a `stage/action` of the newest execution has a status."""
        until = monotonic() + COMMAND_SECONDS
        while (now := self.actions()[name]) != status:
            assert now != "Failed", f"{name} failed"
            assert monotonic() < until, f"{name} is {now}"
            sleep(1)

    def start_dag(self, dag: str, day: str) -> str:
        """Start a run in dev's Airflow and leave it to itself; its id."""
        started = self.sh("pipeline", "local", "airflow", "run", dag, "--day", day, "--no-follow")
        assert started.code == 0
        return started.output.split()[-1]

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace a text that is there once."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} holds {before!r} {text.count(before)} times"
        path.write_text(text.replace(before, after), encoding="utf-8")

    @cached_property
    def session(self) -> boto3.Session:
        """What `pipeline local env` says, as a session."""
        return boto3.Session(
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_REGION"],
        )

    def client(self, service: str) -> Any:
        """A boto3 client of the local AWS."""
        return self.session.client(service, endpoint_url=self.variables["AWS_ENDPOINT_URL"])  # type: ignore[call-overload]

    def aws(self, *arguments: str) -> Any:
        """What the AWS CLI answers, unmodified."""
        ended = self.sh("aws", *arguments, "--output=json")
        assert ended.code == 0, ended.output
        return json.loads(ended.output or "null")

    # --- effects, read where they are

    def output(self, stack: str, key: str) -> str:
        """An output of a stack."""
        [found] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return next(str(output["OutputValue"]) for output in found["Outputs"] if output["OutputKey"] == key)

    def bucket(self, environment: str) -> dict[str, str]:
        """Key → version id of everything in an environment's DAG bucket."""
        name = self.output(f"etl-{environment}-airflow", "Bucket")
        pages = self.client("s3").get_paginator("list_object_versions").paginate(Bucket=name)
        versions = [version for page in pages for version in page.get("Versions", [])]
        return {version["Key"]: version["VersionId"] for version in versions if version["IsLatest"]}

    def read(self, environment: str, key: str, version: str | None = None) -> bytes:
        """An object of an environment's DAG bucket, its newest version by default."""
        name = self.output(f"etl-{environment}-airflow", "Bucket")
        which = {"VersionId": version} if version else {}
        return bytes(self.client("s3").get_object(Bucket=name, Key=key, **which)["Body"].read())

    def images(self) -> dict[str, set[str]]:
        """Container → digests of its images in the registry."""
        ecr = self.client("ecr")
        return {
            repository["repositoryName"].removeprefix("etl/"): {
                image["imageDigest"]
                for image in ecr.describe_images(repositoryName=repository["repositoryName"])["imageDetails"]
            }
            for repository in ecr.describe_repositories()["repositories"]
            if repository["repositoryName"].startswith("etl/")
        }

    def revisions(self, environment: str) -> dict[str, str]:
        """Container → the revision of its task definition that the DAGs of an environment use."""
        document = json.loads(self.output(f"etl-{environment}-tasks", "TaskDefinitions"))
        return {str(name): str(arn) for name, arn in document.items()}

    def runs_of_tasks(self, environment: str) -> dict[str, list[str]]:
        """Airflow's run → the task definitions of the containers that ran for it, sorted."""
        ecs, cluster = self.client("ecs"), f"etl-{environment}"
        arns = [
            arn
            for wanted in ("RUNNING", "STOPPED")
            for arn in ecs.list_tasks(cluster=cluster, desiredStatus=wanted)["taskArns"]
        ]
        runs: dict[str, list[str]] = {}
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns, include=["TAGS"])["tasks"]:
            [run] = [tag["value"] for tag in task["tags"] if tag["key"] == "airflow-run"]
            runs[run] = sorted([*runs.get(run, []), task["taskDefinitionArn"]])
        return runs

    def actions(self) -> dict[str, str]:
        """Stage/action → status, of the newest execution."""
        document = json.loads(self.sh("pipeline", "status", "--json").output)
        return {
            f"{stage['name']}/{action['name']}": action["status"]
            for stage in document["stages"]
            for action in stage["actions"]
        }
