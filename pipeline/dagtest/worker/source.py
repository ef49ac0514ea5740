"""Where in a file a DAG or a task is written. Airflow does not know; the source text nearly always tells."""

import ast
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pipeline.dagtest.worker.ahead import by_text

NOW = frozenset({"now", "utcnow", "today", "days_ago", "yesterday", "tomorrow"})


@cache
def parsed(path: Path) -> ast.Module | None:
    """A file's syntax tree; None when it is no Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return None


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file's syntax tree."""
    tree = parsed(path)
    return () if tree is None else tuple(ast.walk(tree))


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
        moving: The lines of a `start_date` that is made of the time of parsing.
    """

    texts: dict[str, int]
    calls: dict[str, int]
    functions: dict[str, int]
    moving: tuple[int, ...] = ()

    @staticmethod
    @by_text
    def of(path: Path) -> "SourceLines":
        """Of a file; empty when it is no Python."""
        lines = SourceLines({}, {}, {})
        moving = []
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.texts.setdefault(node.value, node.lineno)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines.functions.setdefault(node.name, node.lineno)
            elif isinstance(node, ast.Call):
                moving += [
                    keyword.value.lineno
                    for keyword in node.keywords
                    if keyword.arg == "start_date" and _is_made_of_now(keyword.value)
                ]
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        lines.calls.setdefault(argument.value, node.lineno)
            elif isinstance(node, ast.Dict):
                moving += [
                    value.lineno
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "start_date" and _is_made_of_now(value)
                ]
        return replace(lines, moving=tuple(moving))

    def of_dag(self, dag_id: str) -> int | None:
        """Where a DAG is written: its id, or the function it is named after."""
        return self.functions.get(dag_id) or self.texts.get(dag_id)

    def of_task(self, task_id: str) -> int | None:
        """Where a task is written; groups before its own name do not matter."""
        name = task_id.rpartition(".")[2]
        return self.calls.get(name) or self.functions.get(name)

    def moving_start(self) -> int | None:
        """Where a start date is made of the time of parsing."""
        return self.moving[0] if self.moving else None


def _is_made_of_now(value: ast.expr) -> bool:
    calls = (node.func for node in ast.walk(value) if isinstance(node, ast.Call))
    return any((call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")) in NOW for call in calls)
