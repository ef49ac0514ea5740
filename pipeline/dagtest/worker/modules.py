"""Modules that a file imports anywhere, in its tasks' functions too, and that the environment does not have."""

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from pipeline.dagtest.worker.ahead import by_text
from pipeline.dagtest.worker.source import nodes, parsed

# Functions with such decorators, and those that such operators call, run in an environment of their own.
ELSEWHERE = re.compile(r"virtualenv|external_python|docker|kubernetes|pyspark|PythonVirtualenv|ExternalPython")


# Names that stand for a version, or for whether it is one: `__version__`, `AIRFLOW_V_3_0_PLUS`, `IS_AIRFLOW_2`.
OF_VERSIONS = re.compile(r"version|airflow\w*\d", re.IGNORECASE)
# Python's own, gone in 3.12 → what took their place. Of `distutils` a package may have taken it.
GONE_IN_PYTHON_312 = {"asynchat": "asyncio", "asyncore": "asyncio", "imp": "importlib", "smtpd": "aiosmtpd"}
GUARDS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
Demand = tuple[str, int, tuple[str, ...]]  # a module, the line, and the names that are imported from it


def missing(path: Path, dags: str) -> list[dict[str, Any]]:
    """Name, line and file of each import that would fail where the file runs, in the DAG folder `dags`."""
    found = ((name, line) for module, line, names in demanded(path) for name in _not_found(module, names, dags))
    return [{"name": name, "line": line, "path": str(path)} for name, line in dict.fromkeys(found)]


@by_text
def demanded(path: Path) -> tuple[Demand, ...]:
    """The modules that a file imports anywhere, unless it does without them."""
    tree = parsed(path)
    return () if tree is None else tuple(dict.fromkeys(_imports(tree, nodes(path))))


def extends_search_path(path: Path) -> bool:
    """Whether a file says anywhere that modules are to be found in further folders."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "path" and _last(node.value) == "sys")
        or (isinstance(node, ast.Call) and _last(node.func) == "addsitedir")
        for node in nodes(path)
    )


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
        inner = next(iter(files_named(name, tuple(folders))), None)
        found |= reached(inner, folders, known) if inner else {(name, attribute)}
    return found


def module_folders(dag_folder: Path) -> tuple[Path, ...]:
    """Where the team's modules are found."""
    return dag_folder, dag_folder / "plugins"


@cache
def files_named(name: str, folders: tuple[Path, ...]) -> Sequence[Path]:
    """The files of the team's that a module's name may stand for, as they are when it is asked first."""
    places = [folder.joinpath(*name.split(".")) for folder in folders]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.is_file()]


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


def _runs_elsewhere(of_file: Sequence[ast.AST]) -> frozenset[str]:
    """Functions that an operator with a Python of its own calls."""
    names = set()
    for node in of_file:
        if isinstance(node, ast.Call) and ELSEWHERE.search(_last(node.func)):
            names |= {_last(keyword.value) for keyword in node.keywords if keyword.arg == "python_callable"}
    return frozenset(names)


def _says_whether_found(of_file: Sequence[ast.AST]) -> frozenset[str]:
    """Names that say whether a module was found, as `HAS_X = find_spec("x") is not None`."""
    assigned = (node for node in of_file if isinstance(node, ast.Assign) and _asks_for_module(node.value, frozenset()))
    return frozenset(_last(target) for node in assigned for target in node.targets)


def _imports(tree: ast.Module, of_file: Sequence[ast.AST]) -> Iterator[Demand]:
    """In the file's order. A chain of a thousand tasks is as deep: no function that calls itself comes to its end."""
    elsewhere, told = _runs_elsewhere(of_file), _says_whether_found(of_file)
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield node.module, node.lineno, tuple(alias.name for alias in node.names)
        else:
            waiting += reversed(_parts(node, elsewhere, told))


def _parts(node: ast.AST, elsewhere: frozenset[str], told: frozenset[str]) -> Sequence[ast.AST]:
    """What of a statement runs where the file runs, and fails if a module is missing."""
    if isinstance(node, ast.If) and _is_started_by_hand(node.test):
        return node.orelse
    if isinstance(node, ast.If) and (
        _last(node.test) == "TYPE_CHECKING" or _asks_for_module(node.test, told) or asks_for_version(node.test)
    ):
        return ()
    if isinstance(node, ast.Try) and any(map(_catches_import_errors, node.handlers)):
        return [*node.handlers, *node.orelse, *node.finalbody]
    if isinstance(node, ast.With) and any(_suppresses_import_errors(item.context_expr) for item in node.items):
        return ()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
        node.name in elsewhere or any(ELSEWHERE.search(_decorator(item)) for item in node.decorator_list)
    ):
        return ()
    # Expressions hold no statements, and most of a file is expressions.
    return [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]


