"""What people and updates do to executions: stop, retry, roll back, cancel. Pure: a new state, or a refusal.

The refusals are the API's own (API reference: the errors of each operation).
"""

from dataclasses import replace

from pipeline.localaws.codepipeline.definition import Mode, Pipeline
from pipeline.localaws.codepipeline.progress import ActionStatus, Execution, Progress, Status

ALL_ACTIONS = "ALL_ACTIONS"


class RefusedError(Exception):
    """An intervention that the present state does not allow: the API's error code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def stop(progress: Progress, execution: Execution, *, abandon: bool) -> Progress:
    """Let an execution stop when its running actions have ended, or at once, abandoning them.

    | status     | running actions | abandon | result                                        |
    | ---------- | --------------- | ------- | --------------------------------------------- |
    | InProgress | any             | no      | Stopping                                      |
    | InProgress | any             | yes     | Stopping, the actions Abandoned               |
    | Stopping   | any             | no      | DuplicatedStopRequestException                |
    | Stopping   | any             | yes     | Stopping, the actions Abandoned               |
    | ended      |                 |         | PipelineExecutionNotStoppableException        |
    """
    if not execution.active:
        raise RefusedError(
            "PipelineExecutionNotStoppableException",
            f"The pipeline execution {execution.id} is {execution.status}: it cannot be stopped",
        )
    if execution.status is Status.STOPPING and not abandon:
        raise RefusedError(
            "DuplicatedStopRequestException", f"The pipeline execution {execution.id} is stopping already"
        )
    actions = _abandoned(execution, execution.running) if abandon else execution.actions
    return progress.with_execution(replace(execution, status=Status.STOPPING, actions=actions))


def retry(progress: Progress, current: Pipeline, execution: Execution, stage: str, mode: str) -> Progress:
    """Let a stage that failed or was stopped run again in the same execution.

    | situation                                                   | FAILED_ACTIONS             | ALL_ACTIONS  |
    | ----------------------------------------------------------- | -------------------------- | ------------ |
    | a later execution has entered the stage (not in PARALLEL)   | NotLatest…                 | NotLatest…   |
    | the stage is not where the execution failed or stopped      | StageNotRetryable          | the same     |
    | the pipeline was updated since the execution started        | StageNotRetryable          | the same     |
    | it was stopped, and every action had succeeded              | StageNotRetryable          | all run      |
    | actions still run beside the failed one                     | they go on, failed run     | StageNotRetryable |
    | otherwise                                                   | failed, abandoned and unstarted run | all run |
    """
    if current.mode is not Mode.PARALLEL and progress.latest.get(stage) != execution.id:
        raise RefusedError(
            "NotLatestPipelineExecutionException",
            f"The pipeline execution {execution.id} is not the latest one in the stage {stage}",
        )
    unable = f"Unable to retry. Stage {stage}"
    if execution.status not in {Status.FAILED, Status.STOPPED}:
        raise RefusedError("StageNotRetryableException", f"{unable}: the execution is {execution.status}")
    if execution.stage.name != stage or not execution.inside:
        raise RefusedError("StageNotRetryableException", f"{unable} contains no failed action")
    if execution.pipeline.version != current.version:
        raise RefusedError(
            "StageNotRetryableException", f"{unable}: the pipeline structure has changed since the execution started"
        )
    if mode == ALL_ACTIONS and execution.running:
        raise RefusedError(
            "StageNotRetryableException", f"{unable}: actions are still in progress: {', '.join(execution.running)}"
        )
    going = {ActionStatus.SUCCEEDED, ActionStatus.IN_PROGRESS}
    kept = {} if mode == ALL_ACTIONS else {name: s for name, s in execution.actions.items() if s in going}
    if mode != ALL_ACTIONS and len(kept) == len(execution.stage.actions) == len(execution.actions):
        raise RefusedError("StageNotRetryableException", f"{unable} contains no failed action")
    return progress.with_execution(replace(execution, status=Status.IN_PROGRESS, actions=kept))


def roll_back(progress: Progress, current: Pipeline, stage: str, target: Execution, new_id: str) -> Progress:
    """Let a stage run again as an execution that succeeded in it ran it: a new execution of this one stage.

    | situation                                      | result                               |
    | ---------------------------------------------- | ------------------------------------ |
    | the pipeline runs executions in parallel       | UnableToRollbackStageException       |
    | the pipeline was updated since the target ran  | PipelineExecutionOutdatedException   |
    | the target did not succeed in the stage        | UnableToRollbackStageException       |
    | the stage is the source                        | UnableToRollbackStageException       |
    | another execution is in the stage              | ConflictException                    |
    | otherwise                                      | a new execution at the stage's door  |
    """
    if current.mode is Mode.PARALLEL:
        raise RefusedError("UnableToRollbackStageException", "A pipeline in PARALLEL mode cannot roll back a stage")
    if target.pipeline.version != current.version:
        raise RefusedError(
            "PipelineExecutionOutdatedException",
            f"The pipeline execution {target.id} ran on version {target.pipeline.version} of the pipeline; the current"
            f" version is {current.version}",
        )
    place = current.index(stage)
    if place == 0:
        raise RefusedError("UnableToRollbackStageException", f"The stage {stage} holds the source: it has no rollback")
    if stage not in target.succeeded:
        raise RefusedError(
            "UnableToRollbackStageException", f"The pipeline execution {target.id} did not succeed in the stage {stage}"
        )
    if any(one.holds(stage) for one in progress.executions):
        raise RefusedError("ConflictException", f"Another execution is in the stage {stage}: try again later")
    return progress.with_execution(Execution(new_id, current, last=place, place=place))


def cancel(progress: Progress) -> Progress:
    """The pipeline's structure was updated: nothing that runs goes on to its next action.

    Work that runs is let finish (the self-mutation's own build is such work); an approval has nothing to finish.
    """
    for execution in progress.executions:
        if execution.active:
            approvals = tuple(
                name
                for name in execution.running
                if (action := execution.stage.action(name)) and action.type.category == "Approval"
            )
            progress = progress.with_execution(
                replace(execution, status=Status.CANCELLED, actions=_abandoned(execution, approvals))
            )
    return progress


def _abandoned(execution: Execution, names: tuple[str, ...]) -> dict[str, ActionStatus]:
    return {**execution.actions, **dict.fromkeys(names, ActionStatus.ABANDONED)}
