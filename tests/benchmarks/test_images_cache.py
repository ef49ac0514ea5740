"""A rebuild after one source file changed, on a host that never built anything: with the registry's cache and without.

    python -m pytest -m benchmark tests/benchmarks/test_images_cache.py -s

The project's own containers, whose layers install packages; the host's base image is there, as on CodeBuild.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import perf_counter

import boto3
import docker
import pytest

from pipeline.images.build import Build
from pipeline.images.builders import open_builder
from pipeline.images.checks.judging import Checks
from pipeline.images.containers import DOCKERFILE, discover
from pipeline.images.ecr import EcrRegistry
from pipeline.images.job import Origin
from pipeline.images.maker import Maker
from pipeline.images.outcome import Built
from pipeline.images.survey import survey
from pipeline.localaws.machine.base_images import BaseImages
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.region import LocalRegion
from pipeline.settings import Images
from tests.images.conftest import engine, registry

__all__ = ["engine", "registry"]

pytestmark = [pytest.mark.benchmark, pytest.mark.docker]

CONTAINERS = Path(__file__).parents[2] / "containers"
CHANGED = "transform"


@contextmanager
def at(region: LocalRegion) -> Iterator[EcrRegistry]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", region.endpoint)
        yield EcrRegistry(boto3.Session("local", "local", region_name=region.region), lambda name: f"bench/{name}")


def build(folder: Path, ecr: EcrRegistry, client: docker.DockerClient, host: str, *, cached: bool) -> tuple[float, str]:
    """Build what must be built: seconds, and what was said."""
    said: list[str] = []
    found = survey(folder, ecr)
    jobs = found.jobs()
    if not cached:
        jobs = {
            name: replace(job, parts=tuple(replace(part, cache="") for part in job.parts)) for name, job in jobs.items()
        }
    started = perf_counter()
    with (
        pytest.MonkeyPatch.context() as environment,
        open_builder(client, Event(), ecr.login(), folder / "none") as builder,
    ):
        environment.setenv("DOCKER_HOST", host)
        off = Images.model_validate({"checks": {"sbom": "off", "lint": "off"}})
        maker = Maker(builder, ecr, lambda _, line: said.append(line), origin=Origin(), judge=Checks(off), secrets={})
        outcomes = Build(maker, lambda _name, _line: None, Event()).run(found.plan, jobs, 2)
    assert {type(outcome) for outcome in outcomes if outcome.name in jobs} == {Built}, outcomes
    return perf_counter() - started, "\n".join(said)


def forget(client: docker.DockerClient) -> None:
    """As on a new build host: the images of others stay."""
    for image in client.images.list():
        for tag in image.tags:
            if "/bench/" in tag:
                client.images.remove(tag, force=True)
    client.images.prune({"dangling": True})
    client.api.prune_builds()


def test_a_rebuild_on_a_new_host_with_and_without_the_registrys_cache(
    tmp_path: Path,
    registry: LocalRegion,
    engine: docker.DockerClient,
    base_images: BaseImages,
    docker_engine: Engine,
) -> None:
    host = docker_engine.host
    folder = Path(shutil.copytree(CONTAINERS, tmp_path / "containers"))
    containers = discover(folder)
    base_images.ensure({container.name: (container.folder / DOCKERFILE).read_text() for container in containers})
    for container in containers:
        registry.client("ecr").create_repository(repositoryName=f"bench/{container.name}")
    results: dict[str, float] = {}
    with at(registry) as ecr:
        results["everything"], _ = build(folder, ecr, engine, host, cached=False)
        for name, cached in (("with cache", True), ("without", False)):
            forget(engine)
            (folder / CHANGED / "src" / "changed.py").write_text(f"NAME = {json.dumps(name)}\n")
            results[name], said = build(folder, ecr, engine, host, cached=cached)
            assert ("importing cache manifest" in said) is cached
    sys.stdout.write(f"\none source file of {CHANGED} changed\n")
    for name, seconds in results.items():
        sys.stdout.write(f"  {name:<12}{seconds:7.1f} s\n")
    assert results["with cache"] < results["without"]
