"""ECS's API for tasks; clusters and task definitions stay with moto, which keeps them well."""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Final

from docker import DockerClient

from pipeline.localaws.ecs import admission
from pipeline.localaws.ecs.containers import ENGINE_ERRORS, Containers
from pipeline.localaws.ecs.launch import LaunchError, plan
from pipeline.localaws.ecs.records import TaskRecords
from pipeline.localaws.ecs.runner import HURRIED_SECONDS, TaskRunner
from pipeline.localaws.ecs.surroundings import Surroundings, last_part
from pipeline.localaws.ecs.task import Task
from pipeline.localaws.events import EventBus
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Document, Service, ServiceError

log = logging.getLogger(__name__)

_PAGE: Final = 100  # ListTasks' most and default
_END_SECONDS: Final = 20.0  # for the last lines of logs and the last events


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
        self._records = TaskRecords(region.folder / "ecs")
        self._running: dict[str, tuple[Task, threading.Thread]] = {}
        self._tokens: dict[str, tuple[Document, list[str]]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._bus = EventBus(region)
        self._surroundings = Surroundings(region)

    def start(self) -> None:
        """Say of the tasks of a server that was killed that they have ended, and remove their containers."""
        for task in self._records.load():
            log.warning("task %s: %s", task["taskArn"], task["stoppedReason"])
        for container in self._containers().ours():
            container.remove(force=True, v=True)

    def stop(self) -> None:
        """Stop every task, with little patience, and wait until its containers are gone."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for task, _ in running:
            task.hurry.set()
            task.ask_to_stop("TerminationNotice", "The local AWS is going down.")
        _join(running, HURRIED_SECONDS + 1)
        try:
            # A container that was being stopped before, with all its time, would keep us from going.
            for container in self._containers().ours():
                container.remove(force=True, v=True)
        except ENGINE_ERRORS as error:
            log.warning("the containers of tasks were not removed: %s", error)
        _join(running, _END_SECONDS)

    def run_task(self, request: Document, call: Call) -> Document:
        """Start one or more tasks on Fargate."""
        around = self._surroundings
        cluster = admission.active_cluster(around.cluster(request.get("cluster", "default")))
        definition = admission.active_revision(around.definition(request["taskDefinition"]))
        provider = admission.capacity_provider(request, cluster)
        admission.check_request(request, definition)
        around.check_network(request["networkConfiguration"]["awsvpcConfiguration"])
        if (known := self._started_before(request)) is not None:
            return {"tasks": known, "failures": []}
        tasks = [
            self._task(request, call, cluster["clusterArn"], definition, provider)
            for _ in range(request.get("count", 1))
        ]
        begun = [self._begin(task) for task in tasks]
        if token := request.get("clientToken"):
            self._tokens[token] = (request, [task.id for task in tasks])
        return {"tasks": begun, "failures": []}

    def stop_task(self, request: Document, _: Call) -> Document:
        """Stop a task: TERM, then KILL after the container's stopTimeout."""
        cluster = self._cluster_arn(request.get("cluster", "default"))
        document = self._find(request["task"], cluster)
        if document is None:
            raise ServiceError("InvalidParameterException", "The referenced task was not found.")
        with self._lock:
            task, _thread = self._running.get(last_part(request["task"]), (None, None))
        if task is None:
            return {"task": document}
        task.ask_to_stop("UserInitiated", request.get("reason") or "Task stopped by user")
        self._changed(task)
        return {"task": task.describe()}

    def describe_tasks(self, request: Document, _: Call) -> Document:
        """Tasks by id or ARN; unknown ones are listed as MISSING."""
        cluster = self._cluster_arn(request.get("cluster", "default"))
        found = {name: self._find(name, cluster) for name in request["tasks"]}
        with_tags = "TAGS" in request.get("include", [])
        arn = cluster.replace(":cluster/", ":task/")
        return {
            "tasks": [task if with_tags else {**task, "tags": []} for task in found.values() if task],
            "failures": [
                {"arn": f"{arn}/{last_part(name)}", "reason": "MISSING"} for name, task in found.items() if task is None
            ],
        }

    def list_tasks(self, request: Document, _: Call) -> Document:
        """The ARNs of the tasks of a cluster; those that are to run, unless asked for stopped ones."""
        wanted = {
            "clusterArn": self._cluster_arn(request.get("cluster", "default")),
            "desiredStatus": request.get("desiredStatus", "RUNNING"),
            "launchType": request.get("launchType"),
            "startedBy": request.get("startedBy"),
            "family": request.get("family"),
        }
        found = [task["taskArn"] for task in self._records.all() if _matches(task, wanted)]
        if request.get("serviceName") or request.get("containerInstance"):
            found = []  # no task of ours belongs to a service or runs on an instance
        first = _offset(request.get("nextToken"))
        last = first + min(request.get("maxResults", _PAGE), _PAGE)
        more = {"nextToken": str(last)} if last < len(found) else {}
        return {"taskArns": found[first:last], **more}

    def start_task(self, _: Document, __: Call) -> Document:
        """There are no container instances to start a task on."""
        raise _unknown("StartTask")

    def execute_command(self, _: Document, __: Call) -> Document:
        """Not done here."""
        raise _unknown("ExecuteCommand")

    def create_service(self, _: Document, __: Call) -> Document:
        """Moto would take the service and start no task."""
        raise _unknown("CreateService")

    def create_task_set(self, _: Document, __: Call) -> Document:
        """Likewise."""
        raise _unknown("CreateTaskSet")

    def _containers(self) -> Containers:
        return Containers(self.region, self._docker(), self._image_reference)

    def _task(
        self, request: Document, call: Call, cluster: str, definition: Mapping[str, Any], capacity_provider: str
    ) -> Task:
        task_id = uuid.uuid4().hex
        try:
            launch = plan(definition, request.get("overrides") or {}, task_id)
        except LaunchError as error:
            raise ServiceError("InvalidParameterException", str(error)) from None
        return Task(
            id=task_id,
            cluster_arn=cluster,
            definition=definition,
            request=request,
            launch=launch,
            account=call.account,
            region=call.region,
            capacity_provider=capacity_provider,
            tags=self._surroundings.tags(request, cluster, definition),
        )

    def _begin(self, task: Task) -> Document:
        """Let a task begin; it is returned as it was just before."""
        before = task.describe()
        runner = TaskRunner(self.region, self._containers(), self._changed)
        thread = threading.Thread(target=self._run, args=(runner, task), name=f"task {task.id}", daemon=True)
        with self._lock:
            if self._closed:
                raise ServiceError("ServerException", "the local AWS is going down")
            self._running[task.id] = (task, thread)
        self._changed(task)
        thread.start()
        return before

    def _run(self, runner: TaskRunner, task: Task) -> None:
        try:
            runner.run(task)
        finally:
            with self._lock:
                del self._running[task.id]

    def _changed(self, task: Task) -> None:
        document = task.describe()
        self._records.put(document)
        try:
            self._bus.emit(
                "aws.ecs", "ECS Task State Change", json.loads(json.dumps(document, default=str)), [task.arn]
            )
        except Exception:
            # Who hears of a task is not the task's business.
            log.exception("task %s: its change to %s was not told", task.id, task.status)

    def _started_before(self, request: Document) -> list[Document] | None:
        """The tasks that the same client token has started (ECS API reference, "Ensuring idempotency")."""
        known = self._tokens.get(request.get("clientToken", ""))
        if known is None:
            return None
        first, ids = known
        if dict(first) != dict(request):
            raise ServiceError("ConflictException", "The clientToken was used before with other parameters.")
        return [found for task_id in ids if (found := self._records.get(task_id))]

    def _find(self, name: str, cluster: str) -> Document | None:
        with self._lock:
            task, _ = self._running.get(last_part(name), (None, None))
        document = task.describe() if task else self._records.get(last_part(name))
        return document if document and document["clusterArn"] == cluster else None

    def _cluster_arn(self, name: str) -> str:
        """The cluster's ARN; tasks of a killed server are still shown, whose clusters are gone with it."""
        found = self._surroundings.cluster(name)
        if found is None:
            found = next(
                (task for task in self._records.all() if last_part(task["clusterArn"]) == last_part(name)), None
            )
        if found is None:
            raise admission.no_cluster()
        return str(found["clusterArn"])


def _join(running: Iterable[tuple[Task, threading.Thread]], seconds: float) -> None:
    """Wait for the threads of tasks, so long for all of them together."""
    until = monotonic() + seconds
    for _, thread in running:
        thread.join(max(0, until - monotonic()))


def _matches(task: Document, wanted: Mapping[str, str | None]) -> bool:
    shown = dict(task) | {"family": last_part(task["taskDefinitionArn"]).partition(":")[0]}
    return all(value is None or shown.get(key) == value for key, value in wanted.items())


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdecimal():
        raise ServiceError("InvalidParameterException", "Invalid token")
    return int(token)


def _unknown(operation: str) -> ServiceError:
    return ServiceError("NotImplementedException", f"the local AWS does not implement ecs:{operation}")
