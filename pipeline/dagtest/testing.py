"""One test of DAG files in one Airflow, from the settings to the verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipeline.dagtest.airflow_environment import AirflowEnvironment
from pipeline.dagtest.facts import DagFile, Shown, dag_file
from pipeline.dagtest.importing import MEMORY, Importing, import_files
from pipeline.dagtest.old_names import old_names
from pipeline.dagtest.project_containers import tasks_and_bases
from pipeline.dagtest.results import Results
from pipeline.dagtest.rules import Project, Verdict, denied, judge, levels
from pipeline.dagtest.variants import OPTION, everywhere, together, varying
from pipeline.settings import DagTests, Settings

DAGS = Path("dags")
# Sections that lead to services of an environment. The sample values of dag_tests stand for its secrets.
ELSEWHERE = frozenset({"celery", "database", "logging", "metrics", "openlineage", "secrets", "sentry", "traces"})
ABOUT_OLD_NAMES = ("removed-apis", "deprecated-apis", "next-airflow")


@dataclass(frozen=True)
class Outcome:
    """What became of a test.

    Attributes:
        files: Every DAG file, with the DAGs that it has in any environment.
        environments: Environment → every DAG file, as it is there.
        verdicts: Every rule's, of every file.
        folder: The DAG folder, written as in `files`.
        checksums: Path below the DAG folder → SHA-256, for every file in it.
    """

    files: tuple[DagFile, ...]
    environments: Mapping[str, tuple[DagFile, ...]]
    verdicts: tuple[Verdict, ...]
    folder: str
    checksums: Mapping[str, str]


def run_test(
    airflow: AirflowEnvironment,
    project: Path,
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    again: bool = False,
) -> Outcome:
    """Import the DAG files of the paths and judge them by every rule.

    They are imported as the last environment does, the one that must not break: production. Those that may be others
    elsewhere are imported as each other environment does, too.

    Args:
        airflow: The Airflow to test with.
        project: The project's folder.
        settings: The project's.
        paths: Files or folders; the DAG folder by default.
        again: Import all of them, even those whose result is known.
    """
    demands = settings.dag_tests
    used = levels(demands.rules, demands.exceptions)
    root = project.resolve()
    wanted_paths = paths or (root / DAGS,)
    *others, last = settings.environments

    def shown(path: str) -> str:
        file, colon, line = path.rpartition(":")
        name = Path(file if colon and line.isdigit() else path)
        relative = str(name.relative_to(root)) if name.is_relative_to(root) else str(name)
        return f"{relative}:{line}" if colon and line.isdigit() else relative

    def results_in(name: str) -> Results:
        return Results.load(_importing(airflow, root, settings, name))

    results = results_in(last)
    with ThreadPoolExecutor(2) as beside, _stopping() as stop:
        wanted = any(used[name] != "off" for name in ABOUT_OLD_NAMES)
        found = beside.submit(old_names, airflow, wanted_paths, shown, stop) if wanted else None
        files = {last: _files(results, wanted_paths, shown, beside, stop, again=again)}
        differing = [root / path for path in varying(files[last], lambda path: _text(root / path))]
        for name in others:
            here = _files(results_in(name), differing, shown, beside, stop, again=again) if differing else ()
            named = {file.path: file for file in here}
            files[name] = tuple(named.get(file.path, file) for file in files[last])
        names = found.result() if found else {}
    containers, bases = tasks_and_bases(root / "containers")
    known_project = Project(airflow.version, containers, bases, demands, old_names=names)
    in_order = {name: files[name] for name in settings.environments}
    folder = results.dag_folder
    return Outcome(
        everywhere(in_order),
        in_order,
        together({name: judge(each, known_project) for name, each in in_order.items() if differing or name == last}),
        shown(str(folder)),
        {str(Path(path).relative_to(folder)): digest for path, digest in results.before.digests.items()},
    )


def _files(
    results: Results, paths: Sequence[Path], shown: Shown, beside: Executor, stop: Event, *, again: bool
) -> tuple[DagFile, ...]:
    """Every DAG file in the paths; those whose result is not known are imported."""
    importing = results.importing
    known = frozenset(() if again else results.valid())

    def told(path: str) -> DagFile:
        return dag_file(results.documents[path], shown, importing.seconds, MEMORY, is_kept=path in known)

    listed = None if again else results.listed(paths)
    if listed is not None and known.issuperset(listed):
        return tuple(told(path) for path in listed if path in results.documents)
    imports = beside.submit(import_files, importing, paths, sorted(known), stop)
    kept = {path: told(path) for path in known}  # while Airflow is imported
    imported = imports.result()
    results.take(paths, imported.files, imported.documents)
    results.save()
    return tuple(kept.get(path) or told(path) for path in imported.files if path in results.documents)


def _importing(airflow: AirflowEnvironment, root: Path, settings: Settings, name: str) -> Importing:
    """How DAG files are imported as an environment does it."""
    demands = settings.dag_tests
    return Importing(
        airflow,
        root,
        (root / DAGS).resolve(),
        settings.region_of(name),
        airflow_options(settings, name),
        variables(demands),
        denied(demands.rules, demands.exceptions),
        demands.seconds,
        demands.budget,
    )


def _text(path: Path) -> str:
    """A file's text; none of one that a DAG file has removed."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that is set when it is left by an error or by Ctrl-C, for what waits in other threads."""
    stop = Event()
    try:
        yield stop
    except BaseException:
        stop.set()
        raise


def airflow_options(settings: Settings, name: str) -> Mapping[str, str]:
    """An environment's `airflow_options` and its name, as Airflow reads options from the environment (MWAA user guide).

    Of sections in `ELSEWHERE` none.
    """
    wanted = {**settings.environment(name).airflow_options, OPTION: name}
    named = ((*option.partition("."), value) for option, value in wanted.items())
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
