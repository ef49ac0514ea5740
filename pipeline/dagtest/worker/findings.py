"""What was found in a DAG file, as plain JSON."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipeline.dagtest.worker.places import Places
from pipeline.dagtest.worker.schedules import schedule
from pipeline.dagtest.worker.source import SourceLines
from pipeline.dagtest.worker.tasks import function_line, task_facts, unused_arguments
from pipeline.dagtest.worker.templates import failing_templates

_WARNING = re.compile(r"^(.*?):(\d+): (\S+): (.*)", re.DOTALL)
AIRFLOWS_WARNINGS = re.compile(
    r"(RemovedInAirflow\d+Warning|AirflowProviderDeprecationWarning|DeprecatedImportWarning)$"
)
DEPRECATIONS = re.compile(r"(DeprecationWarning|FutureWarning)$")


def described(dag: Any, stored: Any, source: SourceLines, places: Places) -> dict[str, Any]:
    """A DAG.

    Args:
        dag: As its author wrote it.
        stored: As the scheduler reads it; None when it cannot be stored.
        source: Where things stand in its file.
        places: Where it was made.

    Returns:
        Among what speaks for itself `twins`: the lines of other DAGs of the same id in the file, which Airflow takes
        this one for; `moving_start`: the line of a start date made of the time of parsing; `unused_arguments`: see
        there.
    """
    lines = {
        task.task_id: source.of_task(task.task_id, places.of_task(dag, task.task_id), function_line(task, places.file))
        for task in dag.tasks
    }
    return {
        "dag_id": dag.dag_id,
        "line": source.of_dag(dag.dag_id, places.of_dag(dag)),
        "twins": [next(iter(places.of_dag(twin)), None) for twin in places.twins(dag)],
        "tags": sorted(map(str, dag.tags or ())),
        "schedule": schedule(dag, stored) if stored is not None else None,
        "moving_start": source.moving_start(dag.dag_id, places.of_all(dag)),
        "unused_arguments": unused_arguments(dag),
        "tasks": [task_facts(task, lines[task.task_id]) for task in dag.tasks],
        "templates": [
            {"task_id": task_id, "line": lines[task_id], "field": field, "message": message}
            for task_id, field, message in failing_templates(dag)
        ],
    }


def cycles(dags: Iterable[Any], made: Callable[[Any], Sequence[int]]) -> list[dict[str, Any]]:
    """The members of a cycle of each DAG that has one, in order, and the line.

    Args:
        dags: Refused ones, too: Airflow refuses those with a cycle.
        made: DAG → the lines at work when it was made, innermost first.
    """
    return [
        {"dag_id": dag.dag_id, "tasks": members, "line": next(iter(made(dag)), None)}
        for dag in dags
        if (members := _cycle(dag))
    ]


def _cycle(dag: Any) -> list[str]:
    done: set[str] = set()
    for start in dag.task_dict:
        way: list[str] = []
        stack = [(start, False)]
        while stack:
            task, leaving = stack.pop()
            if leaving:
                way.pop()
                done.add(task)
            elif task in way:
                return [*way[way.index(task) :], task]
            elif task not in done:
                way.append(task)
                stack.append((task, True))
                stack.extend((following, False) for following in dag.task_dict[task].downstream_task_ids)
    return []


def deprecations(bag: Any, own: Sequence[str]) -> Iterable[dict[str, Any]]:
    """Airflow's warnings about the team's own files that something will go: no other warning, wherever it is from."""
    for text in dict.fromkeys(text for texts in bag.captured_warnings.values() for text in texts):
        found = _WARNING.match(text)
        if found is None:
            continue
        path, line, category, message = found.groups()
        is_airflows = DEPRECATIONS.search(category) and "airflow" in message.lower()
        if path in own and (AIRFLOWS_WARNINGS.search(category) or is_airflows):
            yield {"path": path, "line": int(line), "message": message.strip(), "category": category.rpartition(".")[2]}
