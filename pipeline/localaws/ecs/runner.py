"""Runs a task's containers with Docker, from the pull of their images to their exit codes."""

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from botocore.exceptions import ClientError
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from pipeline.localaws.ecs.launch import OUT_OF_MEMORY, ContainerLaunch, LogStream
from pipeline.localaws.ecs.task import ContainerState, Task
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

LABEL = "pipeline.local.ecs"  # on every container of ours, with the local AWS's folder as its value
STOP_SECONDS = 30  # Fargate's default stopTimeout
POLL_SECONDS = 0.2
LOG_BATCH_SECONDS = 0.5


class TaskRunner:
    """Runs one task in the calling thread.

    Args:
        region: Where roles, secrets and logs are.
        docker: The engine.
        image_reference: What the engine can pull, for an image as a task definition names it.
        changed: Called after each change of the task's status.
    """

    def __init__(
        self,
        region: LocalRegion,
        docker: DockerClient,
        image_reference: Callable[[str], str],
        changed: Callable[[Task], None],
    ) -> None:
        self._region = region
        self._docker = docker
        self._image_reference = image_reference
        self._changed = changed

    def run(self, task: Task) -> None:
        """Everything from PROVISIONING to STOPPED; failures become the task's stopped reason."""
        running: dict[str, Container] = {}
        try:
            self._move(task, "PENDING")
            started = self._start(task, running)
            if started:
                self._move(task, "RUNNING", "startedAt")
                self._wait(task, running)
        except Exception as error:
            log.exception("task %s", task.id)
            task.ask_to_stop("TaskFailedToStart", f"{type(error).__name__}: {error}")
        finally:
            self._move(task, "DEPROVISIONING")
            self._end(task, running)
            task.desired = "STOPPED"
            self._move(task, "STOPPED", "stoppedAt")

    def _move(self, task: Task, status: str, at: str = "") -> None:
        task.move(status, at)  # type: ignore[arg-type]  # the literals above
        self._changed(task)

    def _start(self, task: Task, running: dict[str, Container]) -> bool:
        credentials = self._credentials(task)
        for state in task.containers:
            if task.stop_requested.is_set():
                return False
            try:
                reference = self._pull(state)
            except (APIError, ImageNotFound, DockerException, ClientError) as error:
                task.ask_to_stop(
                    "TaskFailedToStart", f"CannotPullContainerError: {state.launch.image}: {_explanation(error)}"
                )
                return False
            try:
                variables = {
                    **self._region.environment(),
                    **credentials,
                    **state.launch.environment,
                    **self._secrets(state.launch),
                }
                container = self._create(task, state.launch, reference, variables)
                running[state.launch.name] = container
                container.start()
            except (APIError, ClientError) as error:
                state.reason = f"CannotStartContainerError: {_explanation(error)}"
                task.ask_to_stop("TaskFailedToStart", state.reason)
                return False
            state.docker_id, state.status = str(container.id), "RUNNING"
            if state.launch.logs:
                threading.Thread(target=self._copy_logs, args=(container, state.launch.logs), daemon=True).start()
        return True

    def _pull(self, state: ContainerState) -> str:
        reference = self._image_reference(state.launch.image)
        if reference == state.launch.image:
            image = self._docker.images.get(reference)
            state.digest = next(iter(image.attrs.get("RepoDigests", [])), "").rpartition("@")[2]
            return reference
        authorization = self._region.client("ecr").get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
        image = self._docker.images.pull(reference, auth_config={"username": user, "password": password})
        state.digest = next(iter(image.attrs.get("RepoDigests", [])), "").rpartition("@")[2]
        return reference

    def _create(self, task: Task, launch: ContainerLaunch, reference: str, variables: Mapping[str, str]) -> Container:
        # The host's network: the local AWS listens on loopback only, and that is how a task reaches it.
        return self._docker.containers.create(
            reference,
            command=list(launch.command) if launch.command else None,
            entrypoint=list(launch.entry_point) if launch.entry_point else None,
            environment=dict(variables),
            user=launch.user or None,
            working_dir=launch.working_directory or None,
            mem_limit=f"{launch.memory_mib}m",
            memswap_limit=f"{launch.memory_mib}m",
            cpu_shares=max(2, int(launch.cpus * 1024)),
            network_mode="host",
            labels={LABEL: str(self._region.folder), "pipeline.local.task": task.id},
            name=f"ecs-{task.id}-{launch.name}",
        )

    def _wait(self, task: Task, running: Mapping[str, Container]) -> None:
        while not task.stop_requested.is_set():
            for state in task.containers:
                self._look(state, running[state.launch.name])
            ended = [state for state in task.containers if state.status == "STOPPED"]
            if any(state.launch.essential for state in ended) or len(ended) == len(task.containers):
                task.ask_to_stop("EssentialContainerExited", "Essential container in task exited")
                return
            task.stop_requested.wait(POLL_SECONDS)

    def _look(self, state: ContainerState, container: Container) -> None:
        if state.status == "STOPPED":
            return
        try:
            container.reload()
        except NotFound:
            state.status, state.reason = "STOPPED", "the container was removed"
            return
        except (DockerException, OSError) as error:
            state.status, state.reason = "STOPPED", f"the Docker engine is gone: {_explanation(error)}"
            return
        found = container.attrs["State"]
        if found["Status"] in ("exited", "dead"):
            state.status, state.exit_code = "STOPPED", int(found["ExitCode"])
            state.reason = OUT_OF_MEMORY if found.get("OOMKilled") else ""

    def _end(self, task: Task, running: Mapping[str, Container]) -> None:
        for state in task.containers:
            container = running.get(state.launch.name)
            if container is None:
                state.status = "STOPPED"
                continue
            try:
                container.stop(timeout=STOP_SECONDS)
                self._look(state, container)
                time.sleep(LOG_BATCH_SECONDS)
                container.remove(force=True)
            except (DockerException, OSError) as error:
                state.reason = state.reason or _explanation(error)
            state.status = "STOPPED"

    def _credentials(self, task: Task) -> dict[str, str]:
        role = task.request.get("overrides", {}).get("taskRoleArn") or task.definition.get("taskRoleArn")
        if not role:
            return {}
        key = self._region.client("sts").assume_role(RoleArn=role, RoleSessionName=task.id)["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_SESSION_TOKEN": key["SessionToken"],
        }

    def _secrets(self, launch: ContainerLaunch) -> dict[str, str]:
        return {name: self._secret(source) for name, source in launch.secrets.items()}

    def _secret(self, source: str) -> str:
        if ":secretsmanager:" in source:
            return str(self._region.client("secretsmanager").get_secret_value(SecretId=source)["SecretString"])
        name = source.partition(":parameter")[2] or source
        answer = self._region.client("ssm").get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def _copy_logs(self, container: Container, place: LogStream) -> None:
        logs = self._region.client("logs")
        try:
            logs.create_log_stream(logGroupName=place.group, logStreamName=place.stream)
            for batch in _batches(container):
                logs.put_log_events(
                    logGroupName=place.group,
                    logStreamName=place.stream,
                    logEvents=[{"timestamp": at, "message": text or " "} for at, text in batch],
                )
        except (ClientError, DockerException, OSError):
            log.exception("logs of %s", place.stream)


def _batches(container: Container) -> Iterator[list[tuple[int, str]]]:
    """The container's output as (milliseconds, line), some at a time, until it ends."""
    for piece in container.logs(stream=True, follow=True):
        now = int(datetime.now(UTC).timestamp() * 1000)
        lines = piece.decode("utf-8", errors="replace").splitlines()
        if lines:
            yield [(now, line) for line in lines]


def _explanation(error: Exception) -> str:
    return str(getattr(error, "explanation", "") or error)
