"""Where DAGs and tasks are made. Airflow keeps the file only, so the calls at work are noted at that moment."""

# `sys._getframe` shows the calls without reading a file.
# ruff: noqa: SLF001

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

try:
    from airflow.sdk import DAG
except ImportError:  # before Airflow 3
    from airflow.models.dag import DAG


class Places:
    """Takes note of the DAGs of one file after the other.

    Attributes:
        file: The file that is parsed.
        taken: The DAGs that Airflow found in it, refused ones too, in Airflow's order.
    """

    def __init__(self) -> None:
        self.file = ""
        self.taken: list[Any] = []
        self._made: dict[str, list[Any]] = {}  # id → the DAGs that were made with it
        self._lines: dict[tuple[int, str], tuple[int, ...]] = {}  # (DAG, task or "") → its calls, innermost first

    def install(self) -> None:
        """From here to the end of the process."""
        # attrs makes a DAG's __init__ since Airflow 3, and calls this at its end.
        made = "__attrs_post_init__" if "__attrs_post_init__" in vars(DAG) else "__init__"
        _after(DAG, made, self._note_dag)
        _after(DAG, "add_task", self._note_task)
        _after(DAG, "validate", self.taken.append)

    def turn_to(self, file: str) -> None:
        """From here on, take note of this file's."""
        self.file = file
        self.taken.clear()
        self._made.clear()
        self._lines.clear()

    def of_dag(self, dag: Any) -> Sequence[int]:
        """The lines of the file that were at work when a DAG was made, innermost first."""
        return self._lines.get((id(dag), ""), ())

    def of_task(self, dag: Any, task_id: str) -> Sequence[int]:
        """The same of a task, when it came into its DAG."""
        return self._lines.get((id(dag), task_id), ())

    def of_all(self, dag: Any) -> Iterator[Sequence[int]]:
        """The same of a DAG and all its tasks."""
        yield self.of_dag(dag)
        yield from (self.of_task(dag, task_id) for task_id in dag.task_dict)

    def twins(self, dag: Any) -> Iterator[Any]:
        """Other DAGs of the same id that Airflow found, or took for this one since they have the same tasks."""
        for other in self._made.get(dag.dag_id, ()):
            is_found = any(taken is other for taken in self.taken)
            if other is not dag and (is_found or other.task_dict.keys() == dag.task_dict.keys()):
                yield other

    def _note_dag(self, dag: Any, *_: Any, **__: Any) -> None:
        self._made.setdefault(getattr(dag, "dag_id", ""), []).append(dag)
        self._lines[id(dag), ""] = self._at_work()

    def _note_task(self, dag: Any, task: Any) -> None:
        self._lines[id(dag), getattr(task, "task_id", "")] = self._at_work()

    def _at_work(self) -> tuple[int, ...]:
        lines = []
        frame = sys._getframe(3)
        while True:
            if frame.f_code.co_filename == self.file:
                lines.append(frame.f_lineno)
                if frame.f_code.co_name == "<module>":
                    break
            if frame.f_back is None:
                break
            frame = frame.f_back
        return tuple(lines)


def _after(owner: Any, name: str, note: Callable[..., None]) -> None:
    """Have a method's calls told of at their end, whether they succeed or not."""
    method = vars(owner)[name]

    @functools.wraps(method)
    def noted(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        finally:
            note(*arguments, **named)

    setattr(owner, name, noted)
