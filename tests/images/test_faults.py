"""What breaks while images are built: a clear outcome, no tag of half an image, and a re-run that completes."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import docker
import pytest
from botocore.stub import Stubber

from pipeline.errors import PipelineError
from pipeline.images.builder import BuildError, Order, PushError
from pipeline.images.builders import open_builder
from pipeline.images.ecr import EcrRegistry
from pipeline.images.registry import Login
from pipeline.localaws.ecr.service import Ecr
from pipeline.localaws.ecr.tokens import USER, Tokens
from pipeline.localaws.machine.engine import Engine
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.server import LocalAws, Server
from tests.images.conftest import add_tiny
from tests.images.folders import write
from tests.images.project import TINY, Project
from tests.images.wire import Wire
from tests.localaws.conftest import free_port

MB = 1_000_000
COPIES = f"FROM {TINY}\nCOPY . /files\n"


@dataclass(frozen=True)
class World:
    """A project with an engine that may be killed, and a wire to the registry that may be cut."""

    project: Project
    engine: Engine
    wire: Wire

    @property
    def disk(self) -> Path:
        return self.engine.own.data.parent.parent

    def fails(self, *arguments: str) -> str:
        """What the command says when it fails as it should."""
        code, _, err = self.project.run("build", *arguments)
        assert code == 1, err
        assert "Traceback" not in err
        return err

    def when(self, said: str, act: Callable[[], None]) -> str:
        """Build, act once the build says something, and give what it says when it fails."""
        child = self.project.start("build")
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            if said in line:
                act()
                break
        threading.Thread(target=child.stdout.read, daemon=True).start()
        err = child.stderr.read()
        assert child.wait(timeout=60) == 1, err
        assert "Traceback" not in err
        return err

    def complete(self) -> None:
        """A re-run, after which every image is there."""
        built = self.project.build()
        assert {entry["result"] for entry in built.values()} <= {"built", "up to date"}
        for name, entry in built.items():
            assert self.project.tags(name)[entry["tag"]] == entry["digest"]


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    disk = tmp_path_factory.mktemp("disk")
    # Small, and it can be made smaller. Above the engine's own folder: what is below, the engine unmounts.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(disk)], check=True)
    engine = Engine(disk / "engine", use_existing=False)
    try:
        engine.start()
        add_tiny(engine.client)
        yield engine
        engine.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalRegion, Wire]]:
    port = free_port()
    wire = Wire(port)
    region = LocalRegion(f"http://127.0.0.1:{wire.port}", "eu-west-1", tmp_path_factory.mktemp("ecr"))
    ecr = Ecr(region)
    server = Server(LocalAws(region, [ecr], ecr.mounts), port)
    server.start()
    yield region, wire
    wire.mend()
    server.stop()
    wire.close()


@pytest.fixture
def world(tmp_path: Path, own_engine: Engine, wired: tuple[LocalRegion, Wire]) -> World:
    region, wire = wired
    wire.mend()
    project = Project(tmp_path, own_engine.host, region)
    project.configure(checks={"large_context": "off"})
    return World(project, own_engine, wire)


def noise(path: Path, megabytes: float) -> None:
    """A file that does not get smaller when it is compressed."""
    path.write_bytes(os.urandom(int(megabytes * MB)))


@pytest.mark.docker
def test_a_push_cut_in_the_middle_leaves_no_tag_and_is_completed(world: World) -> None:
    # Takes most of a minute: the engine tries an upload five times, with longer and longer pauses.
    write(world.project.folder / "containers", {"base/Dockerfile": COPIES})
    noise(world.project.folder / "containers/base/large", 5)
    world.wire.cut_after(2 * MB)
    err = world.fails()
    assert world.wire.cuts > 0
    assert "not in the registry: base, child" in err
    assert "the image was not pushed" in err
    assert "Run the command again" in err
    assert world.project.tags("base") == {}
    assert {name: entry["digest"] for name, entry in world.project.images().items()} == {"base": None, "child": None}
    world.wire.mend()
    world.complete()


@pytest.mark.docker
def test_a_registry_that_goes_down_during_a_build_is_a_sentence(world: World) -> None:
    write(world.project.folder / "containers", {"base/Dockerfile": f"FROM {TINY}\nCOPY . /\nRUN echo up; sleep 2\n"})
    err = world.when("up", lambda: world.wire.cut_after(0))
    assert "the image was not pushed" in err or "the registry cannot be asked" in err
    world.wire.mend()
    assert world.project.tags("base") == {}
    world.complete()


@pytest.mark.docker
@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"], ids=["command", "classic"])
def test_an_engine_killed_during_a_build_is_named_and_the_next_build_completes(world: World, path: str) -> None:
    world.project.environment["PATH"] = path
    write(world.project.folder / "containers", {"base/Dockerfile": f"FROM {TINY}\nCOPY . /\nRUN echo up; sleep 20\n"})
    record = world.engine._processes.record("dockerd")
    assert record is not None
    try:
        err = world.when("up", lambda: os.kill(record.pid, signal.SIGKILL))
    finally:
        world.engine.start()
    assert "the Docker engine went away" in err
    assert "docker info" in err
    write(world.project.folder / "containers", {"base/Dockerfile": f"FROM {TINY}\nCOPY . /\n"})
    world.complete()


@contextmanager
def disk_of(folder: Path, size: str) -> Iterator[None]:
    """Let a tmpfs have another size for a while."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)


