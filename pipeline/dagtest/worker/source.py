"""Where in a file a DAG or a task is written, as its text tells: beside the calls that made it (see `places`)."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.dagtest.worker.ahead import by_text

NOW = frozenset({"now", "utcnow", "today", "days_ago", "yesterday", "tomorrow"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def parsed(path: Path) -> ast.Module | None:
    """A file's syntax tree; None when it is no Python, or too deep for Python's own parser."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return None


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file's syntax tree but those that say whether a name is read or set: a third of them."""
    tree = parsed(path)
    return () if tree is None else tuple(node for node in ast.walk(tree) if not isinstance(node, ast.expr_context))


def forget_trees() -> None:
    """Drop the syntax trees that are remembered."""
    parsed.cache_clear()
    nodes.cache_clear()


@dataclass(frozen=True)
class MovingStart:
    """A `start_date` that is made of the time of parsing.

    Attributes:
        line: Where it is written.
        first: The first line of the call that is given it, or given `default_args` with it.
        last: That call's last line.
        function: The function that the call decorates, or "".
    """

    line: int
    first: int
    last: int
    function: str = ""


@dataclass(frozen=True)
class SourceLines:
    """Lines by what stands on them.

    Attributes:
        texts: String constant → the line it first stands on.
        calls: String constant → the line of the first call that has it as an argument.
        functions: Function → the line of its `def`.
        dags: The same of functions that are decorated with `dag`.
        uncalled: Of these at the file's top level, those that nothing in the file calls or hands on.
        decorated: The line of a function's first decorator → the line of its `def`.
        moving: Start dates of whatever the file makes.
    """

    texts: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    functions: dict[str, int] = field(default_factory=dict)
    dags: dict[str, int] = field(default_factory=dict)
    uncalled: dict[str, int] = field(default_factory=dict)
    decorated: dict[int, int] = field(default_factory=dict)
    moving: tuple[MovingStart, ...] = ()

    @staticmethod
    @by_text
    def of(path: Path) -> "SourceLines":
        """Of a file; empty when it is no Python."""
        lines = SourceLines(moving=tuple(_moving_starts(nodes(path))))
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.texts.setdefault(node.value, node.lineno)
            elif isinstance(node, Function):
                lines.functions.setdefault(node.name, node.lineno)
                if node.decorator_list:
                    lines.decorated[node.decorator_list[0].lineno] = node.lineno
                if any(_name(item) == "dag" for item in node.decorator_list):
                    lines.dags.setdefault(node.name, node.lineno)
            elif isinstance(node, ast.Call):
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        lines.calls.setdefault(argument.value, node.lineno)
        if lines.dags:
            lines.uncalled.update(_uncalled(path, lines.dags))
        return lines

    def of_dag(self, dag_id: str, made: Sequence[int] = ()) -> int | None:
        """Where a DAG is written: the function it is named after, the call that made it, else its id.

        Args:
            dag_id: The DAG's.
            made: The lines at work when it was made, innermost first.
        """
        return self.dags.get(dag_id) or next(iter(made), None) or self.functions.get(dag_id) or self.texts.get(dag_id)

    def of_task(self, task_id: str, made: Sequence[int] = (), function: int = 0) -> int | None:
        """Where a task is written; groups before its own name do not matter.

        Args:
            task_id: The task's.
            made: The lines at work when it was made, innermost first.
            function: The first line of the function it is made of, decorators included; 0 without one.
        """
        name = task_id.rpartition(".")[2]
        known = self.decorated.get(function) or next(iter(made), None)
        return known or self.calls.get(name) or self.functions.get(name)

    def moving_start(self, dag_id: str, made: Iterable[Sequence[int]]) -> int | None:
        """Where a start date of a DAG, or of one of its tasks, is made of the time of parsing.

        Args:
            dag_id: The DAG's.
            made: The lines at work when the DAG was made, and each of its tasks.
        """
        at_work = {line for lines in made for line in lines}
        for start in self.moving:
            if start.function == dag_id or any(start.first <= line <= start.last for line in at_work):
                return start.line
        return None


def _uncalled(path: Path, dags: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    tree = parsed(path)
    used = {node.id for node in nodes(path) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for node in tree.body if tree is not None else ():
        if isinstance(node, Function) and node.lineno == dags.get(node.name) and node.name not in used:
            yield node.name, node.lineno


def _moving_starts(of_file: Sequence[ast.AST]) -> Iterator[MovingStart]:
    """Those that calls are given. Whether a call makes a DAG or a task is known once the file is imported."""
    named = {
        target.id: node.value
        for node in of_file
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    decorates = {id(item): node.name for node in of_file if isinstance(node, Function) for item in node.decorator_list}
    for node in of_file:
        if isinstance(node, ast.Call):
            for value in _start_dates(node, named):
                if _is_made_of_now(value):
                    last = node.end_lineno or node.lineno
                    yield MovingStart(value.lineno, node.lineno, last, decorates.get(id(node), ""))


def _start_dates(call: ast.Call, named: Mapping[str, ast.expr]) -> Iterator[ast.expr]:
    for keyword in call.keywords:
        value = keyword.value
        if keyword.arg == "start_date":
            yield value
        elif keyword.arg == "default_args":
            given = named.get(value.id, value) if isinstance(value, ast.Name) else value
            yield from _members(given, "start_date")


def _members(mapping: ast.expr, name: str) -> Iterator[ast.expr]:
    """The values of a name in a mapping that is written out: `{"name": ...}` or `dict(name=...)`."""
    if isinstance(mapping, ast.Dict):
        for key, value in zip(mapping.keys, mapping.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == name:
                yield value
    elif isinstance(mapping, ast.Call) and _name(mapping) == "dict":
        yield from (keyword.value for keyword in mapping.keywords if keyword.arg == name)


def _is_made_of_now(value: ast.expr) -> bool:
    return any(isinstance(node, ast.Call) and _name(node) in NOW for node in ast.walk(value))


def _name(node: ast.expr) -> str:
    """The last name of what is called, or of the name itself."""
    found = node.func if isinstance(node, ast.Call) else node
    return found.attr if isinstance(found, ast.Attribute) else getattr(found, "id", "")
