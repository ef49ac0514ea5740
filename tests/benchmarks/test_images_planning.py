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

Each is given in seconds by the clock, and in seconds of processor: of this process, which is also the registry, of the
Node that CDK runs in, of the docker commands and of the engine. On a machine that does other things look at the latter.
"""

import os
import random
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pytest
from aws_cdk import App, Stack
from aws_cdk.aws_ecr_assets import DockerImageAsset

from pipeline.localaws.region import LocalRegion
from tests.images.conftest import engine, registry
from tests.localaws.ecr.conftest import Registry as Pusher

__all__ = ["engine", "registry"]

pytestmark = [pytest.mark.benchmark, pytest.mark.docker]

CONTAINERS, FILES, BYTES = 200, 100, 1400
ROUNDS = 3


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
    """Seconds of processor that this process, all it started and all those started have used (proc(5), stat)."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def is_ours(pid: int) -> bool:
        while pid and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return sum(seconds for pid, seconds in used.items() if is_ours(pid))


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
