"""Building with the engine's own builder, through Docker's SDK: no mounts, no build secrets, no registry cache."""

import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from tempfile import TemporaryFile
from threading import Event
from typing import Any

import docker

from pipeline.errors import PipelineError
from pipeline.images.builder import BuildError, Order, PushError, Say, telling
from pipeline.images.engine import ENGINE_ERRORS


@dataclass(frozen=True)
class ClassicBuilder:
    """Builds with the engine's own builder, through Docker's SDK.

    Attributes:
        client: Docker's SDK.
        logins: Registry → (user, password).
        stop: Once set, whatever runs is ended.
    """

    client: docker.DockerClient
    logins: Mapping[str, tuple[str, str]]
    stop: Event

    @property
    def name(self) -> str:
        """For people."""
        return "the engine's classic builder"

    def build(self, order: Order, say: Say) -> None:
        """POST /build with the context as a tar archive of our own: the SDK's ignore rules are not moby's."""
        lines: list[str] = []
        with TemporaryFile() as archive:
            with tarfile.open(mode="w", fileobj=archive) as tar:
                tar.add(order.context, arcname=".", filter=_of_root)
            archive.seek(0)
            try:
                self._log_in()
                events = self.client.api.build(
                    fileobj=archive,
                    custom_context=True,
                    tag=order.image,
                    platform=order.platform,
                    target=order.target or None,
                    buildargs=dict(order.arguments),
                    labels=dict(order.labels),
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
                problem = self._follow(events, telling(say), lines)
            except ENGINE_ERRORS as error:
                problem = str(error)
        if problem:
            raise BuildError([*lines, problem], order.image)

    def push(self, image: str, say: Say) -> None:
        """POST /images/NAME/push."""
        repository, _, tag = image.rpartition(":")
        user, password = self.logins.get(repository.partition("/")[0], ("", ""))
        try:
            events = self.client.api.push(
                repository,
                tag,
                stream=True,
                decode=True,
                auth_config={"username": user, "password": password} if user else None,
            )
            problem = self._follow(events, telling(say), [])
        except ENGINE_ERRORS as error:
            problem = str(error)
        if problem:
            raise PushError(problem, image)

    def _log_in(self) -> None:
        """POST /auth, after which the SDK sends the login with each build: bases may be in a private registry.

        The SDK keeps it in memory. Anew each time: it may know an older login of the same user from a file.
        """
        for server, (user, password) in self.logins.items():
            self.client.login(user, password, registry=server, reauth=True)

    def _follow(self, events: Iterable[Any], say: Say, lines: list[str]) -> str:
        """Say what the engine streams; the error it ends with, or ""."""
        for event in events:
            if self.stop.is_set():
                raise PipelineError("the build was stopped")
            if "error" in event:
                return str(event["error"])
            if "progressDetail" in event and event.get("progressDetail"):
                continue  # a bar that grows: nothing for a log
            for line in str(event.get("stream", event.get("status", ""))).splitlines():
                if line.strip():
                    lines.append(line)
                    say(line)
        return ""


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member
