"""Which files of the DAG folder import which, so that a helper is published before the DAGs that need it. Pure."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath

_WORD = re.compile(rb"[\w\x80-\xff]+")
_RELATIVE = re.compile(rb"\bfrom\s*\.")
# `from airflow… import DAG` or `dag`, on one line or in brackets, and `airflow.DAG`.
_NAMES_DAG = re.compile(
    rb"^[ \t]*from[ \t]+airflow[\w.]*[ \t]+import[ \t]+(?:\([^)]*|[^\n]*)\b(?:DAG|dag)\b|\.DAG\b", re.MULTILINE
)


def imports_of(sources: Mapping[str, bytes]) -> dict[str, frozenset[str]]:
    """The import graph within the folder.

    Airflow puts the DAG folder on `sys.path`: `dags/common/s3.py` is the module `common.s3`. Importing a module also
    runs the `__init__.py` of every package above it. Of a package and a file of one name, Python takes the package. A
    file that is no valid Python imports nothing here; the DAG tests say so earlier.

    Args:
        sources: Path relative to the DAG folder → content, for every Python file.

    Returns:
        Path → the paths it imports, itself left out.
    """
    modules = {_module(path): path for path in sorted(sources, key=_is_package)}
    roots = frozenset(name.split(".")[0].encode() for name in modules)
    folders = frozenset(path.partition("/")[0].encode() for path in sources if "/" in path)
    return {
        path: frozenset(
            found
            for name in (_imported_names(path, source) if _may_import(path, source, roots, folders) else ())
            for found in _files_run_by(name, modules)
        )
        - {path}
        for path, source in sources.items()
    }


def levels(graph: Mapping[str, Collection[str]]) -> dict[str, int]:
    """How deep the imports below each file go: 0 imports nothing here; every file is above all it imports.

    Files that import each other in a circle are one group on one level.

    >>> levels({"dag.py": ["helper.py"], "helper.py": ["config.py"], "config.py": []})
    {'config.py': 0, 'helper.py': 1, 'dag.py': 2}
    """
    level: dict[str, int] = {}
    for group in _groups(graph):  # what a group imports comes before it
        below = [level[name] for member in group for name in graph[member] if name not in group]
        level.update(dict.fromkeys(sorted(group), 1 + max(below) if below else 0))
    return level


def order(sources: Mapping[str, bytes], graph: Mapping[str, Collection[str]]) -> dict[str, int]:
    """The order of publishing: the levels of the imports, and DAG files above all that is no DAG file.

    A DAG file may get at a helper in a way that no import shows: through `sys.path`, or `importlib`. Whoever names a
    DAG and is imported by nobody is taken for one. A look at the text does: parsing every file would be most of a
    sync's time, and a helper that is taken for a DAG file is no worse off than among its equals.
    """
    level = levels(graph)
    imported = frozenset(name for names in graph.values() for name in names)
    tops = [path for path, source in sources.items() if path not in imported and _names_dag(source)]
    above = 1 + max((level[path] for path in level.keys() - set(tops)), default=-1)
    return level | dict.fromkeys(tops, above)


def _names_dag(source: bytes) -> bool:
    return b"airflow" in source and _NAMES_DAG.search(source) is not None  # the word alone is found much sooner


def importers_of(graph: Mapping[str, Collection[str]], changed: Collection[str]) -> frozenset[str]:
    """Every file that imports one of `changed`, directly or not: a changed one too, if it imports another of them."""
    importers: dict[str, list[str]] = {}
    for path, imported in graph.items():
        for name in imported:
            importers.setdefault(name, []).append(path)
    seen: set[str] = set()
    waiting = list(changed)
    while waiting:
        for path in importers.get(waiting.pop(), ()):
            if path not in seen:
                seen.add(path)
                waiting.append(path)
    return frozenset(seen)


def _may_import(path: str, source: bytes, roots: frozenset[bytes], folders: frozenset[bytes]) -> bool:
    """Whether a file so much as mentions another of the folder.

    Parsing thousands of files that do not would be most of a sync's time. A byte that is not ASCII counts as a letter,
    so that a module may have any name. A module stands on the line of its `import`, unless a backslash goes on.
    """
    if b"\\\n" not in source and b"\\\r" not in source:
        source = b"\n".join(line for line in source.split(b"\n") if b"import" in line)
    # A DAG file often holds its own name, as the DAG's id; that means a module only where a folder has it, too.
    own = frozenset({path.removesuffix(".py").encode()}) - folders
    return bool(_RELATIVE.search(source)) or not (roots - own).isdisjoint(_WORD.findall(source))


def _is_package(path: str) -> bool:
    return PurePosixPath(path).name == "__init__.py"


def _module(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported_names(path: str, source: bytes) -> Iterator[str]:
    """Dotted names a file asks for: `from a import b` asks for `a` and perhaps for the module `a.b`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    package = PurePosixPath(path).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _files_run_by(name: str, modules: Mapping[str, str]) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        path = modules.get(".".join(parts[:length]))
        if path is not None:
            yield path


def _groups(graph: Mapping[str, Collection[str]]) -> Iterator[frozenset[str]]:
    """Strongly connected components, imported ones first (Tarjan's algorithm; no recursion: chains can be long)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for root in sorted(graph):
        if root in number:
            continue
        work = [(root, iter(sorted(graph[root])))]
        number[root] = lowest[root] = len(number)
        path.append(root)
        on_path.add(root)
        while work:
            name, remaining = work[-1]
            step = next((n for n in remaining if n not in number or n in on_path), None)
            if step is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[name])
                if lowest[name] == number[name]:
                    start = path.index(name)
                    yield frozenset(path[start:])
                    on_path.difference_update(path[start:])
                    del path[start:]
            elif step in number:
                lowest[name] = min(lowest[name], number[step])
            else:
                number[step] = lowest[step] = len(number)
                path.append(step)
                on_path.add(step)
                work.append((step, iter(sorted(graph[step]))))
