"""The results of many files: those that change nothing for others share a process, each of the others has its own.

Forking a process that has Airflow imported, and copying the pages that it writes to, takes twice as long as importing a
DAG. A shared process is believed only if every file in it was plain by its text (see `plain`) and left no other trace
than its DAGs: no error, no warning, no output, no access, and the process as it was. Otherwise its files are done
again, each in a process of its own.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from pipeline.dagtest.worker.isolation import Limits, Tell, in_processes
from pipeline.dagtest.worker.plain import Known, is_plain

Inspect = Callable[[Path], dict[str, Any]]
Begin = Callable[[Tell], Inspect]

WORTH_SHARING = 8  # files
MOST_TOGETHER = 20  # files in a process: so many are done again when one of them was not as it looked
SHARES = 4  # shared processes for each that runs at a time, at least, so that all of them end at about the same time


def results(paths: Sequence[str], begin: Begin, dag_folder: Path, limits: Limits) -> Iterator[dict[str, Any]]:
    """The result of every file, as `in_processes` gives it; they come as they are ready.

    Args:
        paths: The files.
        begin: Called in each process; gives the function that imports a file and describes what is in it: a document
            with `error`, `warned`, and what else is of interest.
        dag_folder: Where the team's own modules are.
        limits: What each process may use, and all together.
    """
    end = monotonic() + limits.budget
    alone = list(paths)
    if len(paths) >= WORTH_SHARING:
        groups = _groups(paths, limits.processes)
        alone = []

        def together(name: str, tell: Tell) -> dict[str, Any]:
            return _inspect_together(groups[name], begin(tell), dag_folder)

        for shared in in_processes(list(groups), together, limits):
            believed = _believed(shared)
            yield from believed.values()
            alone += [path for path in groups[shared["path"]] if path not in believed]

    def by_itself(path: str, tell: Tell) -> dict[str, Any]:
        return begin(tell)(Path(path))

    yield from in_processes(alone, by_itself, replace(limits, budget=end - monotonic()))


def _groups(paths: Sequence[str], processes: int) -> dict[str, Sequence[str]]:
    size = min(MOST_TOGETHER, -(-len(paths) // (processes * SHARES)))
    return {str(start): paths[start : start + size] for start in range(0, len(paths), size)}


def _believed(shared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The results of a shared process by file; none when anything was unusual."""
    if shared["outcome"] != "done" or shared["events"] or shared["printed_bytes"]:
        return {}
    usual = {"printed": "", "printed_bytes": 0, "events": [], "outcome": "done"}
    return {document["path"]: {**document, **usual} for document in shared["result"]["documents"]}


def _inspect_together(paths: Sequence[str], inspect: Inspect, dag_folder: Path) -> dict[str, Any]:
    """Import the plain ones of the files one after the other, until one leaves a trace.

    Returns:
        `documents`: `path`, `seconds` and `result` of each plain file; none if one left a trace.
    """
    looked_at: Known = {}
    documents = []
    for path in paths:
        if not is_plain(Path(path), (dag_folder, dag_folder / "plugins"), looked_at):
            continue
        before, known = _state(), set(sys.modules)
        started = monotonic()
        result = inspect(Path(path))
        documents.append({"path": path, "seconds": round(monotonic() - started, 3), "result": result})
        if result["error"] or result["warned"] or _state() != before:
            return {"documents": []}
        _forget(set(sys.modules) - known, dag_folder)
    return {"documents": documents}


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
