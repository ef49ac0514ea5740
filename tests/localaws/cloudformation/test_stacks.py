"""What a stack goes through, over the API, with real resources behind it."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.localaws.cloudformation.world import World, parameter, resource, template

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def broken(**more: Any) -> dict[str, Any]:
    """A resource whose service refuses it."""
    arn = "arn:aws:iam::aws:policy/NoSuchPolicy"
    return resource("AWS::IAM::Role", {"AssumeRolePolicyDocument": TRUST, "ManagedPolicyArns": [arn]}, **more)


def message(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Message"])


def test_a_stack_is_created_and_tells_its_outputs(world: World) -> None:
    status = world.create(
        {"B": parameter({"Fn::Sub": "b of ${A}"}), "A": parameter(Name="/a")},
        sections={
            "Outputs": {"A": {"Value": {"Ref": "A"}}, "Not": {"Value": "x", "Condition": "No"}},
            "Conditions": {"No": {"Fn::Equals": ["a", "b"]}},
        },
    )
    assert status == "CREATE_COMPLETE"
    assert world.outputs() == {"A": "/a"}
    assert world.value(world.physical_id("B")) == "b of /a"
    assert world.story() == [
        "stack CREATE_IN_PROGRESS",
        "A CREATE_IN_PROGRESS",
        "A CREATE_COMPLETE",
        "B CREATE_IN_PROGRESS",
        "B CREATE_COMPLETE",
        "stack CREATE_COMPLETE",
    ]


def test_only_what_differs_is_touched(world: World) -> None:
    world.create({"A": parameter(), "B": parameter("two")})
    assert world.update({"A": parameter(), "B": parameter("three")}) == "UPDATE_COMPLETE"
    assert "B UPDATE_COMPLETE" in world.story()
    assert not any(line.startswith("A ") for line in world.story())


def test_an_update_without_changes_is_refused(world: World) -> None:
    world.create({"A": parameter()})
    with pytest.raises(ClientError) as error:
        world.update({"A": parameter({"Fn::Join": ["", ["o", "ne"]]})})
    assert message(error) == "No updates are to be performed."


def test_a_new_output_alone_is_a_change(world: World) -> None:
    world.create({"A": parameter()})
    assert world.update({"A": parameter()}, sections={"Outputs": {"O": {"Value": "x"}}}) == "UPDATE_COMPLETE"
    assert world.outputs() == {"O": "x"}


def test_a_replaced_resource_goes_in_the_clean_up_and_what_refers_to_it_follows(world: World) -> None:
    world.create({"A": parameter(Name="/old"), "B": parameter({"Ref": "A"})})
    assert world.update({"A": parameter(Name="/new"), "B": parameter({"Ref": "A"})}) == "UPDATE_COMPLETE"
    assert world.value(world.physical_id("B")) == "/new"
    story = world.story()
    assert story.index("A DELETE_COMPLETE") > story.index("stack UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world.value("/old")
    assert world.physical_id("A") == "/new"


def test_update_replace_policy_retain_keeps_the_old_one(world: World) -> None:
    world.create({"A": parameter(Name="/old") | {"UpdateReplacePolicy": "Retain"}})
    world.update({"A": parameter(Name="/new") | {"UpdateReplacePolicy": "Retain"}})
    assert "A DELETE_SKIPPED" in world.story()
    assert (world.value("/old"), world.value("/new")) == ("one", "one")


def test_a_custom_name_that_would_be_needed_twice_is_refused_in_cloudformations_words(world: World) -> None:
    cluster = {"RepositoryName": "fixed", "EncryptionConfiguration": {"EncryptionType": "AES256"}}
    world.create({"A": resource("AWS::ECR::Repository", cluster)})
    changed = {**cluster, "EncryptionConfiguration": {"EncryptionType": "KMS"}}
    assert world.update({"A": resource("AWS::ECR::Repository", changed)}) == "UPDATE_ROLLBACK_COMPLETE"
    assert "cannot update a stack when a custom-named resource requires replacing. Rename fixed" in world.reason("A")


def test_removed_resources_go_last_and_retained_ones_stay(world: World) -> None:
    kept = parameter(Name="/kept") | {"DeletionPolicy": "Retain"}
    world.create({"A": parameter(), "Gone": parameter(Name="/gone"), "Kept": kept})
    world.update({"A": parameter("two")})
    assert {"Gone DELETE_COMPLETE", "Kept DELETE_SKIPPED"} <= set(world.story())
    assert world.value("/kept") == "one"
    names = world.api.list_stack_resources(StackName="stack")["StackResourceSummaries"]
    assert [found["LogicalResourceId"] for found in names] == ["A"]


def test_a_failed_creation_is_rolled_back_and_says_why(world: World) -> None:
    assert world.create({"A": parameter(Name="/a"), "B": broken(DependsOn="A")}) == "ROLLBACK_COMPLETE"
    assert "NoSuchPolicy does not exist" in world.reason("B")
    assert "The following resource(s) failed to create: [B]." in json.dumps(
        world.api.describe_stack_events(StackName="stack")["StackEvents"], default=str
    )
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world.value("/a")
    # What of the failed resource existed already is gone, too.
    assert world.region.client("iam").list_roles()["Roles"] == []
    with pytest.raises(ClientError) as error:
        world.update({"A": parameter()})
    assert message(error).endswith("is in ROLLBACK_COMPLETE state and can not be updated.")
    assert world.delete() == "DELETE_COMPLETE"
    assert world.create({"A": parameter()}) == "CREATE_COMPLETE"


def test_on_failure_decides_what_becomes_of_a_failed_creation(world: World) -> None:
    resources = {"A": parameter(Name="/a"), "B": broken(DependsOn="A")}
    assert world.create(resources, name="kept", DisableRollback=True) == "CREATE_FAILED"
    assert world.value("/a") == "one"
    assert world.update({"A": parameter("two", Name="/a"), "C": parameter()}, name="kept") == "UPDATE_COMPLETE"
    assert world.delete("kept") == "DELETE_COMPLETE"
    made = world.api.create_stack(
        StackName="gone", TemplateBody=template(resources), OnFailure="DELETE", Capabilities=["CAPABILITY_IAM"]
    )
    assert world.settled(made["StackId"]) == "DELETE_COMPLETE"


def test_a_failed_update_goes_back_to_what_was(world: World) -> None:
    before = {"A": parameter("old", Name="/a"), "R": parameter(Name="/r-old"), "Gone": parameter(Name="/gone")}
    world.create(before, sections={"Outputs": {"O": {"Value": "old"}}})
    after = {
        "A": parameter("new", Name="/a"),
        "R": parameter(Name="/r-new"),
        "New": parameter(Name="/new"),
        "B": broken(DependsOn=["A", "R", "New"]),
    }
    assert world.update(after, sections={"Outputs": {"O": {"Value": "new"}}}) == "UPDATE_ROLLBACK_COMPLETE"
    assert (world.value("/a"), world.value("/r-old"), world.value("/gone")) == ("old", "one", "one")
    for gone in ("/r-new", "/new"):
        with pytest.raises(ClientError, match="ParameterNotFound"):
            world.value(gone)
    assert world.outputs() == {"O": "old"}
    assert world.api.get_template(StackName="stack")["TemplateBody"]["Resources"].keys() == before.keys()
    found = world.api.describe_stack_resources(StackName="stack")["StackResources"]
    assert {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found} == {
        "A": "/a", "R": "/r-old", "Gone": "/gone",
    }  # fmt: skip
    assert world.update({**before, "A": parameter("newer", Name="/a")}) == "UPDATE_COMPLETE"
    assert world.value("/a") == "newer"


def test_an_update_without_rollback_stays_where_it_failed_and_can_go_on(world: World) -> None:
    world.create({"A": parameter("old", Name="/a")})
    failing = {"A": parameter("new", Name="/a"), "B": broken(DependsOn="A")}
    assert world.update(failing, DisableRollback=True) == "UPDATE_FAILED"
    assert world.value("/a") == "new"
    assert world.update({"A": parameter("new", Name="/a")}) == "UPDATE_COMPLETE"


def test_a_stack_that_cannot_be_deleted_says_what_kept_it(world: World) -> None:
    world.create({"Bucket": resource("AWS::S3::Bucket"), "A": parameter(Name="/a")})
    bucket = world.physical_id("Bucket")
    world.region.client("s3").put_object(Bucket=bucket, Key="k", Body=b"")
    assert world.delete() == "DELETE_FAILED"
    assert world.stack()["StackStatusReason"] == "The following resource(s) failed to delete: [Bucket]. "
    assert "BucketNotEmpty" in world.reason("Bucket")
    assert world.delete(RetainResources=["Bucket"]) == "DELETE_COMPLETE"
    assert world.region.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_a_protected_stack_is_not_deleted(world: World) -> None:
    world.create({"A": parameter()}, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        world.delete()
    world.api.update_termination_protection(StackName="stack", EnableTerminationProtection=False)
    assert world.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"F": resource("AWS::Lambda::Function")}, "AWS::Lambda::Function (F)"),
        ({"C": resource("Custom::Thing", {"ServiceToken": "x"})}, "Custom::Thing (C)"),
        ({"A": parameter({"Ref": "Nowhere"})}, "Unresolved resource dependencies [Nowhere] in the Resources block"),
        ({"A": parameter({"Ref": "B"}), "B": parameter({"Ref": "A"})}, "Circular dependency between resources: [A, B]"),
    ],
)
def test_a_template_that_cannot_become_a_stack_leaves_nothing_behind(
    world: World, resources: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError) as error:
        world.create(resources)
    assert words in message(error)
    with pytest.raises(ClientError) as error:
        world.change_set(resources, kind="CREATE")
    assert words in message(error)
    with pytest.raises(ClientError, match="Stack with id stack does not exist"):
        world.stack()


def test_iam_resources_must_be_acknowledged(world: World) -> None:
    role = resource("AWS::IAM::Role", {"AssumeRolePolicyDocument": TRUST, "RoleName": "r"})
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_NAMED_IAM\]"):
        world.api.create_stack(StackName="s", TemplateBody=template({"R": role}), Capabilities=["CAPABILITY_IAM"])


def test_exports_reach_other_stacks_and_cannot_go_while_they_are_used(world: World) -> None:
    def exporting(value: str) -> dict[str, Any]:
        return {"Outputs": {"O": {"Value": value, "Export": {"Name": "shared"}}}}

    world.create({"A": parameter()}, sections=exporting("first"))
    world.create({"B": parameter({"Fn::ImportValue": "shared"}, Name="/b")}, name="user")
    assert world.value("/b") == "first"
    assert world.api.list_imports(ExportName="shared")["Imports"] == ["user"]
    assert [found["Value"] for found in world.api.list_exports()["Exports"]] == ["first"]
    assert world.update({"A": parameter()}, sections=exporting("second")) == "UPDATE_ROLLBACK_COMPLETE"
    assert any(
        event.get("ResourceStatusReason") == "Export shared cannot be updated as it is in use by user"
        for event in world.api.describe_stack_events(StackName="stack")["StackEvents"]
    )
    assert world.update({"A": parameter("two")}) == "UPDATE_ROLLBACK_COMPLETE"
    assert world.delete() == "DELETE_FAILED"
    world.delete("user")
    assert world.delete() == "DELETE_COMPLETE"


def test_an_import_of_nothing_fails_the_resource(world: World) -> None:
    assert world.create({"B": parameter({"Fn::ImportValue": "nowhere"})}) == "ROLLBACK_COMPLETE"
    assert world.reason("B") == "No export named nowhere found."


def test_secrets_are_not_shown(world: World) -> None:
    sections = {"Parameters": {"Secret": {"Type": "String", "NoEcho": True, "Default": "pssst"}}}
    world.create({"A": parameter({"Ref": "Secret"}, Name="/a")}, sections=sections)
    assert world.stack()["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
    assert world.value("/a") == "pssst"


def test_a_template_may_come_by_its_url(world: World) -> None:
    s3 = world.region.client("s3")
    s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="templates", Key="a/b.json", Body=template({"A": parameter()}).encode())
    for number, url in enumerate(
        (
            "https://templates.s3.eu-west-1.amazonaws.com/a/b.json",
            "https://s3.eu-west-1.amazonaws.com/templates/a/b.json",
            f"{world.region.endpoint}/templates/a/b.json",
        )
    ):
        world.api.create_stack(StackName=f"s{number}", TemplateURL=url)
        assert world.settled(f"s{number}") == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="NoSuchKey"):
        world.api.validate_template(TemplateURL=f"{world.region.endpoint}/templates/none")


def test_a_stack_of_another_account_has_its_resources_there(world: World) -> None:
    other = "210987654321"
    keys = world.region.client("sts").assume_role(RoleArn=f"arn:aws:iam::{other}:role/deploy", RoleSessionName="test")[
        "Credentials"
    ]
    theirs: Any = boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="eu-west-1"
    )
    api = theirs.client("cloudformation", endpoint_url=world.region.endpoint)
    body = template({"A": parameter({"Ref": "AWS::AccountId"}, Name="/a")})
    made = api.create_stack(StackName="stack", TemplateBody=body)
    assert f":{other}:" in made["StackId"]
    api.get_waiter("stack_create_complete").wait(StackName="stack", WaiterConfig={"Delay": 1})
    ssm = theirs.client("ssm", endpoint_url=world.region.endpoint)
    assert ssm.get_parameter(Name="/a")["Parameter"]["Value"] == other
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world.value("/a")
    with pytest.raises(ClientError, match="does not exist"):
        world.stack()
