"""Images built by a real engine and pushed to a real registry, by the command as people run it."""

import json
import os
import signal
import subprocess
import uuid
from pathlib import Path
from threading import Event
from typing import Any

import docker
import pytest

from pipeline.errors import UsageError
from pipeline.images.builder import Builder, BuildError, Order, PushError
from pipeline.images.builders import open_builder
from pipeline.images.classic_builder import ClassicBuilder
from pipeline.images.command_builder import CommandBuilder, DockerCommand, choose, docker_commands
from pipeline.images.docker_config import logged_in, with_login
from pipeline.images.registry import Login
from pipeline.localaws.machine.engine import Engine
from pipeline.process import run
from tests.images.conftest import AsNobody
from tests.images.folders import write
from tests.images.project import BASE, CHILD, TINY, Project

pytestmark = pytest.mark.docker


def test_the_way_of_an_image(project: Project, engine: docker.DockerClient) -> None:
    assert project.reasons() == {"base": ["new container"], "child": ["new container"]}
    first = project.build()
    assert {name: entry["result"] for name, entry in first.items()} == {"base": "built", "child": "built"}
    for name, entry in first.items():
        assert project.tags(name) == {entry["tag"]: entry["digest"]}
        assert entry["size"] > 0

    again = project.build()
    assert {name: entry["result"] for name, entry in again.items()} == {"base": "up to date", "child": "up to date"}
    assert {name: entry["digest"] for name, entry in again.items()} == {
        name: entry["digest"] for name, entry in first.items()
    }

    (project.folder / "containers/child/src/main.sh").write_text("echo bye")
    assert project.reasons() == {"base": [], "child": ["src/main.sh changed"]}
    (project.folder / "containers/base/lib.txt").write_text("other")
    assert project.reasons()["child"] == ["src/main.sh changed", "based on base, which is rebuilt"]
    changed = project.build()
    assert len(project.tags("child")) == 2
    uri = (
        f"{project.environment['AWS_ENDPOINT_URL'].partition('://')[2]}/{project.name}/child:{changed['child']['tag']}"
    )
    said = engine.containers.run(uri, ["sh", "-c", "read x < /lib.txt; echo $x; . /src/main.sh"], remove=True)
    assert said.decode() == "otherbye\n" or said.decode().split() == ["other", "bye"]


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"], ids=["command", "classic"])
def test_a_base_that_only_the_registry_has_is_taken_from_there(
    project: Project, engine: docker.DockerClient, path: str
) -> None:
    project.environment["PATH"] = path
    project.build()
    for image in engine.images.list():
        for tag in image.tags:
            if f"/{project.name}/" in tag:
                engine.images.remove(tag, force=True)
    (project.folder / "containers/child/src/main.sh").write_text("echo again")
    assert {name: entry["result"] for name, entry in project.build().items()} == {
        "base": "up to date",
        "child": "built",
    }


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"], ids=["command", "classic"])
def test_the_engines_own_copy_of_a_bases_tag_is_not_taken_for_the_registrys(
    project: Project, engine: docker.DockerClient, path: str
) -> None:
    project.environment["PATH"] = path
    base = project.build()["base"]
    stale = engine.containers.create(TINY, ["sh"])
    try:
        stale.commit(project.uri("base"), base["tag"])
    finally:
        stale.remove()
    (project.folder / "containers/child/src/main.sh").write_text("echo again")
    child = project.build()["child"]
    assert child["result"] == "built"
    image = f"{project.uri('child')}:{child['tag']}"
    said = engine.containers.run(image, ["sh", "-c", "read x < /lib.txt; echo $x"], remove=True)
    assert said.split() == [b"lib"], "what the registry's base has"
    assert project.labels("child", child["tag"])["org.opencontainers.image.base.digest"] == base["digest"]


def test_a_dockerfile_that_fails_is_told_with_its_step_and_the_others_are_pushed(project: Project) -> None:
    write(project.folder / "containers", {"child/Dockerfile": CHILD + "RUN echo because; exit 7\n"})
    code, out, err = project.run("build", "--summary-file", "summary")
    assert code == 1
    assert "1 built (base), 1 failed (child)" in out
    assert (project.folder / "summary").read_text() == "1 built (base), 1 failed (child)\n"
    assert "RUN echo because; exit 7" in err
    assert "because" in err
    assert {entry["result"] for entry in project.images().values()} == {"built", "failed"}
    assert "Traceback" not in err
    assert (project.images()["child"]["result"], project.images()["child"]["digest"]) == ("failed", None)
    assert len(project.tags("base")) == 1


