"""What a release says of where its files come from, with real git."""

import subprocess
from pathlib import Path

import pytest

from pipeline.git import Git
from pipeline.release.connection import origin_of
from tests.release.values import write


@pytest.fixture(params=["", "project"], ids=["at the top", "in a subfolder"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, committed whole, at the top of its repository or below."""
    folder = tmp_path / str(request.param)
    files = {
        "dags/orders.py": "1",
        "dags/naïve.py": "1",
        "dags/plugins/p.py": "1",
        "lib.py": "a library",
        ".gitignore": "local*\n__pycache__\n",
    }
    write(folder, dict(files))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "First")
    monkeypatch.chdir(folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    people = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", "-C", str(folder), *people, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("changes", "uncommitted"),
    [
        ({}, False),
        ({"lib.py": "other"}, False),
        ({"notes.txt": "beside the DAGs"}, False),
        ({"dags/orders.py": "2"}, True),
        ({"dags/naïve.py": "2"}, True),
        ({"dags/new/a.py": "1"}, True),
        ({"dags/local_hack.py": "ignored, and released"}, True),
        ({"dags/local/sql/a.sql": "ignored with its folder"}, True),
        ({"dags/plugins/local.py": "in plugins.zip"}, True),
        ({"dags/requirements.txt": "pandas"}, True),
        ({"dags/__pycache__/orders.pyc": "never released", "dags/.env": "", "dags/tests/test_orders.py": ""}, False),
    ],
)
def test_what_is_released_but_in_no_commit_is_noticed(
    project: Path, changes: dict[str, str], uncommitted: bool
) -> None:
    write(project, dict(changes))
    assert origin_of(None, "ann").uncommitted is uncommitted


def test_a_file_that_was_moved_into_the_dag_folder_or_out_of_it_is_noticed(project: Path) -> None:
    git(project, "mv", "lib.py", "dags/lib.py")
    assert origin_of(None, "ann").uncommitted
    git(project, "commit", "--quiet", "-m", "Move")
    assert not origin_of(None, "ann").uncommitted
    git(project, "mv", "dags/lib.py", "lib.py")
    assert origin_of(None, "ann").uncommitted


def test_changed_files_are_told_from_the_folder_that_asks(project: Path) -> None:
    write(project, {"dags/orders.py": "2", "dags/new/a.py": ""})
    assert Git(project).changed_files() == ["dags/orders.py", "dags/new/"]
