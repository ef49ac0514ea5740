from typing import Any

import pytest

from pipeline.localaws.cloudformation.resources import ResourceTypes
from pipeline.localaws.cloudformation.schema import schema_of

TYPES = ResourceTypes("eu-west-1")


@pytest.mark.parametrize(
    ("kind", "given", "fitted"),
    [
        ("AWS::ECS::TaskDefinition", {"Cpu": 256}, {"Cpu": "256"}),
        ("AWS::Logs::LogGroup", {"RetentionInDays": "7"}, {"RetentionInDays": 7}),
        ("AWS::EC2::VPC", {"EnableDnsSupport": "true"}, {"EnableDnsSupport": True}),
        ("AWS::ECS::TaskDefinition", {"ContainerDefinitions": [{"Name": "a", "Image": "b", "Memory": "5"}]},
         {"ContainerDefinitions": [{"Name": "a", "Image": "b", "Memory": 5}]}),
    ],
)  # fmt: skip
def test_scalars_become_the_declared_kind(kind: str, given: Any, fitted: Any) -> None:
    assert TYPES.fit(kind, given) == (fitted, ())


@pytest.mark.parametrize(
    ("kind", "given", "problem"),
    [
        ("AWS::ECR::Repository", {"Nonsense": 1}, "#/Nonsense: extraneous key [Nonsense] is not permitted"),
        ("AWS::S3::BucketPolicy", {"Bucket": "b"}, "#: required key [PolicyDocument] not found"),
        ("AWS::S3::Bucket", {"BucketName": ["b"]}, "#/BucketName: expected type: String, found: JSONArray"),
        (
            "AWS::Logs::LogGroup",
            {"RetentionInDays": "soon"},
            "#/RetentionInDays: expected type: Integer, found: str 'soon'",
        ),
        ("AWS::S3::Bucket", {"Arn": "x"}, "#/Arn: extraneous key [Arn] is not permitted: only AWS sets it"),
        ("AWS::S3::Bucket", {"WebsiteConfiguration": {}}, "#/WebsiteConfiguration: the local AWS does not implement"),
    ],
)
def test_what_a_type_does_not_allow_is_said_as_aws_says_it(kind: str, given: Any, problem: str) -> None:
    problems = [str(found) for found in TYPES.fit(kind, given)[1]]
    assert any(found.startswith(problem) for found in problems), problems


def test_aws_itself_says_what_replaces_a_resource() -> None:
    assert ("ContainerDefinitions",) in TYPES.create_only("AWS::ECS::TaskDefinition")
    assert ("Tags",) not in TYPES.create_only("AWS::ECS::TaskDefinition")
    assert TYPES.create_only("AWS::CodePipeline::Pipeline") == (("Name",),)


def test_a_stacks_tags_reach_its_resources_in_the_form_of_the_type() -> None:
    bucket, mwaa = schema_of("eu-west-1", "AWS::S3::Bucket"), schema_of("eu-west-1", "AWS::MWAA::Environment")
    assert bucket is not None
    assert mwaa is not None
    assert bucket.with_tags({"Tags": [{"Key": "a", "Value": "own"}]}, {"a": "x", "b": "y"}) == {
        "Tags": [{"Key": "a", "Value": "own"}, {"Key": "b", "Value": "y"}]
    }
    assert mwaa.with_tags({}, {"b": "y"}) == {"Tags": {"b": "y"}}


def test_every_provider_implements_only_properties_its_type_has() -> None:
    for provider in TYPES.all():
        schema = TYPES.schema(provider.type)
        assert provider.implemented <= schema.properties - schema.read_only, provider.type
