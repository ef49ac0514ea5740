"""Where in a file a DAG or a task is written, as its text tells: beside the calls that made it (see `places`)."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.dagtest.worker.ahead import by_text
from pipeline.dagtest.worker.moving_starts import Function, MovingStart, moving_starts, name_of


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
        lines = SourceLines(moving=tuple(moving_starts(nodes(path))))
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.texts.setdefault(node.value, node.lineno)
            elif isinstance(node, Function):
                lines.functions.setdefault(node.name, node.lineno)
                if node.decorator_list:
                    lines.decorated[node.decorator_list[0].lineno] = node.lineno
                if any(name_of(item) == "dag" for item in node.decorator_list):
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
