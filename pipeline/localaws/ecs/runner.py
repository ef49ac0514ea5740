"""Runs one task, from the pull of its images to the exit codes of its containers."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.localaws.ecs.containers import (
    ENGINE_ERRORS,
    Containers,
    PulledImage,
    PullError,
    RunningContainer,
    StartError,
    explanation,
)
from pipeline.localaws.ecs.launch import ContainerLaunch
from pipeline.localaws.ecs.output import LogStreamError, OutputLog, create_stream
from pipeline.localaws.ecs.secrets import SecretError, read
from pipeline.localaws.ecs.task import ContainerState, Exit, Status, Task
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

HURRIED_SECONDS: Final = 2  # what containers get instead of their stopTimeout when the local AWS goes down


class _StartFailureError(Exception):
    """The task cannot start; the message is its stopped reason."""


class TaskRunner:
    """Runs a task in the calling thread.

    Args:
        region: Where roles, secrets and logs are.
        containers: The engine.
        changed: Called after each change of the task's status.
    """

    def __init__(self, region: LocalRegion, containers: Containers, changed: Callable[[Task], None]) -> None:
        self._region = region
        self._containers = containers
        self._changed = changed

    def run(self, task: Task) -> None:
        """Everything from PROVISIONING to STOPPED. It never raises: failures become the task's stopped reason."""
        running: list[RunningContainer] = []
        try:
            self._move(task, "PENDING")
            self._start(task, running)
            self._wait(task)
        except _StartFailureError as failure:
            task.ask_to_stop("TaskFailedToStart", str(failure))
        except ENGINE_ERRORS as error:
            task.ask_to_stop("TaskFailedToStart", f"ContainerRuntimeError: the Docker engine: {explanation(error)}")
        except Exception as error:
            log.exception("task %s", task.id)
            task.ask_to_stop("TaskFailedToStart", f"InternalError: {type(error).__name__}: {error}")
        finally:
            self._finish(task, running)

    def _move(self, task: Task, status: Status) -> None:
        task.move(status)
        self._changed(task)

    def _start(self, task: Task, running: list[RunningContainer]) -> None:
        task.note("connectivityAt")
        variables = self._variables(task)
        secrets = {state.launch.name: self._secrets(state.launch) for state in task.containers}
        images = self._pull(task)
        for state in task.containers:
            if task.stops:
                return
            environment = {**variables, **state.launch.environment, **secrets[state.launch.name]}
            running.append(self._start_container(task, state, images[state.launch.image], environment))
        task.note("startedAt")
        self._move(task, "RUNNING")

    def _pull(self, task: Task) -> Mapping[str, PulledImage]:
        task.note("pullStartedAt")
        images: dict[str, PulledImage] = {}
        for state in task.containers:
            image = state.launch.image
            try:
                images[image] = images.get(image) or self._containers.pull(image)
            except PullError as error:
                reason = f"pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {error}"
                raise _start_failure(task, state, f"CannotPullContainerError: {reason}") from None
            state.digest = images[image].digest
        task.note("pullStoppedAt")
        return images

    def _start_container(
        self, task: Task, state: ContainerState, image: PulledImage, environment: Mapping[str, str]
    ) -> RunningContainer:
        launch = state.launch
        output = self._output(launch)
        try:
            created = self._containers.create(task.id, launch, task.launch.size, image, environment)
        except StartError as error:
            _close(output)
            raise _start_failure(task, state, f"CannotCreateContainerError: {error}") from None
        container = RunningContainer(created, output, lambda how: task.container_ended(state, how))
        try:
            container.start()
        except StartError as error:
            _close(output)
            container.remove()
            raise _start_failure(task, state, f"CannotStartContainerError: {error}") from None
        task.container_started(state, str(created.id))
        return container

    def _output(self, launch: ContainerLaunch) -> OutputLog | None:
        if launch.logs is None:
            return None
        logs = self._region.client("logs")
        try:
            create_stream(logs, launch.logs)
        except LogStreamError as error:
            raise _StartFailureError(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
                f"failed to create Cloudwatch log stream: {error} : exit status 1"
            ) from None
        return OutputLog(logs, launch.logs)

    def _wait(self, task: Task) -> None:
        """Until someone wants the task to end, or it is over by itself."""
        while not task.stops:
            if task.over():
                lost = next((each.exit.reason for each in task.containers if _was_lost(each)), "")
                task.ask_to_stop("EssentialContainerExited", lost or "Essential container in task exited")
                return
            task.signals.get()

    def _finish(self, task: Task, running: list[RunningContainer]) -> None:
        if any(state.status == "RUNNING" for state in task.containers):
            self._move(task, "STOPPING")
        if running:
            hurried = task.hurry.is_set()
            grace = [HURRIED_SECONDS if hurried else state.launch.stop_seconds for state in task.containers]
            with ThreadPoolExecutor(len(running)) as pool:
                # They were started in this order, perhaps not all of them.
                list(pool.map(RunningContainer.end, running, grace))
        for state in task.containers:
            if state.status != "STOPPED":
                task.container_ended(state, state.exit)
        task.note("executionStoppedAt")
        self._move(task, "DEPROVISIONING")
        for container in running:
            container.remove()
        task.desired = "STOPPED"
        task.note("stoppedAt")
        self._move(task, "STOPPED")

    def _variables(self, task: Task) -> dict[str, str]:
        """What every container of the task finds in its environment, beside what its author wrote."""
        variables = {**self._region.environment(), "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}
        if not task.launch.role:
            return variables
        try:
            found = self._region.client("sts").assume_role(RoleArn=task.launch.role, RoleSessionName=task.id)
        except (ClientError, BotoCoreError) as error:
            raise _StartFailureError(f"ECS was unable to assume the role '{task.launch.role}': {error}") from None
        key = found["Credentials"]
        return variables | {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_SESSION_TOKEN": key["SessionToken"],
        }

    def _secrets(self, launch: ContainerLaunch) -> dict[str, str]:
        try:
            return {name: read(source, self._region.client) for name, source in launch.secrets.items()}
        except SecretError as error:
            raise _StartFailureError(
                "ResourceInitializationError: unable to pull secrets or registry auth: "
                f"execution resource retrieval failed: {error}"
            ) from None


def _start_failure(task: Task, state: ContainerState, reason: str) -> _StartFailureError:
    """The failure of the task that one container's failure is."""
    task.container_ended(state, Exit(None, reason))
    return _StartFailureError(reason)


def _close(output: OutputLog | None) -> None:
    if output:
        output.close()


def _was_lost(state: ContainerState) -> bool:
    return state.status == "STOPPED" and state.exit.code is None
