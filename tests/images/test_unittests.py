"""Containers' own tests, run by a real engine: what passes, what fails, and that nothing is left."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import docker
import pytest

from pipeline import junit
from pipeline.errors import UsageError
from pipeline.images.builder import BuildError, Order, Say
from pipeline.images.builders import open_builder
from pipeline.images.container_run import LABEL
from pipeline.images.containers import discover
from pipeline.images.unittests import TestResult, Tests, with_tests
from pipeline.localaws.machine.engine import Engine
from tests.images.folders import write
from tests.images.project import TINY

GOOD = '<testsuite><testcase classname="t" name="one"/><testcase classname="t" name="two"/></testsuite>'
BAD = (
    '<testsuites><testsuite><testcase classname="t" name="one"/>'
    '<testcase classname="t" name="two"><failure/></testcase>'
    '<testcase name="three"><error/></testcase></testsuite></testsuites>'
)


@pytest.fixture
def client(engine: docker.DockerClient, docker_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> docker.DockerClient:
    """The engine, which docker commands use as well."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    return engine


def stage(script: str, start: str = f"FROM {TINY}") -> str:
    """A Dockerfile whose test stage runs a shell script; `src` is in the image, `tests` in the stage."""
    entry = script.replace("\\", "\\\\").replace('"', '\\"')
    test = f'FROM run AS test\nCOPY tests /tests\nENTRYPOINT ["sh", "-c", "{entry}"]\n'
    return f"{start} AS run\nCOPY src /src\n{test}FROM run\n"


def report(document: str, then: str = "") -> str:
    return f"echo '{document}' > /reports/x.xml; echo said it; {then}"


def containers(folder: Path, **scripts: str) -> Path:
    files: dict[str, str] = {}
    for name, script in scripts.items():
        files |= {f"{name}/Dockerfile": stage(script), f"{name}/src/x": name, f"{name}/tests/x": name}
    return write(folder, files)


def run_all(folder: Path, client: docker.DockerClient, reports: Path, seconds: float = 60) -> dict[str, TestResult]:
    found = discover(folder)
    stop = Event()
    with open_builder(client, stop) as builder:
        tests = Tests(builder, client, reports, lambda _name, _line: None, stop=stop, seconds=seconds)
        return {result.name: result for result in tests.run(found, with_tests(found, ()), 2)}


def left(client: docker.DockerClient) -> list[object]:
    """Containers and images of container tests that are still there."""
    images = [tag for image in client.images.list() for tag in image.tags if "pipeline-test/" in tag]
    return [*client.containers.list(all=True, filters={"label": LABEL}), *images]


@pytest.mark.docker
def test_each_containers_tests_run_in_its_image_and_are_reported(tmp_path: Path, client: docker.DockerClient) -> None:
    folder = containers(tmp_path / "c", good=report(GOOD), bad=report(BAD, "exit 1"))
    write(folder, {"none/Dockerfile": f"FROM {TINY}\n"})
    results = run_all(folder, client, tmp_path / "r")
    assert sorted(results) == ["bad", "good"]
    assert (results["good"].tests, results["good"].problem) == (2, "")
    assert results["bad"].failing == ("t.two", "three")
    assert results["bad"].problem == "2 of 3 tests failed: t.two, three"
    assert junit.read((tmp_path / "r/good.xml").read_bytes()).tests == 2
    assert junit.read((tmp_path / "r/bad.xml").read_bytes()).failing == ("t.two", "three")
    assert left(client) == []


ENDS = {
    "exit 0": "the tests passed, but wrote no JUnit report to /reports",
    "echo why; exit 5": "no test was found",
    "echo why; exit 139": "the tests ended with code 139",
    "echo '<broken' > /reports/x.xml; exit 3": "the tests ended with code 3",
    report(GOOD, "exit 2"): "the tests ended with code 2",
    "sleep 60": "the tests did not end within 2 s",
}


