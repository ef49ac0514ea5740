"""A local AWS with ECS on a real engine, and a tiny image in its registry."""

from collections.abc import Iterator

import pytest
from docker import DockerClient

from tests.images.conftest import TINY, engine
from tests.localaws.ecs.world import World, open_world

__all__ = ["engine"]


@pytest.fixture(scope="module")
def world(engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for the tests of a module; each takes task definitions of its own."""
    opened = open_world(tmp_path_factory.mktemp("local"), engine)
    yield opened
    opened.server.stop()
    assert opened.containers() == []


@pytest.fixture(scope="module")
def image(world: World) -> str:
    """A shell, as task definitions name it."""
    return world.push(TINY, "etl/shell")
