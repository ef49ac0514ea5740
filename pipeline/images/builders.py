"""Which builder this machine has, and what it is allowed to reach.

| builder | when | notes |
| --- | --- | --- |
| buildx | some docker command has the plugin | CodeBuild |
| BuildKit | some docker command is older than 23 | it speaks BuildKit to the engine by itself |
| classic | neither | the engine's own builder through Docker's SDK; no secrets, no registry cache |
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import docker

from pipeline.images.builder import Builder
from pipeline.images.classic_builder import ClassicBuilder
from pipeline.images.command_builder import CommandBuilder, choose, docker_commands
from pipeline.images.docker_config import logged_in
from pipeline.images.registry import Login


@contextmanager
def open_builder(
    client: docker.DockerClient, stop: Event, login: Login | None = None, docker_config: Path | None = None
) -> Iterator[Builder]:
    """The best builder of this machine, chosen now, logged in to a registry while the block lasts.

    Args:
        client: The engine.
        stop: Once set, whatever the builder does is ended.
        login: The registry, when images are to be pushed or pulled.
        docker_config: Docker's own configuration folder; needed with a login.
    """
    with ExitStack() as stack:
        environment = {}
        if login is not None and docker_config is not None:
            environment["DOCKER_CONFIG"] = str(stack.enter_context(logged_in(docker_config, login)))
        # The search path is read as every start of a program reads it; the first docker on it need not be the best.
        command = choose(docker_commands(os.get_exec_path(), environment))
        if command is not None:
            yield CommandBuilder(command.path, command.buildx, environment, stop)
        else:
            logins = {login.server: (login.username, login.password)} if login else {}
            yield ClassicBuilder(client, logins, stop)