@pytest.mark.docker
def test_whatever_ends_badly_is_named_and_reported_as_an_error(tmp_path: Path, client: docker.DockerClient) -> None:
    names = {f"c{number}": script for number, script in enumerate(ENDS)}
    results = run_all(containers(tmp_path / "c", **names), client, tmp_path / "r", seconds=2)
    assert {names[name]: result.problem for name, result in results.items()} == ENDS
    for name, result in results.items():
        root = ET.fromstring((tmp_path / f"r/{name}.xml").read_bytes())  # noqa: S314 - our own
        (error,) = root.iter("error")
        assert error.get("message") == result.problem
    assert "why" in (tmp_path / "r/c1.xml").read_text()
    assert left(client) == []


@pytest.mark.docker
def test_a_stage_that_does_not_build_is_a_failure_of_that_container_only(
    tmp_path: Path, client: docker.DockerClient
) -> None:
    folder = containers(tmp_path / "c", good=report(GOOD), bad=report(GOOD))
    write(folder, {"bad/Dockerfile": f"FROM {TINY} AS test\nRUN echo because; exit 3\n"})
    results = run_all(folder, client, tmp_path / "r")
    assert results["good"].problem == ""
    assert "RUN echo because; exit 3" in results["bad"].problem
    assert "because" in (tmp_path / "r/bad.xml").read_text()


@pytest.mark.docker
def test_a_base_is_built_first_and_its_failure_is_told_for_all_based_on_it(
    tmp_path: Path, client: docker.DockerClient
) -> None:
    based = stage(report(GOOD, "read x < /base && test $x = base"), "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}")
    files = {
        "base/Dockerfile": f"FROM {TINY}\nCOPY base /base\n",
        "base/base": "base\n",
        "child/Dockerfile": based,
        "child/container.toml": 'base = "base"',
        "child/src/x": "",
        "child/tests/x": "",
    }
    folder = write(tmp_path / "c", files)
    assert run_all(folder, client, tmp_path / "r")["child"].problem == ""
    write(folder, {"base/Dockerfile": f"FROM {TINY}\nRUN exit 9\n"})
    result = run_all(folder, client, tmp_path / "r")["child"]
    assert "RUN exit 9" in result.problem
    assert "error" in (tmp_path / "r/child.xml").read_text()
    assert left(client) == []


@pytest.mark.docker
def test_tests_have_no_network_and_may_write_reports_as_any_user(tmp_path: Path, client: docker.DockerClient) -> None:
    script = "while read line; do case $line in *eth0*) exit 4;; esac; done < /proc/net/dev; " + report(GOOD)
    folder = containers(tmp_path / "c", x=script)
    dockerfile = (folder / "x/Dockerfile").read_text().replace("COPY tests", "USER 12345\nCOPY tests")
    write(folder, {"x/Dockerfile": dockerfile})
    assert run_all(folder, client, tmp_path / "r")["x"].problem == ""


@pytest.mark.docker
def test_an_interrupt_leaves_no_container(tmp_path: Path, client: docker.DockerClient, docker_engine: Engine) -> None:
    containers(tmp_path / "containers", x="echo begun; sleep 60")
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "test", "containers"],
        cwd=tmp_path,
        env={**os.environ, "DOCKER_HOST": docker_engine.host},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.endswith("│ begun\n"):
            break
    child.send_signal(2)
    assert child.wait(timeout=20) == 130
    assert left(client) == []


@pytest.mark.docker
def test_the_command_fails_with_the_names_of_failing_tests(
    tmp_path: Path, docker_engine: Engine, client: docker.DockerClient
) -> None:
    assert left(client) == []
    containers(tmp_path / "containers", good=report(GOOD), bad=report(BAD, "exit 1"))
    environment = {**os.environ, "DOCKER_HOST": docker_engine.host}

    def run(*chosen: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pipeline", "test", "containers", *chosen]
        return subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)

    done = run()
    assert done.returncode == 1
    assert "bad: 2 of 3 tests failed: t.two, three" in done.stderr
    assert sorted(path.name for path in (tmp_path / "reports/containers").iterdir()) == ["bad.xml", "good.xml"]
    done = run("good")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 tests of 1 containers passed")


# --- without an engine

