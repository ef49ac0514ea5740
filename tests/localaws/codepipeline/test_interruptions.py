"""Superseding, queues, stops, retries, transitions, updates and rollbacks, through the API."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localaws.codepipeline.declarations import approval, build, declaration, stage
from tests.localaws.codepipeline.world import FAILED_BUILD, World

TWO_STAGES = (stage("Test", build("unit"), build("lint")), stage("Ship", build("ship")))


def test_the_execution_that_waits_gives_way_to_a_newer_one(world: World) -> None:
    world.builds.held.add("unit")
    first = world.create(declaration(*TWO_STAGES))
    world.runs("Test", "unit")
    second = world.start()
    world.until(lambda: "inboundExecution" in world.stage("Test"), "the second waits")
    third = world.start()
    assert world.ends(second) == "Superseded"
    assert world.executions()[1]["statusSummary"] == f"Superseded: {third} is newer"
    world.builds.held.clear()
    assert (world.ends(first), world.ends(third)) == ("Succeeded", "Succeeded")


def test_queued_executions_run_one_after_the_other(world: World) -> None:
    world.builds.held.add("unit")
    first = world.create(declaration(*TWO_STAGES, executionMode="QUEUED"))
    world.runs("Test", "unit")
    rest = [world.start(), world.start()]
    world.until(lambda: len(world.stage("Test").get("inboundExecutions", ())) == 2, "two wait")
    assert [one["pipelineExecutionId"] for one in world.stage("Test")["inboundExecutions"]] == rest
    world.builds.held.clear()
    assert [world.ends(one) for one in [first, *rest]] == ["Succeeded"] * 3


def test_parallel_executions_run_side_by_side(world: World) -> None:
    world.builds.held.add("unit")
    first = world.create(declaration(*TWO_STAGES, executionMode="PARALLEL"))
    second = world.start()
    both = (first, second)
    world.until(lambda: all(world.statuses(one).get("unit") == "InProgress" for one in both), "both run")
    world.builds.held.clear()
    assert (world.ends(first), world.ends(second)) == ("Succeeded", "Succeeded")


def stop(world: World, execution: str, *, abandon: bool) -> None:
    world.api.stop_pipeline_execution(
        pipelineName="etl", pipelineExecutionId=execution, abandon=abandon, reason="wrong commit"
    )


def test_stop_and_wait_lets_actions_end_and_starts_no_more(world: World) -> None:
    world.builds.held.add("unit")
    execution = world.create(declaration(*TWO_STAGES))
    world.runs("Test", "unit")
    stop(world, execution, abandon=False)
    assert world.status(execution) == "Stopping"
    assert world.stage("Test")["latestExecution"]["status"] == "Stopping"
    with pytest.raises(world.api.exceptions.DuplicatedStopRequestException):
        stop(world, execution, abandon=False)
    world.builds.held.clear()
    assert world.ends(execution) == "Stopped"
    assert world.statuses(execution) == {"etl": "Succeeded", "unit": "Succeeded", "lint": "Succeeded"}
    assert world.executions()[0]["stopTrigger"] == {"reason": "wrong commit"}
    with pytest.raises(world.api.exceptions.PipelineExecutionNotStoppableException):
        stop(world, execution, abandon=True)


def test_abandoned_actions_are_left_behind_and_can_be_retried(world: World) -> None:
    world.builds.held.add("unit")
    execution = world.create(declaration(*TWO_STAGES))
    world.until(lambda: world.statuses(execution).get("lint") == "Succeeded", "lint is done")
    stop(world, execution, abandon=True)
    assert world.ends(execution) == "Stopped"
    assert world.statuses(execution)["unit"] == "Abandoned"
    world.builds.held.clear()
    retry(world, execution, "Test", "FAILED_ACTIONS")
    world.succeeds(execution)
    assert [one["actionName"] for one in world.actions(execution)].count("lint") == 1
    assert [one["actionName"] for one in world.actions(execution)].count("unit") == 2


def retry(world: World, execution: str, stage_name: str, mode: str) -> None:
    world.api.retry_stage_execution(
        pipelineName="etl", stageName=stage_name, pipelineExecutionId=execution, retryMode=mode
    )


@pytest.mark.parametrize(("mode", "runs_of_lint"), [("FAILED_ACTIONS", 1), ("ALL_ACTIONS", 2)])
def test_a_failed_stage_is_retried_in_the_same_execution(world: World, mode: str, runs_of_lint: int) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    execution = world.create(declaration(*TWO_STAGES))
    assert world.ends(execution) == "Failed"
    world.until(lambda: "InProgress" not in world.statuses(execution).values(), "lint is done")
    world.builds.results.clear()
    retry(world, execution, "Test", mode)
    world.succeeds(execution)
    names = [one["actionName"] for one in world.actions(execution)]
    assert (names.count("unit"), names.count("lint"), names.count("etl")) == (2, runs_of_lint, 1)
    assert world.stage("Test")["retryStageMetadata"]["manualStageRetryAttempt"] == 1


def test_an_older_failure_cannot_be_retried_once_a_newer_execution_went_by(world: World) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    first = world.create(declaration(*TWO_STAGES))
    world.ends(first)
    world.ends(world.start())
    with pytest.raises(world.api.exceptions.NotLatestPipelineExecutionException):
        retry(world, first, "Test", "FAILED_ACTIONS")


def test_a_stage_that_retries_by_itself_recovers_from_one_failure(world: World) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    retries = {"onFailure": {"result": "RETRY", "retryConfiguration": {"retryMode": "FAILED_ACTIONS"}}}
    execution = world.create(declaration({**TWO_STAGES[0], **retries}))
    assert world.ends(execution) == "Failed"
    assert [one["actionName"] for one in world.actions(execution)].count("unit") == 2
    assert world.stage("Test")["retryStageMetadata"]["latestRetryTrigger"] == "AutomatedStageRetry"


@pytest.mark.parametrize(("stage_name", "side"), [("Ship", "Inbound"), ("Test", "Outbound")])
def test_a_disabled_transition_holds_executions_until_it_is_enabled(world: World, stage_name: str, side: str) -> None:
    world.builds.held.add("unit")
    execution = world.create(declaration(*TWO_STAGES))
    where = {"pipelineName": "etl", "stageName": stage_name, "transitionType": side}
    world.api.disable_stage_transition(**where, reason="freeze")
    world.builds.held.clear()
    world.until(lambda: "inboundExecution" in world.stage("Ship"), "it waits at the door")
    state = world.stage("Ship")["inboundTransitionState"]
    assert (state["enabled"], state["disabledReason"]) == (False, "freeze")
    assert world.status(execution) == "InProgress"
    world.api.enable_stage_transition(**where)
    world.succeeds(execution)
    assert world.stage("Ship")["inboundTransitionState"]["enabled"] is True


def test_a_waiting_execution_can_be_stopped(world: World) -> None:
    world.builds.held.add("unit")
    execution = world.create(declaration(*TWO_STAGES))
    world.api.disable_stage_transition(pipelineName="etl", stageName="Ship", transitionType="Inbound", reason="freeze")
    world.builds.held.clear()
    world.until(lambda: "inboundExecution" in world.stage("Ship"), "it waits at the door")
    stop(world, execution, abandon=False)
    assert world.ends(execution) == "Stopped"
    assert "inboundExecution" not in world.stage("Ship")


def update(world: World, document: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = world.api.update_pipeline(pipeline=document)["pipeline"]
    return answer


def test_a_pipeline_that_updates_itself_lets_the_update_end_and_restarts_on_the_new_structure(world: World) -> None:
    world.builds.held.add("self-mutate")
    mutate = stage("UpdatePipeline", build("self-mutate"))
    first = world.create(declaration(mutate, *TWO_STAGES))
    world.runs("UpdatePipeline", "self-mutate")

    document = declaration(mutate, stage("Extra", build("extra")), *TWO_STAGES)
    assert update(world, document)["version"] == 2
    second = world.start()
    assert world.status(first) == "Cancelled"
    assert world.executions()[1]["statusSummary"].startswith("The pipeline's structure was updated")
    world.until(lambda: "inboundExecution" in world.stage("UpdatePipeline"), "the second waits for the update")
    assert world.statuses(first)["self-mutate"] == "InProgress"

    world.builds.held.clear()
    world.succeeds(second)
    assert world.statuses(first) == {"etl": "Succeeded", "self-mutate": "Succeeded"}
    assert "extra" in world.statuses(second)
    assert world.api.get_pipeline(name="etl", version=1)["pipeline"]["version"] == 1
    world.until(lambda: "CANCELED" in world.events.states("Pipeline"), "the event of the cancelling")


def test_an_update_withdraws_pending_approvals(world: World) -> None:
    prod = stage("Prod", approval())
    first = world.create(declaration(prod))
    token = world.token("Prod")
    update(world, declaration(prod, stage("After", build("more"))))
    assert world.status(first) == "Cancelled"
    assert world.latest("Prod", "Approve")["status"] == "Abandoned"
    with pytest.raises(world.api.exceptions.InvalidApprovalTokenException):
        world.answer("Prod", "Approved", token)


def test_a_refused_update_changes_nothing(world: World) -> None:
    world.create(declaration(stage("Prod", approval())))
    token = world.token("Prod")
    with pytest.raises(ClientError, match="only 1 stage"):
        update(world, declaration())
    with pytest.raises(world.api.exceptions.PipelineNotFoundException):
        update(world, declaration(*TWO_STAGES, name="shop"))
    world.answer("Prod", "Approved", token)


def test_after_an_update_a_failed_stage_is_not_retryable(world: World) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    execution = world.create(declaration(*TWO_STAGES))
    world.ends(execution)
    update(world, declaration(*TWO_STAGES))
    with pytest.raises(world.api.exceptions.StageNotRetryableException, match="structure has changed"):
        retry(world, execution, "Test", "FAILED_ACTIONS")


def test_a_rollback_runs_one_stage_with_the_artifacts_of_an_earlier_execution(world: World) -> None:
    good = world.create(declaration(*TWO_STAGES))
    world.ends(good)
    world.commit("worse")
    world.ends(world.start())
    rollback = world.api.rollback_stage(pipelineName="etl", stageName="Ship", targetPipelineExecutionId=good)
    new = rollback["pipelineExecutionId"]
    world.succeeds(new)
    assert world.statuses(new) == {"ship": "Succeeded"}
    assert world.action(new, "ship")["input"]["inputArtifacts"] == world.action(good, "ship")["input"]["inputArtifacts"]
    row = world.executions()[0]
    assert (row["executionType"], row["trigger"]["triggerType"]) == ("ROLLBACK", "ManualRollback")
    assert row["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": good}
    assert world.stage("Ship")["latestExecution"]["type"] == "ROLLBACK"


def test_after_an_update_there_is_nothing_to_roll_back_to(world: World) -> None:
    good = world.create(declaration(*TWO_STAGES))
    world.ends(good)
    update(world, declaration(*TWO_STAGES))
    with pytest.raises(world.api.exceptions.PipelineExecutionOutdatedException):
        world.api.rollback_stage(pipelineName="etl", stageName="Ship", targetPipelineExecutionId=good)
