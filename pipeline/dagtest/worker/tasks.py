"""What the rules need to know of a task."""

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from typing import Any

from pipeline.dagtest.worker.mapped import written_out

CONTAINER_OPERATOR = "EcsRunTaskOperator"
ALIKE = 0.8  # how much of two names must be the same for one to be meant by the other
NOT_TOLD = frozenset({"object", "ABC", "Generic", "LoggingMixin", "DAGNode", "Templater", "FormattingMixin"})


def task_facts(task: Any, line: int | None) -> dict[str, Any]:
    """A task as plain JSON. `overrides` is None unless it runs a container, and "later" where only a run knows them."""
    operator = getattr(task, "operator_class", type(task))
    bases = [base.__name__ for base in operator.__mro__] if isinstance(operator, type) else [str(operator)]
    return {
        "task_id": task.task_id,
        "line": line,
        "operator": bases[0],
        "bases": [name for name in bases if name not in NOT_TOLD],
        "owner": str(_given(task, "owner") or ""),
        "retries": _number(_given(task, "retries")),
        "downstream": sorted(task.downstream_task_ids),
        "overrides": _overrides(task) if CONTAINER_OPERATOR in bases else None,
    }


def unused_arguments(dag: Any) -> dict[str, str]:
    """Names in a DAG's `default_args` that no operator of its tasks takes → the one that may be meant.

    "DAG" for one that the DAG itself takes, "" for none.
    """
    given = dag.default_args
    if not given or not isinstance(given, Mapping) or not dag.task_dict:
        return {}
    operators = {getattr(task, "operator_class", type(task)) for task in dag.tasks}
    taken = {name for operator in operators if isinstance(operator, type) for name in _arguments(operator)}
    unused = [name for name in given if isinstance(name, str) and name not in taken]
    if not unused:
        return {}
    of_dag = inspect.signature(type(dag)).parameters
    likely = {name: ["DAG"] if name in of_dag else get_close_matches(name, taken, 1, ALIKE) for name in unused}
    return {name: next(iter(found), "") for name, found in likely.items()}


def _arguments(operator: type) -> Iterator[str]:
    """What an operator's class takes, and those it derives from, to which it may hand on what it is given."""
    return (name for base in operator.__mro__ if "__init__" in vars(base) for name in _own_arguments(base))


@cache
def _own_arguments(operator: type) -> Collection[str]:
    """A team's own class is another one in each file, those that it derives from are not."""
    with suppress(ValueError, TypeError):  # written in C
        return list(inspect.signature(vars(operator)["__init__"]).parameters)
    return ()


def function_line(task: Any, file: str) -> int:
    """The first line, decorators included, of the function in a file that a task calls; 0 for any other task."""
    code = getattr(_given(task, "python_callable"), "__code__", None)
    return code.co_firstlineno if code is not None and code.co_filename == file else 0


def _given(task: Any, name: str) -> Any:
    given = getattr(task, "partial_kwargs", None)
    return given.get(name) if given is not None and name in given else getattr(task, name, None)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _overrides(task: Any) -> Any:
    """Those of all its tasks, of a mapped one. Never None: that says that the task runs no container."""
    value = _given(task, "overrides")
    if value is not None:
        return plain(value)
    if not hasattr(task, "partial_kwargs"):
        return {}
    members = [plain(each) for name, each in written_out(task) if name == "overrides"]
    entries = [each.get("containerOverrides") for each in members if isinstance(each, dict)]
    known = [entry for each in entries if isinstance(each, list) for entry in each]
    return {"containerOverrides": known} if known else "later"


def plain(value: Any) -> Any:
    """JSON as it is; what only a run knows (another task's result) as `{"later": its type}`."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return {"later": type(value).__name__}
