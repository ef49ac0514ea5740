"""Executions as a client of the API sees them."""

from time import monotonic

import pytest
from botocore.exceptions import ClientError

from tests.localaws.codepipeline.declarations import BUCKET, build, declaration, source, stage
from tests.localaws.codepipeline.world import FAILED_BUILD, World

NO_SUCH_ID = "11111111-2222-3333-4444-555555555555"


def test_a_new_pipeline_runs_at_once_from_the_branch_to_the_last_stage(world: World) -> None:
    commit = world.commit('the "first" one\n\nwith a body', main_py="print(1)")
    execution = world.create(declaration(stage("Build", build("compile"))))
    world.succeeds(execution)

    row = world.executions()[0]
    assert row["trigger"]["triggerType"] == "CreatePipeline"
    assert row["executionMode"] == "SUPERSEDED"
    assert [(one["actionName"], one["revisionId"]) for one in row["sourceRevisions"]] == [("etl", commit)]
    assert row["sourceRevisions"][0]["revisionSummary"] == 'the "first" one\n\nwith a body'

    taken = world.action(execution, "etl")
    assert taken["output"]["outputVariables"] == {
        "RepositoryName": "etl",
        "BranchName": "main",
        "CommitId": commit,
        "CommitMessage": 'the "first" one\n\nwith a body',
        "AuthorDate": "2025-10-09T08:53:20Z",
        "CommitterDate": "2025-10-09T08:54:20Z",
    }
    location = taken["output"]["outputArtifacts"][0]["s3location"]
    assert location["bucket"] == BUCKET
    assert location["key"].startswith("etl/Code/")
    assert world.unzip(location)["main.py"] == "print(1)"
    assert world.action(execution, "compile")["input"]["inputArtifacts"] == [{"name": "Code", "s3location": location}]
    assert world.latest("Source", "etl")["externalExecutionId"] == commit
    assert world.stage("Source")["actionStates"][0]["currentRevision"]["revisionId"] == commit


def test_a_missing_branch_fails_the_source_in_words(world: World) -> None:
    execution = world.create(declaration(stage("Source", source(BranchName="dev")), stage("Build", build("compile"))))
    assert world.ends(execution) == "Failed"
    error = world.action(execution, "etl")["output"]["executionResult"]["errorDetails"]
    assert error["code"] == "ConfigurationError"
    assert "no branch named dev was found in the selected AWS CodeCommit repository etl" in error["message"]
    assert world.stage("Source")["latestExecution"]["status"] == "Failed"
    assert "latestExecution" not in world.stage("Build")


def test_a_missing_repository_fails_the_source_in_words(world: World) -> None:
    execution = world.create(
        declaration(stage("Source", source(RepositoryName="shop")), stage("Build", build("compile")))
    )
    assert world.ends(execution) == "Failed"
    assert "no repository named shop was found" in world.latest("Source", "etl")["errorDetails"]["message"]


def test_a_role_that_does_not_exist_fails_the_action(world: World) -> None:
    nobody = {**build("compile"), "roleArn": "arn:aws:iam::123456789012:role/nobody"}
    execution = world.create(declaration(stage("Build", nobody)))
    assert world.ends(execution) == "Failed"
    error = world.latest("Build", "compile")["errorDetails"]
    assert error["code"] == "PermissionError"
    assert "not authorized to perform AssumeRole on role arn:aws:iam::123456789012:role/nobody" in error["message"]


def test_actions_run_with_the_credentials_of_their_role(world: World) -> None:
    world.ends(world.create(declaration(stage("Build", build("compile")))))
    key = world.builds.request_of("compile")["_key"]
    assert key.startswith("ASIA"), "not a key of AssumeRole"


def test_an_action_that_fails_fails_the_execution_and_later_ones_do_not_start(world: World) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    execution = world.create(declaration(stage("Test", build("unit"), build("ship", order=2)), stage("B", build("c"))))
    assert world.ends(execution) == "Failed"
    assert world.statuses(execution) == {"etl": "Succeeded", "unit": "Failed"}
    assert world.stage("Test")["latestExecution"] == {
        "pipelineExecutionId": execution,
        "status": "Failed",
        "type": "STANDARD",
    }


