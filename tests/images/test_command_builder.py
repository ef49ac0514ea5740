"""What the docker command is told: by a docker command that writes down what it is told."""

import json
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from pipeline.images.builder import BuildError, Order
from pipeline.images.command_builder import CommandBuilder, choose, docker_commands

RECORDER = """#!/bin/sh
case "$1 $2" in
  "buildx version") exit {buildx} ;;
  "version --format") echo '{{"Version": "{version}"}}'; exit 0 ;;
esac
for word in "$@"; do printf '%s\\n' "$word" >> "{log}"; done
echo "DOCKER_BUILDKIT=$DOCKER_BUILDKIT" >> "{log}"
exit {code}
"""


def recorder(folder: Path, version: str, *, buildx: bool, code: int = 0) -> Path:
    """A folder with a docker command."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        RECORDER.format(version=version, buildx=0 if buildx else 1, log=folder / "log", code=code), encoding="utf-8"
    )
    program.chmod(0o755)
    return folder


def told(folder: Path, order: Order) -> list[str]:
    command = choose(docker_commands([str(folder)], {}))
    assert command is not None
    CommandBuilder(command.path, command.buildx, {}, Event()).build(order, lambda _line: None)
    return (folder / "log").read_text().splitlines()


def order(context: Path, cache: str) -> Order:
    return Order(
        "host/x:tag",
        context,
        "linux/arm64",
        "run",
        {"A": "1"},
        {"l": "v"},
        {"pip.conf": Path("/run/pip.conf")},
        cache,
    )


COMMON = [
    "--progress=plain",
    "--tag=host/x:tag",
    "--platform=linux/arm64",
]
REST = ["--target=run", "--build-arg", "A=1", "--label", "l=v", "--secret", "id=pip.conf,src=/run/pip.conf"]


def test_buildx_is_told_everything(tmp_path: Path) -> None:
    assert told(recorder(tmp_path / "bin", "28.0.1", buildx=True), order(tmp_path, "host/x:old")) == [
        *("buildx", "build", "--load", *COMMON, "--provenance=false", *REST),
        *("--cache-to", "type=inline", "--cache-from", "type=registry,ref=host/x:old"),
        str(tmp_path),
        "DOCKER_BUILDKIT=1",
    ]


@pytest.mark.parametrize(
    ("file", "field"),
    [("/a b/c", "src=/a b/c"), ("/a,b/c", '"src=/a,b/c"'), ('/a"b/c', '"src=/a""b/c"')],
)
def test_a_secrets_file_may_have_a_comma_or_a_quote_in_its_path(tmp_path: Path, file: str, field: str) -> None:
    wanted = replace(order(tmp_path, ""), secrets={"pip.conf": Path(file)})
    assert f"id=pip.conf,{field}" in told(recorder(tmp_path / "bin", "28.0.1", buildx=True), wanted)


def test_an_older_command_is_told_everything(tmp_path: Path) -> None:
    assert told(recorder(tmp_path / "bin", "20.10.24", buildx=False), order(tmp_path, "host/x:old")) == [
        *("build", *COMMON, *REST),
        *("--build-arg", "BUILDKIT_INLINE_CACHE=1", "--cache-from", "host/x:old"),
        str(tmp_path),
        "DOCKER_BUILDKIT=1",
    ]


@pytest.mark.parametrize(("version", "buildx"), [("28.0.1", True), ("20.10.24", False)])
def test_without_an_earlier_image_no_cache_is_read_but_one_is_written(
    tmp_path: Path, version: str, buildx: bool
) -> None:
    said = told(recorder(tmp_path / "bin", version, buildx=buildx), order(tmp_path, ""))
    assert "--cache-from" not in said
    assert json.dumps(said).count("inline") + json.dumps(said).count("INLINE") == 1


def test_a_command_that_fails_is_a_build_that_failed(tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        told(recorder(tmp_path / "bin", "28.0.1", buildx=True, code=3), order(tmp_path, ""))
