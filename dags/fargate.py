"""Tasks that run in this project's containers on ECS Fargate: one line for the author of a DAG.

    from fargate import fargate_task

    transform = fargate_task("transform", command=["parquet", "--day", "{{ data_interval_start | ds }}"])

Everything else comes from `_release.json`, which the deploy writes beside the DAGs: the cluster, the network, and the
exact revision of each container's task definition. Parsing a DAG reads that file and calls no API; a DAG therefore
starts the images it was released and tested with. Where the file is missing, on a laptop and in tests, a placeholder
takes its place: DAGs parse, and a task that runs all the same names the cluster `no-release`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator

RELEASE_FILE = Path(__file__).with_name("_release.json")
FORMAT = 1


@dataclass(frozen=True)
class TaskDefinition:
    """Where a container of the release runs and logs."""

    task_definition: str  # ARN with its revision
    container: str  # its name in the task definition
    log_group: str
    log_stream_prefix: str


@dataclass(frozen=True)
class Release:
    """What the deploy wrote about the environment that these DAGs run in."""

    environment: str
    region: str
    cluster: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    data_bucket: str
    containers: Mapping[str, TaskDefinition] = field(default_factory=dict)
    is_placeholder: bool = False

    def container(self, name: str) -> TaskDefinition:
        """The task definition of a container.

        Raises:
            ValueError: The release has no container of that name that is a task.
        """
        if self.is_placeholder:
            return TaskDefinition(f"no-release-{name}:0", name, "", "")
        if name not in self.containers:
            known = ", ".join(sorted(self.containers)) or "none"
            raise ValueError(f"the release has no task in a container {name!r}; its containers are: {known}")
        return self.containers[name]


def read_release(path: Path) -> Release:
    """The release beside the DAGs, or the placeholder where there is none.

    Raises:
        ValueError: The file is of a format this helper does not know.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Release(
            "no-release", "eu-west-1", "no-release", ("no-release",), ("no-release",), "no-release", is_placeholder=True
        )
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has the format {document.get('format')!r}; this helper reads format {FORMAT}")
    return Release(
        environment=document["environment"],
        region=document["region"],
        cluster=document["cluster"],
        subnets=tuple(document["subnets"]),
        security_groups=tuple(document["security_groups"]),
        data_bucket=document["data_bucket"],
        containers={
            name: TaskDefinition(
                task_definition=entry["task_definition"],
                container=entry["container"],
                log_group=entry["log_group"],
                log_stream_prefix=entry["log_stream_prefix"],
            )
            for name, entry in document["containers"].items()
        },
    )


RELEASE = read_release(RELEASE_FILE)


def fargate_task(
    container: str,
    *,
    command: Sequence[Any],
    task_id: str | None = None,
    environment: Mapping[str, str] | None = None,
    release: Release = RELEASE,
    **operator_arguments: Any,
) -> EcsRunTaskOperator:
    """A task that runs a command in a container and waits for its end without holding a worker.

    Args:
        container: A folder of `containers/`.
        command: Arguments for the container's entry point; templates and mapped values are allowed in it.
        task_id: The container's name by default.
        environment: Variables of this task, beside those of container.toml; templates are allowed.
        release: Where it runs; the deployed one by default.
        operator_arguments: Anything `EcsRunTaskOperator` or every operator takes, e.g. `outlets`, `retries`; they win.
    """
    if isinstance(command, str):
        raise TypeError(f"command is the string {command!r}; expected a list of arguments: {command.split()}")
    target = release.container(container)
    variables = {"DATA_BUCKET": release.data_bucket, **(environment or {})}
    override = {
        "name": target.container,
        "command": list(command),
        "environment": [{"name": name, "value": value} for name, value in variables.items()],
    }
    arguments: dict[str, Any] = {
        "task_definition": target.task_definition,
        "cluster": release.cluster,
        "region_name": release.region,
        "launch_type": "FARGATE",
        "network_configuration": {
            "awsvpcConfiguration": {
                "subnets": list(release.subnets),
                "securityGroups": list(release.security_groups),
                "assignPublicIp": "DISABLED",
            }
        },
        "overrides": {"containerOverrides": [override]},
        # Without the container's name the operator sleeps 10 s and asks ECS for it, to know the log stream.
        "container_name": target.container,
        "awslogs_group": target.log_group or None,
        "awslogs_stream_prefix": target.log_stream_prefix or None,
        "awslogs_region": release.region,
        "tags": {
            "airflow-dag": "{{ dag.dag_id }}",
            "airflow-task": "{{ task.task_id }}",
            "airflow-run": "{{ run_id }}",
        },
        "deferrable": True,
        "wait_for_completion": True,
        # A worker that dies and its task's next try find the container that already runs.
        "reattach": True,
        "number_logs_exception": 20,
    }
    return EcsRunTaskOperator(task_id=task_id or container, **(arguments | operator_arguments))
