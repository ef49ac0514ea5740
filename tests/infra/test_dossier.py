"""What a stack makes of a container is what the dossier expects of it: else every dossier would show a difference."""

from typing import Any

import pytest

from pipeline.diff import settings_of
from pipeline.images.containers import Container
from pipeline.release.environment import Deployment
from pipeline.release.stack_settings import task_of, wanted_task
from tests.infra.conftest import ACCOUNT, CONTAINERS, Assembly

DATA = "data"  # the bucket, which a template knows by a reference only
THERE = Deployment(
    environment="dev",
    account=ACCOUNT,
    region="eu-west-1",
    bucket="dags",
    airflow_environment="etl-dev",
    cluster="etl-dev",
    subnets=(),
    security_groups=(),
    data_bucket=DATA,
    task_definitions={},
    log_group="/etl/dev",
)


@pytest.mark.parametrize("container", [each for each in CONTAINERS if each.task], ids=lambda each: each.name)
def test_a_task_that_is_deployed_as_declared_does_not_differ(assembly: Assembly, container: Container) -> None:
    [made] = [
        each["Properties"]
        for each in assembly.resources("AWS::ECS::TaskDefinition", "etl-dev-tasks").values()
        if each["Properties"]["Family"].endswith(f"-{container.name}")
    ]
    assert task_of(described(made), container.name) == wanted_task(settings_of(container), THERE)


def described(made: dict[str, Any]) -> Any:
    """A template's task definition as ECS would describe it."""
    [container] = made["ContainerDefinitions"]
    return {
        "cpu": made["Cpu"],
        "memory": made["Memory"],
        "runtimePlatform": {"cpuArchitecture": made["RuntimePlatform"]["CpuArchitecture"]},
        "containerDefinitions": [
            {
                "name": container["Name"],
                "environment": [
                    {"name": each["Name"], "value": DATA if isinstance(each["Value"], dict) else each["Value"]}
                    for each in container["Environment"]
                ],
                "secrets": [
                    {"name": each["Name"], "valueFrom": each["ValueFrom"]} for each in container.get("Secrets", [])
                ],
            }
        ],
    }
