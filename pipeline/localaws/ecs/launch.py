"""What a task is to run, from its task definition and the caller's overrides: values only.

Sources: ECS API reference (RunTask, ContainerDefinition, ContainerOverride); developer guide, "Fargate task stopped
errors" for the wording of reasons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CPU_UNITS = 1024  # of one core
DEFAULT_CPU = 256
DEFAULT_MEMORY_MIB = 512
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


@dataclass(frozen=True)
class LogStream:
    """Where the `awslogs` driver writes."""

    group: str
    stream: str


@dataclass(frozen=True)
class ContainerLaunch:
    """One container of a task.

    Attributes:
        image: As the task definition names it.
        command: None for the image's own.
        secrets: Variable → ARN of a parameter or secret.
        memory_mib: Its limit.
        cpus: Its share in cores.
        logs: None when it has no `awslogs`.
    """

    name: str
    image: str
    essential: bool
    entry_point: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    user: str
    working_directory: str
    memory_mib: int
    cpus: float
    logs: LogStream | None


class LaunchError(ValueError):
    """The request does not fit the task definition."""


def launches(definition: Mapping[str, Any], overrides: Mapping[str, Any], task_id: str) -> tuple[ContainerLaunch, ...]:
    """The containers of a task.

    Raises:
        LaunchError: An override names a container that the task definition does not have, or a log driver is unknown.
    """
    containers: Sequence[Mapping[str, Any]] = definition["containerDefinitions"]
    by_name = {override["name"]: override for override in overrides.get("containerOverrides", [])}
    unknown = sorted(by_name.keys() - {container["name"] for container in containers})
    if unknown:
        known = ", ".join(container["name"] for container in containers)
        raise LaunchError(
            f"Override for container named {unknown[0]} is not a container in the TaskDefinition ({known})"
        )
    task_cpu = int(overrides.get("cpu") or definition.get("cpu") or DEFAULT_CPU)
    task_memory = int(overrides.get("memory") or definition.get("memory") or DEFAULT_MEMORY_MIB)
    return tuple(
        _launch(container, by_name.get(container["name"], {}), task_cpu, task_memory, task_id)
        for container in containers
    )


def _launch(
    container: Mapping[str, Any], override: Mapping[str, Any], task_cpu: int, task_memory: int, task_id: str
) -> ContainerLaunch:
    variables = {item["name"]: item["value"] for item in container.get("environment", [])}
    variables |= {item["name"]: item["value"] for item in override.get("environment", [])}
    command = override.get("command", container.get("command"))
    entry_point = container.get("entryPoint")
    return ContainerLaunch(
        name=container["name"],
        image=container["image"],
        essential=container.get("essential", True),
        entry_point=tuple(entry_point) if entry_point else None,
        command=tuple(command) if command else None,
        environment=variables,
        secrets={item["name"]: item["valueFrom"] for item in container.get("secrets", [])},
        user=container.get("user", ""),
        working_directory=container.get("workingDirectory", ""),
        memory_mib=int(override.get("memory") or container.get("memory") or task_memory),
        cpus=int(override.get("cpu") or container.get("cpu") or task_cpu) / CPU_UNITS,
        logs=_logs(container, task_id),
    )


def _logs(container: Mapping[str, Any], task_id: str) -> LogStream | None:
    configured = container.get("logConfiguration")
    if not configured:
        return None
    if configured["logDriver"] != "awslogs":
        raise LaunchError(f"the local AWS does not know the log driver {configured['logDriver']!r}, only awslogs")
    options = configured.get("options", {})
    return LogStream(options["awslogs-group"], f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}")
