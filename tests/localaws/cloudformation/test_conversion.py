"""Properties as API input: what comes out is what botocore itself accepts."""

from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from pipeline.localaws.cloudformation.resources.codepipeline import declaration
from pipeline.localaws.cloudformation.resources.conversion import arguments
from pipeline.localaws.cloudformation.resources.provider import ResourceError


def client(service: str) -> Any:
    session: Any = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    return session.client(service)


def converted(service: str, operation: str, properties: dict[str, Any], **more: Any) -> Any:
    api = client(service)
    found = arguments(api, operation, properties)
    shape = api.meta.service_model.operation_model(operation).input_shape
    assert not ParamValidator().validate({**found, **more}, shape).generate_report()
    return found


def test_a_codebuild_project() -> None:
    found = converted(
        "codebuild",
        "CreateProject",
        {
            "Name": "project",
            "Artifacts": {"Type": "CODEPIPELINE"},
            "Environment": {
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "EnvironmentVariables": [{"Name": "A", "Type": "PLAINTEXT", "Value": "1"}],
                "Image": "aws/codebuild/standard:7.0",
                "ImagePullCredentialsType": "CODEBUILD",
                "PrivilegedMode": "true",
                "Type": "LINUX_CONTAINER",
            },
            "ServiceRole": "arn:aws:iam::123456789012:role/r",
            "Source": {"BuildSpec": "version: 0.2", "Type": "CODEPIPELINE"},
            "Cache": {"Type": "LOCAL", "Modes": ["LOCAL_CUSTOM_CACHE"]},
            "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "g"}},
            "TimeoutInMinutes": "30",
            "EncryptionKey": "alias/aws/s3",
            "VpcConfig": {"VpcId": "v", "Subnets": ["s"], "SecurityGroupIds": ["g"]},
            "Tags": [{"Key": "a", "Value": "b"}],
        },
    )
    assert found["source"]["buildspec"] == "version: 0.2"
    assert found["environment"]["privilegedMode"] is True
    assert found["timeoutInMinutes"] == 30
    assert found["tags"] == [{"key": "a", "value": "b"}]


def test_a_pipeline() -> None:
    action = {
        "ActionTypeId": {"Category": "Build", "Owner": "AWS", "Provider": "CodeBuild", "Version": "1"},
        "Configuration": {"ProjectName": "p", "BatchEnabled": True, "EnvironmentVariables": '[{"name":"A"}]'},
        "InputArtifacts": [{"Name": "in"}],
        "Name": "build",
        "Namespace": "N",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "RunOrder": "2",
    }
    properties = {
        "ArtifactStores": [
            {"Region": "eu-west-1", "ArtifactStore": {"Type": "S3", "Location": "bucket",
                                                      "EncryptionKey": {"Id": "k", "Type": "KMS"}}}
        ],
        "ExecutionMode": "SUPERSEDED",
        "PipelineType": "V2",
        "RestartExecutionOnUpdate": True,
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "Stages": [{"Name": "S", "Actions": [action], "OnFailure": {"Result": "ROLLBACK"}}],
        "Variables": [{"Name": "V", "DefaultValue": "d"}],
    }  # fmt: skip
    pipeline = converted("codepipeline", "CreatePipeline", {"Pipeline": declaration("p", properties)})["pipeline"]
    assert pipeline["name"] == "p"
    assert pipeline["artifactStores"]["eu-west-1"]["encryptionKey"] == {"id": "k", "type": "KMS"}
    found = pipeline["stages"][0]["actions"][0]
    assert found["configuration"] == {
        "ProjectName": "p",
        "BatchEnabled": "true",
        "EnvironmentVariables": '[{"name":"A"}]',
    }
    assert found["runOrder"] == 2
    assert "restartExecutionOnUpdate" not in pipeline


def test_a_task_definition_keeps_free_keys_as_they_are() -> None:
    found = converted(
        "ecs",
        "RegisterTaskDefinition",
        {
            "Family": "f",
            "ContainerDefinitions": [
                {
                    "Name": "c",
                    "Image": "i",
                    "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "g"}},
                    "PortMappings": [{"ContainerPort": "80"}],
                    "DockerLabels": {"Some.Label": "x"},
                }
            ],
            "Volumes": [{"Name": "v", "EFSVolumeConfiguration": {"FilesystemId": "fs"}}],
        },
    )
    container = found["containerDefinitions"][0]
    assert container["logConfiguration"]["options"] == {"awslogs-group": "g"}
    assert container["dockerLabels"] == {"Some.Label": "x"}
    assert container["portMappings"] == [{"containerPort": 80}]
    assert found["volumes"][0]["efsVolumeConfiguration"] == {"fileSystemId": "fs"}


def test_tags_become_a_map_where_the_api_wants_one_and_documents_become_text() -> None:
    assert converted(
        "codecommit", "CreateRepository", {"RepositoryName": "r", "Tags": [{"Key": "a", "Value": "b"}]}
    ) == {
        "repositoryName": "r",
        "tags": {"a": "b"},
    }
    assert converted("events", "PutRule", {"Name": "r", "EventPattern": {"source": ["a"]}}) == {
        "Name": "r",
        "EventPattern": '{"source": ["a"]}',
    }


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Source": {"Nonsense": 1}}, "/Source/Nonsense: the API's ProjectSource has no such member"),
        ({"TimeoutInMinutes": "soon"}, "/TimeoutInMinutes: expected integer, found 'soon'"),
        ({"BadgeEnabled": "maybe"}, "/BadgeEnabled: expected boolean, found 'maybe'"),
        ({"Tags": "x"}, "/Tags: expected a list, found 'x'"),
    ],
)
def test_what_the_api_does_not_know_is_named_with_its_place(properties: dict[str, Any], words: str) -> None:
    with pytest.raises(ResourceError) as error:
        arguments(client("codebuild"), "CreateProject", properties)
    assert str(error.value) == words
