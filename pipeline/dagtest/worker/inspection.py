"""Import a DAG file the way Airflow's processor does, and tell what is in it as plain JSON."""

import importlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.dagtest.worker.source import SourceLines
from pipeline.dagtest.worker.templates import failing_templates

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag

# Imported before the forks, since nearly every DAG file imports one of them. One that is not there is no error here.
USUAL = (
    "airflow.sdk",
    "airflow.decorators",
    "airflow.providers.standard.operators.empty",
    "airflow.providers.standard.operators.python",
    "airflow.providers.amazon.aws.operators.ecs",
    "pendulum",
)
CONTAINER_OPERATOR = "EcsRunTaskOperator"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def prepare(dag_folder: Path) -> None:
    """Import what the files will import, and let them find each other, as on MWAA."""
    for name in USUAL:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    sys.path.insert(1, str(dag_folder))


def dag_files(path: Path) -> Iterable[Path]:
    """The files that Airflow would read in a folder, by its own rules (.airflowignore, safe mode); a file as it is."""
    if path.is_file():
        return [path]
    try:
        from airflow.dag_processing.importers.python_importer import PythonDagImporter  # noqa: PLC0415 - since 3.2

        found = PythonDagImporter().list_dag_files(path)
    except ImportError:
        from airflow.utils.file import list_py_file_paths  # noqa: PLC0415 - before 3.2

        found = list_py_file_paths(path, include_examples=False)
    return sorted(Path(file) for file in found)


def inspect(path: Path, dag_folder: Path) -> dict[str, Any]:
    """Import one file and describe its DAGs.

    Returns:
        `error`: None or its `message`, `line` in this file and `traceback`; `dags`: see `_dag`.
    """
    os.chdir(dag_folder)
    bag = DagBag(str(path), load_op_links=False, **_bundle(dag_folder))
    errors = [*bag.import_errors.values(), *_serialization_errors(bag)]
    source = SourceLines.of(path)
    return {
        "error": _error(errors[0], path) if errors else None,
        "dags": [_dag(dag, source) for _, dag in sorted(bag.dags.items())],
    }


def _bundle(dag_folder: Path) -> dict[str, Any]:
    if "bundle_name" in DagBag.__init__.__code__.co_varnames:
        return {"bundle_path": dag_folder, "bundle_name": "dags"}
    return {"include_examples": False}


def _serialization_errors(bag: Any) -> list[str]:
    """A DAG that cannot be stored is an import error in Airflow, too."""
    try:
        from airflow.serialization.serialized_objects import DagSerialization as Serialization  # noqa: PLC0415 - 3.2
    except ImportError:
        from airflow.serialization.serialized_objects import SerializedDAG as Serialization  # noqa: PLC0415
    errors = []
    for dag_id, dag in bag.dags.items():
        try:
            Serialization.to_dict(dag)
        except Exception as error:  # noqa: BLE001 - whatever it is, Airflow would show it as this file's error
            errors.append(f"the DAG {dag_id} cannot be stored: {type(error).__name__}: {error}")
    return errors


def _error(text: str, path: Path) -> dict[str, Any]:
    lines = [int(line) for file, line in _FRAME.findall(text) if Path(file) == path]
    message = next((line for line in reversed(text.strip().splitlines()) if line and not line.startswith(" ")), text)
    return {"message": message.strip(), "line": lines[-1] if lines else None, "traceback": _from(path, text)}


def _from(path: Path, text: str) -> str:
    """A traceback from its first call in the file on: how Airflow got there helps nobody."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if f'File "{path}"' in line), 0)
    return "".join(lines[first:])


def _dag(dag: Any, source: SourceLines) -> dict[str, Any]:
    return {
        "dag_id": dag.dag_id,
        "line": source.of_dag(dag.dag_id),
        "tasks": [_task(task, source) for task in dag.tasks],
        "templates": [
            {"task_id": task.task_id, "line": source.of_task(task.task_id), "field": field, "message": message}
            for task in dag.tasks
            for field, message in failing_templates(dag, task)
        ],
    }


def _task(task: Any, source: SourceLines) -> dict[str, Any]:
    operator = getattr(task, "operator_class", type(task))
    runs_container = isinstance(operator, type) and CONTAINER_OPERATOR in [base.__name__ for base in operator.__mro__]
    return {
        "task_id": task.task_id,
        "line": source.of_task(task.task_id),
        "operator": getattr(operator, "__name__", str(operator)),
        "containers": _containers(task) if runs_container else None,
    }


def _containers(task: Any) -> list[str]:
    """The containers that a task overrides, by name: those it runs in."""
    given = getattr(task, "partial_kwargs", {}).get("overrides") or getattr(task, "overrides", None)
    overrides = given.get("containerOverrides", []) if isinstance(given, dict) else []
    return [str(override.get("name", "")) for override in overrides if isinstance(override, dict)]