@pytest.mark.docker
def test_a_full_disk_of_the_engine_is_named_and_with_space_the_build_completes(world: World) -> None:
    write(world.project.folder / "containers", {"base/Dockerfile": COPIES})
    noise(world.project.folder / "containers/base/large", 60)
    with disk_of(world.disk, str(shutil.disk_usage(world.disk).used + 40 * MB)):
        err = world.fails()
    assert "the disk is full" in err
    assert "docker system prune" in err
    assert world.project.tags("base") == {}
    world.complete()


@pytest.mark.docker
def test_a_full_disk_of_our_own_is_a_sentence(world: World, tmp_path: Path) -> None:
    noise(world.project.folder / "containers/base/large", 5)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        world.project.environment["TMPDIR"] = str(small)
        assert "the build context cannot be copied: No space left on device" in world.fails()
        del world.project.environment["TMPDIR"]
        (small / "filler").write_bytes(b"x" * (2 * 1024 * 1024))
        err = world.fails("--images-file", str(small / "images.json"))
        assert "images.json" in err
        assert "No space left on device" in err
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
    world.complete()


@pytest.mark.docker
def test_a_tag_that_somebody_else_pushed_meanwhile_is_taken_as_it_is(world: World) -> None:
    write(world.project.folder / "containers", {"base/Dockerfile": f"FROM {TINY}\nCOPY . /\nRUN echo up; sleep 4\n"})
    other = Project(world.project.folder / "other", world.engine.host, world.project.region, name=world.project.name)
    write(other.folder / "containers", {"base/Dockerfile": f"FROM {TINY}\nCOPY . /\nRUN echo up; sleep 4\n"})
    first = world.project.start("build")
    second = other.start("build", "--at-once", "1")
    said = [child.communicate(timeout=120) for child in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert world.project.images()["base"]["digest"] == other.images()["base"]["digest"]
    world.complete()


@pytest.mark.docker
def test_a_login_that_has_expired_is_told_as_that(
    tmp_path: Path, wired: tuple[LocalRegion, Wire], own_engine: Engine
) -> None:
    region, _ = wired
    host = region.endpoint.partition("://")[2]
    password, _ = Tokens(region.folder / "ecr" / "token.key").issue(datetime.now(UTC) - timedelta(hours=13))
    login = Login(host, region.endpoint, USER, password)
    repository = f"expired{os.urandom(4).hex()}/x"
    region.client("ecr").create_repository(repositoryName=repository)
    write(tmp_path, {"Dockerfile": f"FROM {TINY}\n"})
    order = Order(f"{host}/{repository}:1", tmp_path, "linux/amd64")
    client = docker.DockerClient(base_url=own_engine.host)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOCKER_HOST", own_engine.host)
        with open_builder(client, threading.Event(), login, tmp_path / "none") as builder:
            builder.build(order, lambda _line: None)
            with pytest.raises(PushError) as error:
                builder.push(order.image, lambda _line: None)
    client.close()
    assert "the log-in to the registry is not valid" in error.value.what
    assert "logs in anew" in error.value.mend


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "ExpiredToken"])
def test_a_session_of_aws_that_has_expired_says_to_log_in(code: str) -> None:
    registry = EcrRegistry(boto3.Session("a", "b", region_name="eu-west-1"), lambda name: name)
    with Stubber(registry._ecr) as stub:
        stub.add_client_error("describe_images", code)
        with pytest.raises(PipelineError) as error:
            registry.published(["etl/x"])
    assert error.value.mend == "Log in to AWS again."


CAUSES = {
    "executor failed: write /x: no space left on device": "the disk is full",
    "ERROR: error during connect: Post http://x: EOF": "the Docker engine went away",
    "rpc error: code = Unavailable desc = transport is closing": "the Docker engine went away",
    "denied: Your authorization token has expired. Reauthenticate and try again.": "the log-in to the registry",
    "no basic auth credentials": "the log-in to the registry",
    "exec /bin/sh: exec format error": "this machine cannot run programs of that platform",
    "the --mount option requires BuildKit. Refer to": "the engine's classic builder knows no mounts",
    'failed to do request: Head "https://r.test/v2/x/manifests/1": dial tcp: lookup r.test: no such host': "a registry "
    "cannot be reached",
    'Get "https://r.test/v2/": net/http: TLS handshake timeout': "a registry cannot be reached",
    "toomanyrequests: You have reached your unauthenticated pull rate limit.": "a registry limits how often",
    "unexpected status code 429 Too Many Requests": "a registry limits how often",
    "pull access denied for x, repository does not exist or may require 'docker login'": "a base image does not exist",
    "failed to resolve source metadata for docker.io/library/debian:0: docker.io/library/debian:0: not found": "a base "
    "image does not exist",
    'failed to do request: Head "https://r.test/v2/x/manifests/1": tls: failed to verify certificate: x509: '
    "certificate signed by unknown authority": "the Docker engine does not trust a registry's certificate",
    "unexpected status from HEAD request to https://1.dkr.ecr.r.amazonaws.com/v2/x/manifests/1: 403 Forbidden": "a "
    "registry, or a proxy before it, does not allow it",
    "denied: requested access to the resource is denied": "a registry, or a proxy before it, does not allow it",
    "name unknown: The repository with name 'x' does not exist in the registry with id '1'": "a registry does not have",
    "manifest for debian:0 not found: manifest unknown: manifest unknown": "a base image does not exist",
}


