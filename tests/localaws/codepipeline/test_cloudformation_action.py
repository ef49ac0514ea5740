"""Deployments, with the local AWS's own CloudFormation."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.localaws.codepipeline.actions.stacks import why
from tests.localaws.codepipeline.declarations import build, declaration, deploy, stage
from tests.localaws.codepipeline.world import PARAMETERS, World

TEMPLATE = {
    "Parameters": {
        "Name": {"Type": "String", "Default": "codepipeline.parameter"},
        "Text": {"Type": "String", "Default": "one"},
    },
    "Resources": {
        "P": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": {"Ref": "Name"}, "Type": "String", "Value": {"Ref": "Text"}},
        }
    },
    "Outputs": {"Said": {"Value": {"Ref": "Text"}}},
}


MINE = [{"Key": "Name", "Option": "BeginsWith", "Values": [PARAMETERS]}]


def template(text: str = "one", **more: Any) -> str:
    document = json.loads(json.dumps(TEMPLATE))
    document["Resources"]["P"]["Properties"]["Description"] = text
    return json.dumps({**document, **more})


def prepare(**more: Any) -> dict[str, Any]:
    given = {"TemplatePath": "Cloud::stack.json", "ChangeSetName": "change", **more}
    return deploy("prepare", "CHANGE_SET_REPLACE", inputs=("Cloud",), Capabilities="CAPABILITY_IAM", **given)


EXECUTE = deploy("execute", "CHANGE_SET_EXECUTE", order=2, ChangeSetName="change", namespace="Stack")
SYNTH = stage("Build", build("synth", outputs=("Cloud",)))


def files(world: World, **files: str) -> None:
    """What the build `synth` leaves; names have `_` for the dot."""
    world.builds.files["synth"] = {name.replace("_", "."): text for name, text in files.items()}


def parameter(world: World, name: str = "codepipeline.parameter") -> str:
    return str(world.region.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])


def description(world: World) -> str:
    """What the template said last."""
    return str(world.region.client("ssm").describe_parameters(ParameterFilters=MINE)["Parameters"][0]["Description"])


def error(world: World, action: str) -> str:
    return str(world.latest("Deploy", action)["errorDetails"]["message"])


def test_a_change_set_is_made_and_executed_and_outputs_become_variables(world: World) -> None:
    files(world, stack_json=template())
    use = build("use", EnvironmentVariables='[{"name":"SAID","value":"#{Stack.Said}"}]')
    execution = world.create(declaration(SYNTH, stage("Deploy", prepare(), EXECUTE), stage("Use", use)))
    world.succeeds(execution)
    assert parameter(world) == "one"
    assert world.action(execution, "execute")["output"]["outputVariables"] == {"Said": "one"}
    asked = world.builds.request_of("use")["environmentVariablesOverride"]
    assert {"name": "SAID", "value": "one", "type": "PLAINTEXT"} in asked
    assert "stack/" in world.latest("Deploy", "execute")["externalExecutionId"]
    assert world.latest("Deploy", "prepare")["summary"] == "Change set change was created."


def test_the_next_execution_changes_the_stack(world: World) -> None:
    files(world, stack_json=template())
    world.ends(world.create(declaration(SYNTH, stage("Deploy", prepare(), EXECUTE))))
    files(world, stack_json=template("two"))
    world.succeeds(world.start())
    assert description(world) == "two"


def test_parameters_come_from_the_configuration_file_and_overrides_win(world: World) -> None:
    settings = {"Parameters": {"Name": "codepipeline.from-file", "Text": "from-file"}, "Tags": {"team": "data"}}
    files(world, stack_json=template(), settings_json=json.dumps(settings), values_json='{"text": "from-override"}')
    more = {
        "TemplateConfiguration": "Cloud::settings.json",
        "ParameterOverrides": json.dumps({"Text": {"Fn::GetParam": ["Cloud", "values.json", "text"]}}),
    }
    world.succeeds(world.create(declaration(SYNTH, stage("Deploy", prepare(**more), EXECUTE))))
    assert parameter(world, "codepipeline.from-file") == "from-override"
    stack = world.region.client("cloudformation").describe_stacks(StackName="stack")["Stacks"][0]
    assert {"Key": "team", "Value": "data"} in stack["Tags"]


def test_an_override_may_be_where_an_artifact_lies(world: World) -> None:
    files(world, stack_json=template())
    overrides = json.dumps({"Text": {"Fn::GetArtifactAtt": ["Cloud", "ObjectKey"]}})
    deployed = stage("Deploy", prepare(ParameterOverrides=overrides), EXECUTE)
    execution = world.create(declaration(SYNTH, deployed))
    world.succeeds(execution)
    made = world.action(execution, "synth")["output"]["outputArtifacts"][0]["s3location"]
    assert parameter(world) == made["key"]


def test_a_template_too_large_for_a_request_goes_through_s3(world: World) -> None:
    files(world, stack_json=template("big", Metadata={"padding": "x" * 60_000}))
    execution = world.create(declaration(SYNTH, stage("Deploy", prepare(), EXECUTE)))
    world.succeeds(execution)
    assert description(world) == "big"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"TemplatePath": "Cloud::other.json"}, "File [other.json] does not exist in artifact [Cloud]"),
        ({"TemplatePath": "other.json"}, "TemplatePath must have the form ARTIFACT::path"),
        ({"TemplatePath": "Code::stack.json"}, "Code is not an input artifact of the action prepare"),
        ({"ParameterOverrides": "nonsense"}, "ParameterOverrides is not JSON"),
        ({"ParameterOverrides": '{"A": {"Fn::Join": []}}'}, "ParameterOverrides: A:"),
    ],
)
def test_a_wrong_configuration_fails_the_action_in_words(world: World, more: dict[str, str], words: str) -> None:
    files(world, stack_json=template())
    assert world.ends(world.create(declaration(SYNTH, stage("Deploy", prepare(**more))))) == "Failed"
    assert words in error(world, "prepare")


def test_a_template_that_is_none_fails_the_action_with_cloudformations_words(world: World) -> None:
    files(world, stack_json='{"Resources": {"A": {"Type": "AWS::Nothing::AtAll"}}')
    assert world.ends(world.create(declaration(SYNTH, stage("Deploy", prepare())))) == "Failed"
    assert error(world, "prepare")


def test_executing_a_change_set_that_does_not_exist_fails(world: World) -> None:
    assert world.ends(world.create(declaration(SYNTH, stage("Deploy", EXECUTE)))) == "Failed"
    assert "ChangeSet [change] does not exist" in error(world, "execute")


def test_a_stack_is_created_updated_and_deleted_without_change_sets(world: World) -> None:
    files(world, stack_json=template())
    up = deploy(
        "up",
        "CREATE_UPDATE",
        inputs=("Cloud",),
        outputs=("Outputs",),
        TemplatePath="Cloud::stack.json",
        OutputFileName="said.json",
    )
    execution = world.create(declaration(SYNTH, stage("Deploy", up)))
    world.succeeds(execution)
    made = world.action(execution, "up")["output"]["outputArtifacts"][0]["s3location"]
    assert json.loads(world.unzip(made)["said.json"]) == {"Said": "one"}
    files(world, stack_json=template("two"))
    world.succeeds(world.start())
    assert description(world) == "two"

    down = deploy("down", "DELETE_ONLY")
    world.api.create_pipeline(pipeline=declaration(SYNTH, stage("Deploy", down), name="down"))
    world.until(lambda: world.executions("down")[0]["status"] == "Succeeded", "the stack is deleted")
    assert (
        world.region.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []
    )
    world.api.start_pipeline_execution(name="down")
    world.until(lambda: world.executions("down")[0]["status"] == "Succeeded", "deleting nothing succeeds")


class ScriptedEvents:
    """The part of a CloudFormation client that tells a stack's events."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = events

    def get_paginator(self, _: str) -> "ScriptedEvents":
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:  # noqa: N803 - boto3's name
        assert StackName == "id"
        return [{"StackEvents": list(self._events)}]


