"""Planning 200 containers of 100 files, in one run on one tree, beside what others do to know that nothing changed.

    python -m pytest -m benchmark tests/benchmarks/test_images_planning.py -s

| measured | what runs |
| --- | --- |
| tags | the content tags: every file read, no registry |
| plan | tags, and what ECR has: the plan as a value |
| command | `pipeline images plan`: the same with Python's start and all imports |
| CDK fingerprint | `FileSystem.fingerprint` of each folder, the smallest part of an image asset |
| CDK asset | a `DockerImageAsset` of each in one stack: CDK's fingerprint, and the copy it stages |
| docker | a `docker build` of each, every layer in the cache |

Each is given in seconds by the clock, and in seconds of processor: of this process, of the Node that CDK runs in, of
the docker commands and of the engine. Not of the registry, which is a process of its own as ECR is a machine of its
own. On a machine that does other things look at the latter.
"""

import json
import multiprocessing
import os
import random
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

import boto3
import docker
import pytest
from aws_cdk import App, FileSystem, Stack
from aws_cdk.aws_ecr_assets import DockerImageAsset

from pipeline.images.command_builder import choose, docker_commands
from pipeline.images.containers import discover
from pipeline.images.content import content_tags
from pipeline.images.ecr import EcrRegistry
from pipeline.images.survey import Survey, survey
from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from pipeline.process import run
from tests.images.conftest import engine
from tests.localaws.conftest import free_port
from tests.localaws.ecr.conftest import Registry as Pusher

__all__ = ["engine"]

pytestmark = [pytest.mark.benchmark, pytest.mark.docker]

CONTAINERS, FILES, BYTES = 200, 100, 1400
ROUNDS = 3
REGISTRY = "registry"  # the name of its process


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegion]:
    """A local AWS with ECR and its registry, in a process of its own."""
    region = LocalRegion(f"http://127.0.0.1:{free_port()}", "eu-west-1", tmp_path_factory.mktemp("ecr"))
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(region.endpoint, region.region, region.folder, theirs), name=REGISTRY)
    process.start()
    assert ours.recv() == "started"
    yield region
    ours.send("stop")
    process.join()


def serve(endpoint: str, name: str, folder: Path, told: Connection) -> None:
    """Until told to stop."""
    region = LocalRegion(endpoint, name, folder)
    ecr = Ecr(region)
    server = Server(LocalAws(region, [ecr], ecr.mounts), int(endpoint.rpartition(":")[2]))
    server.start()
    told.send("started")
    told.recv()
    server.stop()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("containers")
    content = random.Random(1)  # noqa: S311 - the same tree in each run
    for number in range(CONTAINERS):
        source = folder / f"c{number:03}" / "src"
        source.mkdir(parents=True)
        (source.parent / "Dockerfile").write_text("FROM scratch\nCOPY src /src\n")
        (source.parent / ".dockerignore").write_text("**/__pycache__\n*.md\n")
        for file in range(FILES - 2):
            (source / f"module_{file:03}.py").write_bytes(content.randbytes(BYTES))
    return folder


@dataclass(frozen=True)
class Cost:
    """What something took: seconds by the clock, and of processor."""

    seconds: float
    processor: float


def rounds(acts: Mapping[str, Callable[[], object]]) -> dict[str, Cost]:
    """The best of some rounds for each, taken in turn: what else this machine does meets all alike."""
    measured: dict[str, list[Cost]] = {name: [] for name in acts}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            measured[name].append(cost(act))
    return {
        name: Cost(min(each.seconds for each in costs), min(each.processor for each in costs))
        for name, costs in measured.items()
    }


def cost(act: Callable[[], object]) -> Cost:
    processor, started = processor_of_family(), perf_counter()
    act()
    return Cost(perf_counter() - started, processor_of_family() - processor)


def processor_of_family() -> float:
    """Seconds of processor that this process, all it started and all those started have used (proc(5), stat).

    The registry's is left out.
    """
    others = {child.pid for child in multiprocessing.active_children() if child.name == REGISTRY}
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def is_ours(pid: int) -> bool:
        while pid and pid != os.getpid() and pid not in others:
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return sum(seconds for pid, seconds in used.items() if is_ours(pid))


