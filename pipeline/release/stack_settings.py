"""The settings that an environment's stacks have given it, as AWS describes them, and those that this commit wants."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline import names
from pipeline.errors import PipelineError
from pipeline.release.environment import Deployment, described
from pipeline.release.stacks import (
    AirflowSettings,
    Change,
    Compared,
    Stacks,
    TaskSettings,
    airflow_changes,
    task_changes,
)
from pipeline.settings import Settings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecs.type_defs import TaskDefinitionTypeDef

Declared = Callable[[], Mapping[str, TaskSettings]]


def compare(
    session: "boto3.Session",
    settings: Settings,
    deployment: Deployment,
    running: Mapping[str, str],
    declared: Declared,
) -> Stacks:
    """What this commit's stacks would change; where AWS or the project does not say, that is said.

    Args:
        session: In a role that may read the environment.
        settings: The project's.
        deployment: The deployed stacks.
        running: Container → ARN, with revision, of the task definition that runs.
        declared: Gives the tasks that the project's containers declare.
    """
    environment = deployment.environment
    return Stacks(
        airflow=_compared(
            lambda: airflow_changes(
                airflow_of(session, deployment.airflow_environment), _wanted_airflow(settings, environment)
            )
        ),
        tasks=_compared(
            lambda: task_changes(
                tasks_of(session, running),
                {name: wanted_task(task, deployment) for name, task in declared().items()},
            )
        ),
    )


def airflow_of(session: "boto3.Session", name: str) -> AirflowSettings:
    """An MWAA environment's settings.

    Raises:
        PipelineError: MWAA does not describe it.
    """
    try:
        found = session.client("mwaa").get_environment(Name=name)["Environment"]
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(f"MWAA does not describe the environment: {error}", where=name) from None
    return AirflowSettings(
        version=found.get("AirflowVersion", ""),
        environment_class=found.get("EnvironmentClass", ""),
        min_workers=found.get("MinWorkers", 0),
        max_workers=found.get("MaxWorkers", 0),
        options=found.get("AirflowConfigurationOptions", {}),
    )


def tasks_of(session: "boto3.Session", task_definitions: Mapping[str, str]) -> dict[str, TaskSettings]:
    """Container → what its task definition says.

    Raises:
        PipelineError: ECS does not describe one.
    """
    if not task_definitions:
        return {}
    ecs = session.client("ecs")
    return {name: task_of(described(ecs, arn), name) for name, arn in task_definitions.items()}


def _compared(changes: Callable[[], tuple[Change, ...]]) -> Compared:
    try:
        return Compared(changes())
    except PipelineError as error:
        return Compared(unknown=error.what)


def _wanted_airflow(settings: Settings, environment: str) -> AirflowSettings:
    wanted = settings.environment(environment)
    return AirflowSettings(
        version=settings.airflow.version,
        environment_class=wanted.airflow_class,
        min_workers=wanted.min_workers,
        max_workers=wanted.max_workers,
        options=wanted.airflow_options,
    )


def wanted_task(declared: TaskSettings, deployment: Deployment) -> TaskSettings:
    """A declared task as its stack makes it in an environment."""
    return replace(
        declared,
        environment={**declared.environment, names.DATA_BUCKET_VARIABLE: deployment.data_bucket},
        secrets={
            variable: names.secret_arn(value, deployment.account, deployment.region)
            for variable, value in declared.secrets.items()
        },
    )


def task_of(definition: "TaskDefinitionTypeDef", container: str) -> TaskSettings:
    """A task as its definition describes it."""
    defined = definition.get("containerDefinitions", [])
    own = ([each for each in defined if each.get("name") == container] or defined)[:1]
    return TaskSettings(
        cpu=definition.get("cpu", ""),
        memory=definition.get("memory", ""),
        architecture=definition.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64"),
        environment={each.get("name", ""): each.get("value", "") for one in own for each in one.get("environment", [])},
        secrets={each["name"]: each["valueFrom"] for one in own for each in one.get("secrets", [])},
    )
