"""Commits between two releases: a table of histories, then real git and CodeCommit (moto's)."""

import os
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
    assert found.taken_back == (), "what runs may be below: nobody has looked"


@pytest.mark.parametrize(
    ("running", "following", "added", "taken_back"), [("b", "c", "c", ""), ("c", "b", "", "c"), ("d", "c", "", "d")]
)
def test_a_commit_dated_before_those_below_it_takes_nothing_back(
    running: str, following: str, added: str, taken_back: str
) -> None:
    """On top of a long line, b is what runs and c its heir, with the date of a commit far below."""
    line = [f"{number:03}" for number in range(100)]
    below = dict(zip(line, ["", *line], strict=False)) | {"a": line[-1], "b": "a", "c": "b", "d": "c"}
    times = {name: at for at, name in enumerate(below)} | {"c": 60}

    def of(name: str) -> Commit:
        return Commit(name, (below[name],) if below[name] else (), "ann", times[name], "")

    found = between(running, following, of)
    assert names(found) == (added, taken_back)
    assert found is not None
    assert found.complete
    cut = between(running, following, of, most=10)
    assert cut is not None
    assert cut == found or not (cut.complete or cut.taken_back)


def test_clocks_that_differ_a_little_are_borne() -> None:
    """f merges e, which runs, and d, which is below e already but dated after it."""
    below = {"a": "", "d": "a", "c": "d", "e": "ca", "f": "ed"}
    times = {"a": 0, "d": 9, "c": 2, "e": 3, "f": 4}
    found = between("e", "f", lambda name: Commit(name, tuple(below[name]), "ann", times[name], ""))
    assert names(found) == ("f", "")


def test_a_known_difference_is_not_looked_for_further() -> None:
    asked = []

    def of(name: str) -> Commit:
        asked.append(name)
        return Commit(name, (str(int(name) - 1),) if name != "0" else (), "ann", int(name), "")

    assert names(between("9000", "9001", of)) == ("9001", "")
    assert len(asked) < 10


class Repository:
    """A real one, whose commits are dated as the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "--quiet")

    def commit(self, author: str, committed: str, *, written: str | None = None) -> str:
        times = {"GIT_COMMITTER_DATE": committed, "GIT_AUTHOR_DATE": written or committed}
        people = ("-c", f"user.name={author}", "-c", "user.email=a@example.com")
        self._git(*people, "commit", "--quiet", "--allow-empty", "-m", f"By {author}\n\nWhy.", **times)
        return Git(self.folder).commit_of("HEAD") or ""

    def _git(self, *arguments: str, **variables: str) -> None:
        command = ["git", "-C", str(self.folder), *arguments]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | variables)


def test_git_tells_commits_on_this_machine(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    ids = [
        repository.commit(author, f"2026-11-0{number + 1}T12:00:00Z")
        for number, author in enumerate(["Ann", "Bob", "Ann"])
    ]
    found = between(ids[0], ids[2], from_git(Git(tmp_path)))
    assert found is not None
    assert [(each.author, datetime.fromtimestamp(each.time, UTC), each.title) for each in found.added] == [
        ("Ann", datetime(2026, 11, 3, 12, tzinfo=UTC), "By Ann"),
        ("Bob", datetime(2026, 11, 2, 12, tzinfo=UTC), "By Bob"),
    ]
    assert found.authors == ("Ann", "Bob")
    assert between("0" * 40, ids[2], from_git(Git(tmp_path))) is None
    assert between(ids[0], ids[2], from_git(Git(tmp_path / "nowhere"))) is None


def test_a_cherry_picked_commit_keeps_its_authors_date_and_takes_nothing_back(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit("Ann", "2026-11-02T12:00:00Z")
    running = repository.commit("Bob", "2026-11-03T12:00:00Z")
    following = repository.commit("Cleo", "2026-11-04T12:00:00Z", written="2026-05-01T12:00:00Z")
    found = between(running, following, from_git(Git(tmp_path)))
    assert found is not None
    assert ([each.author for each in found.added], found.taken_back) == (["Cleo"], ())


def test_a_codecommit_that_refuses_is_an_error_with_the_repository(aws: Aws) -> None:
    with pytest.raises(PipelineError, match="CodeCommit does not tell the commit") as error:
        from_codecommit(aws.session(), "etl")("a" * 40)  # moto has no GetCommit
    assert error.value.where == "etl"
