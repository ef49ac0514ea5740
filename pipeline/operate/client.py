"""The AWS calls of operating a pipeline. Every failure of AWS becomes a sentence."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.operate.executions import Action, Approval, Execution, approvals, execution_view, telling

if TYPE_CHECKING:
    import boto3

READ_LINES = 100  # of a failed build's log, among which CodeBuild's own bookkeeping
TAIL_LINES = 20  # of a failed build: what fits a screen together with the stages


@contextmanager
def aws_errors(where: str) -> Iterator[None]:
    """Let what AWS refuses be told to people.

    Raises:
        PipelineError: Instead of any error of the SDK.
    """
    try:
        yield
    except ClientError as error:
        raise PipelineError(error.response["Error"].get("Message") or str(error), where=where) from None
    except BotoCoreError as error:
        raise PipelineError(
            f"AWS could not be reached: {error}",
            where=where,
            mend='Are you logged in? For the local AWS: is it up (pipeline local up), and did you run eval "$(pipeline '
            'local env)"?',
        ) from None


class PipelineClient:
    """One pipeline, seen through the APIs of CodePipeline, CodeBuild and CloudWatch Logs."""

    def __init__(
        self, session: "boto3.Session", name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self._clock = clock
        self._pipelines = session.client("codepipeline")
        self._builds = session.client("codebuild")
        self._logs = session.client("logs")

    def executions(self, most: int = 10) -> list[Mapping[str, Any]]:
        """Summaries of the last executions, newest first."""
        with aws_errors(self.name):
            answer = self._pipelines.list_pipeline_executions(pipelineName=self.name, maxResults=most)
        return list(answer["pipelineExecutionSummaries"])

    def latest(self, commit: str | None = None) -> str | None:
        """The id of the newest execution, or of the newest of a commit; None when there is none."""
        for summary in self.executions(most=100 if commit else 1):
            revisions = {revision.get("revisionId") for revision in summary.get("sourceRevisions", [])}
            if commit is None or commit in revisions:
                return str(summary["pipelineExecutionId"])
        return None

    def execution(self, execution_id: str) -> Execution:
        """All of one execution."""
        with aws_errors(self.name):
            found = self._pipelines.get_pipeline_execution(pipelineName=self.name, pipelineExecutionId=execution_id)[
                "pipelineExecution"
            ]
            declared = self._pipelines.get_pipeline(name=self.name, version=found["pipelineVersion"])["pipeline"]
            details: list[Any] = []
            pages = self._pipelines.get_paginator("list_action_executions").paginate(
                pipelineName=self.name, filter={"pipelineExecutionId": execution_id}
            )
            for page in pages:
                details.extend(page["actionExecutionDetails"])
        return execution_view(declared, found, details, self._clock())

    def approvals(self) -> tuple[Approval, ...]:
        """The releases that wait for an answer."""
        with aws_errors(self.name):
            return approvals(self._pipelines.get_pipeline_state(name=self.name))

    def start(self) -> str:
        """Start an execution of the branch's last commit; gives its id."""
        with aws_errors(self.name):
            return self._pipelines.start_pipeline_execution(name=self.name)["pipelineExecutionId"]

    def why(self, action: Action) -> Sequence[str]:
        """The last lines of why an action failed: its build's log, else CodePipeline's own message."""
        lines = self.build_log(action.external_id, READ_LINES) if action.provider == "CodeBuild" else []
        return telling(lines)[-TAIL_LINES:] or action.error.splitlines()

    def build_log(self, build_id: str, most: int | None = None) -> list[str]:
        """The lines of a build's log, oldest first; only the last ones when `most` is given."""
        if not build_id:
            return []
        with aws_errors(build_id):
            builds = self._builds.batch_get_builds(ids=[build_id])["builds"]
            place = builds[0].get("logs", {}) if builds else {}
            group, stream = place.get("groupName"), place.get("streamName")
            if not group or not stream:
                return []
            if most is not None:
                answer = self._logs.get_log_events(
                    logGroupName=group, logStreamName=stream, limit=most, startFromHead=False
                )
                return [event["message"].rstrip("\n") for event in answer["events"]]
            return list(self._all_lines(group, stream))

    def _all_lines(self, group: str, stream: str) -> Iterator[str]:
        token: dict[str, Any] = {}
        while True:
            answer = self._logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
            yield from (event["message"].rstrip("\n") for event in answer["events"])
            if token.get("nextToken") == answer["nextForwardToken"]:
                return
            token = {"nextToken": answer["nextForwardToken"]}

    def answer_approval(self, action: Action, *, approve: bool, comment: str) -> None:
        """Approve or reject what waits."""
        with aws_errors(f"{self.name}: {action.stage}"):
            state = self._pipelines.get_pipeline_state(name=self.name)
            token = next(
                (
                    found["latestExecution"]["token"]
                    for stage in state["stageStates"]
                    for found in stage["actionStates"]
                    if stage["stageName"] == action.stage
                    and found["actionName"] == action.name
                    and "token" in found.get("latestExecution", {})
                ),
                None,
            )
            if token is None:
                raise PipelineError("nothing waits for approval there any more", where=f"{self.name}: {action.stage}")
            self._pipelines.put_approval_result(
                pipelineName=self.name,
                stageName=action.stage,
                actionName=action.name,
                result={"summary": comment, "status": "Approved" if approve else "Rejected"},
                token=token,
            )

    def retry(self, execution: Execution, stage: str) -> None:
        """Run the failed actions of a stage again, in the same execution."""
        with aws_errors(f"{self.name}: {stage}"):
            self._pipelines.retry_stage_execution(
                pipelineName=self.name,
                stageName=stage,
                pipelineExecutionId=execution.id,
                retryMode="FAILED_ACTIONS",
            )

    def reports(self, build_id: str) -> list[Mapping[str, Any]]:
        """The test reports a build wrote."""
        with aws_errors(build_id):
            builds = self._builds.batch_get_builds(ids=[build_id])["builds"]
            arns = builds[0].get("reportArns", []) if builds else []
            return list(self._builds.batch_get_reports(reportArns=arns)["reports"]) if arns else []

    def failed_tests(self, report_arn: str) -> list[Mapping[str, Any]]:
        """The test cases of a report that did not succeed."""
        with aws_errors(report_arn):
            return [
                case
                for status in ("FAILED", "ERROR")
                for page in self._builds.get_paginator("describe_test_cases").paginate(
                    reportArn=report_arn, filter={"status": status}
                )
                for case in page["testCases"]
            ]
