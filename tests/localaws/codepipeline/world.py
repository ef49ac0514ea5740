"""A local AWS with a CodePipeline in it: CodeCommit is the real one over git, CodeBuild a stand-in with a script."""

import io
import json
import threading
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from botocore.exceptions import ClientError

from pipeline.git import Git
from pipeline.localaws.codepipeline.service import CodePipeline
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError
from pipeline.process import run
from tests.localaws.codepipeline.declarations import BUCKET

PARAMETERS = "codepipeline."  # how the SSM parameters of these tests begin
PATIENCE = 60.0  # seconds; a busy machine is slow, a wrong program never gets there


class ScriptedCodeBuild(Service):
    """Answers as CodeBuild; a build ends as `results` says, or when the test lets it.

    Attributes:
        requests: The arguments of every StartBuild.
        results: Project → the members of its ended `Build`; SUCCEEDED by default. A project in `held` does not end.
    """

    name = "codebuild"

    def __init__(self, region: LocalRegion) -> None:
        super().__init__(region)
        self.requests: list[dict[str, Any]] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.held: set[str] = set()
        self.files: dict[str, dict[str, str]] = {}  # project → the files of each of its artifacts
        self._builds: dict[str, str] = {}
        self._lock = threading.Lock()

    def start_build(self, request: Document, call: Call) -> Document:
        if request["projectName"].startswith("Unknown"):
            raise ServiceError("ResourceNotFoundException", f"Project cannot be found: {request['projectName']}")
        build = f"{request['projectName']}:{uuid.uuid4()}"
        with self._lock:
            self.requests.append({**request, "_key": call.access_key})
            self._builds[build] = request["projectName"]
        self._upload(request)
        return {"build": {"id": build, "buildStatus": "IN_PROGRESS"}}

    def batch_get_builds(self, request: Document, _: Call) -> Document:
        return {"builds": [self._build(build) for build in request["ids"]]}

    def request_of(self, project: str) -> dict[str, Any]:
        """The last StartBuild of a project."""
        return [request for request in self.requests if request["projectName"] == project][-1]

    def _build(self, build: str) -> dict[str, Any]:
        project = self._builds[build]
        arn = f"arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/{project}:log-stream:{build[-8:]}"
        started = {"id": build, "logs": {"cloudWatchLogsArn": arn}, "buildStatus": "IN_PROGRESS"}
        if project in self.held:
            return started
        return {**started, "buildStatus": "SUCCEEDED", **self.results.get(project, {})}

    def _upload(self, request: Document) -> None:
        files = self.files.get(request["projectName"], {"answer.txt": "42"})
        for artifact in [request["artifactsOverride"], *request.get("secondaryArtifactsOverride", ())]:
            if artifact["type"] == "S3":
                key = f"{artifact['path']}/{artifact['name']}"
                self.region.client("s3").put_object(Bucket=artifact["location"], Key=key, Body=zipped(files))


