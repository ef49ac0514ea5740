"""A Docker engine for tests: one that runs already, else our own, started once for the whole session."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.machine.base_images import BaseImages
from pipeline.localaws.machine.engine import Engine


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running engine: `docker_engine.host` is its DOCKER_HOST, `docker_engine.client` Docker's SDK.

    A test that needs it fails where there is none and none can be started: what it checks was not checked.
    """
    folder = Path(tmp_path_factory.mktemp("docker"))
    engine = Engine(folder, docker_host=os.environ.get("DOCKER_HOST", ""))
    try:
        engine.start()
    except PipelineError as error:
        pytest.fail(f"this test needs a Docker engine: {error}", pytrace=False)
    yield engine
    engine.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def base_images(docker_engine: Engine) -> BaseImages:
    """Puts the base images of Dockerfiles into the engine: `base_images.ensure({"Dockerfile": text})`.

    The Debian system of a stand-in comes from the user's cache; the first time on a machine it takes half a minute.
    """
    return BaseImages.of_this_machine(docker_engine.client, print)
