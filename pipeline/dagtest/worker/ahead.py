"""Answers about files' texts, found by a process of their own while Airflow is imported, which keeps one core busy."""

import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipeline.dagtest.worker.isolation import limit_memory

P = ParamSpec("P")
R = TypeVar("R")
Look = Callable[[Path], object]

_answers: dict[tuple[Any, ...], Any] = {}  # (question, file, what else it was asked with) → answer
_fresh: list[tuple[tuple[Any, ...], Any]] = []  # of these, what the process that reads ahead has not handed on


def by_text(question: Callable[P, R]) -> Callable[P, R]:
    """Answer a question about a file once; its answer may come from the process that reads ahead."""
    name = f"{question.__module__}.{question.__qualname__}"

    @wraps(question)
    def ask(*asked: P.args, **named: P.kwargs) -> R:
        key = (name, *asked)
        if key not in _answers:
            _answers[key] = question(*asked, **named)
            _fresh.append((key, _answers[key]))
        answer: R = _answers[key]
        return answer

    return ask


@contextmanager
def read_ahead(paths: Sequence[str], known: set[str], look_at: Look, scratch: Path, memory: int = 0) -> Iterator[None]:
    """Have files looked at in another process for as long as the context lasts; take what it found.

    Args:
        paths: Files, and folders whose Python files are looked at.
        known: Files that need not be.
        look_at: Asks questions that are decorated with `by_text`.
        scratch: A folder for a file of its own.
        memory: Bytes that the process may take; 0 for no limit.
    """
    answers = scratch / "answers"
    us = os.getpid()
    reader = os.fork()
    if reader == 0:
        try:
            limit_memory(memory)
            _read(paths, known, look_at, answers, us)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)
    with suppress(EOFError, OSError, pickle.UnpicklingError), answers.open("rb") as found:  # it ends in the middle
        while True:
            _answers.update(pickle.load(found))  # noqa: S301 - our own process wrote it, in our own folder


def _read(paths: Sequence[str], known: set[str], look_at: Look, answers: Path, parent: int) -> None:
    with answers.open("wb") as out:
        for file in _python_files(paths):
            if str(file) in known:
                continue
            if os.getppid() != parent:
                return
            with suppress(Exception):  # whoever needs the answer asks again, and tells
                look_at(file)
            pickle.dump(_fresh, out, pickle.HIGHEST_PROTOCOL)
            out.flush()
            _fresh.clear()


def _python_files(paths: Sequence[str]) -> Iterator[Path]:
    for path in paths:
        if path.endswith(".py"):
            yield Path(path)
        for folder, folders, names in os.walk(path, followlinks=True):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))
