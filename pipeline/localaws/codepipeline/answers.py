"""What the API shows of executions and actions, read from the records. Nothing here changes anything."""

from collections.abc import Mapping
from typing import Any

from pipeline.localaws.codepipeline.definition import Action, Stage
from pipeline.localaws.codepipeline.line import Line
from pipeline.localaws.codepipeline.progress import ActionStatus, Execution, Status
from pipeline.localaws.codepipeline.records import ActionRun, External, Location


def without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without members that say nothing: the API leaves them out."""
    return {key: value for key, value in document.items() if value not in ("", None, {}, [])}


def stage_status(execution: Execution, stage: str) -> str:
    """How a stage went in the execution that entered it last."""
    stands_there = execution.inside and execution.stage.name == stage
    if stage in execution.succeeded and not stands_there:
        return "Succeeded"
    return "InProgress" if execution.status is Status.IN_PROGRESS else str(execution.status)


def kind(line: Line, execution_id: str) -> str:
    """`STANDARD`, or `ROLLBACK`."""
    return "ROLLBACK" if line.records[execution_id].rolls_back_to else "STANDARD"


def pipeline_state(line: Line) -> dict[str, Any]:
    """`GetPipelineState`."""
    return {
        "pipelineName": line.pipeline.name,
        "pipelineVersion": line.pipeline.version,
        "stageStates": [_stage_state(line, stage) for stage in line.pipeline.stages],
        "created": line.created,
        "updated": line.updated,
    }


def _stage_state(line: Line, stage: Stage) -> dict[str, Any]:
    transition = line.transitions.get(stage.name)
    inbound = [
        {"pipelineExecutionId": one.id, "status": "InProgress", "type": kind(line, one.id)}
        for one in line.progress.executions
        if one.waits and one.stage.name == stage.name
    ]
    state: dict[str, Any] = {
        "stageName": stage.name,
        "inboundExecution": inbound[-1] if inbound else None,
        "inboundExecutions": inbound,
        "inboundTransitionState": without_empty(
            {
                "enabled": stage.name not in line.progress.closed,
                "lastChangedBy": transition.changed_by if transition else "",
                "lastChangedAt": transition.changed_at if transition else None,
                "disabledReason": transition.reason if transition else "",
            }
        ),
        "actionStates": [_action_state(line, stage, action) for action in stage.actions],
    }
    latest = line.progress.latest.get(stage.name)
    if latest:
        status = stage_status(line.execution(latest), stage.name)
        state["latestExecution"] = {"pipelineExecutionId": latest, "status": status, "type": kind(line, latest)}
        if retries := line.records[latest].retries.get(stage.name):
            state["retryStageMetadata"] = {
                "autoStageRetryAttempt": retries.automated,
                "manualStageRetryAttempt": retries.manual,
                "latestRetryTrigger": retries.latest,
            }
    return without_empty(state)


def _action_state(line: Line, stage: Stage, action: Action) -> dict[str, Any]:
    runs = [run for run in line.runs.values() if run.stage == stage.name and run.action.name == action.name]
    if not runs:
        return {"actionName": action.name}
    run = runs[-1]
    revision = next((one.revision for one in reversed(runs) if one.revision), None)
    return without_empty(
        {
            "actionName": action.name,
            "currentRevision": {
                "revisionId": revision.id,
                "revisionChangeId": revision.id,
                "created": revision.created,
            }
            if revision
            else None,
            "revisionUrl": revision.url if revision else "",
            "entityUrl": run.external.url,
            "latestExecution": without_empty(
                {
                    "actionExecutionId": run.id,
                    "status": str(run.status),
                    "summary": run.external.summary,
                    "lastStatusChange": run.updated,
                    "token": run.token if run.status is ActionStatus.IN_PROGRESS else "",
                    "lastUpdatedBy": run.updated_by,
                    "externalExecutionId": run.external.id,
                    "externalExecutionUrl": run.external.url,
                    "errorDetails": _error(run),
                    "logStreamARN": run.external.log_stream,
                }
            ),
        }
    )


def execution(line: Line, execution_id: str) -> dict[str, Any]:
    """`GetPipelineExecution`."""
    record, state = line.records[execution_id], line.execution(execution_id)
    return without_empty(
        {
            "pipelineName": line.pipeline.name,
            "pipelineVersion": state.pipeline.version,
            **_common(line, execution_id),
            "artifactRevisions": [
                without_empty(
                    {
                        "name": name,
                        "revisionId": revision.id,
                        "revisionSummary": revision.summary,
                        "revisionUrl": revision.url,
                        "created": revision.created,
                    }
                )
                for name, revision in record.artifact_revisions.items()
            ],
            "variables": [{"name": name, "resolvedValue": value} for name, value in record.variables.items()],
        }
    )


def execution_summary(line: Line, execution_id: str) -> dict[str, Any]:
    """A row of `ListPipelineExecutions`."""
    record = line.records[execution_id]
    return without_empty(
        {
            **_common(line, execution_id),
            "startTime": record.started,
            "lastUpdateTime": record.updated,
            "sourceRevisions": [
                without_empty(
                    {
                        "actionName": action,
                        "revisionId": revision.id,
                        "revisionSummary": revision.summary,
                        "revisionUrl": revision.url,
                    }
                )
                for action, revision in record.revisions.items()
            ],
            "stopTrigger": {"reason": record.stop_reason} if record.stop_reason else None,
        }
    )


def _common(line: Line, execution_id: str) -> dict[str, Any]:
    record, state = line.records[execution_id], line.execution(execution_id)
    target = record.rolls_back_to
    return {
        "pipelineExecutionId": execution_id,
        "status": str(state.status),
        "statusSummary": record.summary,
        "trigger": {"triggerType": record.trigger.type, "triggerDetail": record.trigger.detail},
        "executionMode": str(state.pipeline.mode),
        "executionType": kind(line, execution_id),
        "rollbackMetadata": {"rollbackTargetPipelineExecutionId": target} if target else None,
    }


def action_detail(run: ActionRun, region: str) -> dict[str, Any]:
    """A row of `ListActionExecutions`."""
    action = run.action
    kind_of_action = action.type
    result = without_empty({**_external(run.external), "errorDetails": _error(run)})
    made = run.status is ActionStatus.SUCCEEDED
    return without_empty(
        {
            "pipelineExecutionId": run.execution,
            "actionExecutionId": run.id,
            "pipelineVersion": run.version,
            "stageName": run.stage,
            "actionName": action.name,
            "startTime": run.started,
            "lastUpdateTime": run.updated,
            "updatedBy": run.updated_by,
            "status": str(run.status),
            "input": without_empty(
                {
                    "actionTypeId": {
                        "category": kind_of_action.category,
                        "owner": kind_of_action.owner,
                        "provider": kind_of_action.provider,
                        "version": kind_of_action.version,
                    },
                    "configuration": dict(action.configuration),
                    "resolvedConfiguration": dict(run.configuration),
                    "roleArn": run.role,
                    "region": region,
                    "inputArtifacts": _artifacts(run.inputs),
                    "namespace": action.namespace,
                }
            ),
            "output": without_empty(
                {
                    "outputArtifacts": _artifacts(run.outputs) if made else [],
                    "executionResult": result,
                    "outputVariables": dict(run.variables),
                }
            ),
        }
    )


def _external(external: External) -> dict[str, str]:
    return {
        "externalExecutionId": external.id,
        "externalExecutionSummary": external.summary,
        "externalExecutionUrl": external.url,
        "logStreamARN": external.log_stream,
    }


def _error(run: ActionRun) -> dict[str, str] | None:
    return {"code": run.failure.code, "message": run.failure.message} if run.failure else None


def _artifacts(locations: Mapping[str, Location]) -> list[dict[str, Any]]:
    return [
        {"name": name, "s3location": {"bucket": location.bucket, "key": location.key}}
        for name, location in locations.items()
    ]