BOTH = 'other_architectures = ["ARM64"]\n'
ON_BASE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS test\n"
ON_TWO_PLATFORMS = {
    "lowest/Dockerfile": "FROM scratch\n",
    "lowest/container.toml": BOTH,
    "base/Dockerfile": ON_BASE,
    "base/container.toml": f'base = "lowest"\n{BOTH}',
    "arm/Dockerfile": ON_BASE,
    "arm/container.toml": 'base = "base"\narchitecture = "ARM64"\n',
    "arm/tests/x": "",
    "intel/Dockerfile": ON_BASE,
    "intel/container.toml": 'base = "base"\n',
    "intel/tests/x": "",
    "more/Dockerfile": ON_BASE,
    "more/container.toml": 'base = "lowest"\n',
    "more/tests/x": "",
}


@dataclass
class Recorder:
    """Builds nothing, and no test stage."""

    orders: list[Order] = field(default_factory=list)
    name: str = "recorder"
    broken: tuple[str, str] = ("", "")  # container, platform

    def build(self, order: Order, say: Say) -> None:
        say("building")
        self.orders.append(order)
        name = order.image.rpartition("/")[2].partition(":")[0]
        if order.target == "test" or (name, order.platform) == self.broken:
            raise BuildError([f"no {name} for {order.platform}"], order.image)

    def push(self, image: str, say: Say) -> None:
        raise NotImplementedError


def recorded(tmp_path: Path, builder: Recorder, *chosen: str) -> list[TestResult]:
    found = discover(write(tmp_path / "c", ON_TWO_PLATFORMS))
    engine = SimpleNamespace(images=SimpleNamespace(remove=lambda _image, **_how: None))
    tests = Tests(builder, engine, tmp_path / "r", lambda _name, _line: None, stop=Event())  # type: ignore[arg-type]
    return tests.run(found, with_tests(found, chosen), 1)


def test_each_base_is_built_once_for_each_platform_of_the_containers_on_it(tmp_path: Path) -> None:
    builder = Recorder()
    recorded(tmp_path, builder)
    made = [(order.image.rpartition("/")[2].partition(":")[0], order.platform) for order in builder.orders]
    assert made == [
        ("lowest", "linux/amd64"),
        ("lowest", "linux/arm64"),
        ("base", "linux/amd64"),
        ("base", "linux/arm64"),
        ("more", "linux/amd64"),
        ("arm", "linux/arm64"),
        ("intel", "linux/amd64"),
    ]
    platforms = {order.image: order.platform for order in builder.orders}
    assert len(platforms) == len(builder.orders)
    for order in builder.orders:
        for base in order.arguments.values():
            assert platforms[base] == order.platform


def test_a_base_that_nothing_chosen_needs_for_a_platform_is_not_built_for_it(tmp_path: Path) -> None:
    builder = Recorder()
    recorded(tmp_path, builder, "arm")
    assert {order.platform for order in builder.orders} == {"linux/arm64"}


def test_a_base_that_fails_for_one_platform_fails_the_containers_of_that_platform(tmp_path: Path) -> None:
    builder = Recorder(broken=("lowest", "linux/arm64"))
    problems = {result.name: result.problem for result in recorded(tmp_path, builder)}
    assert "no lowest for linux/arm64" in problems["arm"]
    assert "no intel for linux/amd64" in problems["intel"]
    assert ("base", "linux/arm64") not in {
        (order.image.rpartition("/")[2].partition(":")[0], order.platform) for order in builder.orders
    }


def test_tests_without_a_stage_that_runs_them_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"x/Dockerfile": "FROM scratch\n", "x/tests/test_x.py": ""})
    with pytest.raises(UsageError, match="no stage that runs them") as error:
        with_tests(discover(folder), ())
    assert "AS test" in error.value.mend


def test_only_what_exists_and_has_tests_can_be_chosen(tmp_path: Path) -> None:
    found = discover(write(tmp_path, {"x/Dockerfile": "FROM scratch\n", "y/Dockerfile": "FROM scratch\n"}))
    with pytest.raises(UsageError, match="there is no container 'z'; there are: x, y"):
        with_tests(found, ("z",))
    with pytest.raises(UsageError, match="no folder tests"):
        with_tests(found, ("x",))
    assert with_tests(found, ()) == []
