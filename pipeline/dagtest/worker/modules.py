"""Modules that a file imports anywhere, in its tasks' functions too, and that the environment does not have."""

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.dagtest.worker.ahead import by_text
from pipeline.dagtest.worker.source import nodes, parsed

# Functions with such decorators, and those that such operators call, run in an environment of their own.
ELSEWHERE = re.compile(r"virtualenv|external_python|docker|kubernetes|pyspark|PythonVirtualenv|ExternalPython")


def missing(path: Path) -> list[dict[str, Any]]:
    """Name, line and file of each import that would fail where the file runs."""
    return [{"name": name, "line": line, "path": str(path)} for name, line in demanded(path) if not _exists(name)]


@by_text
def demanded(path: Path) -> tuple[tuple[str, int], ...]:
    """The modules that a file imports anywhere, unless it does without them, and the lines."""
    tree = parsed(path)
    return () if tree is None else tuple(dict.fromkeys(_imports(tree, _runs_elsewhere(path))))


Names = set[tuple[str, str]]  # module, and an attribute of it or ""


def reached(path: Path, folders: Sequence[Path], known: dict[Path, Names]) -> Names:
    """The names outside the folders that importing a file imports, by way of the folders' own modules, too.

    Args:
        path: The file.
        folders: Where the team's modules are found.
        known: What was found for other files; added to.
    """
    if path in known:
        return known[path]
    known[path] = found = set()
    for name, attribute in imported(path):
        inner = next(files_named(name, folders), None)
        found |= reached(inner, folders, known) if inner else {(name, attribute)}
    return found


def module_folders(dag_folder: Path) -> tuple[Path, ...]:
    """Where the team's modules are found."""
    return dag_folder, dag_folder / "plugins"


def files_named(name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """The files of the team's that a module's name may stand for."""
    for place in (folder.joinpath(*name.split(".")) for folder in folders):
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


@by_text
def imported(path: Path) -> Names:
    """The names that a file imports when it is imported itself."""
    tree = parsed(path)
    if tree is None:
        return set()
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {(node.module, alias.name) for alias in node.names}
    return found


def _runs_elsewhere(path: Path) -> frozenset[str]:
    """Functions that an operator with a Python of its own calls."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Call) and ELSEWHERE.search(_last(node.func)):
            names |= {_last(keyword.value) for keyword in node.keywords if keyword.arg == "python_callable"}
    return frozenset(names)


def _imports(node: ast.AST, elsewhere: frozenset[str]) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            if child.module and not child.level:
                yield child.module, child.lineno
        elif isinstance(child, ast.If) and _last(child.test) == "TYPE_CHECKING":
            continue
        elif isinstance(child, ast.Try):  # what may be missing on purpose; the rest of it is looked at
            guarded = any(_catches_import_errors(handler) for handler in child.handlers)
            parts = [*child.handlers, *child.orelse, *child.finalbody] if guarded else [child]
            for part in parts:
                yield from _imports(part, elsewhere)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and (
            child.name in elsewhere or any(ELSEWHERE.search(_decorator(item)) for item in child.decorator_list)
        ):
            continue
        else:
            yield from _imports(child, elsewhere)


def _catches_import_errors(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or _last(kind) in {"ImportError", "ModuleNotFoundError", "Exception"} for kind in caught)


def _decorator(node: ast.expr) -> str:
    return _last(node.func if isinstance(node, ast.Call) else node)


def _last(node: ast.expr | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _exists(name: str) -> bool:
    """Whether a module can be found. Only Airflow's own packages are imported to look into them."""
    is_airflows = name.startswith("airflow.")
    wanted = name if is_airflows else name.partition(".")[0]
    if wanted in sys.modules:
        return True
    with suppress(ImportError, ValueError, AttributeError):
        if importlib.util.find_spec(wanted) is not None:
            return True
    if is_airflows:  # a module that moved is still answered under its old name, by its package and without a file
        with suppress(Exception):
            importlib.import_module(wanted)
            return True
    return False
