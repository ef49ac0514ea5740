"""One container of a task in the Docker engine: pulled, started, watched, ended, removed."""

import base64
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.models.images import Image
from docker.types import LogConfig, Ulimit
from urllib3.exceptions import HTTPError

from pipeline.localaws.ecs.launch import ContainerLaunch
from pipeline.localaws.ecs.output import CHANNELS, OutputLog
from pipeline.localaws.ecs.sizes import UNITS, Size
from pipeline.localaws.ecs.task import Exit
from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

LABEL: Final = "pipeline.local.ecs"  # on every container of ours, with the local AWS's folder as its value
TASK_LABEL: Final = "pipeline.local.ecs.task"
OUT_OF_MEMORY: Final = "OutOfMemoryError: Container killed due to memory usage"
# What the SDK raises when the engine does not answer or goes away in the middle of an answer.
ENGINE_ERRORS: Final = (DockerException, OSError, HTTPError)
_NANO: Final = 1_000_000_000
_LAST_OUTPUT_SECONDS: Final = 10.0


class PullError(Exception):
    """An image could not be pulled; the message is the engine's."""


class StartError(Exception):
    """A container could not be started; the message is the engine's."""


@dataclass(frozen=True)
class PulledImage:
    """An image in the engine, pinned: a tag that moves meanwhile changes nothing."""

    id: str
    digest: str


class Containers:
    """Pulls images and makes containers.

    Args:
        region: Where ECR answers; its folder marks the containers.
        docker: The engine.
        image_reference: What the engine can pull, for an image as a task definition names it.
    """

    def __init__(self, region: LocalRegion, docker: DockerClient, image_reference: Callable[[str], str]) -> None:
        self._region = region
        self._docker = docker
        self._image_reference = image_reference

    def pull(self, image: str) -> PulledImage:
        """The image as its registry has it now.

        An image of ECR is always asked for, as on Fargate: one that was deleted there starts no task, though the engine
        still has it. Another one is taken from the engine when it is there: no registry but ours may be in reach.

        Raises:
            PullError: There is none.
        """
        reference = self._image_reference(image)
        try:
            if reference == image:
                try:
                    found = self._docker.images.get(reference)
                except ImageNotFound:
                    found = self._docker.images.pull(reference)
            else:
                found = self._docker.images.pull(reference, auth_config=self._log_in())
        except (NotFound, APIError) as error:
            here, there = reference.partition("/")[0], image.partition("/")[0]
            raise PullError(explanation(error).replace(f"{here}/", f"{there}/")) from None
        return PulledImage(str(found.id), _digest(found, reference))

    def _log_in(self) -> dict[str, str]:
        (data,) = self._region.client("ecr").get_authorization_token()["authorizationData"]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return {"username": user, "password": password}

    def create(
        self, task_id: str, launch: ContainerLaunch, size: Size, image: PulledImage, environment: Mapping[str, str]
    ) -> Container:
        """A container that does not run yet.

        It shares the host's network: the local AWS listens on loopback only, and that is how a task reaches it. The
        containers of one task reach each other on localhost, as on Fargate; those of other tasks do too.

        Raises:
            StartError: The engine refused it.
        """
        machine = self._docker.info()
        limits = machine.get("CpuCfsQuota", True)  # a kernel without it would refuse every container
        cores = int(machine["NCPU"])  # the engine refuses more than there are
        try:
            return self._docker.containers.create(
                image.id,
                command=list(launch.command) if launch.command else None,
                # "" would be no entry point: the SDK leaves the image's own alone only for None.
                entrypoint=list(launch.entry_point) if launch.entry_point else None,
                environment=dict(environment),
                user=launch.user or None,
                working_dir=launch.working_directory or None,
                read_only=launch.read_only,
                mem_limit=f"{launch.memory_mib}m",
                memswap_limit=f"{launch.memory_mib}m",  # the same: no swap
                nano_cpus=min(size.cpu * _NANO // UNITS, cores * _NANO) if limits else None,
                cpu_shares=max(2, launch.cpu_units) if launch.cpu_units else None,
                ulimits=[Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in launch.ulimits],
                network_mode="host",
                log_config=LogConfig(type="none"),  # whoever wants the output is attached before the start
                labels={**launch.labels, LABEL: str(self._region.folder), TASK_LABEL: task_id},
                name=f"ecs-{task_id}-{launch.name}",
            )
        except APIError as error:
            raise StartError(explanation(error)) from None

    def ours(self) -> list[Container]:
        """Every container of this local AWS that the engine has, running or not."""
        marked: dict[str, Any] = {"label": f"{LABEL}={self._region.folder}"}
        return list(self._docker.containers.list(all=True, filters=marked, ignore_removed=True))


class RunningContainer:
    """A container from its start to its removal.

    Args:
        container: As `Containers.create` made it.
        output: Where its output goes; None when nobody wants it.
        ended: Called once, from a thread, when it has ended and its whole output is delivered.
    """

    def __init__(self, container: Container, output: OutputLog | None, ended: Callable[[Exit], None]) -> None:
        self.container = container
        self._output = output
        self._ended = ended
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start it.

        Raises:
            StartError: The engine could not.
        """
        try:
            # Attached before the start, nothing is missed. Following the engine's own log may lose the last line.
            pieces = self.container.attach(stream=True, demux=True) if self._output else ()
            self.container.start()
        except APIError as error:
            raise StartError(explanation(error)) from None
        self._thread = threading.Thread(target=self._watch, args=(pieces,), daemon=True)
        self._thread.start()

    def end(self, grace: int) -> None:
        """Send the image's stop signal (TERM by default), and KILL after `grace` seconds."""
        try:
            self.container.stop(timeout=grace)
        except NotFound:
            log.info("%s is gone already", self.container.name)
        except ENGINE_ERRORS as error:
            log.warning("%s was not stopped: %s", self.container.name, explanation(error))
        if self._thread:
            self._thread.join(_LAST_OUTPUT_SECONDS)

    def remove(self) -> None:
        """Leave nothing of it in the engine, if there still is one."""
        try:
            self.container.remove(force=True, v=True)
        except ENGINE_ERRORS as error:
            log.warning("%s was not removed: %s", self.container.name, explanation(error))

    def _watch(self, pieces: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        try:
            self._deliver(pieces)
            self.container.wait()
            self.container.reload()
            how = _exit(self.container.attrs["State"])
        except NotFound:
            how = Exit(None, "ContainerRuntimeError: the container was removed from the engine while it ran")
        except ENGINE_ERRORS as error:
            how = Exit(None, f"ContainerRuntimeError: the Docker engine does not answer any more: {explanation(error)}")
        except Exception as error:
            log.exception("%s is not watched any more", self.container.name)
            how = Exit(None, f"InternalError: {type(error).__name__}: {error}")
        if self._output:
            self._output.close()
        self._ended(how)

    def _deliver(self, pieces: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        for piece in pieces:
            for channel, output in zip(CHANNELS, piece, strict=True):
                if output and self._output:
                    self._output.write(channel, output)


def explanation(error: Exception) -> str:
    """What the engine says, without the SDK's words around it."""
    return str(getattr(error, "explanation", "") or error)


def _exit(state: Mapping[str, Any]) -> Exit:
    code = int(state["ExitCode"])
    return Exit(code, OUT_OF_MEMORY if code and state.get("OOMKilled") else "")


def _digest(image: Image, reference: str) -> str:
    """The digest in the registry it came from; an image may be known under several. "" when it came from none."""
    repository = reference.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    known = [str(each).partition("@") for each in image.attrs.get("RepoDigests") or []]
    return next((digest for name, _, digest in known if name == repository), "")
