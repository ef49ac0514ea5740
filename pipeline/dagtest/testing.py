"""One test of DAG files in one Airflow, from the settings to the verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import DagFile, dag_file
from pipeline.dagtest.importing import MEMORY, Imported, Importing, import_files
from pipeline.dagtest.old_names import old_names
from pipeline.dagtest.project_containers import tasks_and_bases
from pipeline.dagtest.results import Results
from pipeline.dagtest.rules import Project, Verdict, denied, judge, levels
from pipeline.settings import DagTests, Settings

DAGS = Path("dags")
# Sections that lead to services of an environment. The sample values of dag_tests stand for its secrets.
ELSEWHERE = frozenset({"celery", "database", "logging", "metrics", "openlineage", "secrets", "sentry", "traces"})
ABOUT_OLD_NAMES = ("removed-apis", "deprecated-apis", "next-airflow")


@dataclass(frozen=True)
class Outcome:
    """What became of a test.

    Attributes:
        files: Every DAG file.
        verdicts: Every rule's, of every file.
        folder: The DAG folder, written as in `files`.
        checksums: Path below the DAG folder → SHA-256, for every file in it.
    """

    files: tuple[DagFile, ...]
    verdicts: tuple[Verdict, ...]
    folder: str
    checksums: Mapping[str, str]


def run_test(
    environment: AirflowEnvironment,
    project: Path,
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    again: bool = False,
) -> Outcome:
    """Import the DAG files of the paths and judge them by every rule.

    Args:
        environment: The Airflow to test with.
        project: The project's folder.
        settings: The project's.
        paths: Files or folders; the DAG folder by default.
        again: Import all of them, even those whose result is known.
    """
    demands = settings.dag_tests
    used = levels(demands.rules, demands.exceptions)
    root = project.resolve()
    wanted_paths = paths or (root / DAGS,)
    importing = Importing(
        environment,
        root,
        (root / DAGS).resolve(),
        settings.region,
        airflow_options(settings),
        variables(demands),
        denied(demands.rules, demands.exceptions),
        demands.seconds,
        demands.budget,
    )

    def shown(path: str) -> str:
        file, colon, line = path.rpartition(":")
        name = Path(file if colon and line.isdigit() else path)
        relative = str(name.relative_to(root)) if name.is_relative_to(root) else str(name)
        return f"{relative}:{line}" if colon and line.isdigit() else relative

    def told(path: str) -> DagFile:
        return dag_file(results.documents[path], shown, demands.seconds, MEMORY, is_kept=path in known)

    results = Results.load(importing)
    known = frozenset(() if again else results.valid())
    listed = None if again else results.listed(wanted_paths)
    is_unchanged = listed is not None and known.issuperset(listed)
    with ThreadPoolExecutor(2) as beside, _stopping() as stop:
        imports = None if is_unchanged else beside.submit(import_files, importing, wanted_paths, sorted(known), stop)
        wanted = any(used[name] != "off" for name in ABOUT_OLD_NAMES)
        found = beside.submit(old_names, environment, wanted_paths, shown, stop) if wanted else None
        kept = {path: told(path) for path in known}  # while Airflow is imported
        if imports:
            imported = imports.result()
            results.take(wanted_paths, imported.files, imported.documents)
            results.save()
        else:
            imported = Imported(listed or (), ())
        names = found.result() if found else {}
    files = tuple(kept.get(path) or told(path) for path in imported.files if path in results.documents)
    containers, bases = tasks_and_bases(root / "containers")
    known_project = Project(environment.version, containers, bases, demands, old_names=names)
    folder = importing.dag_folder
    checksums = {str(Path(path).relative_to(folder)): digest for path, digest in results.before.digests.items()}
    return Outcome(files, judge(files, known_project), shown(str(folder)), checksums)


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that is set when it is left by an error or by Ctrl-C, for what waits in other threads."""
    stop = Event()
    try:
        yield stop
    except BaseException:
        stop.set()
        raise


def airflow_options(settings: Settings) -> Mapping[str, str]:
    """The `airflow_options` that DAGs are tested with, as Airflow reads them from the environment (MWAA user guide).

    Those of the last environment, the one that must not break: production. Of sections in `ELSEWHERE` none.
    """
    last = list(settings.environments.values())[-1:]
    named = (
        (*name.partition("."), value) for environment in last for name, value in environment.airflow_options.items()
    )
    return {
        f"AIRFLOW__{section.replace('.', '_')}__{key}".upper(): value
        for section, _, key, value in named
        if section not in ELSEWHERE
    }


def variables(demands: DagTests) -> Mapping[str, str]:
    """The team's sample values, as Airflow reads them from the environment."""
    return {
        **{f"AIRFLOW_VAR_{name.upper()}": value for name, value in demands.variables.items()},
        **{f"AIRFLOW_CONN_{name.upper()}": value for name, value in demands.connections.items()},
        **demands.environment,
    }
