"""Tasks that run in this project's containers on ECS Fargate: one line for the author of a DAG.

    from fargate import fargate_task

    transform = fargate_task("transform", command=["parquet", "--day", "{{ data_interval_start | ds }}"])

Everything else comes from `_release.json`, which the deploy writes beside the DAGs: the cluster, the network, and the
exact revision of each container's task definition. Parsing a DAG reads that file and calls no API; a DAG therefore
starts the images it was released and tested with. Where the file is missing, on a laptop and in tests, a placeholder
takes its place: DAGs parse, and a task that runs all the same names the cluster `no-release`. `RELEASE.environment` is
the environment's name there too: `pipeline test dags` tests what reads it once as each environment of cdk.json.

What happens in Airflow, and to the container:

    in Airflow                                        the container
    waits                                             runs; no worker is held, its lines are in the task's log
    marked failed or successful, cleared              is stopped (TERM, KILL after its stopTimeout)
    the same, before the triggerer has taken over     runs to its end: Airflow tells nobody, for about a second
    execution_timeout is over                         is stopped; a retry starts another
    worker or triggerer dies, ECS does not answer     runs on; a retry waits for the same container
    the same, but no try is left                      is stopped
    fails, with exit code, reason and last lines      has ended with another code than 0, or did not start
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.providers.amazon.aws.triggers.ecs import TaskDoneTrigger
from airflow.providers.amazon.aws.utils.identifiers import generate_uuid
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, TaskDeferralError, TaskDeferralTimeout
from botocore.exceptions import BotoCoreError, ClientError
from fargate_trigger import ContainerDone

RELEASE_FILE = Path(__file__).with_name("_release.json")
FORMAT = 1
PLACE = "AIRFLOW__RELEASE__ENVIRONMENT"  # an option of Airflow: whose placeholder it is, where there is no release


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
            environment=os.environ.get(PLACE, "no-release"),
            region="eu-west-1",
            cluster="no-release",
            subnets=("no-release",),
            security_groups=("no-release",),
            data_bucket="no-release",
            is_placeholder=True,
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


class FargateOperator(EcsRunTaskOperator):
    """The provider's operator, which while it is deferred can be killed, run out of time, and says why it failed."""

    def defer(self, *, trigger: Any, method_name: str, kwargs: Any = None, timeout: timedelta | None = None) -> None:
        """Wait with a trigger that stops the container when the task is killed, and no longer than execution_timeout.

        Airflow enforces execution_timeout in workers only.
        """
        if isinstance(trigger, TaskDoneTrigger):
            trigger = ContainerDone(**trigger.serialize()[1])
            timeout = self.execution_timeout or timeout
        super().defer(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on when the trigger has fired, or failed: then no container is left that nobody waits for any more."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._stop_container(context, f"Over its execution_timeout of {self.execution_timeout}")
            raise
        except TaskDeferralError:
            if context["ti"].try_number > context["ti"].max_tries:
                self._stop_container(context, "Airflow waits for it no more")
            raise

    def _stop_container(self, context: Context, reason: str) -> None:
        """Stop what this task instance has started; who resumes a task that failed is not told what that was.

        It never raises: why the task failed is not to be hidden by why its container could not be stopped.
        """
        ti = context["ti"]
        started_by = generate_uuid(*map(str, [ti.dag_id, ti.task_id, ti.run_id, ti.map_index]))  # as `reattach` does
        try:
            running = self.client.list_tasks(cluster=self.cluster, desiredStatus="RUNNING", startedBy=started_by)
            for arn in running["taskArns"]:
                self.log.info("Stopping %s: %s", arn, reason)
                self.client.stop_task(cluster=self.cluster, task=arn, reason=reason)
        except (ClientError, BotoCoreError):
            self.log.exception("The container of this task was not stopped; it may still run in %s", self.cluster)

    def _check_success_task(self) -> None:
        try:
            super()._check_success_task()
        except AirflowSkipException:
            raise
        except AirflowException:
            raise AirflowException(self._explanation()) from None

    def _explanation(self) -> str:
        """Why the container failed: what ECS says of it in a line, then what it printed last."""
        (task,) = self.client.describe_tasks(cluster=self.cluster, tasks=[self.arn])["tasks"]
        container = next(each for each in task["containers"] if each["name"] == self.container_name)
        code = container.get("exitCode")
        how = "has no exit code" if code is None else f"ended with exit code {code}"
        reason = container.get("reason") or task.get("stoppedReason", "")
        first = f"the container {self.container_name} {how}: {reason} ({self.arn})"
        lines = self._last_lines()
        return "\n".join([first, "The end of its log:", *lines]) if lines else first

    def _last_lines(self) -> list[str]:
        if not self._aws_logs_enabled():
            return []
        logs = AwsLogsHook(aws_conn_id=self.aws_conn_id, region_name=self.resolve_awslogs_region()).conn
        try:
            events = logs.get_log_events(
                logGroupName=self.awslogs_group,
                logStreamName=self._get_logs_stream_name(),
                limit=self.number_logs_exception,
            )["events"]
        except ClientError as error:
            return [f"(its log cannot be read: {error})"]
        return [event["message"] for event in events]


def fargate_task(
    container: str,
    *,
    command: Sequence[Any],
    task_id: str | None = None,
    environment: Mapping[str, str] | None = None,
    release: Release = RELEASE,
    **operator_arguments: Any,
) -> FargateOperator:
    """A task that runs a command in a container and waits for its end without holding a worker.

    Args:
        container: A folder of `containers/`.
        command: Arguments for the container's entry point; templates and mapped values are allowed in it.
        task_id: The container's name by default.
        environment: Variables of this task, beside those of container.toml; templates are allowed.
        release: Where it runs; the deployed one by default.
        operator_arguments: Anything `EcsRunTaskOperator` or every operator takes, e.g. `outlets`, `retries`; they win.

    Raises:
        TypeError: The command is no list.
        ValueError: The release has no such container.
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
        # The environment's own role. A connection would be looked up again for every call.
        "aws_conn_id": None,
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
        # Only where an author does without `deferrable`: the default lets a task of a second take half a minute.
        "awslogs_fetch_interval": timedelta(seconds=5),
    }
    return FargateOperator(task_id=task_id or container, **(arguments | operator_arguments))
