"""The Docker engine, by Docker's SDK, and all the ways in which it can fail us."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import docker
from docker.errors import DockerException
from urllib3.exceptions import HTTPError

from pipeline.errors import PipelineError

# The SDK lets errors of its layers through: of requests, which are OSErrors, and while a stream is read urllib3's.
ENGINE_ERRORS: Final = (DockerException, OSError, HTTPError)


@contextmanager
def docker_engine() -> Iterator[docker.DockerClient]:
    """Docker's SDK, connected to the engine that Docker's own variables name.

    Raises:
        PipelineError: No engine answers.
    """
    try:
        client = docker.from_env()
        client.ping()
    except ENGINE_ERRORS as error:
        raise PipelineError(
            f"no Docker engine answers: {error}",
            mend='Start Docker; with the local AWS running: eval "$(pipeline local env)"',
        ) from None
    try:
        yield client
    finally:
        client.close()
