"""Results of earlier runs, used again while everything that decided them is the same.

A file's result is used again when all of these are unchanged:

what                                            how it is known
Airflow, Python, requirements.txt               the environment's folder is named after them
the worker, the settings that reach it          their digest is in the name of the results
plugins/, files that are no Python, packages    in that name, too: any of them may decide how modules are found
the file and every file of the team's it read   their digests, listed by the process that imported it
folders whose names it read                     the names
where modules were looked for                   what was there still is, and what was not still is not

Rules are judged anew each time. What did more than read files (network, variables, processes, ...), changed where
modules are found, imported libraries that may read files unseen, depends on the hour, failed to end or changed while it
was imported is never kept.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pipeline.dagtest.airflow_environment import FOLDER
from pipeline.dagtest.importing import MEMORY, WORKER, Importing

FORMAT: Final = 3
NOT_READ: Final = frozenset({"__pycache__", ".git"})

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """The DAG folder.

    Attributes:
        digests: File → digest of the content.
        folders: Those in it.
    """

    digests: Mapping[str, str]
    folders: frozenset[str] = frozenset()

    @staticmethod
    def of(folder: Path) -> "Snapshot":
        """Now."""
        folders = dict(_folders(folder))
        files = sorted(path for names in folders.values() for path in names)
        return Snapshot({path: _digest(Path(path).read_bytes()) for path in files}, frozenset(folders))

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return path in self.digests or path in self.folders

    def surroundings(self, dag_folder: Path) -> Sequence[str]:
        """What may decide what any file finds: the names of data and of packages, and all of plugins/.

        Everything, where plugins import modules of the DAG folder: Airflow loads them before it imports a file.
        """
        plugins = frozenset(path for path in self.digests if path.startswith(f"{dag_folder}/plugins/"))
        modules = {Path(path).relative_to(dag_folder).parts[0].removesuffix(".py") for path in self.digests}
        if (modules - {"plugins"}) & _imported_by(path for path in plugins if path.endswith(".py")):
            return [self.all]
        return [
            f"{path}={digest}" if path in plugins else path
            for path, digest in self.digests.items()
            if not path.endswith(".py") or path.endswith("/__init__.py") or path in plugins
        ]

    @cached_property
    def all(self) -> str:
        """One digest of everything."""
        return _digest(json.dumps(sorted(self.digests.items())).encode())


def _imported_by(files: Iterable[str]) -> frozenset[str]:
    """Every name on a line of the files that imports something."""
    lines = (line.split() for file in files for line in Path(file).read_text("utf-8", "replace").splitlines())
    return frozenset(
        name for words in lines if words[:1] in (["import"], ["from"]) for name in re.findall(r"\w+", " ".join(words))
    )


@dataclass
class Results:
    """The results for one way of importing.

    Attributes:
        importing: That way.
        path: Where they are kept.
        before: The DAG folder as it was before anything was imported.
        entries: File → its document and what it depends on.
        listing: Which DAG files there are in which paths of which snapshot.
        documents: File → the worker's document, of this run or of an earlier one.
    """

    importing: Importing
    path: Path
    before: Snapshot
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    listing: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)

    @staticmethod
    def load(importing: Importing) -> "Results":
        """The results of earlier runs; empty when there are none, or none that can be read."""
        before = Snapshot.of(importing.dag_folder)
        parts = [
            str(FORMAT),
            str(importing.environment.folder.resolve()),
            str(importing.project),
            str(importing.dag_folder),
            json.dumps(sorted(importing.process_variables.items())),
            json.dumps([sorted(importing.deny.items()), importing.seconds, MEMORY]),
            *(_digest(path.read_bytes()) for path in sorted(WORKER.glob("*.py"))),
            *before.surroundings(importing.dag_folder),
        ]
        key = _digest(json.dumps(parts).encode())[:16]
        path = importing.project / FOLDER / "results" / f"{key}.json"
        results = Results(importing, path, before)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            results.entries, results.listing = dict(kept["entries"]), dict(kept["listing"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return results

    @property
    def dag_folder(self) -> Path:
        """The DAG folder."""
        return self.importing.dag_folder

    def valid(self) -> tuple[str, ...]:
        """The files whose results can be used again; they are in `documents` from here on."""
        for file, entry in self.entries.items():
            if self._is_valid(entry):
                self.documents[file] = entry["document"]
        return tuple(self.documents)

    def listed(self, paths: Sequence[Path]) -> tuple[str, ...] | None:
        """The DAG files in the paths, if nothing at all has changed since Airflow listed them."""
        seen = all(path.resolve().is_relative_to(self.dag_folder) for path in paths)
        same = self.listing.get("snapshot") == self.before.all and self.listing.get("paths") == _names(paths)
        return tuple(self.listing["files"]) if seen and same else None

    def take(self, paths: Sequence[Path], files: Sequence[str], documents: Iterable[Document]) -> None:
        """Results of this run."""
        after = Snapshot.of(self.dag_folder)
        for document in documents:
            file = str(document["path"])
            self.documents[file] = document
            self.entries.pop(file, None)
            entry = self._entry(document, after)
            if entry is not None:
                self.entries[file] = entry
        if after == self.before:
            self.listing = {"snapshot": self.before.all, "paths": _names(paths), "files": list(files)}
        self.entries = {file: entry for file, entry in self.entries.items() if file in self.before.digests}

    def save(self) -> None:
        """Keep them for the next run. Two runs at once: the later one's are kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        new.write_text(json.dumps({"entries": self.entries, "listing": self.listing}), encoding="utf-8")
        new.replace(self.path)

    def _entry(self, document: Document, after: Snapshot) -> dict[str, Any] | None:
        """What to keep of a result; None when it may be another one next time."""
        file = str(document["path"])
        if document["outcome"] != "done" or document["events"]:
            return None
        result = document["result"]
        inputs = {file, *result["own"], *result["read"]}
        if result["foreign"] or not all(name.startswith(f"{self.dag_folder}/") for name in inputs):
            return None
        digests = {name: self.before.digests.get(name) for name in sorted(inputs)}
        if any(after.digests.get(name) != digest for name, digest in digests.items()):
            return None
        listed = {name: _listing(name) for name in result["listed"]}
        there = {path: self.before.has(path) for path in result["sought"]}
        if any(after.has(path) != was_there for path, was_there in there.items()):
            return None
        return {"document": document, "inputs": digests, "listed": listed, "there": there}

    def _is_valid(self, entry: Mapping[str, Any]) -> bool:
        return (
            all(self.before.digests.get(name) == digest for name, digest in entry["inputs"].items())
            and all(_listing(name) == names for name, names in entry["listed"].items())
            and all(self.before.has(path) == was_there for path, was_there in entry["there"].items())
        )


def _folders(folder: Path) -> Iterable[tuple[str, Sequence[str]]]:
    """Every folder, with the paths of its files."""
    above: dict[str, frozenset[str]] = {}  # folder → the real paths of all folders on the way to it
    for root, folders, names in os.walk(folder, followlinks=True):
        way = above.pop(root, frozenset({os.path.realpath(root)}))
        kept = {name: os.path.realpath(f"{root}/{name}") for name in sorted(folders) if name not in NOT_READ}
        folders[:] = [name for name, real in kept.items() if real not in way]  # links that lead in a circle
        above |= {f"{root}/{name}": way | {kept[name]} for name in folders}
        yield root, [path for name in names if Path(path := f"{root}/{name}").is_file()]


def _listing(folder: str) -> list[str] | None:
    try:
        return sorted(name for name in os.listdir(folder) if name not in NOT_READ)  # noqa: PTH208 - as the file did
    except OSError:
        return None


def _names(paths: Sequence[Path]) -> list[str]:
    return [str(path.resolve()) for path in paths]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
