"""What a request names, found among what there is, or the API's error that says it is not there."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.localaws.codepipeline.line import Line
from pipeline.localaws.codepipeline.progress import ActionStatus, Execution
from pipeline.localaws.codepipeline.records import ActionRun
from pipeline.localaws.service import Call, Document, ServiceError


def line_named(lines: Mapping[str, Line], name: str) -> Line:
    """The pipeline of that name."""
    if name not in lines:
        raise ServiceError("PipelineNotFoundException", f"Pipeline {name} does not exist")
    return lines[name]


def line_by_arn(lines: Mapping[str, Line], arn: str) -> Line:
    """The pipeline of that ARN."""
    for line in lines.values():
        if line.arn == arn:
            return line
    raise ServiceError("ResourceNotFoundException", f"There is no pipeline with the ARN {arn}")


def execution_of(line: Line, execution_id: str) -> Execution:
    """The execution of that id."""
    found = line.progress.execution(execution_id)
    if found is None:
        raise ServiceError(
            "PipelineExecutionNotFoundException",
            f"Pipeline {line.pipeline.name} has no execution with the id {execution_id}",
        )
    return found


def stage_of(line: Line, name: str) -> str:
    """The name of a stage that exists."""
    if line.pipeline.stage(name) is None:
        there_are = ", ".join(stage.name for stage in line.pipeline.stages)
        raise ServiceError(
            "StageNotFoundException", f"Pipeline {line.pipeline.name} has no stage {name}; there are: {there_are}"
        )
    return name


def door_of(line: Line, request: Document) -> str:
    """The stage whose way in a transition request means: that of the stage, or of the one after it."""
    stage = stage_of(line, request["stageName"])
    if request["transitionType"] == "Inbound":
        return stage
    following = line.pipeline.index(stage) + 1
    if following == len(line.pipeline.stages):
        raise ServiceError("ValidationException", f"The stage {stage} is the last one: nothing comes after it")
    return line.pipeline.stages[following].name


def approval_of(line: Line, request: Document) -> ActionRun:
    """The approval that a token stands for, still waiting."""
    stage, name, token = stage_of(line, request["stageName"]), request["actionName"], request["token"]
    declared = line.pipeline.stage(stage)
    if declared is None or declared.action(name) is None:
        raise ServiceError("ActionNotFoundException", f"The stage {stage} has no action {name}")
    found = [run for run in line.runs.values() if run.token == token]
    if not found or (found[0].stage, found[0].action.name) != (stage, name):
        raise ServiceError("InvalidApprovalTokenException", "The approval token is not valid")
    run = found[0]
    if run.status is ActionStatus.ABANDONED:
        raise ServiceError("InvalidApprovalTokenException", "The approval request was withdrawn: its execution ended")
    if run.status is not ActionStatus.IN_PROGRESS:
        raise ServiceError(
            "ApprovalAlreadyCompletedException", "The approval request already received a response or has expired"
        )
    return run


def overrides_of(line: Line, revisions: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Source action → the commit it is to take, from `sourceRevisions`."""
    sources = {action.name for action in line.pipeline.stages[0].actions}
    for revision in revisions:
        if revision["actionName"] not in sources:
            raise ServiceError("ValidationException", f"{revision['actionName']} is not a source action")
        if revision["revisionType"] != "COMMIT_ID":
            raise ServiceError(
                "ValidationException", f"A CodeCommit source takes a COMMIT_ID, not a {revision['revisionType']}"
            )
    return {revision["actionName"]: revision["revisionValue"] for revision in revisions}


def variables_of(line: Line, given: Mapping[str, str]) -> dict[str, str]:
    """The pipeline's variables for an execution: what is given, else the defaults."""
    declared = {variable.name: variable.default for variable in line.pipeline.variables}
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise ServiceError("ValidationException", f"The pipeline has no variable {', '.join(unknown)}")
    values = {**declared, **given}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise ServiceError("ValidationException", f"The variable {', '.join(missing)} has no default and needs a value")
    return {name: value for name, value in values.items() if value is not None}


def who(call: Call) -> str:
    """The caller, as far as an unchecked key says: IAM has no part in the local AWS."""
    return f"arn:aws:iam::{call.account}:user/{call.access_key}"


def summary_of(line: Line) -> dict[str, Any]:
    """A row of `ListPipelines`."""
    return {
        "name": line.pipeline.name,
        "version": line.pipeline.version,
        "pipelineType": line.pipeline.document["pipelineType"],
        "executionMode": str(line.pipeline.mode),
        "created": line.created,
        "updated": line.updated,
    }


def tags_of(line: Line) -> list[dict[str, str]]:
    """The tags, as the API lists them."""
    return [{"key": key, "value": value} for key, value in line.tags.items()]
