"""The tables of stopping, retrying, rolling back and cancelling, row by row."""

from dataclasses import replace

import pytest

from pipeline.localaws.codepipeline.definition import Pipeline, parse
from pipeline.localaws.codepipeline.interventions import RefusedError, cancel, retry, roll_back, stop
from pipeline.localaws.codepipeline.progress import ActionStatus, Execution, Progress, Status
from tests.localaws.codepipeline.declarations import approval, build, declaration, stage

RUNS, GOOD, BAD, LOST = ActionStatus.IN_PROGRESS, ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.ABANDONED


def pipeline(version: int = 1, mode: str = "SUPERSEDED") -> Pipeline:
    test = stage("Test", build("a"), build("b"), approval())
    document = declaration(test, stage("Deploy", build("d")), executionMode=mode)
    return parse(document, version=version, region="eu-west-1")


def execution(status: Status = Status.IN_PROGRESS, name: str = "1", **actions: ActionStatus) -> Execution:
    """An execution in the stage Test."""
    new = Execution.new(name, pipeline())
    return replace(new, status=status, place=1, inside=True, actions=actions, succeeded=frozenset({"Source"}))


def only(one: Execution) -> Progress:
    return Progress((one,), latest={"Source": one.id, "Test": one.id})


@pytest.mark.parametrize(
    ("before", "abandon", "status", "action"),
    [
        (Status.IN_PROGRESS, False, Status.STOPPING, RUNS),
        (Status.IN_PROGRESS, True, Status.STOPPING, LOST),
        (Status.STOPPING, True, Status.STOPPING, LOST),
    ],
)
def test_stopping(before: Status, abandon: bool, status: Status, action: ActionStatus) -> None:
    one = execution(before, a=RUNS, b=GOOD)
    stopped = stop(only(one), one, abandon=abandon).executions[0]
    assert (stopped.status, dict(stopped.actions)) == (status, {"a": action, "b": GOOD})


@pytest.mark.parametrize(
    ("before", "abandon", "code"),
    [
        (Status.STOPPING, False, "DuplicatedStopRequestException"),
        *[
            (ended, abandon, "PipelineExecutionNotStoppableException")
            for ended in (Status.STOPPED, Status.SUCCEEDED, Status.FAILED, Status.SUPERSEDED, Status.CANCELLED)
            for abandon in (False, True)
        ],
    ],
)
def test_what_cannot_be_stopped(before: Status, abandon: bool, code: str) -> None:
    one = execution(before, a=RUNS)
    with pytest.raises(RefusedError) as refused:
        stop(only(one), one, abandon=abandon)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("one", "mode", "kept"),
    [
        (execution(Status.FAILED, a=GOOD, b=BAD), "FAILED_ACTIONS", {"a": GOOD}),
        (execution(Status.FAILED, a=GOOD, b=BAD), "ALL_ACTIONS", {}),
        (execution(Status.FAILED, a=RUNS, b=BAD), "FAILED_ACTIONS", {"a": RUNS}),
        (execution(Status.STOPPED, a=GOOD, b=LOST), "FAILED_ACTIONS", {"a": GOOD}),
        (execution(Status.STOPPED, a=GOOD, b=GOOD, Approve=GOOD), "ALL_ACTIONS", {}),
    ],
)
def test_retrying(one: Execution, mode: str, kept: dict[str, ActionStatus]) -> None:
    again = retry(only(one), pipeline(), one, "Test", mode).executions[0]
    assert (again.status, again.inside, dict(again.actions)) == (Status.IN_PROGRESS, True, kept)


FAILED = execution(Status.FAILED, a=GOOD, b=BAD)
NOT_RETRYABLE = "StageNotRetryableException"


@pytest.mark.parametrize(
    ("progress", "current", "stage_name", "mode", "code"),
    [
        (
            replace(only(FAILED), latest={"Test": "2"}), pipeline(), "Test", "FAILED_ACTIONS",
            "NotLatestPipelineExecutionException",
        ),
        (only(FAILED), pipeline(), "Source", "FAILED_ACTIONS", NOT_RETRYABLE),
        (only(FAILED), pipeline(version=2), "Test", "FAILED_ACTIONS", NOT_RETRYABLE),
        (only(execution(a=RUNS)), pipeline(), "Test", "FAILED_ACTIONS", NOT_RETRYABLE),
        (
            only(execution(Status.STOPPED, a=GOOD, b=GOOD, Approve=GOOD)), pipeline(),
            "Test", "FAILED_ACTIONS", NOT_RETRYABLE,
        ),
        (
            only(execution(Status.FAILED, a=RUNS, b=BAD)), pipeline(),
            "Test", "ALL_ACTIONS", NOT_RETRYABLE,
        ),
    ],
    ids=["later-one-entered", "other-stage", "pipeline-updated", "still-runs", "all-succeeded", "one-runs-beside"],
)  # fmt: skip
def test_what_cannot_be_retried(progress: Progress, current: Pipeline, stage_name: str, mode: str, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        retry(progress, current, progress.executions[0], stage_name, mode)
    assert refused.value.code == code


def test_in_parallel_an_older_execution_may_be_retried() -> None:
    parallel = pipeline(mode="PARALLEL")
    one = replace(FAILED, pipeline=parallel)
    again = retry(Progress((one,), latest={"Test": "2"}), parallel, one, "Test", "FAILED_ACTIONS").executions[0]
    assert again.status is Status.IN_PROGRESS


TARGET = replace(
    Execution.new("1", pipeline()), status=Status.SUCCEEDED, place=2, succeeded=frozenset({"Source", "Test", "Deploy"})
)


def test_a_rollback_is_a_new_execution_of_one_stage() -> None:
    new = roll_back(only(TARGET), pipeline(), "Test", TARGET, "2").executions[1]
    assert (new.id, new.place, new.last, new.inside, new.status) == ("2", 1, 1, False, Status.IN_PROGRESS)


@pytest.mark.parametrize(
    ("progress", "current", "stage_name", "target", "code"),
    [
        (only(TARGET), pipeline(mode="PARALLEL"), "Test", TARGET, "UnableToRollbackStageException"),
        (only(TARGET), pipeline(version=2), "Test", TARGET, "PipelineExecutionOutdatedException"),
        (only(FAILED), pipeline(), "Test", FAILED, "UnableToRollbackStageException"),
        (only(TARGET), pipeline(), "Source", TARGET, "UnableToRollbackStageException"),
        (Progress((TARGET, execution(name="2", a=RUNS))), pipeline(), "Test", TARGET, "ConflictException"),
    ],
    ids=["parallel", "updated", "did-not-succeed", "source", "stage-is-busy"],
)
def test_what_cannot_be_rolled_back(
    progress: Progress, current: Pipeline, stage_name: str, target: Execution, code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        roll_back(progress, current, stage_name, target, "9")
    assert refused.value.code == code


def test_an_update_cancels_what_moves_lets_work_finish_and_withdraws_approvals() -> None:
    moving = execution(name="2", a=RUNS, b=GOOD, Approve=RUNS)
    at_a_door = replace(Execution.new("3", pipeline()), status=Status.STOPPING)
    ended, cancelled, stopped = cancel(Progress((TARGET, moving, at_a_door))).executions
    assert ended == TARGET
    assert cancelled.status is Status.CANCELLED
    assert dict(cancelled.actions) == {"a": RUNS, "b": GOOD, "Approve": LOST}
    assert stopped.status is Status.CANCELLED