@pytest.mark.parametrize("line", CAUSES)
def test_a_cause_that_is_not_in_the_dockerfile_is_named_with_its_mend(line: str) -> None:
    error = BuildError(["#1 [1/2] RUN x", line], "host/x:1")
    assert CAUSES[line] in error.what
    assert error.mend


@pytest.mark.parametrize(
    ("reason", "what", "mend"),
    [
        (
            "denied: User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload on resource: y",
            "does not allow it",
            "may pull the base images and push",
        ),
        ("name unknown: The repository with name 'x' does not exist in the registry with id '1'", "repository", "push"),
        ('Get "https://r.test/v2/": x509: certificate signed by unknown authority', "certificate", "the CA"),
    ],
)
def test_a_push_that_cannot_succeed_is_not_to_be_run_again(reason: str, what: str, mend: str) -> None:
    error = PushError(reason, "host/x:1")
    assert what in error.what.replace(reason, "")
    assert reason in error.what
    assert mend in error.mend
    assert "again" not in error.mend


GONE = "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(…: Connection aborted)'"
REFUSED = "401 Client Error: Unauthorized for url: https://pypi.corp/simple/x/"
DISTRUSTED = "curl: tls: failed to verify certificate: x509: certificate signed by unknown authority"
FORBIDDEN = "wget: server returned error: HTTP/1.1 403 Forbidden"
EXIT = 'process "/bin/sh -c pip install x # 401 Unauthorized" did not complete successfully: exit code: 1'
# What a RUN that fails by itself looks like to each builder.
PROGRAMS_FAIL: dict[str, list[str]] = {
    "an unexpected end": ["#7 0.2 sh: 1: Syntax error: unexpected EOF", "executor failed: exit code: 2"],
    "BuildKit": [
        "#8 [2/2] RUN pip install x # 401 Unauthorized",
        f"#8 12.31 {GONE}",
        f"#8 12.35 {REFUSED}",
        f"#8 12.36 {DISTRUSTED}",
        f"#8 12.37 {FORBIDDEN}",
        f"#8 ERROR: {EXIT}",
        "------",
        " > [2/2] RUN pip install x # 401 Unauthorized:",
        f"12.31 {GONE}",
        REFUSED,
        "------",
        "Dockerfile:2",
        "--------------------",
        "   2 | >>> RUN pip install x # 401 Unauthorized",
        "--------------------",
        f"ERROR: failed to solve: {EXIT}",
    ],
    "BuildKit 20.10": [
        "#5 [2/2] RUN pip install x",
        f"#5 0.335 {REFUSED}",
        "#5 ERROR: executor failed running [/bin/sh -c pip install x # 401 Unauthorized]: exit code: 1",
        "executor failed running [/bin/sh -c pip install x # 401 Unauthorized]: exit code: 1",
    ],
    "classic": [
        "Step 2/2 : RUN pip install x # 401 Unauthorized",
        " ---> Running in 0123456789ab",
        GONE,
        REFUSED,
        "Removing intermediate container 0123456789ab",
        "The command '/bin/sh -c pip install x # 401 Unauthorized' returned a non-zero code: 1",
    ],
}


def test_a_file_that_is_not_found_is_for_the_dockerfile_to_mend() -> None:
    lines = ["#6 [2/2] COPY nope /", '#6 ERROR: failed to calculate checksum of ref 1: "/nope": not found']
    assert "its Dockerfile failed" in BuildError(lines, "host/x:1").what


@pytest.mark.parametrize("builder", PROGRAMS_FAIL)
def test_what_a_program_of_the_dockerfile_says_is_no_cause(builder: str) -> None:
    error = BuildError(PROGRAMS_FAIL[builder], "host/x:1")
    assert "its Dockerfile failed" in error.what
    assert not error.mend


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["Step 2/2 : RUN x", " ---> Running in 0123456789ab", "up", "('Connection aborted.', …)"], "engine went away"),
        (["#8 12.3 up", "ERROR: failed to receive status: rpc error: code = Unavailable desc = EOF"], "engine went"),
        (["#3 ERROR: failed to authorize: 401 Unauthorized", "------", " > [1/2] FROM x:1:", "------"], "log-in to"),
        (["#8 12.3 cp: error writing '/x': No space left on device"], "the disk is full"),
        (["#8 0.1 exec /bin/sh: exec format error"], "cannot run programs of that platform"),
    ],
)
def test_what_the_engine_says_is_a_cause_and_a_full_disk_whoever_meets_it(lines: list[str], what: str) -> None:
    assert what in BuildError(lines, "host/x:1").what