FAILED_BUILD = {
    "buildStatus": "FAILED",
    "phases": [
        {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
        {
            "phaseType": "BUILD",
            "phaseStatus": "FAILED",
            "contexts": [
                {
                    "statusCode": "COMMAND_EXECUTION_ERROR",
                    "message": "Error while executing command: make. Reason: exit status 2",
                }
            ],
        },
        {"phaseType": "COMPLETED"},
    ],
}


@dataclass
class Events:
    """Keeps what CodePipeline raises."""

    seen: list[tuple[str, str, Mapping[str, Any], Sequence[str]]] = field(default_factory=list)

    def __call__(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
        self.seen.append((source, detail_type, detail, resources))

    def states(self, kind: str) -> list[str]:
        """The states of all events about `Pipeline`, `Stage` or `Action`, in order."""
        return [
            str(detail["state"])
            for _, name, detail, _ in self.seen
            if name == f"CodePipeline {kind} Execution State Change"
        ]


@dataclass
class World:
    """The local AWS of one test."""

    region: LocalRegion
    builds: ScriptedCodeBuild
    events: Events
    pipelines: CodePipeline
    work: Git

    @property
    def api(self) -> Any:
        return self.region.client("codepipeline")

    def commit(self, message: str = "a change", **files: str) -> str:
        """Commit files and push them; names have `_` for the dot."""
        for name, text in (files or {"README_md": message}).items():
            (self.work.folder / name.replace("_", ".")).write_text(text)
        who = {f"GIT_{role}_{field}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": "1760000000 +0200", "GIT_COMMITTER_DATE": "1760000060 +0200"}
        run(["git", "-C", str(self.work.folder), "add", "-A"])
        run(["git", "-C", str(self.work.folder), "commit", "--quiet", "--allow-empty", "-m", message], env=who | dates)
        self.work.push("local", "HEAD", "main")
        commit = self.work.commit_of("HEAD")
        assert commit
        return commit

    def create(self, document: dict[str, Any]) -> str:
        """Create a pipeline; the id of its first execution."""
        self.api.create_pipeline(pipeline=document)
        return str(self.executions(document["name"])[0]["pipelineExecutionId"])

    def start(self, **more: Any) -> str:
        return str(self.api.start_pipeline_execution(name="etl", **more)["pipelineExecutionId"])

    def executions(self, name: str = "etl") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.api.list_pipeline_executions(pipelineName=name)["pipelineExecutionSummaries"]
        return rows

    def status(self, execution: str) -> str:
        answer = self.api.get_pipeline_execution(pipelineName="etl", pipelineExecutionId=execution)
        return str(answer["pipelineExecution"]["status"])

    def ends(self, execution: str) -> str:
        """Wait until an execution has ended; its status."""
        self.until(lambda: self.status(execution) not in {"InProgress", "Stopping"}, f"{execution} has ended")
        return self.status(execution)

    def succeeds(self, execution: str) -> None:
        """Wait until an execution has succeeded; what failed is shown when it has not."""
        ended = self.ends(execution)
        results = {one["actionName"]: one.get("output", {}).get("executionResult") for one in self.actions(execution)}
        assert ended == "Succeeded", json.dumps(results, indent=1)

    def actions(self, execution: str) -> list[dict[str, Any]]:
        """All runs of actions in an execution, oldest first."""
        answer = self.api.list_action_executions(pipelineName="etl", filter={"pipelineExecutionId": execution})
        return list(reversed(answer["actionExecutionDetails"]))

    def action(self, execution: str, name: str) -> dict[str, Any]:
        """The latest run of an action in an execution."""
        return [one for one in self.actions(execution) if one["actionName"] == name][-1]

    def statuses(self, execution: str) -> dict[str, str]:
        """Action → the status of its latest run in an execution."""
        return {one["actionName"]: one["status"] for one in self.actions(execution)}

    def stage(self, name: str) -> dict[str, Any]:
        """A stage's part of GetPipelineState."""
        states = self.api.get_pipeline_state(name="etl")["stageStates"]
        return next(state for state in states if state["stageName"] == name)

    def latest(self, stage: str, action: str) -> dict[str, Any]:
        """`latestExecution` of an action in GetPipelineState; empty when it never ran."""
        states = self.stage(stage)["actionStates"]
        found: dict[str, Any] = next(one for one in states if one["actionName"] == action).get("latestExecution", {})
        return found

    def runs(self, stage: str, action: str) -> None:
        """Wait until an action is in progress."""
        self.until(lambda: self.latest(stage, action).get("status") == "InProgress", f"{stage}/{action} runs")

    def token(self, stage: str, action: str = "Approve") -> str:
        """Wait until an approval is asked for; its token."""
        self.until(lambda: "token" in self.latest(stage, action), f"{stage}/{action} waits for an answer")
        return str(self.latest(stage, action)["token"])

    def answer(self, stage: str, status: str, token: str, summary: str = "looks good") -> None:
        self.api.put_approval_result(
            pipelineName="etl",
            stageName=stage,
            actionName="Approve",
            token=token,
            result={"status": status, "summary": summary},
        )

    @staticmethod
    def until(condition: Callable[[], object], what: str) -> None:
        """Wait for something that must come true."""
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline, f"never: {what}"
            sleep(0.02)

    def unzip(self, location: Mapping[str, str]) -> dict[str, str]:
        """The files of an artifact."""
        body = self.region.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}


def zipped(files: Mapping[str, str]) -> bytes:
    """A ZIP of texts."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return into.getvalue()


def furnish(region: LocalRegion, folder: Path) -> Git:
    """The bucket, the role and the repository that pipelines of these tests use; a working tree to push from.

    moto's state outlives a server: what an earlier test left there is taken over or removed.
    """
    with suppress(ClientError):
        trust = {"Version": "2012-10-17", "Statement": []}
        region.client("iam").create_role(RoleName="pipeline", AssumeRolePolicyDocument=json.dumps(trust))
    with suppress(ClientError):
        region.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region.region}
        )
    mine = [{"Key": "Name", "Option": "BeginsWith", "Values": [PARAMETERS]}]
    ssm = region.client("ssm")
    for parameter in ssm.describe_parameters(ParameterFilters=mine)["Parameters"]:
        ssm.delete_parameter(Name=parameter["Name"])
    metadata = region.client("codecommit").create_repository(repositoryName="etl")["repositoryMetadata"]
    run(["git", "init", "--quiet", "--initial-branch=main", str(folder)])
    work = Git(folder)
    work.set_remote("local", metadata["cloneUrlHttp"])
    return work
