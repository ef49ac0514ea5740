"""The commit that an image is said to be of: HEAD where its files are HEAD's, and nothing that is not so."""

from pathlib import Path

import pytest

from pipeline.images.containers import discover
from pipeline.images.content import all_inputs
from pipeline.images.inputs import FileInput, Inputs
from pipeline.images.revision import decided, revisions
from pipeline.process import run
from tests.images.folders import BASED, PLAIN, write

TREE = {
    ".gitignore": "*.log\n",
    "containers/base/Dockerfile": PLAIN,
    "containers/base/.dockerignore": "notes\n",
    "containers/base/x": "1",
    "containers/child/Dockerfile": BASED,
    "containers/child/container.toml": 'base = "base"',
    "containers/child/x": "1",
    "containers/alone/Dockerfile": PLAIN,
    "containers/alone/x": "1",
}


def git(folder: Path, *arguments: str) -> str:
    person = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return run(["git", "-C", str(folder), *person, *arguments]).strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(write(tmp_path / "project", TREE), "init", "--quiet")
    return tmp_path / "project"


def told(project: Path) -> dict[str, str]:
    folder = project / "containers"
    return revisions(folder, all_inputs(discover(folder)))


def test_a_clean_tree_is_of_its_commit(project: Path) -> None:
    head = commit(project)
    assert told(project) == dict.fromkeys(("alone", "base", "child"), head)


@pytest.mark.parametrize(
    ("path", "content"),
    [("x", "2"), ("new", "1"), ("new/below", "1"), ("a.log", "ignored by git, but sent"), ("é", "")],
)
def test_a_container_whose_files_differ_is_dirty_and_so_is_what_is_based_on_it(
    project: Path, path: str, content: str
) -> None:
    head = commit(project)
    write(project / "containers/base", {path: content})
    assert told(project) == {"alone": head, "base": f"{head}-dirty", "child": f"{head}-dirty"}


def test_a_file_that_is_gone_is_a_difference(project: Path) -> None:
    head = commit(project)
    (project / "containers/child/x").unlink()
    assert told(project) == {"alone": head, "base": head, "child": f"{head}-dirty"}


def test_a_file_that_no_build_is_sent_is_none(project: Path) -> None:
    head = commit(project)
    write(project, {"containers/base/notes": "", "dags/new.py": ""})
    assert set(told(project).values()) == {head}


def test_a_container_that_was_never_committed_has_no_commit(project: Path) -> None:
    head = commit(project)
    write(project / "containers", {"new/Dockerfile": PLAIN, "new/x": ""})
    assert told(project) == {"alone": head, "base": head, "child": head, "new": ""}


@pytest.mark.parametrize("ignored", ["", "project/\n"], ids=["untracked", "ignored"])
def test_a_project_unpacked_in_another_repository_is_not_of_its_commit(tmp_path: Path, ignored: str) -> None:
    write(tmp_path, {".gitignore": ignored, "own": ""})
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    write(tmp_path / "project", TREE)
    assert set(told(tmp_path / "project").values()) == {""}


def test_without_a_repository_or_a_commit_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, TREE)
    assert set(told(tmp_path).values()) == {""}
    git(tmp_path, "init", "--quiet")
    assert set(told(tmp_path).values()) == {""}
    monkeypatch.setenv("PATH", "/nowhere")
    assert set(told(tmp_path).values()) == {""}


def test_a_folder_that_git_names_as_a_whole_and_a_name_that_is_no_text_count_as_well() -> None:
    file = FileInput("file", "0")
    inputs = {name: Inputs((), files={"Dockerfile": file, "caf\udce9": file}) for name in ("a", "b")}
    assert decided("1", inputs, ["a/", "b/caf\ufffd"]) == {"a": "", "b": "1-dirty"}
