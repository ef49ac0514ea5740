from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.localaws.cloudformation.change_set_operations import NO_CHANGES
from tests.localaws.cloudformation.world import World, parameter, resource, template


def changes(described: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Logical id → what is done, and whether it is replaced."""
    found = (change["ResourceChange"] for change in described["Changes"])
    return {one["LogicalResourceId"]: (one["Action"], one.get("Replacement")) for one in found}


def test_a_change_set_creates_a_stack(world: World) -> None:
    described = world.change_set({"A": parameter(Name="/a")}, kind="CREATE")
    assert (described["Status"], described["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert changes(described) == {"A": ("Add", None)}
    assert world.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world.value("/a")
    world.api.execute_change_set(ChangeSetName=described["ChangeSetId"])
    assert world.settled("stack") == "CREATE_COMPLETE"
    assert world.value("/a") == "one"
    assert world.stack()["ChangeSetId"] == described["ChangeSetId"]


def test_a_change_set_says_what_would_happen_and_why(world: World) -> None:
    world.create(
        {
            "Same": parameter(),
            "Modified": parameter("old"),
            "Replaced": parameter(Name="/old"),
            "Follows": parameter({"Ref": "Replaced"}),
            "Named": parameter(Name={"Fn::Sub": "/of${Replaced}"}),
            "Gone": parameter(),
        }
    )
    described = world.change_set(
        {
            "Same": parameter(),
            "Modified": parameter("new"),
            "Replaced": parameter(Name="/new"),
            "Follows": parameter({"Ref": "Replaced"}),
            "Named": parameter(Name={"Fn::Sub": "/of${Replaced}"}),
            "New": parameter(),
        }
    )
    assert changes(described) == {
        "Modified": ("Modify", "False"),
        "Replaced": ("Modify", "True"),
        "Follows": ("Modify", "False"),
        "Named": ("Modify", "Conditional"),
        "New": ("Add", None),
        "Gone": ("Remove", None),
    }
    details = {
        one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"]["Details"] for one in described["Changes"]
    }
    assert details["Modified"][0]["Target"]["AfterValue"] == "new"
    assert details["Replaced"][0]["Target"]["RequiresRecreation"] == "Always"
    assert details["Follows"][0]["Evaluation"] == "Dynamic"


def test_no_changes_are_told_in_the_words_the_cdk_looks_for(world: World) -> None:
    world.create({"A": parameter()})
    described = world.change_set({"A": parameter()})
    assert (described["Status"], described["StatusReason"]) == ("FAILED", NO_CHANGES)
    with pytest.raises(ClientError, match="cannot be executed in its current status"):
        world.api.execute_change_set(ChangeSetName=described["ChangeSetId"])


def test_an_unknown_property_fails_the_change_set_and_describe_events_says_where(world: World) -> None:
    described = world.change_set({"A": parameter(Colour="red")}, kind="CREATE")
    assert described["Status"] == "FAILED"
    assert "AWS::EarlyValidation::PropertyValidation" in described["StatusReason"]
    events = world.api.describe_events(ChangeSetName=described["ChangeSetId"])["OperationEvents"]
    assert events[0]["ValidationPath"] == "/Resources/A/Properties/Colour"
    assert events[0]["ValidationStatusReason"] == "extraneous key [Colour] is not permitted"


def test_a_property_the_local_aws_does_not_carry_out_is_named(world: World) -> None:
    described = world.change_set({"B": resource("AWS::S3::Bucket", {"WebsiteConfiguration": {}})}, kind="CREATE")
    events = world.api.describe_events(ChangeSetName=described["ChangeSetId"])["OperationEvents"]
    assert "the local AWS does not implement" in events[0]["ValidationStatusReason"]


def test_a_change_set_can_be_deleted_made_again_and_executed_once(world: World) -> None:
    world.create({"A": parameter()})
    first = world.change_set({"A": parameter("two")})
    with pytest.raises(ClientError, match="AlreadyExists"):
        world.change_set({"A": parameter("three")})
    world.api.delete_change_set(StackName="stack", ChangeSetName="change")
    world.api.delete_change_set(StackName="stack", ChangeSetName="change")
    second = world.change_set({"A": parameter("three")})
    assert second["ChangeSetId"] != first["ChangeSetId"]
    assert len(world.api.list_change_sets(StackName="stack")["Summaries"]) == 1
    world.api.execute_change_set(ChangeSetName="change", StackName="stack")
    world.settled("stack")
    described = world.api.describe_change_set(ChangeSetName=second["ChangeSetId"])
    assert described["ExecutionStatus"] == "EXECUTE_COMPLETE"
    world.api.delete_change_set(ChangeSetName="change", StackName="stack")
    with pytest.raises(ClientError, match="ChangeSetNotFound"):
        world.api.describe_change_set(ChangeSetName="change", StackName="stack")


def test_an_update_of_a_stack_that_is_not_there_is_refused(world: World) -> None:
    with pytest.raises(ClientError, match="Stack with id stack does not exist"):
        world.change_set({"A": parameter()})


def test_the_previous_template_and_values_can_be_kept(world: World) -> None:
    sections = {"Parameters": {"P": {"Type": "String"}, "Q": {"Type": "String", "Default": "q"}}}
    resources = {"A": parameter({"Fn::Sub": "${P}${Q}"}, Name="/a")}
    world.create(resources, sections=sections, Parameters=[{"ParameterKey": "P", "ParameterValue": "p"}])
    world.api.update_stack(
        StackName="stack",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "P", "UsePreviousValue": True},
            {"ParameterKey": "Q", "ParameterValue": "r"},
        ],
    )
    world.settled("stack")
    assert world.value("/a") == "pr"


def test_what_a_template_asks_for_can_be_asked_beforehand(world: World) -> None:
    body = template(
        {"R": resource("AWS::IAM::Role", {"RoleName": "x"}), "A": parameter()},
        Parameters={"P": {"Type": "String", "Default": "d"}},
        Description="what it is",
    )
    summary = world.api.get_template_summary(TemplateBody=body)
    assert summary["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert summary["ResourceTypes"] == ["AWS::IAM::Role", "AWS::SSM::Parameter"]
    assert world.api.validate_template(TemplateBody=body)["Parameters"][0]["DefaultValue"] == "d"
