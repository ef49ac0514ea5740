"""One execution of the pipeline as people think of it: its commit, its stages, what each action did and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

NOT_STARTED = "NotStarted"
BOOKKEEPING = "[Container] "  # CodeBuild's own lines in a build's log begin so
DID_NOT = "Command did not exit successfully"
# CodePipeline's own words (botocore: PipelineExecutionStatus).
RUNNING = ("InProgress", "Stopping")
Category = Literal["Source", "Build", "Test", "Deploy", "Approval", "Invoke", "Compute"]


@dataclass(frozen=True)
class Action:
    """One action in one execution.

    Attributes:
        status: CodePipeline's status of the action, or NotStarted.
        error: CodePipeline's own message, "" unless it failed.
        external_id: The build's id, the change set's ARN: what the action started elsewhere.
        seconds: How long it ran, or has been running.
        link: Where more is to be read: of an approval, the page that it links to.
        request: Of an approval: what the release manager is asked, with its variables filled in.
        variables: What it reported: the exported variables of a build, the outputs of a stack.
    """

    stage: str
    name: str
    category: Category
    provider: str
    run_order: int
    status: str = NOT_STARTED
    error: str = ""
    external_id: str = ""
    seconds: float | None = None
    link: str = ""
    request: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def waits_for_approval(self) -> bool:
        """Whether a release manager is asked."""
        return self.category == "Approval" and self.status == "InProgress"


@dataclass(frozen=True)
class Stage:
    """A stage with its actions, in the order they run."""

    name: str
    actions: tuple[Action, ...]

    @property
    def status(self) -> str:
        """The worst news of its actions: Failed, InProgress, NotStarted or Succeeded."""
        found = {action.status for action in self.actions}
        for status in ("Failed", "Abandoned", "InProgress"):
            if status in found:
                return status
        if found == {"Succeeded"}:
            return "Succeeded"
        return "InProgress" if "Succeeded" in found else NOT_STARTED


@dataclass(frozen=True)
class Approval:
    """A release that waits for a yes or no; until then its stage lets no other execution in.

    Attributes:
        stage: Where it waits.
        execution_id: Whose release it is.
        behind: The executions that wait for the stage.
    """

    stage: str
    execution_id: str
    behind: tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """One journey of one commit."""

    id: str
    status: str
    commit: str
    message: str
    stages: tuple[Stage, ...]

    @property
    def actions(self) -> Iterator[Action]:
        """Every action, in order."""
        return (action for stage in self.stages for action in stage.actions)

    @property
    def failed(self) -> tuple[Action, ...]:
        """The actions that failed."""
        return tuple(action for action in self.actions if action.status == "Failed")

    @property
    def waiting(self) -> tuple[Action, ...]:
        """The approvals that are asked for."""
        return tuple(action for action in self.actions if action.waits_for_approval)

    @property
    def running(self) -> tuple[Action, ...]:
        """The actions that are at work."""
        return tuple(action for action in self.actions if action.status == "InProgress")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status not in RUNNING


def execution_view(
    declaration: Mapping[str, Any],
    execution: Mapping[str, Any],
    details: Sequence[Mapping[str, Any]],
    now: datetime,
) -> Execution:
    """Put together what three API answers say of an execution.

    Args:
        declaration: `GetPipeline`'s `pipeline`, in the version the execution runs.
        execution: `GetPipelineExecution`'s `pipelineExecution`.
        details: `ListActionExecutions`' `actionExecutionDetails` of that execution; of several tries of one action the
            last counts.
        now: For how long something has been running.
    """
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for detail in sorted(details, key=lambda item: item["startTime"]):
        latest[detail["stageName"], detail["actionName"]] = detail
    stages = [
        Stage(
            stage["name"],
            tuple(
                _action(stage["name"], action, latest.get((stage["name"], action["name"])), now)
                for action in sorted(stage["actions"], key=lambda item: (item.get("runOrder", 1), item["name"]))
            ),
        )
        for stage in declaration["stages"]
    ]
    revision: Mapping[str, Any] = next(iter(execution.get("artifactRevisions", [])), {})
    return Execution(
        id=execution["pipelineExecutionId"],
        status=execution["status"],
        commit=revision.get("revisionId", ""),
        message=revision.get("revisionSummary", "").strip(),
        stages=tuple(stages),
    )


def _action(stage: str, declared: Mapping[str, Any], detail: Mapping[str, Any] | None, now: datetime) -> Action:
    kind = declared["actionTypeId"]
    order = declared.get("runOrder", 1)
    if detail is None:
        return Action(stage, declared["name"], kind["category"], kind["provider"], order)
    result = detail.get("output", {}).get("executionResult", {})
    asked = detail.get("input", {}).get("resolvedConfiguration", {})
    ended = now if detail["status"] == "InProgress" else detail.get("lastUpdateTime", now)
    return Action(
        stage,
        declared["name"],
        kind["category"],
        kind["provider"],
        order,
        status=detail["status"],
        error=result.get("errorDetails", {}).get("message", "") or _summary_of_failure(detail, result),
        external_id=result.get("externalExecutionId", ""),
        seconds=(ended - detail["startTime"]).total_seconds(),
        link=result.get("externalExecutionUrl", "") or asked.get("ExternalEntityLink", ""),
        request=asked.get("CustomData", ""),
        variables=dict(detail.get("output", {}).get("outputVariables", {})),
    )


def _summary_of_failure(detail: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    return str(result.get("externalExecutionSummary", "")) if detail["status"] == "Failed" else ""


def telling(log: Sequence[str]) -> list[str]:
    """The lines of a build's log that say why it failed: what commands printed, and which one ended it.

    CodeBuild runs the later phases of a failed build too, so that its bookkeeping covers the end of the log.
    """
    return [line for line in log if not line.startswith(BOOKKEEPING) or DID_NOT in line]


def approvals(state: Mapping[str, Any]) -> tuple[Approval, ...]:
    """The approvals that `GetPipelineState` tells of: an action has a token while it waits for an answer."""
    return tuple(
        Approval(
            stage["stageName"],
            stage["latestExecution"]["pipelineExecutionId"],
            tuple(inbound["pipelineExecutionId"] for inbound in _inbound(stage)),
        )
        for stage in state["stageStates"]
        if any("token" in action.get("latestExecution", {}) for action in stage["actionStates"])
    )


def _inbound(stage: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    only = stage.get("inboundExecution")
    found: Sequence[Mapping[str, Any]] = stage.get("inboundExecutions") or ([only] if only else [])
    return found
