"""ECS's API for tasks; clusters and task definitions stay with moto, which keeps them well."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from docker import DockerClient

from pipeline.localaws.ecs.launch import LaunchError, launches
from pipeline.localaws.ecs.runner import LABEL, TaskRunner
from pipeline.localaws.ecs.task import ContainerState, Task
from pipeline.localaws.events import EventBus
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError

STOPPED_TASKS_KEPT = 500  # AWS shows stopped tasks for about an hour; a count is kinder to a laptop's debugging


class Ecs(Service):
    """Tasks on Fargate.

    Args:
        region: The region.
        docker: The engine, once it runs.
        image_reference: What the engine can pull, for an image as a task definition names it.
    """

    name = "ecs"
    moto_answers_the_rest = True

    def __init__(
        self, region: LocalRegion, docker: Callable[[], DockerClient], image_reference: Callable[[str], str]
    ) -> None:
        super().__init__(region)
        self._docker = docker
        self._image_reference = image_reference
        self._tasks: dict[str, Task] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._bus = EventBus(region)

    def start(self) -> None:
        """Remove the containers that an earlier, killed local AWS left."""
        for container in self._docker().containers.list(all=True, filters={"label": f"{LABEL}={self.region.folder}"}):
            container.remove(force=True)

    def stop(self) -> None:
        """Stop every task and wait until its containers are gone."""
        with self._lock:
            tasks, threads = list(self._tasks.values()), list(self._threads.values())
        for task in tasks:
            task.ask_to_stop("UserInitiated", "the local AWS is going down")
        for thread in threads:
            thread.join()

    def run_task(self, request: Document, call: Call) -> Document:
        """Start one or more tasks on Fargate."""
        cluster = self._cluster(request.get("cluster", "default"))
        definition = self._definition(request["taskDefinition"])
        if request.get("launchType", "FARGATE") != "FARGATE":
            raise ServiceError("InvalidParameterException", "the local AWS runs tasks on FARGATE only")
        if definition.get("networkMode") == "awsvpc" and "networkConfiguration" not in request:
            raise ServiceError(
                "InvalidParameterException",
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            )
        started = [self._launch(request, call, cluster, definition) for _ in range(request.get("count", 1))]
        return {"tasks": [task.describe() for task in started], "failures": []}

    def _launch(self, request: Document, call: Call, cluster: str, definition: dict[str, Any]) -> Task:
        task_id = str(uuid.uuid4())
        try:
            containers = [
                ContainerState(launch) for launch in launches(definition, request.get("overrides", {}), task_id)
            ]
        except LaunchError as error:
            raise ServiceError("InvalidParameterException", str(error)) from None
        task = Task(
            id=task_id,
            cluster_arn=cluster,
            definition=definition,
            request=request,
            account=call.account,
            region=call.region,
            containers=containers,
            tags=list(request.get("tags", [])),
        )
        runner = TaskRunner(self.region, self._docker(), self._image_reference, self._changed)
        thread = threading.Thread(target=runner.run, args=(task,), name=f"task-{task_id}", daemon=True)
        with self._lock:
            self._tasks[task_id] = task
            self._threads[task_id] = thread
            self._forget_old_ones()
        thread.start()
        return task

    def _forget_old_ones(self) -> None:
        ended = [task_id for task_id, task in self._tasks.items() if task.status == "STOPPED"]
        for task_id in ended[:-STOPPED_TASKS_KEPT]:
            del self._tasks[task_id], self._threads[task_id]

    def stop_task(self, request: Document, _: Call) -> Document:
        """Stop a task: TERM, then KILL after Fargate's stop time-out."""
        task = self._task(request["task"])
        if task is None:
            raise ServiceError("InvalidParameterException", "The referenced task was not found.")
        task.ask_to_stop("UserInitiated", request.get("reason") or "Task stopped by user")
        return {"task": task.describe()}

    def describe_tasks(self, request: Document, _: Call) -> Document:
        """Tasks by id or ARN; unknown ones are listed as MISSING."""
        found = {name: self._task(name) for name in request["tasks"]}
        return {
            "tasks": [task.describe() for task in found.values() if task],
            "failures": [{"arn": name, "reason": "MISSING"} for name, task in found.items() if task is None],
        }

    def list_tasks(self, request: Document, _: Call) -> Document:
        """The ARNs of the tasks of a cluster; running ones unless asked for stopped ones."""
        cluster = self._cluster(request.get("cluster", "default"))
        wanted = request.get("desiredStatus", "RUNNING")
        family, started_by = request.get("family"), request.get("startedBy")
        with self._lock:
            tasks = list(self._tasks.values())
        return {
            "taskArns": [
                task.arn
                for task in tasks
                if task.cluster_arn == cluster
                and task.desired == wanted
                and family in (None, task.definition["family"])
                and started_by in (None, task.request.get("startedBy"))
            ]
        }

    def _task(self, name: str) -> Task | None:
        with self._lock:
            return self._tasks.get(name.rpartition("/")[2])

    def _cluster(self, name: str) -> str:
        found = self.region.client("ecs").describe_clusters(clusters=[name])["clusters"]
        if not found:
            raise ServiceError("ClusterNotFoundException", f"Cluster not found: {name}")
        return str(found[0]["clusterArn"])

    def _definition(self, name: str) -> dict[str, Any]:
        try:
            found = self.region.client("ecs").describe_task_definition(taskDefinition=name)["taskDefinition"]
        except ClientError as error:
            raise ServiceError("ClientException", f"{name}: {error.response['Error']['Message']}") from None
        if found["status"] != "ACTIVE":
            raise ServiceError("ClientException", f"TaskDefinition is inactive: {name}")
        return dict(found)

    def _changed(self, task: Task) -> None:
        self._bus.emit("aws.ecs", "ECS Task State Change", _plain(task.describe()), [task.arn])


def _plain(value: Any) -> Any:
    """The same document with times as text, as events carry them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
