"""Import DAG files in the Airflow environment and take what its worker found."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import DagFile, dag_file
from pipeline.process import run

WORKER = Path(__file__).with_name("worker")
SECONDS = 30.0  # Airflow's own core.dagbag_import_timeout
MEMORY = 2 << 30  # bytes a file may take: an mw1.small scheduler has 2 GB for all of them
BUDGET = 3600.0  # seconds for all files together; CodeBuild's own time-out is shorter


def import_files(
    environment: AirflowEnvironment,
    project: Path,
    dag_folder: Path,
    paths: Sequence[Path],
    seconds: float = SECONDS,
) -> tuple[DagFile, ...]:
    """Every DAG file of the paths, imported in a process of its own over all cores; by path.

    Args:
        environment: The Airflow to import with.
        project: Paths are told relative to it.
        dag_folder: What MWAA has as its DAG folder: modules are found in it.
        paths: Files, or folders that are searched as Airflow does.
        seconds: How long importing one file may take.
    """
    job = {
        "dag_folder": str(dag_folder.resolve()),
        "paths": [str(path.resolve()) for path in paths],
        "seconds": seconds,
        "memory": MEMORY,
        "processes": os.cpu_count() or 1,
    }
    with tempfile.TemporaryDirectory(prefix="dags-") as folder:
        file = Path(folder, "job.json")
        file.write_text(json.dumps(job), encoding="utf-8")
        answer = run(
            [str(environment.python), str(WORKER), str(file)],
            cwd=Path(folder),
            env=environment.variables(dag_folder.resolve()),
            timeout=BUDGET,
        )
    documents = [json.loads(line) for line in answer.splitlines()]
    found = [dag_file(document, _shown(Path(document["path"]), project), seconds) for document in documents]
    return tuple(sorted(found, key=lambda file: file.path))


def _shown(path: Path, project: Path) -> str:
    root = project.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
