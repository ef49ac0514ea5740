"""A stack with an environment: CloudFormation waits for a real Airflow, changes it, and takes it away."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.localaws.cloudformation.service import CloudFormation
from pipeline.localaws.mwaa.service import Mwaa
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.localaws.conftest import free_port
from tests.localaws.mwaa.world import INSTALLATIONS

pytestmark = pytest.mark.airflow


@pytest.fixture
def region(tmp_path: Path) -> Iterator[LocalRegion]:
    port = free_port()
    region = LocalRegion(f"http://127.0.0.1:{port}", "eu-west-1", tmp_path / "local")
    region.folder.mkdir()
    services = [CloudFormation(region), Mwaa(region, INSTALLATIONS, dict(os.environ))]
    server = Server(LocalAws(region, services), port)
    server.start()
    yield region
    server.stop()


def template(**options: str) -> str:
    environment: dict[str, Any] = {
        "Name": "stacked",
        "AirflowVersion": "3.3.1",
        "EnvironmentClass": "mw1.micro",
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/airflow",
        "SourceBucketArn": {"Fn::GetAtt": ["Dags", "Arn"]},
        "DagS3Path": "dags",
        "NetworkConfiguration": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        "LoggingConfiguration": {"TaskLogs": {"Enabled": True, "LogLevel": "INFO"}},
        "AirflowConfigurationOptions": options,
    }
    document = {
        "Resources": {
            "Dags": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"BucketName": "stacked-dags", "VersioningConfiguration": {"Status": "Enabled"}},
            },
            "Airflow": {"Type": "AWS::MWAA::Environment", "Properties": environment},
        },
        "Outputs": {
            "Name": {"Value": {"Ref": "Airflow"}},
            "Url": {"Value": {"Fn::GetAtt": ["Airflow", "WebserverUrl"]}},
            "Logs": {"Value": {"Fn::GetAtt": ["Airflow", "LoggingConfiguration.TaskLogs.CloudWatchLogGroupArn"]}},
        },
    }
    return json.dumps(document)


def test_a_stack_creates_updates_and_deletes_a_real_airflow(region: LocalRegion) -> None:
    cloudformation, mwaa = region.client("cloudformation"), region.client("mwaa")
    quick = {"WaiterConfig": {"Delay": 1, "MaxAttempts": 600}}
    cloudformation.create_stack(StackName="stacked", TemplateBody=template())
    cloudformation.get_waiter("stack_create_complete").wait(StackName="stacked", **quick)
    [stack] = cloudformation.describe_stacks(StackName="stacked")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["Name"] == "stacked"
    assert outputs["Url"].startswith("127.0.0.1:")
    assert outputs["Logs"].endswith(":log-group:airflow-stacked-Task")
    health = mwaa.invoke_rest_api(Name="stacked", Path="/monitor/health", Method="GET")["RestApiResponse"]
    assert health["scheduler"]["status"] == "healthy"

    cloudformation.update_stack(StackName="stacked", TemplateBody=template(**{"core.default_timezone": "utc"}))
    cloudformation.get_waiter("stack_update_complete").wait(StackName="stacked", **quick)
    changed = mwaa.get_environment(Name="stacked")["Environment"]
    assert changed["AirflowConfigurationOptions"] == {"core.default_timezone": "utc"}

    cloudformation.delete_stack(StackName="stacked")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], **quick)
    assert mwaa.list_environments()["Environments"] == []
