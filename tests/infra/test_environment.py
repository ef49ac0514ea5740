"""The stacks of an environment."""

import json
from typing import Any

import pytest

from tests.infra.conftest import ACCOUNT, OTHER_ACCOUNT, Assembly


def container(assembly: Assembly, name: str) -> dict[str, Any]:
    definition = assembly.templates["etl-dev-tasks"]["Resources"][f"Task{name}"]["Properties"]
    [only] = definition["ContainerDefinitions"]
    assert isinstance(only, dict)
    return only


def test_a_task_definition_is_kept_when_it_is_replaced_or_removed(assembly: Assembly) -> None:
    definitions = assembly.resources("AWS::ECS::TaskDefinition")
    assert len(definitions) == 4
    for definition in definitions.values():
        assert (definition["UpdateReplacePolicy"], definition["DeletionPolicy"]) == ("Retain", "Retain")


def test_what_is_only_a_base_gets_a_repository_and_no_task(assembly: Assembly) -> None:
    repositories = assembly.resources("AWS::ECR::Repository").values()
    assert {each["Properties"]["RepositoryName"] for each in repositories} == {"etl/base", "etl/load", "etl/report"}
    families = {each["Properties"]["Family"] for each in assembly.resources("AWS::ECS::TaskDefinition").values()}
    assert families == {f"etl-{environment}-{task}" for environment in ("dev", "prod") for task in ("load", "report")}


def test_a_task_runs_the_image_of_its_content_tag_from_the_pipelines_account(wide_assembly: Assembly) -> None:
    definition = wide_assembly.templates["dwh-prod-tasks"]["Resources"]["Taskload"]["Properties"]
    image = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/dwh/load:{'1' * 32}"
    assert definition["ContainerDefinitions"][0]["Image"] == image


def test_a_task_is_what_its_container_declares(assembly: Assembly) -> None:
    definition = assembly.templates["etl-dev-tasks"]["Resources"]["Taskload"]["Properties"]
    assert (definition["Cpu"], definition["Memory"]) == ("1024", "2048")
    assert definition["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    load = container(assembly, "load")
    assert {"Name": "LOG_LEVEL", "Value": "INFO"} in load["Environment"]
    assert "DATA_BUCKET" in {variable["Name"] for variable in load["Environment"]}
    secret = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:etl/db"
    assert load["Secrets"] == [{"Name": "PASSWORD", "ValueFrom": secret}]
    assert load["LogConfiguration"]["Options"]["awslogs-stream-prefix"] == "load"


def test_the_release_step_finds_every_output_it_reads(assembly: Assembly) -> None:
    tasks = assembly.templates["etl-dev-tasks"]["Outputs"]
    airflow = assembly.templates["etl-dev-airflow"]["Outputs"]
    assert {"Cluster", "Subnets", "SecurityGroup", "DataBucket", "TaskDefinitions", "LogGroup"} <= set(tasks)
    assert {"Bucket", "AirflowEnvironment"} <= set(airflow)
    parts = tasks["TaskDefinitions"]["Value"]["Fn::Join"][1]
    document = json.loads("".join(part if isinstance(part, str) else part["Ref"] for part in parts))
    assert document == {"load": "Taskload", "report": "Taskreport"}


def test_image_tags_cannot_be_moved_and_images_outlive_the_stack(assembly: Assembly) -> None:
    for repository in assembly.resources("AWS::ECR::Repository").values():
        assert repository["Properties"]["ImageTagMutability"] == "IMMUTABLE"
        assert repository["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert (repository["DeletionPolicy"], repository["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_another_account_may_pull_and_nothing_more(wide_assembly: Assembly, assembly: Assembly) -> None:
    for repository in wide_assembly.resources("AWS::ECR::Repository").values():
        [statement] = repository["Properties"]["RepositoryPolicyText"]["Statement"]
        assert OTHER_ACCOUNT in json.dumps(statement["Principal"])
        assert not any("Put" in action or "Upload" in action for action in statement["Action"])
    for repository in assembly.resources("AWS::ECR::Repository").values():
        assert "RepositoryPolicyText" not in repository["Properties"]


def test_every_bucket_is_private_encrypted_kept_and_reached_by_tls_only(assembly: Assembly) -> None:
    buckets = assembly.resources("AWS::S3::Bucket")
    assert len(buckets) == 2 + 2 * 4
    for bucket in buckets.values():
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
        assert "BucketEncryption" in bucket["Properties"]
        assert bucket["DeletionPolicy"] == "Retain"
    policies = assembly.resources("AWS::S3::BucketPolicy").values()
    assert len(policies) == len(buckets)
    assert all("aws:SecureTransport" in json.dumps(policy) for policy in policies)


def test_airflow_is_what_the_settings_say_and_logs_everything(assembly: Assembly) -> None:
    airflow = assembly.one("AWS::MWAA::Environment", "etl-prod-airflow")["Properties"]
    assert (airflow["Name"], airflow["AirflowVersion"]) == ("etl-prod", "3.3.1")
    assert (airflow["EnvironmentClass"], airflow["DagS3Path"]) == ("mw1.medium", "dags")
    assert airflow["WorkerReplacementStrategy"] == "GRACEFUL"  # of an upgrade, too
    assert len(airflow["LoggingConfiguration"]) == 5
    assert all(log["Enabled"] for log in airflow["LoggingConfiguration"].values())
    assert len(airflow["NetworkConfiguration"]["SubnetIds"]) == 2


def test_the_bucket_that_mwaa_reads_is_versioned(assembly: Assembly) -> None:
    bucket = assembly.templates["etl-dev-airflow"]["Outputs"]["Bucket"]["Value"]["Ref"]
    properties = assembly.templates["etl-dev-airflow"]["Resources"][bucket]["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}


@pytest.mark.parametrize("kind", ["AWS::Lambda::Function", "Custom::", "AWS::CloudFormation::CustomResource"])
def test_nothing_needs_a_function_of_cdks_own(assembly: Assembly, kind: str) -> None:
    kinds = {each["Type"] for template in assembly.templates.values() for each in template["Resources"].values()}
    assert not [each for each in kinds if each.startswith(kind)]


def test_a_container_can_be_removed_in_one_deploy(assembly: Assembly) -> None:
    """No stack imports anything of the tasks' stack: such an export could not be removed with its container."""
    exported = [
        output["Export"] for output in assembly.templates["etl-dev-tasks"]["Outputs"].values() if "Export" in output
    ]
    assert exported == []
