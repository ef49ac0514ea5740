"""What the worker tells about a DAG file, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ImportFailure:
    """Why Airflow could not import a file.

    Attributes:
        message: One line.
        line: The line in the file, when the failure has one there.
        details: The traceback, or what the file printed.
    """

    message: str
    line: int | None = None
    details: str = ""


@dataclass(frozen=True)
class Task:
    """A task; `containers` are the names it overrides when it runs in containers, else None."""

    task_id: str
    operator: str
    line: int | None = None
    containers: tuple[str, ...] | None = None


@dataclass(frozen=True)
class FailingTemplate:
    """A template that does not render with a sample data interval."""

    task_id: str
    field: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Dag:
    """A DAG as Airflow sees it."""

    dag_id: str
    line: int | None = None
    tasks: tuple[Task, ...] = ()
    failing_templates: tuple[FailingTemplate, ...] = ()


@dataclass(frozen=True)
class DagFile:
    """A file that Airflow would read.

    Attributes:
        path: As people write it: relative to the project where it lies there.
        seconds: How long importing it took.
        failure: None when it was imported.
        dags: Its DAGs, by id.
    """

    path: str
    seconds: float = 0.0
    failure: ImportFailure | None = None
    dags: tuple[Dag, ...] = ()


def dag_file(document: Mapping[str, Any], path: str, limit: float) -> DagFile:
    """A file from the worker's document.

    outcome     meaning
    done        Airflow imported it, or says why not
    timed out   it was killed after `limit` seconds
    ended       its process ended before it could tell

    Args:
        document: A line of the worker's output, decoded.
        path: The file as people write it.
        limit: Seconds that importing a file may take.
    """
    seconds = float(document["seconds"])
    outcome: Literal["done", "timed out", "ended"] = document["outcome"]
    printed = str(document["printed"])
    if outcome == "timed out":
        failure = ImportFailure(f"importing it did not end within {limit:g} s", details=printed)
        return DagFile(path, seconds, failure)
    if outcome == "ended":
        return DagFile(path, seconds, ImportFailure(f"importing it {document['how']}", details=printed))
    found = document["result"]
    error = found["error"]
    if error:
        return DagFile(path, seconds, ImportFailure(error["message"], error["line"], error["traceback"]))
    return DagFile(path, seconds, dags=tuple(_dag(dag) for dag in found["dags"]))


def _dag(document: Mapping[str, Any]) -> Dag:
    return Dag(
        document["dag_id"],
        document["line"],
        tuple(
            Task(
                task["task_id"],
                task["operator"],
                task["line"],
                None if task["containers"] is None else tuple(task["containers"]),
            )
            for task in document["tasks"]
        ),
        tuple(
            FailingTemplate(template["task_id"], template["field"], template["message"], template["line"])
            for template in document["templates"]
        ),
    )
