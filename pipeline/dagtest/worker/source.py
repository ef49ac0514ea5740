"""Where in a file a DAG or a task is written. Airflow does not know; the source text nearly always tells."""

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceLines:
    """Lines by what stands on them.

    Attributes:
        texts: String constant → the line it first stands on.
        calls: String constant → the line of the first call that has it as an argument.
        functions: Function → the line of its `def`.
    """

    texts: dict[str, int]
    calls: dict[str, int]
    functions: dict[str, int]

    @staticmethod
    def of(path: Path) -> "SourceLines":
        """Of a file; empty when it is no Python."""
        lines = SourceLines({}, {}, {})
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            return lines
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.texts.setdefault(node.value, node.lineno)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines.functions.setdefault(node.name, node.lineno)
            elif isinstance(node, ast.Call):
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        lines.calls.setdefault(argument.value, node.lineno)
        return lines

    def of_dag(self, dag_id: str) -> int | None:
        """Where a DAG is written: its id, or the function it is named after."""
        return self.functions.get(dag_id) or self.texts.get(dag_id)

    def of_task(self, task_id: str) -> int | None:
        """Where a task is written; groups before its own name do not matter."""
        name = task_id.rpartition(".")[2]
        return self.calls.get(name) or self.functions.get(name)