def test_planning_beside_cdk_and_a_fully_cached_build(
    tree: Path,
    tmp_path: Path,
    registry: LocalRegion,
    docker_engine: Engine,
    engine: docker.DockerClient,
) -> None:
    assert engine.ping()
    names = [container.name for container in sorted(tree.iterdir())]
    prefix = f"b{uuid.uuid4().hex[:8]}"
    publish(registry, prefix, content_tags(discover(tree)))

    requests: Counter[str] = Counter()
    session = boto3.Session("local", "local", region_name=registry.region)
    session.events.register("before-send.ecr", lambda event_name, **_: requests.update([event_name.split(".")[-1]]))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", registry.endpoint)
        ecr = EcrRegistry(session, lambda name: f"{prefix}/{name}")
    plans: list[Survey] = []
    best = rounds(
        {
            "tags": lambda: content_tags(discover(tree)),
            "plan": lambda: plans.append(survey(tree, ecr)),
            "command": lambda: command(tree, tmp_path, registry, prefix),
            "CDK fingerprint": lambda: [FileSystem.fingerprint(str(tree / name)) for name in names],
            "CDK asset": lambda: assets(tree, tmp_path),
        }
    )
    assert not plans[0].plan.rebuilds
    assert {name: count / len(plans) for name, count in requests.items()} == {
        "DescribeRepositories": CONTAINERS / 100,
        "DescribeImages": CONTAINERS,
    }
    docker_command = choose(docker_commands(os.get_exec_path(), {"DOCKER_HOST": docker_engine.host}))
    assert docker_command is not None

    def build_all() -> None:
        buildkit = {"DOCKER_HOST": docker_engine.host, "DOCKER_BUILDKIT": "1"}
        for name in names:
            run([docker_command.path, "build", "--quiet", f"--tag=bench/{name}:1", str(tree / name)], env=buildkit)

    build_all()
    best["docker"] = cost(build_all)
    report(best)
    # The aims are a tenth and a fiftieth, which tags alone reach: neither CDK nor docker asks a registry.
    assert best["tags"].processor < best["CDK asset"].processor / 8
    assert best["tags"].seconds < best["docker"].seconds / 40
    assert best["plan"].seconds < best["docker"].seconds / 10


def command(tree: Path, folder: Path, region: LocalRegion, prefix: str) -> None:
    settings = {"name": prefix, "region": region.region, "repository": "etl", "airflow": {"version": "3.3.1"}}
    context = {"context": {"pipeline": settings | {"environments": {"dev": {}}}}}
    (folder / "cdk.json").write_text(json.dumps(context))
    plan = [sys.executable, "-m", "pipeline", "images", "plan", "--json", "--containers", str(tree)]
    # As installed: the test's own Python may be told not to keep compiled modules.
    environment = {**region.environment(), "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    answer = json.loads(run(plan, cwd=folder, env=environment))
    assert {entry["verdict"] for entry in answer} == {"up to date"}


def publish(region: LocalRegion, name: str, tags: dict[str, str]) -> None:
    """Put an image under each tag into the registry."""
    pusher = Pusher(region).login()
    for container, tag in tags.items():
        region.client("ecr").create_repository(repositoryName=f"{name}/{container}")
        status, _, answer = pusher.push(f"{name}/{container}", tag, tag.encode())
        assert status == 201, answer


def assets(tree: Path, folder: Path) -> None:
    stack = Stack(App(outdir=str(folder / uuid.uuid4().hex), analytics_reporting=False), "Stack")
    for container in sorted(tree.iterdir()):
        asset = DockerImageAsset(stack, container.name, directory=str(container))
        assert asset.asset_hash


def report(best: Mapping[str, Cost]) -> None:
    sys.stdout.write(f"\n{CONTAINERS} containers of {FILES} files, {CONTAINERS + CONTAINERS // 100} requests to ECR\n")
    for name, each in best.items():
        sys.stdout.write(
            f"  {name:<16}{each.seconds:7.2f} s by the clock ({each.seconds / best['plan'].seconds:6.1f} plans), "
            f"{each.processor:6.2f} s of processor ({each.processor / best['plan'].processor:6.1f} plans)\n"
        )