def test_two_builds_at_once_both_succeed_with_the_same_image(project: Project) -> None:
    both = [project.start("build", "--images-file", f"{number}.json") for number in range(2)]
    for child in both:
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, out + err
    first, second = (
        {e["name"]: e["digest"] for e in json.loads((project.folder / f"{n}.json").read_text())} for n in (0, 1)
    )
    assert first == second == {name: next(iter(project.tags(name).values())) for name in ("base", "child")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_build_ended_in_the_middle_leaves_nothing_and_is_completed_by_the_next(
    project: Project, engine: docker.DockerClient, number: signal.Signals
) -> None:
    write(
        project.folder,
        {"containers/child/Dockerfile": f"{CHILD}RUN echo waiting; sleep 30\n", "images.json": "[]", "tmp/": ""},
    )
    project.environment |= {"TMPDIR": str(project.folder / "tmp")}
    child = project.start("build")
    assert child.stdout is not None
    for line in child.stdout:
        if "waiting" in line and "RUN" not in line:
            break
    command = subprocess.run(["pgrep", "-P", str(child.pid)], capture_output=True, text=True, check=True).stdout.split()
    child.send_signal(number)
    assert child.wait(timeout=20) == 130
    assert list((project.folder / "tmp").iterdir()) == [], "no secret, login or context"
    assert not [pid for pid in command if Path("/proc", pid).exists()], "nothing goes on building"
    assert project.images()["child"]["result"] == "failed", "not what an earlier build left"
    write(project.folder / "containers", {"child/Dockerfile": CHILD})
    assert {name: entry["result"] for name, entry in project.build().items()} == {
        "base": "up to date",
        "child": "built",
    }
    assert engine.ping()


def test_an_image_whose_files_are_not_its_commits_says_so(project: Project) -> None:
    def git(*arguments: str) -> str:
        person = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return run(["git", "-C", str(project.folder), *person, *arguments]).strip()

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message=x")
    head = git("rev-parse", "HEAD")
    (project.folder / "containers/child/src/main.sh").write_text("echo again")
    built = project.build()
    revision = "org.opencontainers.image.revision"
    assert {name: project.labels(name, entry["tag"])[revision] for name, entry in built.items()} == {
        "base": head,
        "child": f"{head}-dirty",
    }


def test_a_file_that_cannot_be_written_is_told_before_anything_is_built(project: Project) -> None:
    code, out, err = project.run("build", "--images-file", str(project.folder))
    assert code == 1
    assert "the file cannot be written: Is a directory" in err
    assert "building" not in out
    assert project.tags("base") == {}


def test_without_a_repository_nothing_is_built_and_it_is_said(project: Project) -> None:
    write(project.folder / "containers", {"extra/Dockerfile": BASE, "extra/lib.txt": ""})
    [reason] = project.reasons()["extra"]
    assert reason == f"new container: there is no repository for it yet in the account {project.region.account}"
    code, _, err = project.run("build")
    assert code == 1
    assert "extra: the registry has no repository for this container" in err
    assert project.ecr.describe_images(repositoryName=f"{project.name}/base")["imageDetails"] == []


def test_a_registry_that_is_down_is_a_sentence(project: Project) -> None:
    project.environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    code, _, err = project.run("plan")
    assert code == 1
    assert "the registry cannot be asked" in err
    assert "Traceback" not in err


def test_an_engine_that_is_down_is_a_sentence_and_not_needed_when_nothing_is_built(project: Project) -> None:
    host = project.environment["DOCKER_HOST"]
    project.environment["DOCKER_HOST"] = "unix:///nowhere.sock"
    code, _, err = project.run("build", "--summary-file", "summary")
    assert (code, "no Docker engine answers" in err) == (1, True)
    assert (project.folder / "summary").read_text() == "2 failed (base, child)\n"
    assert {entry["result"] for entry in project.images().values()} == {"failed"}
    project.environment["DOCKER_HOST"] = host
    project.build()
    project.environment["DOCKER_HOST"] = "unix:///nowhere.sock"
    project.build()


# --- each builder


def _commands(engine: Engine) -> list[DockerCommand]:
    return docker_commands(os.get_exec_path(), {"DOCKER_HOST": engine.host})


@pytest.fixture(params=["command", "classic"])
def builder(request: pytest.FixtureRequest, docker_engine: Engine, engine: docker.DockerClient) -> Builder:
    if request.param == "classic":
        return ClassicBuilder(engine, {}, Event())
    command = choose(_commands(docker_engine))
    assert command is not None, "no docker command here can build with BuildKit"
    return CommandBuilder(command.path, command.buildx, {"DOCKER_HOST": docker_engine.host}, Event())


def order(context: Path, dockerfile: str, **fields: Any) -> Order:
    write(context, {"Dockerfile": dockerfile, "x": "x"})
    return Order(f"pipeline-tests/{uuid.uuid4().hex}:1", context, "linux/amd64", **fields)


def test_a_builder_passes_on_target_arguments_and_labels(
    tmp_path: Path, builder: Builder, engine: docker.DockerClient
) -> None:
    dockerfile = f"FROM {TINY} AS one\nARG A\nRUN echo $A > /a\nFROM one AS two\nRUN echo two > /two\n"
    wanted = order(tmp_path, dockerfile, target="one", arguments={"A": "a b"}, labels={"l": "x=y", "e": ""})
    lines: list[str] = []
    builder.build(wanted, lines.append)
    assert lines
    assert engine.images.get(wanted.image).labels == {"l": "x=y", "e": ""}
    told = engine.containers.run(wanted.image, ["sh", "-c", "read x < /a; echo $x; test ! -e /two"], remove=True)
    assert told == b"a b\n"


def test_a_builder_says_which_step_failed(tmp_path: Path, builder: Builder) -> None:
    with pytest.raises(BuildError) as error:
        builder.build(
            order(tmp_path, f"FROM {TINY}\nRUN echo fine\nRUN echo because >&2; exit 3\n"), lambda _line: None
        )
    assert error.value.step.endswith("RUN echo because >&2; exit 3")
    assert "because" in error.value.what


def test_a_builder_says_what_is_wrong_with_a_dockerfile(tmp_path: Path, builder: Builder) -> None:
    with pytest.raises(BuildError, match=r"(?i)unknown instruction: NONSENSE"):
        builder.build(order(tmp_path, f"FROM {TINY}\nNONSENSE\n"), lambda _line: None)


def test_a_push_that_fails_is_an_error_with_the_registrys_reason(tmp_path: Path, builder: Builder) -> None:
    wanted = order(tmp_path, f"FROM {TINY}\n")
    wanted = Order(f"127.0.0.1:9/{wanted.image}", tmp_path, wanted.platform)
    builder.build(wanted, lambda _line: None)
    with pytest.raises(PushError, match="connection refused"):
        builder.push(wanted.image, lambda _line: None)


def test_without_a_suitable_command_the_classic_builder_is_chosen(
    engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_builder(engine, Event()) as found:
        assert isinstance(found, ClassicBuilder)


# --- choosing, and logging in: no engine is needed

OLD, NEW = DockerCommand("/old", 20, buildx=False), DockerCommand("/new", 28, buildx=False)
PLUGIN, SILENT = DockerCommand("/plugin", 28, buildx=True), DockerCommand("/silent", 0, buildx=False)


@pytest.mark.parametrize(
    ("commands", "chosen"),
    [
        ([], None),
        ([NEW], None),
        ([SILENT], None),
        ([NEW, OLD], OLD),
        ([OLD, PLUGIN], PLUGIN),
        ([NEW, PLUGIN], PLUGIN),
    ],
)
def test_the_best_docker_command_is_chosen(commands: list[DockerCommand], chosen: DockerCommand | None) -> None:
    assert choose(commands) == chosen


LOGIN = Login("127.0.0.1:1", "http://127.0.0.1:1", "AWS", "secret")


def test_a_login_leaves_the_users_own_docker_configuration_alone(tmp_path: Path) -> None:
    own = write(
        tmp_path / "own", {"config.json": '{"credsStore": "desktop", "auths": {"x": {}}}', "cli-plugins/buildx": ""}
    )
    before = (own / "config.json").read_text()
    with logged_in(own, LOGIN) as folder:
        document = json.loads((folder / "config.json").read_text())
        assert document["auths"] == {"x": {}, "127.0.0.1:1": {"auth": "QVdTOnNlY3JldA=="}}
        assert document["credsStore"] == "desktop"
        assert document["credHelpers"] == {"127.0.0.1:1": ""}
        assert (folder / "config.json").stat().st_mode & 0o777 == 0o600
        assert (folder / "cli-plugins/buildx").exists()
    assert not folder.exists()
    assert (own / "config.json").read_text() == before


@pytest.mark.parametrize("text", ["[", "[]", "1", '{"auths": [1]}', '{"credHelpers": "x"}'])
def test_a_configuration_of_docker_that_is_none_is_a_sentence(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"config.json": text})
    with pytest.raises(UsageError, match=r"--docker-config"), logged_in(tmp_path, LOGIN):
        pass


def test_a_folder_of_docker_that_may_not_be_listed_is_a_sentence(readable_by_all: Path, as_nobody: AsNobody) -> None:
    own = write(readable_by_all / "own", {"config.json": "{}"})
    with as_nobody(own), pytest.raises(UsageError, match="cannot be read: Permission denied") as error:  # noqa: SIM117
        with logged_in(own, LOGIN):
            pass
    assert (error.value.where, "--docker-config" in error.value.mend) == (str(own), True)


def test_a_configuration_without_logins_gets_one(tmp_path: Path) -> None:
    write(tmp_path, {"config.json": '{"auths": null, "proxies": {}}'})
    with logged_in(tmp_path, LOGIN) as folder:
        assert list(json.loads((folder / "config.json").read_text())["auths"]) == [LOGIN.server]


def test_a_login_needs_no_configuration_and_shows_no_password(tmp_path: Path) -> None:
    with logged_in(tmp_path / "none", LOGIN) as folder:
        assert list(json.loads((folder / "config.json").read_text())) == ["auths", "credHelpers"]
    assert "secret" not in repr(LOGIN)
    assert with_login({}, LOGIN)["auths"]
