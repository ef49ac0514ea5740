"""Import DAG files in the Airflow environment and take what its worker found."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import dag_file
from pipeline.errors import PipelineError
from pipeline.process import CommandError, run

WORKER = Path(__file__).with_name("worker")
MEMORY = 2 << 30  # bytes a file may take: an mw1.small scheduler has 2 GB for all of them
# Of every result; `worker/inspection.py` says what they are.
RESULT = frozenset(
    {
        *("error", "denied", "dags", "cycles", "warned", "uncalled", "deprecations", "missing"),
        *("own", "read", "listed", "sought", "foreign"),
    }
)
PATHS = ("own", "read", "listed", "sought")  # of these
TEXTS = ("kind", "what", "via")  # of an event
STARTING = 120.0  # seconds that Airflow may take to be imported, on top of the budget for the files


@dataclass(frozen=True)
class Importing:
    """What decides the result of importing a file, beside the file and what it reads.

    Attributes:
        environment: The Airflow to import with.
        project: Nothing in it may be changed.
        dag_folder: What MWAA has as its DAG folder: modules are found in it.
        region: Of the environment that the DAGs are for.
        options: Its `airflow_options`, as environment variables.
        variables: Environment variables that the files find.
        deny: Kind of access that is prevented → patterns of files, from the project, for which it is not.
        seconds: How long importing one file may take.
        budget: Seconds for all files together.
    """

    environment: AirflowEnvironment
    project: Path
    dag_folder: Path
    region: str
    options: Mapping[str, str]
    variables: Mapping[str, str]
    deny: Mapping[str, tuple[str, ...]]
    seconds: float
    budget: float

    @property
    def process_variables(self) -> Mapping[str, str]:
        """All environment variables of the worker."""
        return {**self.environment.variables(self.dag_folder, self.region, self.options), **self.variables}


@dataclass(frozen=True)
class Imported:
    """What the worker told.

    Attributes:
        files: Every DAG file of the paths, in Airflow's view, whether it was imported now or not.
        documents: A document for each that was.
    """

    files: tuple[str, ...]
    documents: tuple[Mapping[str, Any], ...]


def import_files(
    importing: Importing, paths: Sequence[Path], known: Sequence[str] = (), stop: Event | None = None
) -> Imported:
    """Import every DAG file of the paths, over all cores; none meets what another one did.

    Args:
        importing: How.
        paths: Files, or folders that are searched as Airflow does.
        known: Files whose result is known, and that are not imported again.
        stop: Once set, all of it is ended.

    Raises:
        PipelineError: Airflow cannot be started, cannot list the files, or was ended by one of them.
    """
    with tempfile.TemporaryDirectory(prefix="dags-") as folder:
        job = {
            "dag_folder": str(importing.dag_folder),
            "project": str(importing.project),
            "home": str(importing.environment.home),
            "environment": str(importing.environment.folder),
            "scratch": folder,
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
        answer = _answer(importing, file, stop)
    first, *documents = answer.splitlines()
    listed = json.loads(first)
    if "refused" in listed:
        raise PipelineError(
            f"Airflow cannot list the DAG files: {listed['refused']}",
            where=", ".join(map(str, paths)),
            mend="Remove the link, or name it in .airflowignore; a bucket has no links, so MWAA will not see it.",
        )
    return Imported(tuple(listed["files"]), tuple(map(_document, documents)))


def _answer(importing: Importing, job: Path, stop: Event | None) -> str:
    command = [
        *importing.environment.alone(importing.process_variables),
        *(str(importing.environment.python), str(WORKER), str(job)),
    ]
    try:
        return run(command, cwd=job.parent, timeout=importing.budget + STARTING, stop=stop)
    except CommandError as error:
        raise PipelineError(
            f"Airflow ended with code {error.code} before all DAG files were imported\n{error.last_lines}".rstrip(),
            where=importing.environment.name,
            mend="A plugin, airflow_local_settings.py or a DAG file ends it. Take out what the last lines name.",
        ) from None


def _document(line: str) -> Mapping[str, Any]:
    """What the worker told of a file. A file can write into the pipe that its result comes through."""
    document: dict[str, Any] = json.loads(line)
    try:
        if "result" in document:
            document["result"] = json.loads(document["result"])
        if _is_ours(document):
            return document
    except (TypeError, ValueError, KeyError, AttributeError):
        pass
    how = "told of itself what our own code does not tell"
    kept = {name: value for name, value in document.items() if name != "result"}
    return {**kept, "events": list(filter(_is_event, document["events"])), "outcome": "ended", "how": how}


def _is_event(document: Mapping[str, Any]) -> bool:
    return {*document} == {"line", *TEXTS} and all(isinstance(document[name], str) for name in TEXTS)


def _is_ours(document: Mapping[str, Any]) -> bool:
    """Whether all of a document can be read; raises whatever reading it raises."""
    result = document.get("result")
    dag_file(document, str, 0, 0)
    return all(map(_is_event, document["events"])) and (
        result is None
        or (set(result) >= RESULT and all(isinstance(path, str) for name in PATHS for path in result[name]))
    )


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
