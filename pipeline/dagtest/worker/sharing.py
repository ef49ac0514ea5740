"""The results of many files: those that change nothing for others share a process, each of the others has its own.

Forking a process that has Airflow imported, and copying the pages that it writes to, takes twice as long as importing a
DAG. What a shared process tells of a file is believed if the file was plain by its text (see `plain`) and it left, like
all before it, no other trace than its DAGs: no error, no warning, no output, no access, and the process as it was. The
first that leaves one ends the process, and is done again in a process of its own.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from time import monotonic
from typing import Any

from pipeline.dagtest.worker.isolation import Limits, Tell, in_processes
from pipeline.dagtest.worker.modules import module_folders
from pipeline.dagtest.worker.plain import is_plain

Inspect = Callable[[Path], dict[str, Any]]
Begin = Callable[[Tell], Inspect]

WORTH_SHARING = 8  # files
MOST_TOGETHER = 128  # files in a process: beyond that, its start counts for nothing
SHARES = 2  # shared processes for each that runs at a time, at least, so that all of them end at about the same time


def results(paths: Sequence[str], begin: Begin, dag_folder: Path, limits: Limits) -> Iterator[dict[str, Any]]:
    """The result of every file, as `in_processes` gives it; they come as they are ready.

    What was found in a file is JSON as text: it goes through two processes that need not look into it.

    Args:
        paths: The files.
        begin: Called in each process; gives the function that imports a file and describes what is in it: a document
            with `error`, `warned`, and what else is of interest.
        dag_folder: Where the team's own modules are.
        limits: What each process may use, and all together.
    """
    end = monotonic() + limits.budget
    waiting, alone = list(paths), list[str]()
    most = MOST_TOGETHER
    while len(waiting) >= WORTH_SHARING and most > 1:
        groups = _groups(waiting, limits.processes, most)
        together = partial(_inspect_together, groups, begin, dag_folder)
        not_reached = set[str]()
        believed = 0
        for shared in in_processes(list(groups), together, replace(limits, budget=end - monotonic())):
            told = _Told.by(shared, groups[shared["path"]])
            yield from told.results
            believed += len(told.results)
            alone += told.alone
            not_reached.update(told.not_reached)
        waiting = [path for path in waiting if path in not_reached]  # in one order, whichever process was quicker
        most = min(most, 2 * believed // len(groups))  # the more files leave traces, the fewer come through together

    def by_itself(path: str, tell: Tell) -> str:
        return json.dumps(begin(tell)(Path(path)))

    yield from in_processes([*alone, *waiting], by_itself, replace(limits, budget=end - monotonic()))


def _groups(paths: Sequence[str], processes: int, most: int) -> dict[str, Sequence[str]]:
    size = min(most, -(-len(paths) // (processes * SHARES)))
    return {str(start): paths[start : start + size] for start in range(0, len(paths), size)}


@dataclass
class _Told:
    """What a shared process told of its files.

    Attributes:
        results: Those to be believed.
        alone: Files that need a process of their own: they are not plain, or left a trace.
        not_reached: Files after one that left a trace, or beside one.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)

    @staticmethod
    def by(shared: Mapping[str, Any], group: Sequence[str]) -> "_Told":
        """Sort a group's files by the result of their process."""
        told = _Told()
        if shared["printed_bytes"]:  # by whichever of them: smaller groups will tell
            told.not_reached += group
            return told
        inspected = list(takewhile(lambda event: "inspected" in event, shared["events"]))
        for path, event in zip(group, inspected, strict=False):
            if event["inspected"] is None:
                told.alone.append(path)
            else:
                usual = {"printed": "", "printed_bytes": 0, "events": [], "outcome": "done"}
                told.results.append({"path": path, "seconds": event["seconds"], "result": event["inspected"], **usual})
        left = group[len(inspected) :]
        told.alone += left[:1]
        told.not_reached += left[1:]
        return told


def _inspect_together(
    groups: Mapping[str, Sequence[str]], begin: Begin, dag_folder: Path, name: str, tell: Tell
) -> dict[str, Any]:
    """Import the plain ones of a group's files one after the other, until one leaves a trace.

    Tells, in the files' order, `inspected` (JSON; None: the file is not plain) and `seconds`.
    """
    accesses: list[dict[str, Any]] = []

    def notice(access: dict[str, Any]) -> None:
        accesses.append(access)
        tell(access)

    folders = module_folders(dag_folder)
    inspect = begin(notice)
    for path in groups[name]:
        if not is_plain(Path(path), folders):
            tell({"inspected": None})
            continue
        before, known = _state(), set(sys.modules)
        started = monotonic()
        result = inspect(Path(path))
        if accesses or result["error"] or result["warned"] or _state() != before:
            break
        tell({"inspected": json.dumps(result), "seconds": round(monotonic() - started, 3)})
        _forget(set(sys.modules) - known, dag_folder)
    return {}


def _state() -> tuple[Any, ...]:
    """What a file may change of its process, as far as it can be seen."""
    return dict(os.environ), list(sys.path), str(Path.cwd()), threading.active_count()


def _forget(names: set[str], dag_folder: Path) -> None:
    """Take the team's own modules away, so that the next file imports them anew."""
    for name in names:
        module = sys.modules[name]
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        if name.startswith("unusual_prefix_") or any(str(place).startswith(f"{dag_folder}/") for place in places):
            del sys.modules[name]
