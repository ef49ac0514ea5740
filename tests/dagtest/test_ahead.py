"""Answers about files' texts come from another process, and none of what happens to it changes them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dagtest.worker.ahead import by_text, read_ahead


@by_text
def about(path: Path) -> tuple[int, str]:
    """Who read the file, and what is in it."""
    return os.getpid(), path.read_text()


@by_text
def of_text(path: Path, word: str) -> bool:
    """Whether a word is in a file."""
    return word in path.read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dags" / "inner").mkdir(parents=True)
    for name in ("a.py", "b.py", "inner/c.py", "inner/data.txt"):
        (tmp_path / "dags" / name).write_text(name)
    return tmp_path / "dags"


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_all_python_files_of_the_folders_are_looked_at_but_those_that_are_known(folder: Path) -> None:
    looked = folder.parent / "looked"

    def look_at(path: Path) -> None:
        about(path)
        with looked.open("a") as out:
            out.write(f"{path.name}\n")

    with read_ahead([str(folder)], {str(folder / "b.py")}, look_at, folder.parent):
        until(lambda: looked.exists() and looked.read_text() == "a.py\nc.py\n")
        time.sleep(0.1)  # it tells what it found last
    assert about(folder / "a.py")[1] == "a.py"
    assert about(folder / "a.py")[0] != os.getpid()
    assert about(folder / "inner" / "c.py")[0] != os.getpid()
    assert about(folder / "b.py") == (os.getpid(), "b.py")
    assert [of_text(folder / "a.py", word) for word in ("a", "b")] == [True, False]


def test_a_single_file_is_looked_at(folder: Path) -> None:
    with read_ahead([str(folder / "a.py")], set(), about, folder.parent):
        until(lambda: (folder.parent / "answers").stat().st_size > 0 if (folder.parent / "answers").exists() else False)
        time.sleep(0.1)
    assert about(folder / "a.py")[0] != os.getpid()


def test_what_is_not_ready_or_failed_is_answered_here(folder: Path) -> None:
    def look_at(path: Path) -> None:
        if path.name == "a.py":
            raise ValueError(path)
        about(path)
        time.sleep(60)

    began = time.monotonic()
    with read_ahead([str(folder)], set(), look_at, folder.parent):
        time.sleep(0.2)
    assert time.monotonic() - began < 10
    assert about(folder / "a.py")[0] == os.getpid()
    assert about(folder / "b.py")[0] == os.getpid()


def test_half_an_answer_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = os.kill

    def kill_in_the_middle(process: int, number: int) -> None:
        kill(process, number)
        answers = folder.parent / "answers"
        os.truncate(answers, answers.stat().st_size - 3)

    monkeypatch.setattr(os, "kill", kill_in_the_middle)
    with read_ahead([str(folder)], set(), about, folder.parent):
        time.sleep(0.5)
    assert about(folder / "a.py")[0] != os.getpid()
    assert about(folder / "inner" / "c.py")[0] == os.getpid()


def test_the_process_is_gone_when_the_context_is_left_by_an_error(folder: Path) -> None:
    pid = folder.parent / "pid"

    def look_at(_: Path) -> None:
        pid.write_text(str(os.getpid()))
        time.sleep(60)

    def fail() -> None:
        with read_ahead([str(folder)], set(), look_at, folder.parent):
            until(lambda: pid.exists() and pid.read_text() != "")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not Path("/proc", pid.read_text()).exists()
