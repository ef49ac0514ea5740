"""A Docker engine with a small image of its own, and a registry, for tests that build for real."""

import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import docker
import pytest

from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from pipeline.process import run
from tests.images.project import TINY, Project
from tests.localaws.conftest import free_port

__all__ = ["TINY"]  # tests of other packages take it from here

PROGRAMS = ("/bin/sh", "/bin/sleep")
NOBODY = 65534

AsNobody = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """A folder that a user without rights may look into, too: pytest's own are for the one who runs it."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def as_nobody() -> AsNobody:
    """Shuts a file or folder, and works as a user who has no right to it: root may read everything."""

    @contextmanager
    def shut(path: Path) -> Iterator[None]:
        mode, user = path.stat().st_mode, os.geteuid()
        path.chmod(0)
        os.seteuid(NOBODY if user == 0 else user)
        try:
            yield
        finally:
            os.seteuid(user)
            path.chmod(mode)

    return shut


def _linked(program: str) -> list[str]:
    return re.findall(r"(/\S+) \(0x", run(["ldd", program]))


@pytest.fixture(scope="session")
def engine(docker_engine: Engine) -> docker.DockerClient:
    """Docker's SDK with the image `TINY`: this machine's own shell and what it is linked with. No network is needed."""
    client: docker.DockerClient = docker_engine.client
    add_tiny(client)
    return client


def add_tiny(client: docker.DockerClient) -> None:
    """Put the image `TINY` into an engine."""
    archive = io.BytesIO()
    with tarfile.open(mode="w", fileobj=archive) as tar:
        for path in sorted({path for program in PROGRAMS for path in (program, *_linked(program))}):
            tar.add(Path(path).resolve(), arcname=path)
    repository, _, tag = TINY.partition(":")
    client.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegion]:
    """A local AWS with ECR and its registry."""
    region = LocalRegion(f"http://127.0.0.1:{free_port()}", "eu-west-1", tmp_path_factory.mktemp("ecr"))
    ecr = Ecr(region)
    server = Server(LocalAws(region, [ecr], ecr.mounts), int(region.endpoint.rpartition(":")[2]))
    server.start()
    yield region
    server.stop()


@pytest.fixture
def project(tmp_path: Path, docker_engine: Engine, engine: docker.DockerClient, registry: LocalRegion) -> Project:
    """Two containers, one the base of the other; their repositories are there, and empty."""
    assert engine.ping()
    return Project(tmp_path, docker_engine.host, registry)


@pytest.fixture
def serve_secrets(registry: LocalRegion, monkeypatch: pytest.MonkeyPatch) -> Callable[[], boto3.Session]:
    """A session at a Secrets Manager that holds `etl/pip`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", registry.endpoint)
    session = boto3.Session("local", "local", region_name=registry.region)
    client = session.client("secretsmanager")
    if not client.list_secrets()["SecretList"]:
        text = "[global]\nindex-url = https://user:correct-horse-battery@pypi.corp.test/simple\n"
        client.create_secret(Name="etl/pip", SecretString=text)
    return lambda: session
