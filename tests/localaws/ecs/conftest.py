"""A local AWS with ECS on a real engine, and a tiny image in its registry."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import DockerClient

from pipeline.localaws.machine.engine import Engine
from tests.images.conftest import TINY, engine
from tests.localaws.ecs.world import World, open_world

__all__ = ["engine"]


@dataclass(frozen=True)
class Mortal:
    """A local AWS whose engine a test may kill."""

    world: World
    image: str
    engine: Engine

    def kill_engine(self) -> None:
        assert self.engine.own is not None
        os.kill(int((self.engine.own.runtime / "docker.pid").read_text()), signal.SIGKILL)


@pytest.fixture
def mortal(engine: DockerClient, tmp_path: Path) -> Iterator[Mortal]:
    other = Engine(tmp_path / "docker", use_existing=False)
    other.start()
    try:
        other.client.images.load(b"".join(engine.images.get(TINY).save(named=TINY)))
        opened = open_world(tmp_path / "local", other.client)
        try:
            yield Mortal(opened, opened.push(TINY, "etl/shell"), other)
        finally:
            opened.server.stop()
    finally:
        other.clean_up()
        shutil.rmtree(tmp_path / "docker", ignore_errors=True)


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
