"""The ignore rules against Docker: what an engine really receives of a folder, tree by tree, pattern by pattern.

The judge is an unmodified docker command, building an image of its context. The classic client stands in for
BuildKit's of today, which has the same matcher but needs the buildx plugin; where the two differ, an exception whose
wildcard is in its folder, the matcher itself has judged (`moby/record.py`).
"""

import io
import json
import os
import random
import tarfile
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.images.command_builder import docker_commands
from pipeline.images.dockerignore import IGNORE_FILE, parse, sent_files
from pipeline.localaws.machine.engine import Engine
from pipeline.process import run
from tests.images.folders import write
from tests.images.moby.record import ANSWERS

CASES = 300
AT_ONCE = 4
NAMES = ("a", "b", "ab", "a.md", "B", "docs", ".git", "a+b", "{q}", "x y", "é", "#h")
PATTERNS = ("*", "**", "a*", "*.md", "[ab]", "[^a]?*", "**b", "{*", r"\#h", *NAMES)


def tree(chance: random.Random, depth: int = 0) -> dict[str, str]:
    """Paths of a few files."""
    files: dict[str, str] = {}
    for name in chance.sample(NAMES, chance.randint(2, 6)):
        if depth < 3 and chance.random() < 0.5:
            files |= {f"{name}/{path}": "" for path in tree(chance, depth + 1)}
        else:
            files[name] = ""
    return files


def ignore_file(chance: random.Random) -> str:
    lines = []
    for _ in range(chance.randint(1, 4)):
        exception = chance.random() < 0.35
        parts = [chance.choice(NAMES if exception else PATTERNS) for _ in range(chance.choice((1, 1, 2, 2, 3)))]
        before, after = ("! " if chance.random() < 0.2 else "!") if exception else "", chance.choice(("", "", "/", " "))
        lines.append(before + chance.choice(("", "", "/", "./")) + "/".join(parts) + after)
    return "\n".join(lines) + "\n"


def wildcard_exceptions(chance: random.Random, files: Mapping[str, str]) -> str:
    """Folders that are left out, and exceptions with a wildcard in a folder that the exception names.

    For others, such as `!**/*.md`, the classic client does not look into a folder that is left out.
    """
    folders = sorted({str(parent) for path in files for parent in Path(path).parents} - {"."}) or ["docs"]
    lines = chance.sample(("*", "a*", "[ab]", "[^a]*", "?", r"\#h", *NAMES[:-1]), chance.randint(1, 2))
    for _ in range(chance.randint(1, 3)):
        lines.append(f"!{chance.choice(folders)}/{chance.choice(('*', 'a*', '[ab]', '[^a]*', '*.md', '?'))}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def classic_client(docker_engine: Engine) -> str:
    """A docker command that sends the context itself, and is as new as the matcher we follow (2022)."""
    environment = {"DOCKER_HOST": docker_engine.host}
    new = [each for each in docker_commands(os.get_exec_path(), environment) if each.major >= 23]
    if not new:
        pytest.skip("needs a docker command of version 23 or newer")
    return new[0].path


def received(command: str, engine: Engine, context: Path) -> set[str]:
    """The files of an image made of the whole context."""
    image = f"pipeline-tests/{uuid.uuid4().hex}:1"
    build = [command, "build", "--quiet", f"--tag={image}", str(context)]
    variables = {"DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0"}
    try:
        run(build, env=variables)
    except PipelineError as error:
        # The classic builder may lose the image it has just made when another one is removed at that moment.
        if "unable to find image" not in str(error):
            raise
        run(build, env=variables)
    container = engine.client.containers.create(image, "none")
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.get_archive("/context")[0]))) as tar:
            return {member.name.partition("/")[2] for member in tar if not member.isdir()}
    finally:
        container.remove()
        engine.client.images.remove(image, force=True)


@dataclass(frozen=True)
class Case:
    files: dict[str, str]
    ignore: str


def cases() -> list[Case]:
    chance = random.Random(20)  # noqa: S311 - the same cases in each run
    return [Case(tree(chance), ignore_file(chance)) for _ in range(CASES)]


@pytest.mark.docker
def test_the_engine_receives_exactly_the_files_we_count(
    tmp_path: Path, docker_engine: Engine, classic_client: str
) -> None:
    compare(tmp_path, docker_engine, classic_client, cases())


@pytest.mark.docker
def test_exceptions_with_a_wildcard_in_a_folder_that_they_name_are_counted_as_the_engine_does(
    tmp_path: Path, docker_engine: Engine, classic_client: str
) -> None:
    chance = random.Random(21)  # noqa: S311 - the same cases in each run
    trees = [tree(chance) for _ in range(CASES)]
    found = [Case(files, wildcard_exceptions(chance, files)) for files in trees]
    compare(tmp_path, docker_engine, classic_client, found)


def test_exceptions_with_any_wildcard_are_counted_as_mobys_own_matcher_does(tmp_path: Path) -> None:
    meaningful = 0
    for number, case in enumerate(json.loads(ANSWERS.read_text(encoding="utf-8"))):
        context = write(tmp_path / str(number), dict.fromkeys(case["files"], ""))
        text = "".join(f"{line}\n" for line in case["patterns"])
        ours = {path for path, _ in sent_files(context, parse(text))}
        assert ours == set(case["sent"]), (case["patterns"], case["files"])
        meaningful += any(line.startswith("!") for line in case["patterns"]) and 0 < len(ours) < len(case["files"])
    assert meaningful > 100


def compare(folder: Path, engine: Engine, command: str, found: list[Case]) -> None:
    """Fail where the engine receives other files than we count."""

    def partly(number: int, case: Case) -> bool:
        """Compare; whether some files are left out and some are not, so that the case means something."""
        dockerfile = "FROM scratch\nCOPY . /context/\n"
        # A context without a file cannot be copied: one always stays.
        text = f"{case.ignore}!keep\n{IGNORE_FILE}\nDockerfile\n"
        # No image shares a layer with another's: they are removed while others are built.
        files = {**case.files, "Dockerfile": dockerfile, "keep": str(number), IGNORE_FILE: text}
        context = write(folder / str(number), files)
        ours = {path for path, _ in sent_files(context, parse(text))}
        assert received(command, engine, context) == ours, (text, sorted(case.files))
        return 1 < len(ours) < len(case.files) + 1

    with ThreadPoolExecutor(AT_ONCE) as threads:
        meaningful = list(threads.map(partly, range(len(found)), found))
    assert sum(meaningful) > len(found) / 4
