"""`dags.json`: what the DAGs are, tasks, dependencies and schedule, for whoever compares two releases. Pure.

{"format": 2,
 "files": {"orders.py": "SHA-256 of the file, of every one in the DAG folder"},
 "dags": {"dev": {"orders_daily": {"file": "orders.py", "schedule": "0 0 * * *",
                                   "tasks": {"ingest": {"operator": "EcsRunTaskOperator", "downstream": ["validate"],
                                                        "containers": ["ingest"]}}}}}}

with paths below the DAG folder.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pipeline.dagtest.facts import Dag, DagFile, Task

FORMAT = 2
_NOTHING_STARTS_IT = ("", "None")  # Airflow's summaries of a schedule that is none


def document(environments: Mapping[str, Sequence[DagFile]], checksums: Mapping[str, str], folder: str) -> bytes:
    """The structures of all DAGs, as JSON.

    Args:
        environments: Environment → the DAG files as they are there.
        checksums: Path below the DAG folder → SHA-256, for every file in it: what a DAG is can depend on any of them,
            and whoever compares must notice that one came or changed since.
        folder: The DAG folder, written as in `files`; paths in the document are below it.
    """
    structures = {
        "format": FORMAT,
        "files": dict(checksums),
        "dags": {
            name: {dag.dag_id: {"file": _below(file.path, folder), **_dag(dag)} for file in files for dag in file.dags}
            for name, files in environments.items()
        },
    }
    return json.dumps(structures, sort_keys=True).encode()


def _below(path: str, folder: str) -> str:
    return str(PurePosixPath(path).relative_to(folder))


def _dag(dag: Dag) -> dict[str, object]:
    summary = dag.schedule.summary if dag.schedule else ""
    return {
        "schedule": None if summary in _NOTHING_STARTS_IT else summary,
        "tasks": {task.task_id: _task(task) for task in dag.tasks},
    }


def _task(task: Task) -> dict[str, object]:
    entries = task.overrides.containers if task.overrides else ()
    names = (entry.get("name") for entry in entries if isinstance(entry, Mapping))
    containers = list(dict.fromkeys(name for name in names if isinstance(name, str)))  # a mapped task repeats them
    return {
        "operator": task.operator,
        "downstream": list(task.downstream),
        **({"containers": containers} if containers else {}),
    }
