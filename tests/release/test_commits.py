"""Commits between two releases: a table of histories, then real git and CodeCommit (moto's)."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.git import Git
from pipeline.release.commits import Between, Commit, between, from_codecommit, from_git
from tests.release.conftest import Aws

#   a ─ b ─ c ─ e ─ f        f merges e and d; x left the line at b
#        \    \ d ─/
#         x
HISTORY = {"a": "", "b": "a", "c": "b", "d": "c", "e": "c", "f": "ed", "x": "b", "lonely": ""}
TIMES = {name: number for number, name in enumerate(["a", "b", "c", "x", "d", "e", "f", "lonely"])}


def commit_of(name: str) -> Commit | None:
    if name not in HISTORY:
        return None
    return Commit(name, tuple(HISTORY[name]), f"author of {name}", TIMES[name], f"title of {name}")


def names(found: Between | None) -> tuple[str, str]:
    assert found is not None
    return "".join(each.id for each in found.added), "".join(each.id for each in found.taken_back)


@pytest.mark.parametrize(
    ("running", "following", "added", "taken_back"),
    [
        ("a", "a", "", ""),
        ("b", "c", "c", ""),
        ("b", "f", "fedc", ""),
        ("e", "f", "fd", ""),
        ("c", "a", "", "cb"),
        ("x", "d", "dc", "x"),
        ("a", "lonely", "lonely", "a"),
    ],
)
def test_each_side_has_its_own_commits(running: str, following: str, added: str, taken_back: str) -> None:
    assert names(between(running, following, commit_of)) == (added, taken_back)


def test_a_commit_nobody_knows_gives_no_answer() -> None:
    assert between("gone", "f", commit_of) is None
    assert between("a", "gone", commit_of) is None


def test_a_long_history_is_cut_and_says_so() -> None:
    def line(name: str) -> Commit:
        number = int(name)
        return Commit(name, (str(number - 1),) if number else (), "ann", number, "")

    found = between("0", "500", line, most=20)
    assert found is not None
    assert not found.complete
    assert len(found.added) == 20


def test_git_tells_commits_on_this_machine(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    ids = []
    for number, author in enumerate(["Ann", "Bob", "Ann"]):
        git(
            *("-c", f"user.name={author}", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty"),
            *("-m", f"Change {number}\n\nWhy.", "--date", f"2026-11-0{number + 1}T12:00:00Z"),
        )
        ids.append(Git(tmp_path).commit_of("HEAD") or "")
    found = between(ids[0], ids[2], from_git(Git(tmp_path)))
    assert found is not None
    assert [(each.author, datetime.fromtimestamp(each.time, UTC), each.title) for each in found.added] == [
        ("Ann", datetime(2026, 11, 3, 12, tzinfo=UTC), "Change 2"),
        ("Bob", datetime(2026, 11, 2, 12, tzinfo=UTC), "Change 1"),
    ]
    assert found.authors == ("Ann", "Bob")
    assert between("0" * 40, ids[2], from_git(Git(tmp_path))) is None
    assert between(ids[0], ids[2], from_git(Git(tmp_path / "nowhere"))) is None


def test_a_codecommit_that_refuses_is_an_error_with_the_repository(aws: Aws) -> None:
    with pytest.raises(PipelineError, match="CodeCommit does not tell the commit") as error:
        from_codecommit(aws.session(), "etl")("a" * 40)  # moto has no GetCommit
    assert error.value.where == "etl"
