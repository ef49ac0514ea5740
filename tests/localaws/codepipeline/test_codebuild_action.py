"""What a build action asks of CodeBuild, and what it makes of the answer."""

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.localaws.codepipeline.actions.codebuild import request, why
from pipeline.localaws.codepipeline.actions.work import ActionFailedError, Work
from pipeline.localaws.codepipeline.records import Location
from tests.localaws.codepipeline.declarations import build, declaration, source, stage
from tests.localaws.codepipeline.works import work_of
from tests.localaws.codepipeline.world import FAILED_BUILD, World

CODE, MORE = Location("bucket", "etl/Code/1.zip"), Location("bucket", "etl/More/2.zip")
ONE, TWO = Location("bucket", "etl/One/3.zip"), Location("bucket", "etl/Two/4.zip")


def work(inputs: Mapping[str, Location], outputs: Mapping[str, Location] | None = None, **configuration: Any) -> Work:
    return work_of(
        build("compile", inputs=tuple(inputs), outputs=tuple(outputs or ()), **configuration), inputs, outputs
    )


def test_the_only_input_is_the_source_and_carries_its_commit() -> None:
    asked = request(work({"Code": CODE}))
    assert asked["projectName"] == "compile"
    assert (asked["sourceTypeOverride"], asked["sourceLocationOverride"]) == ("S3", "bucket/etl/Code/1.zip")
    assert asked["sourceVersion"] == "abc"
    assert asked["secondarySourcesOverride"] == []
    assert asked["artifactsOverride"] == {"type": "NO_ARTIFACTS"}
    assert asked["secondaryArtifactsOverride"] == []


def test_primary_source_decides_which_input_the_others_are_secondary() -> None:
    asked = request(work({"Code": CODE, "More": MORE}, PrimarySource="More"))
    assert asked["sourceLocationOverride"] == "bucket/etl/More/2.zip"
    assert asked["secondarySourcesOverride"] == [
        {"type": "S3", "location": "bucket/etl/Code/1.zip", "sourceIdentifier": "Code"}
    ]
    assert "sourceVersion" not in asked


def test_a_primary_source_that_is_no_input_fails_the_action() -> None:
    with pytest.raises(ActionFailedError, match="PrimarySource Other is not one of the input artifacts Code"):
        request(work({"Code": CODE}, PrimarySource="Other"))


def test_one_output_is_the_builds_own_artifact() -> None:
    asked = request(work({"Code": CODE}, {"One": ONE}))
    assert asked["artifactsOverride"] == {
        "type": "S3", "location": "bucket", "path": "etl/One", "name": "3.zip",
        "namespaceType": "NONE", "packaging": "ZIP", "overrideArtifactName": False,
    }  # fmt: skip
    assert "secondaryArtifactsOverride" not in asked


def test_of_several_outputs_each_is_a_secondary_artifact() -> None:
    asked = request(work({"Code": CODE}, {"One": ONE, "Two": TWO}))
    assert asked["artifactsOverride"] == {"type": "NO_ARTIFACTS"}
    found = [(one["artifactIdentifier"], one["name"]) for one in asked["secondaryArtifactsOverride"]]
    assert found == [("One", "3.zip"), ("Two", "4.zip")]


def test_environment_variables_are_plain_text_unless_they_say_otherwise() -> None:
    text = '[{"name":"A","value":"1"},{"name":"B","type":"PARAMETER_STORE","value":"/b"}]'
    assert request(work({"Code": CODE}, EnvironmentVariables=text))["environmentVariablesOverride"] == [
        {"type": "PLAINTEXT", "name": "A", "value": "1"},
        {"type": "PARAMETER_STORE", "name": "B", "value": "/b"},
        {"type": "PLAINTEXT", "name": "CODEBUILD_INITIATOR", "value": "codepipeline/etl"},
    ]


@pytest.mark.parametrize("text", ["nonsense", "{}}", "[1]"])
def test_environment_variables_that_are_no_list_fail_the_action(text: str) -> None:
    with pytest.raises(ActionFailedError, match="EnvironmentVariables is not a JSON list"):
        request(work({"Code": CODE}, EnvironmentVariables=text))


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (
            FAILED_BUILD,
            (
                "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, Message: Error"
                " while executing command: make. Reason: exit status 2"
            ),
        ),
        ({"buildStatus": "STOPPED"}, "Build terminated with state: STOPPED"),
        (
            {"buildStatus": "TIMED_OUT", "phases": [{"phaseType": "BUILD", "phaseStatus": "TIMED_OUT"}]},
            "Build terminated with state: TIMED_OUT. Phase: BUILD, Code: , Message: ",
        ),
    ],
)
def test_the_phase_that_failed_says_why(ended: dict[str, Any], words: str) -> None:
    assert why(ended) == words


def test_a_build_that_fails_fails_the_action_and_names_the_build(world: World) -> None:
    world.builds.results["compile"] = FAILED_BUILD
    execution = world.create(declaration(stage("Build", build("compile"))))
    assert world.ends(execution) == "Failed"
    result = world.action(execution, "compile")["output"]["executionResult"]
    assert result["errorDetails"]["code"] == "JobFailed"
    assert "Reason: exit status 2" in result["errorDetails"]["message"]
    assert result["externalExecutionId"].startswith("compile:")
    assert result["externalExecutionUrl"]
    assert result["logStreamARN"].startswith("arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/compile")


def test_a_running_build_is_known_before_it_ends(world: World) -> None:
    world.builds.held.add("compile")
    world.create(declaration(stage("Build", build("compile"))))
    world.until(lambda: "externalExecutionId" in world.latest("Build", "compile"), "the build is known")
    assert world.latest("Build", "compile")["status"] == "InProgress"
    world.until(lambda: "logStreamARN" in world.latest("Build", "compile"), "its log is known")


def test_a_project_that_does_not_exist_fails_the_action(world: World) -> None:
    execution = world.create(declaration(stage("Build", build("Unknown"))))
    assert world.ends(execution) == "Failed"
    assert "ResourceNotFoundException" in world.latest("Build", "Unknown")["errorDetails"]["message"]


def test_artifacts_of_builds_reach_later_builds_with_the_commit_they_came_from(world: World) -> None:
    synth = build("synth", outputs=("Cloud",))
    later = build("later", inputs=("Cloud", "Code"), PrimarySource="Cloud")
    execution = world.create(declaration(stage("Source", source()), stage("Build", synth), stage("Test", later)))
    world.succeeds(execution)
    made = world.action(execution, "synth")["output"]["outputArtifacts"][0]["s3location"]
    asked = world.builds.request_of("later")
    assert asked["sourceLocationOverride"] == f"{made['bucket']}/{made['key']}"
    assert asked["sourceVersion"] == world.executions()[0]["sourceRevisions"][0]["revisionId"]
    assert world.unzip(made) == {"answer.txt": "42"}