def test_the_neighbours_of_a_failed_action_run_on_and_hold_the_stage(world: World) -> None:
    world.builds.results["unit"] = FAILED_BUILD
    world.builds.held.add("images")
    first = world.create(declaration(stage("Test", build("unit"), build("images"))))
    assert world.ends(first) == "Failed"
    assert world.statuses(first)["images"] == "InProgress"
    second = world.start()
    world.until(lambda: "inboundExecution" in world.stage("Test"), "the second waits at the door")
    assert world.stage("Test")["inboundExecution"]["pipelineExecutionId"] == second
    world.builds.results.clear()
    world.builds.held.clear()
    world.succeeds(second)
    assert world.statuses(first)["images"] == "Succeeded"


def test_a_request_token_starts_one_execution_only(world: World) -> None:
    world.create(declaration(stage("Build", build("compile"))))
    assert world.start(clientRequestToken="once") == world.start(clientRequestToken="once")
    assert len(world.executions()) == 2


def test_a_start_may_name_the_commit_to_take(world: World) -> None:
    first = world.commit("one")
    world.commit("two")
    world.create(declaration(stage("Build", build("compile"))))
    revision = {"actionName": "etl", "revisionType": "COMMIT_ID", "revisionValue": first}
    execution = world.start(sourceRevisions=[revision])
    world.ends(execution)
    assert world.action(execution, "etl")["output"]["outputVariables"]["CommitId"] == first
    missing = world.start(sourceRevisions=[{**revision, "revisionValue": "0" * 40}])
    assert world.ends(missing) == "Failed"
    with pytest.raises(ClientError, match="compile is not a source action"):
        world.start(sourceRevisions=[{**revision, "actionName": "compile"}])


def test_variables_of_the_pipeline_reach_the_actions(world: World) -> None:
    world.create(
        declaration(
            stage("Build", build("compile", EnvironmentVariables='[{"name":"LEVEL","value":"#{variables.LEVEL}"}]')),
            variables=[{"name": "LEVEL", "defaultValue": "info"}],
        )
    )
    execution = world.start(variables=[{"name": "LEVEL", "value": "debug"}])
    world.succeeds(execution)
    variables = world.builds.request_of("compile")["environmentVariablesOverride"]
    assert {"name": "LEVEL", "value": "debug", "type": "PLAINTEXT"} in variables
    answer = world.api.get_pipeline_execution(pipelineName="etl", pipelineExecutionId=execution)
    assert answer["pipelineExecution"]["variables"] == [{"name": "LEVEL", "resolvedValue": "debug"}]
    with pytest.raises(ClientError, match="no variable OTHER"):
        world.start(variables=[{"name": "OTHER", "value": "x"}])


def test_a_variable_without_default_must_be_given(world: World) -> None:
    world.api.create_pipeline(pipeline=declaration(stage("Build", build("compile")), variables=[{"name": "LEVEL"}]))
    assert world.executions() == []
    with pytest.raises(ClientError, match="LEVEL has no default"):
        world.start()


def test_exported_variables_travel_and_an_unknown_one_fails_the_action(world: World) -> None:
    world.builds.results["compile"] = {
        "exportedEnvironmentVariables": [{"name": "TAG", "value": "1.2"}],
        "buildStatus": "SUCCEEDED",
    }
    text = '[{{"name":"TAG","value":"#{{A.{}}}"}}]'
    execution = world.create(
        declaration(
            stage("Build", build("compile", namespace="A")),
            stage("Use", build("use", EnvironmentVariables=text.format("TAG"))),
            stage("Fail", build("fail", EnvironmentVariables=text.format("TYPO"))),
        )
    )
    assert world.ends(execution) == "Failed"
    assert world.action(execution, "compile")["output"]["outputVariables"] == {"TAG": "1.2"}
    used = world.action(execution, "use")["input"]
    assert used["resolvedConfiguration"]["EnvironmentVariables"] == '[{"name":"TAG","value":"1.2"}]'
    assert used["configuration"]["EnvironmentVariables"] == text.format("TAG")
    assert "A.TYPO, which was not set" in world.latest("Fail", "fail")["errorDetails"]["message"]


