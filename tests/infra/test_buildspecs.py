"""What stands in buildspecs/*.yml arrives in CodeBuild, whole."""

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.infra import buildspec
from tests.infra.conftest import PROJECT, Assembly

PROJECTS = {
    "synth": "etl-synth",
    "test-dags": "etl-test-dags",
    "test-containers": "etl-test-containers",
    "test-stacks": "etl-test-stacks",
    "build-images": "etl-build-images",
    "clear": "etl-clear",
    "sync": "etl-sync-dev",
    "dossier": "etl-dossier-prod",
}


def written(name: str) -> dict[str, Any]:
    document = yaml.safe_load((PROJECT / "buildspecs" / f"{name}.yml").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def arrived(assembly: Assembly, project: str) -> dict[str, Any]:
    """A project's buildspec without what CDK adds: the links to what earlier steps hand on, before anything else."""
    document: dict[str, Any] = json.loads(assembly.projects()[project]["Source"]["BuildSpec"])
    install = document.get("phases", {}).get("install", {})
    install["commands"] = [line for line in install.get("commands", []) if "CODEBUILD_SRC_DIR_" not in line]
    return document


def test_every_buildspec_belongs_to_a_step(assembly: Assembly) -> None:
    built = [arrived(assembly, project) for project in assembly.projects()]
    stems = [path.stem for path in (PROJECT / "buildspecs").glob("*.yml")]
    assert [stem for stem in stems if written(stem) not in built] == []


@pytest.mark.parametrize("name", PROJECTS)
def test_a_buildspec_arrives_unchanged_in_its_project(assembly: Assembly, name: str) -> None:
    assert arrived(assembly, PROJECTS[name]) == written(name)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_buildspec_installs_what_is_locked_and_nothing_else(name: str) -> None:
    install = written(name)["phases"]["install"]["commands"]
    assert [line for line in install if "install" in line] == []
    [packages] = [line for line in install if "packages.sh" in line]
    assert packages.split()[-1] in {"requirements.lock", "requirements-dev.lock"}


MACHINE = """
uname() { echo "$MACHINE"; }
docker() { echo "docker $*"; [ "$PULLED" = yes ]; }
REGISTERED="$1"
. "$2/buildspecs/emulators.sh" && emulators
"""


@pytest.mark.parametrize(
    ("declared", "machine", "registered", "runs"),
    [
        ('architecture = "ARM64"', "x86_64", False, True),
        ("other_architectures = ['ARM64']", "x86_64", False, True),
        ('architecture = "ARM64"', "x86_64", True, False),
        ('architecture = "ARM64"', "aarch64", False, False),
        ('architecture = "X86_64"  # not "ARM64"', "x86_64", False, False),
        (None, "x86_64", False, False),
    ],
)
def test_an_emulator_is_registered_where_a_container_asks_for_it_and_nowhere_else(
    tmp_path: Path, declared: str | None, machine: str, registered: bool, runs: bool
) -> None:
    (tmp_path / "containers/x").mkdir(parents=True)
    if declared is not None:
        (tmp_path / "containers/x/container.toml").write_text(declared, encoding="utf-8")
    if registered:
        (tmp_path / "registered").touch()
    for pulled in ("yes", "no"):
        done = subprocess.run(
            ["sh", "-euc", MACHINE, "sh", tmp_path / "registered", PROJECT],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "MACHINE": machine, "PULLED": pulled},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("docker run --rm --privileged public.ecr.aws/") is runs
        assert ("exec format error" in done.stderr) is (runs and pulled == "no")


@pytest.mark.parametrize("name", ["build-images", "test-containers"])
def test_every_step_that_builds_images_has_its_emulators(name: str) -> None:
    assert written(name)["phases"]["install"]["commands"][-1] == ". buildspecs/emulators.sh && emulators"


@pytest.mark.parametrize(
    ("project", "groups"),
    [
        ("etl-test-dags", {"dags", "dags-coverage"}),
        ("etl-test-containers", {"containers"}),
        ("etl-test-stacks", {"stacks"}),
    ],
)
def test_every_test_step_reports_and_may_write_its_own_groups_only(
    assembly: Assembly, project: str, groups: set[str]
) -> None:
    assert set(json.loads(assembly.projects()[project]["Source"]["BuildSpec"])["reports"]) == groups
    [policy] = [
        resource["Properties"]["PolicyDocument"]["Statement"]
        for name, resource in assembly.resources("AWS::IAM::Policy", "etl-pipeline").items()
        if name.startswith(f"etl-pipeline/Role{project.removeprefix('etl-').replace('-', '')}Default")
    ]
    [reporting] = [statement for statement in policy if "codebuild:CreateReport" in statement["Action"]]
    resources = reporting["Resource"] if isinstance(reporting["Resource"], list) else [reporting["Resource"]]
    assert {arn.rpartition("/")[2] for arn in resources} == {f"{project}-{group}" for group in groups}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"version": "0.1"}, 'version: "0.2"'),
        (["a list"], 'version: "0.2"'),
        ({"version": "0.2", "phases": {"install": {"commands": ["x"]}}}, "does nothing"),
        (
            {"version": "0.2", "phases": {"build": {"commands": "x"}}, "artifacts": {"files": ["a.json"]}},
            "whole folder",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused(document: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        buildspec.parse("x", document, where="buildspecs/x.yml")


def test_commands_may_be_one_text_and_everything_unknown_is_kept() -> None:
    document = {
        "version": "0.2",
        "env": {"variables": {"A": "1"}, "exported-variables": "B"},
        "phases": {"build": {"commands": "make", "finally": ["echo done"], "on-failure": "ABORT"}},
        "batch": {"fast-fail": True},
    }
    spec = buildspec.parse("x", document, where="x")
    assert (spec.build, spec.exported, spec.output) == (("make",), ("B",), None)
    assert spec.rest == {
        "version": "0.2",
        "env": {"variables": {"A": "1"}},
        "phases": {"build": {"finally": ["echo done"], "on-failure": "ABORT"}},
        "batch": {"fast-fail": True},
    }


def test_a_missing_buildspec_is_named() -> None:
    with pytest.raises(UsageError, match=r"buildspecs/none\.yml does not exist"):
        buildspec.load("none")


def test_the_checks_of_the_stacks_lean_on_no_other_tests() -> None:
    """They run in the pipeline; a team may do without the tests of the product."""
    for file in (PROJECT / "tests" / "infra").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
                assert str(node.module).startswith("tests.infra"), f"{file.name}:{node.lineno}"
