"""Import DAG files in the Airflow environment and take what its worker found."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.process import run

WORKER = Path(__file__).with_name("worker")
MEMORY = 2 << 30  # bytes a file may take: an mw1.small scheduler has 2 GB for all of them
STARTING = 120.0  # seconds that Airflow may take to be imported, on top of the budget for the files


@dataclass(frozen=True)
class Importing:
    """What decides the result of importing a file, beside the file and what it reads.

    Attributes:
        environment: The Airflow to import with.
        project: Nothing in it may be changed.
        dag_folder: What MWAA has as its DAG folder: modules are found in it.
        region: Of the environment that the DAGs are for.
        variables: Environment variables that the files find.
        deny: Kind of access that is prevented → patterns of files, from the project, for which it is not.
        seconds: How long importing one file may take.
        budget: Seconds for all files together.
    """

    environment: AirflowEnvironment
    project: Path
    dag_folder: Path
    region: str
    variables: Mapping[str, str]
    deny: Mapping[str, tuple[str, ...]]
    seconds: float
    budget: float

    @property
    def process_variables(self) -> Mapping[str, str]:
        """All environment variables of the worker."""
        return {**self.environment.variables(self.dag_folder, self.region), **self.variables}


@dataclass(frozen=True)
class Imported:
    """What the worker told.

    Attributes:
        files: Every DAG file of the paths, in Airflow's view, whether it was imported now or not.
        documents: A document for each that was.
    """

    files: tuple[str, ...]
    documents: tuple[Mapping[str, Any], ...]


def import_files(importing: Importing, paths: Sequence[Path], known: Sequence[str] = ()) -> Imported:
    """Import every DAG file of the paths, over all cores; none meets what another one did.

    Args:
        importing: How.
        paths: Files, or folders that are searched as Airflow does.
        known: Files whose result is known, and that are not imported again.
    """
    with tempfile.TemporaryDirectory(prefix="dags-") as folder:
        # As on MWAA, the DAG folder is `dags` in the current folder, and nothing else is there.
        Path(folder, "airflow").mkdir()
        Path(folder, "airflow", "dags").symlink_to(importing.dag_folder)
        job = {
            "dag_folder": str(importing.dag_folder),
            "project": str(importing.project),
            "current": str(Path(folder, "airflow")),
            "home": str(importing.environment.folder.resolve()),
            "paths": [str(path.resolve()) for path in paths],
            "known": list(known),
            "deny": dict(importing.deny),
            "seconds": importing.seconds,
            "budget": importing.budget,
            "memory": MEMORY,
            "processes": processors(),
        }
        file = Path(folder, "job.json")
        file.write_text(json.dumps(job), encoding="utf-8")
        answer = run(
            [
                *importing.environment.alone(importing.process_variables),
                *(str(importing.environment.python), str(WORKER), str(file)),
            ],
            cwd=Path(folder),
            timeout=importing.budget + STARTING,
        )
    first, *documents = (json.loads(line) for line in answer.splitlines())
    for document in documents:
        if "result" in document:
            document["result"] = json.loads(document["result"])
    return Imported(tuple(first["files"]), tuple(documents))


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