def test_events_tell_the_whole_story_in_order(world: World) -> None:
    world.builds.results["compile"] = FAILED_BUILD
    world.ends(world.create(declaration(stage("Build", build("compile")))))
    world.until(lambda: "FAILED" in world.events.states("Pipeline"), "the event of the end")
    assert world.events.states("Pipeline") == ["STARTED", "FAILED"]
    assert world.events.states("Stage") == ["STARTED", "SUCCEEDED", "STARTED", "FAILED"]
    assert world.events.states("Action") == ["STARTED", "SUCCEEDED", "STARTED", "FAILED"]
    source_of_event, _, detail, resources = world.events.seen[0]
    assert source_of_event == "aws.codepipeline"
    assert detail["execution-trigger"]["trigger-type"] == "CreatePipeline"
    assert resources == ("arn:aws:codepipeline:eu-west-1:123456789012:etl",)
    failed = [detail for _, _, detail, _ in world.events.seen if detail.get("action") == "compile"][-1]
    assert failed["execution-result"]["error-code"] == "JobFailed"


def test_history_comes_in_pages_newest_first(world: World) -> None:
    first = world.create(declaration(stage("Build", build("compile"))))
    world.ends(first)
    second = world.start()
    world.ends(second)
    pages = world.api.get_paginator("list_pipeline_executions").paginate(
        pipelineName="etl", PaginationConfig={"PageSize": 1}
    )
    assert [page["pipelineExecutionSummaries"][0]["pipelineExecutionId"] for page in pages] == [second, first]
    actions = world.api.list_action_executions(pipelineName="etl")["actionExecutionDetails"]
    assert [one["actionName"] for one in actions] == ["compile", "etl", "compile", "etl"]
    succeeded = world.api.list_pipeline_executions(
        pipelineName="etl", filter={"succeededInStage": {"stageName": "Nowhere"}}
    )
    assert succeeded["pipelineExecutionSummaries"] == []
    with pytest.raises(ClientError, match="InvalidNextToken"):
        world.api.list_pipeline_executions(pipelineName="etl", nextToken="x")


def test_what_does_not_exist_is_said_with_the_apis_error(world: World) -> None:
    api = world.api
    world.create(declaration(stage("Build", build("compile"))))
    with pytest.raises(api.exceptions.PipelineNotFoundException):
        api.get_pipeline_state(name="shop")
    with pytest.raises(api.exceptions.PipelineExecutionNotFoundException):
        api.get_pipeline_execution(pipelineName="etl", pipelineExecutionId=NO_SUCH_ID)
    with pytest.raises(api.exceptions.StageNotFoundException, match="there are: Source, Build"):
        api.enable_stage_transition(pipelineName="etl", stageName="Prod", transitionType="Inbound")
    with pytest.raises(api.exceptions.PipelineVersionNotFoundException):
        api.get_pipeline(name="etl", version=7)
    with pytest.raises(api.exceptions.PipelineNameInUseException):
        api.create_pipeline(pipeline=declaration(stage("Build", build("compile"))))
    with pytest.raises(ClientError, match="does not implement codepipeline:ListWebhooks"):
        api.list_webhooks()


def test_pipelines_are_listed_tagged_and_deleted(world: World) -> None:
    api = world.api
    api.create_pipeline(pipeline=declaration(stage("Build", build("compile"))), tags=[{"key": "team", "value": "data"}])
    assert [row["name"] for row in api.list_pipelines()["pipelines"]] == ["etl"]
    arn = api.get_pipeline(name="etl")["metadata"]["pipelineArn"]
    api.tag_resource(resourceArn=arn, tags=[{"key": "stage", "value": "one"}])
    api.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert api.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "stage", "value": "one"}]
    api.delete_pipeline(name="etl")
    api.delete_pipeline(name="etl")
    assert api.list_pipelines()["pipelines"] == []
    with pytest.raises(api.exceptions.ResourceNotFoundException):
        api.list_tags_for_resource(resourceArn=arn)


def test_a_deleted_pipeline_leaves_its_builds_alone_and_its_name_free(world: World) -> None:
    world.builds.held.add("compile")
    world.create(declaration(stage("Build", build("compile"))))
    world.runs("Build", "compile")
    world.api.delete_pipeline(name="etl")
    world.builds.held.clear()
    execution = world.create(declaration(stage("Build", build("compile"))))
    world.succeeds(execution)
    assert len(world.executions()) == 1


def test_the_server_stops_promptly_while_actions_run(world: World) -> None:
    world.builds.held.add("compile")
    world.create(declaration(stage("Build", build("compile"))))
    world.runs("Build", "compile")
    began = monotonic()
    world.pipelines.stop()
    assert monotonic() - began < 2