def event(minute: int, status: str, reason: str = "", resource: str = "Bucket") -> dict[str, Any]:
    return {
        "Timestamp": datetime(2026, 1, 1, 12, minute, tzinfo=UTC),
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "LogicalResourceId": resource,
        "ResourceType": "AWS::S3::Bucket",
    }


def test_the_first_cause_comes_first_and_old_or_cancelled_ones_are_left_out() -> None:
    newest_first = ScriptedEvents(
        event(9, "UPDATE_ROLLBACK_COMPLETE"),
        event(8, "CREATE_FAILED", "Resource creation cancelled", "Other"),
        event(7, "CREATE_FAILED", "two", "Second"),
        event(6, "CREATE_FAILED", "name is taken"),
        event(1, "CREATE_FAILED", "of last week"),
    )
    stack = {"StackId": "id", "StackName": "stack", "StackStatus": "UPDATE_ROLLBACK_COMPLETE"}
    assert why(newest_first, stack, datetime(2026, 1, 1, 12, 5, tzinfo=UTC)) == (
        "Deploy of the stack stack ended with UPDATE_ROLLBACK_COMPLETE: Bucket (AWS::S3::Bucket): name is taken;"
        " Second (AWS::S3::Bucket): two"
    )


def test_without_events_the_stacks_own_reason_is_told() -> None:
    stack = {"StackId": "id", "StackName": "s", "StackStatus": "ROLLBACK_COMPLETE", "StackStatusReason": "no quota"}
    assert why(ScriptedEvents(), stack, datetime.now(UTC)).endswith("ROLLBACK_COMPLETE: no quota")


def test_a_change_set_without_changes_is_a_success_and_executes_nothing(world: World) -> None:
    files(world, stack_json=template())
    world.succeeds(world.create(declaration(SYNTH, stage("Deploy", prepare(), EXECUTE))))
    before = world.region.client("cloudformation").describe_stacks(StackName="stack")["Stacks"][0]
    again = world.start()
    world.succeeds(again)
    assert world.latest("Deploy", "prepare")["summary"] == "Change set change has no changes."
    assert world.latest("Deploy", "execute")["summary"] == "No changes to execute."
    assert world.action(again, "execute")["output"]["outputVariables"] == {"Said": "one"}
    after = world.region.client("cloudformation").describe_stacks(StackName="stack")["Stacks"][0]
    assert after.get("LastUpdatedTime") == before.get("LastUpdatedTime")


def test_a_stack_that_cannot_be_made_fails_the_action_with_the_reason(world: World) -> None:
    world.region.client("ssm").put_parameter(Name="codepipeline.parameter", Value="taken", Type="String")
    files(world, stack_json=template())
    assert world.ends(world.create(declaration(SYNTH, stage("Deploy", prepare(), EXECUTE)))) == "Failed"
    said = error(world, "execute")
    assert "Deploy of the stack stack ended with ROLLBACK_COMPLETE: P (AWS::SSM::Parameter): " in said
    assert "exist" in said
