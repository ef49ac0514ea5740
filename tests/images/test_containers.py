"""Folders of containers: what is read, in which order, and what is refused in which words."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.images.containers import discover
from tests.images.conftest import AsNobody
from tests.images.folders import BASED, PLAIN, write


def test_a_container_without_a_declaration_has_defaults(tmp_path: Path) -> None:
    (found,) = discover(write(tmp_path, {"extract/Dockerfile": PLAIN}))
    assert (found.name, found.base, found.task, found.cpu, found.memory) == ("extract", None, True, 256, 512)
    assert (found.architecture, found.platform) == ("X86_64", "linux/amd64")


def test_everything_a_team_declares_is_read(tmp_path: Path) -> None:
    declaration = """
        task = false
        cpu = 1024
        memory = 4096
        architecture = "ARM64"
        target = "run"
        arguments = { FLAVOUR = "slim" }
        environment = { LOG_LEVEL = "INFO" }
        secrets = { PASSWORD = "etl/db" }
        [[policy]]
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = ["arn:aws:s3:::landing/*"]
        Condition = { StringEquals = { "aws:SourceVpc" = "vpc-1" } }
    """
    (found,) = discover(write(tmp_path, {"x/Dockerfile": "FROM scratch AS run\n", "x/container.toml": declaration}))
    assert (found.task, found.cpu, found.memory, found.platform) == (False, 1024, 4096, "linux/arm64")
    assert (found.target, found.arguments, found.environment) == ("run", {"FLAVOUR": "slim"}, {"LOG_LEVEL": "INFO"})
    assert found.secrets == {"PASSWORD": "etl/db"}
    assert found.policy == (
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": ["arn:aws:s3:::landing/*"],
            "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
        },
    )


def test_each_container_comes_after_its_base_and_otherwise_by_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/Dockerfile": BASED,
            "a/container.toml": 'base = "z"',
            "b/Dockerfile": BASED,
            "b/container.toml": 'base = "a"',
            "m/Dockerfile": PLAIN,
            "z/Dockerfile": PLAIN,
        },
    )
    assert [container.name for container in discover(tmp_path)] == ["m", "z", "a", "b"]


def test_files_beside_the_containers_and_folders_of_tools_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"README.md": "", ".pytest_cache/x": "", "__pycache__/x": "", "one/Dockerfile": PLAIN})
    assert [container.name for container in discover(tmp_path)] == ["one"]


@pytest.mark.parametrize(
    "first",
    [
        "FROM --platform=linux/amd64 ${BASE_IMAGE} AS build",
        "from $BASE_IMAGE as build",
        "# a comment\n\nFROM \\\n  ${BASE_IMAGE}",
        'FROM "${BASE_IMAGE}"',
        "FROM ${BASE_IMAGE:-debian:12}",
    ],
)
def test_a_base_is_recognised_however_the_dockerfile_writes_it(tmp_path: Path, first: str) -> None:
    write(
        tmp_path,
        {"b/Dockerfile": PLAIN, "x/Dockerfile": f"ARG BASE_IMAGE\n{first}\n", "x/container.toml": 'base = "b"'},
    )
    assert discover(tmp_path)[1].base == "b"


REFUSED = {
    "an upper-case name": ({"Base_Image/Dockerfile": PLAIN}, "'Base_Image' cannot name an ECR repository", "Rename"),
    "a name too long": ({"a" * 41 + "/Dockerfile": PLAIN}, "at most 40 lower-case letters", "Rename"),
    "a difference in case": (
        {"Extract/Dockerfile": PLAIN, "extract/Dockerfile": PLAIN},
        "Extract and extract differ by case only",
        "Rename or remove one",
    ),
    "no Dockerfile": ({"x/src/main.py": ""}, "has no Dockerfile", "Add a Dockerfile, or remove the folder"),
    "an empty folder": ({"x/": ""}, "the folder is empty", "Add a Dockerfile, or remove the folder"),
    "a linked Dockerfile": ({"x/other": PLAIN, "x/Dockerfile": "-> other"}, "no Dockerfile that is a plain", "Add"),
    "a base that does not exist": (
        {"x/Dockerfile": BASED, "x/container.toml": 'base = "gone"', "y/Dockerfile": PLAIN},
        "its base 'gone' is not a folder beside it; there are: y",
        "Correct `base`",
    ),
    "a base outside": (
        {"x/Dockerfile": BASED, "x/container.toml": 'base = "../x"'},
        "its base '../x' is not a folder beside it; there are: no others",
        "Correct `base`",
    ),
    "a base the Dockerfile ignores": (
        {"x/Dockerfile": PLAIN, "x/container.toml": 'base = "b"', "b/Dockerfile": PLAIN},
        "says base = 'b', but the Dockerfile does not start from it",
        "`ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}`",
    ),
    "a base nobody declares": ({"x/Dockerfile": BASED}, "container.toml names no base", 'base = "NAME"'),
    "its own base": ({"x/Dockerfile": BASED, "x/container.toml": 'base = "x"'}, "a cycle: x → x", "not in the cycle"),
    "a cycle": (
        {f"{a}/Dockerfile": BASED for a in "abcd"}
        | {f"{a}/container.toml": f'base = "{b}"' for a, b in zip("abcd", "bcdb", strict=True)},
        "the bases form a cycle: b → c → d → b",
        "not in the cycle",
    ),
    "a base for another machine": (
        {
            "b/Dockerfile": PLAIN,
            "b/container.toml": 'architecture = "ARM64"',
            "x/Dockerfile": BASED,
            "x/container.toml": 'base = "b"',
        },
        "it is built for linux/amd64, but its base b only for linux/arm64",
        "the same `architecture`",
    ),
    "a stage that is not there": (
        {"x/Dockerfile": PLAIN, "x/container.toml": 'target = "run"'},
        "target = 'run', but the Dockerfile has no such stage",
        "AS run",
    ),
    "no TOML": ({"x/Dockerfile": PLAIN, "x/container.toml": "cpu ="}, "not valid TOML", ""),
    "an unknown key": ({"x/Dockerfile": PLAIN, "x/container.toml": "cpus = 1"}, "cpus is not a key", "Correct"),
    "a wrong type": ({"x/Dockerfile": PLAIN, "x/container.toml": 'cpu = "256"'}, "cpu: Input should be", "Correct"),
    "no CPU of Fargate's": ({"x/Dockerfile": PLAIN, "x/container.toml": "cpu = 300"}, "none of Fargate's: 256", ""),
    "memory that does not fit": (
        {"x/Dockerfile": PLAIN, "x/container.toml": "cpu = 256\nmemory = 4096"},
        "memory = 4096 does not go with cpu = 256; Fargate offers 512, 1024, 2048 MiB",
        "",
    ),
    "a variable in two places": (
        {"x/Dockerfile": PLAIN, "x/container.toml": 'environment = {A = "1"}\nsecrets = {A = "s"}'},
        "A is both in environment and in secrets",
        "",
    ),
    "the base as an argument": (
        {"x/Dockerfile": PLAIN, "x/container.toml": 'arguments = {BASE_IMAGE = "y"}'},
        "BASE_IMAGE is given by the build",
        "",
    ),
    "a zero byte in a build argument": (
        {"x/Dockerfile": PLAIN, "x/container.toml": r'arguments = {A = "a\u0000b"}'},
        "arguments.A: it has a zero byte",
        "Correct",
    ),
    "a zero byte in a variable": (
        {"x/Dockerfile": PLAIN, "x/container.toml": r'environment = {A = "a\u0000b"}'},
        "environment.A: it has a zero byte",
        "Correct",
    ),
    "a wildcard action": (
        {"x/Dockerfile": PLAIN, "x/container.toml": '[[policy]]\nEffect="Allow"\nAction="s3:Get*"\nResource="*"'},
        "policy.0.Action: the action 's3:Get*' has a wildcard",
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_with_the_folder_and_the_mend(tmp_path: Path, case: str) -> None:
    files, what, mend = REFUSED[case]
    with pytest.raises(UsageError) as error:
        discover(write(tmp_path, files))
    assert what in error.value.what
    assert "\n" not in error.value.what
    assert str(tmp_path) in error.value.where
    assert mend in error.value.mend


@pytest.mark.parametrize("text", ["cpu = " + "9" * 5000, "policy = " + "[" * 3000], ids=["long number", "deep list"])
def test_a_declaration_that_goes_beyond_what_can_be_read_is_no_toml(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="not valid TOML") as error:
        discover(write(tmp_path, {"x/Dockerfile": PLAIN, "x/container.toml": text}))
    assert error.value.where == str(tmp_path / "x/container.toml")


def test_a_byte_order_mark_is_no_part_of_a_declaration(tmp_path: Path) -> None:
    text = "\ufeffcpu = 512\nmemory = 1024\n"
    (found,) = discover(write(tmp_path, {"x/Dockerfile": PLAIN, "x/container.toml": text}))
    assert found.cpu == 512


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [_folder, _loop, _dangling, _pipe], ids=["folder", "loop", "link to nowhere", "pipe"])
def test_a_declaration_that_is_no_readable_file_is_said_with_its_place(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(write(tmp_path, {"x/Dockerfile": PLAIN}) / "x/container.toml")
    with pytest.raises(UsageError, match="cannot be read") as error:
        discover(tmp_path)
    assert error.value.where == str(tmp_path / "x/container.toml")
    assert "plain file" in error.value.mend


@pytest.mark.parametrize("shut", ["x/container.toml", "x/Dockerfile", "x", "."])
def test_what_nobody_may_read_is_said_with_its_place(readable_by_all: Path, as_nobody: AsNobody, shut: str) -> None:
    write(readable_by_all, {"x/Dockerfile": PLAIN, "x/container.toml": "", "x/y": ""})
    with as_nobody(readable_by_all / shut), pytest.raises(UsageError, match="cannot be read: Permission") as error:
        discover(readable_by_all)
    assert error.value.where.startswith(str(readable_by_all / shut))


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="containers does not exist"):
        discover(tmp_path / "containers")
