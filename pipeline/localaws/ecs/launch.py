"""What a task is to run, from its task definition and the caller's overrides: values only.

Sources: ECS API reference (RunTask, ContainerDefinition, ContainerOverride), developer guide ("Fargate task definition
parameters").
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from pipeline.localaws.ecs.secrets import SecretSource, SourceError, parse
from pipeline.localaws.ecs.sizes import Size, SizeError, size

DEFAULT_STOP_SECONDS: Final = 30
LONGEST_STOP_SECONDS: Final = 120

_HONOURED = {
    *("name", "image", "essential", "entryPoint", "command", "environment", "secrets", "user", "workingDirectory"),
    *("cpu", "memory", "logConfiguration", "stopTimeout", "readonlyRootFilesystem", "dockerLabels", "ulimits"),
}
# A laptop can keep these promises without doing anything: a port is open on the host's own network, a reservation is
# what a limit leaves, a digest is always resolved when a task starts.
_HARMLESS = {"portMappings", "memoryReservation", "versionConsistency", "hostname"}
_OVERRIDES = {"name", "command", "environment", "cpu", "memory", "memoryReservation"}
_TASK_OVERRIDES = {"containerOverrides", "cpu", "memory", "taskRoleArn", "executionRoleArn", "ephemeralStorage"}
_LOG_OPTIONS = {
    *("awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group", "mode", "max-buffer-size"),
}


class LaunchError(ValueError):
    """The request does not fit the task definition, or asks for what the local AWS does not do; the message says it."""


@dataclass(frozen=True)
class LogStream:
    """Where the `awslogs` driver writes."""

    group: str
    stream: str
    create_group: bool


@dataclass(frozen=True)
class ContainerLaunch:
    """One container of a task.

    Attributes:
        image: As the task definition names it.
        entry_point: None for the image's own; likewise `command`.
        environment: What the author wrote; it wins over what ECS adds.
        secrets: Variable → where its value is.
        memory_mib: Its hard limit: its own, else the task's.
        cpu_units: Its share of the task's CPU when several containers compete; 0 for an equal one.
        stop_seconds: Between TERM and KILL.
        logs: None when it has no log configuration.
    """

    name: str
    image: str
    essential: bool
    entry_point: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: Mapping[str, str]
    secrets: Mapping[str, SecretSource]
    user: str
    working_directory: str
    read_only: bool
    labels: Mapping[str, str]
    ulimits: tuple[tuple[str, int, int], ...]
    memory_mib: int
    cpu_units: int
    stop_seconds: int
    logs: LogStream | None


@dataclass(frozen=True)
class TaskLaunch:
    """A whole task: its size, its role, its containers in the order of the task definition."""

    size: Size
    role: str | None
    containers: tuple[ContainerLaunch, ...]


def plan(definition: Mapping[str, Any], overrides: Mapping[str, Any], task_id: str) -> TaskLaunch:
    """What to run.

    Raises:
        LaunchError: It cannot be run.
    """
    _refuse_unknown(overrides, _TASK_OVERRIDES, "task overrides")
    if definition.get("volumes"):
        raise LaunchError("the local AWS does not know volumes of task definitions")
    containers: Sequence[Mapping[str, Any]] = definition["containerDefinitions"]
    by_name = {override.get("name"): override for override in overrides.get("containerOverrides", [])}
    for name in by_name.keys() - {container["name"] for container in containers}:
        raise LaunchError(f"Override for container named {name} is not a container in the TaskDefinition.")
    try:
        task_size = size(
            overrides.get("cpu") or definition.get("cpu"), overrides.get("memory") or definition.get("memory")
        )
    except SizeError as error:
        raise LaunchError(str(error)) from None
    return TaskLaunch(
        size=task_size,
        role=overrides.get("taskRoleArn") or definition.get("taskRoleArn") or None,
        containers=tuple(
            _launch(container, by_name.get(container["name"], {}), task_size, task_id) for container in containers
        ),
    )


def _launch(
    container: Mapping[str, Any], override: Mapping[str, Any], task_size: Size, task_id: str
) -> ContainerLaunch:
    name: str = container["name"]
    _refuse_unknown(container, _HONOURED | _HARMLESS, f"container {name}")
    _refuse_unknown(override, _OVERRIDES, f"overrides of container {name}")
    memory = int(override.get("memory") or container.get("memory") or task_size.memory)
    if memory > task_size.memory:
        raise LaunchError(
            f"Invalid setting for container '{name}': memory {memory} is more than the task's {task_size.memory}"
        )
    seconds = int(container.get("stopTimeout") or DEFAULT_STOP_SECONDS)
    if seconds > LONGEST_STOP_SECONDS:
        raise LaunchError(f"Invalid setting for container '{name}': stopTimeout {seconds} is over 120 seconds")
    variables = {item["name"]: item["value"] for item in container.get("environment") or []}
    variables |= {item["name"]: item["value"] for item in override.get("environment") or []}
    try:
        secrets = {item["name"]: parse(item["valueFrom"]) for item in container.get("secrets") or []}
    except SourceError as error:
        raise LaunchError(f"Invalid setting for container '{name}': {error}") from None
    return ContainerLaunch(
        name=name,
        image=container["image"],
        essential=container.get("essential", True),
        entry_point=_words(container.get("entryPoint")),
        command=_words(override.get("command") or container.get("command")),
        environment=variables,
        secrets=secrets,
        user=container.get("user") or "",
        working_directory=container.get("workingDirectory") or "",
        read_only=bool(container.get("readonlyRootFilesystem")),
        labels=dict(container.get("dockerLabels") or {}),
        ulimits=tuple(
            (limit["name"], limit["softLimit"], limit["hardLimit"]) for limit in container.get("ulimits") or []
        ),
        memory_mib=memory,
        cpu_units=int(override.get("cpu") or container.get("cpu") or 0),
        stop_seconds=seconds,
        logs=_logs(container, task_id),
    )


def _words(given: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(given) if given else None


def _logs(container: Mapping[str, Any], task_id: str) -> LogStream | None:
    configured = container.get("logConfiguration")
    if not configured:
        return None
    if configured["logDriver"] != "awslogs":
        raise LaunchError(f"the local AWS does not know the log driver {configured['logDriver']!r}, only awslogs")
    options: Mapping[str, str] = configured.get("options") or {}
    _refuse_unknown(options, _LOG_OPTIONS, f"log options of container {container['name']}")
    for needed in ("awslogs-group", "awslogs-region", "awslogs-stream-prefix"):
        if not options.get(needed):
            raise LaunchError(f"Log driver awslogs requires options: {needed}")
    return LogStream(
        group=options["awslogs-group"],
        stream=f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}",
        create_group=options.get("awslogs-create-group") == "true",
    )


def _refuse_unknown(given: Mapping[str, Any], known: AbstractSet[str], where: str) -> None:
    unknown = sorted(key for key, value in given.items() if key not in known and value not in (None, [], {}, "", False))
    if unknown:
        raise LaunchError(f"{where}: the local AWS does not know {', '.join(unknown)}")