def _is_started_by_hand(test: ast.expr) -> bool:
    """Whether it is `__name__ == "__main__"`: Airflow imports the file, and never runs what follows."""
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = (test.left, test.comparators[0])
    return any(_last(side) == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def _asks_for_module(test: ast.expr, told: frozenset[str]) -> bool:
    return any(
        (isinstance(node, ast.Call) and _last(node.func) == "find_spec")
        or (isinstance(node, ast.Name | ast.Attribute) and _last(node) in told)
        for node in ast.walk(test)
    )


def asks_for_version(test: ast.expr) -> bool:
    """Whether it is about a version, so that what follows need not be for this one."""
    return any(
        isinstance(node, ast.Name | ast.Attribute) and OF_VERSIONS.search(_last(node)) for node in ast.walk(test)
    )


def _catches_import_errors(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or _last(kind) in GUARDS for kind in caught)


def _suppresses_import_errors(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and _last(context.func) == "suppress"
        and any(_last(kind) in GUARDS for kind in context.args)
    )


def _decorator(node: ast.expr) -> str:
    return _last(node.func if isinstance(node, ast.Call) else node)


def _last(node: ast.expr | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _not_found(module: str, names: Sequence[str], dags: str) -> Iterator[str]:
    """What of an import is not there: the module, or members of a package that is nothing but a folder."""
    if not exists(module, dags):
        yield module
    elif names and _is_only_a_folder(module):
        yield from (f"{module}.{name}" for name in names if name != "*" and not exists(f"{module}.{name}", dags))


def exists(name: str, dags: str) -> bool:
    """Whether a module can be found.

    a name                            is looked for
    of Airflow's                      to its end: its packages are imported for that
    in packages that are only folders to the first that is more: `google.cloud.storage`
    in the DAG folder                 to its end: in the package's folder, whose code is not run for that
    of Python's, gone in MWAA's       not at all: the tests may run on an older Python
    any other                         by its first part: looking further would run its package
    """
    if name.startswith("airflow."):
        return _airflow_has(name)
    parts = name.split(".")
    if parts[0] in GONE_IN_PYTHON_312 and _mwaa_runs_python_312():
        return False
    for number in range(1, len(parts) + 1):
        package = ".".join(parts[:number])
        if package not in sys.modules and _spec(package) is None:
            return False
        if not _is_only_a_folder(package):
            return number == len(parts) or _team_has(_spec(package), parts[number:], dags)
    return True


def _team_has(found: ModuleSpec | None, more: Sequence[str], dags: str) -> bool:
    """Whether a module of the team's has such modules in it; that anybody else's has is taken for granted."""
    for part in more:
        if found is None or found.origin is None or not found.origin.startswith(f"{dags}/"):
            return True
        if _may_make_modules(Path(found.origin)):
            return True
        places = found.submodule_search_locations
        try:
            found = PathFinder.find_spec(f"{found.name}.{part}", places) if places is not None else None
        except KeyError:  # a folder without code, whose package Python would ask to be imported first
            return True
        if found is None:
            return False
    return True


@cache
def _may_make_modules(path: Path) -> bool:
    """Whether a module's text says that others are found in it than those in its folder."""
    return any(word in path.read_bytes() for word in (b"__path__", b"sys.modules", b"meta_path", b"__getattr__"))


@cache
def _mwaa_runs_python_312() -> bool:
    """It does for Airflow 2.11 and later (amazon-mwaa-docker-images)."""
    version = getattr(sys.modules.get("airflow"), "__version__", "0.0")
    return tuple(int(part) for part in version.split(".")[:2]) >= (2, 11)


def _airflow_has(name: str) -> bool:
    if name in sys.modules or _spec(name) is not None:
        return True
    with suppress(
        Exception
    ):  # a module that moved is still answered under its old name, by its package, without a file
        importlib.import_module(name)
        return True
    return False


def _is_only_a_folder(package: str) -> bool:
    """Whether a package has no code of its own, and so nothing but what is in its folders.

    One in a package that has code is not asked about, but for Airflow's: looking there would run that code.
    """
    outer = package.rpartition(".")[0]
    if outer and not package.startswith("airflow.") and not _is_only_a_folder(outer):
        return False
    spec = _spec(package)
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def _spec(name: str) -> ModuleSpec | None:
    with suppress(ImportError, ValueError, AttributeError):
        return importlib.util.find_spec(name)
    return None
