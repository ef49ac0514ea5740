"""Import a DAG file the way Airflow's processor does, and tell what is in it as plain JSON."""

import importlib
import importlib.util
import os
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.dagtest.worker import bytecode, modules, speed
from pipeline.dagtest.worker.accesses import Accesses
from pipeline.dagtest.worker.findings import cycles, deprecations, described
from pipeline.dagtest.worker.isolation import Tell
from pipeline.dagtest.worker.listing import why_passed_over
from pipeline.dagtest.worker.mwaa_home import MwaaHome
from pipeline.dagtest.worker.places import Places
from pipeline.dagtest.worker.plain import LIBRARIES
from pipeline.dagtest.worker.searches import Searches
from pipeline.dagtest.worker.source import SourceLines, forget_trees
from pipeline.dagtest.worker.tracebacks import calls_from, error_line, message_of
from pipeline.dagtest.worker.watch import Watch, has_foreign_modules, own_files, own_packages

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialization  # since 3.2
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization

# What is in the error of a file that was denied an access; the SDKs of clouds go on, to say then what they did not get.
DENIED = ("AccessWhileParsing", "NoCredentialsError", "DefaultCredentialsError")
SAMPLE = 64  # files that are looked at for what many import
SHARED_BY = 2  # a module that this many files import is imported before the forks, if its import changes nothing
WORTH_WARMING = 8  # files
WARM_UP = """
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.decorators import task
    from airflow.models.dag import DAG
from datetime import datetime

with DAG("airflow_warm_up", schedule="@daily", start_date=datetime(2026, 1, 1), params={"x": 1}):

    @task
    def say(text): ...

    say("{{ ds }} {% if params.x %}{{ params.x | string }}{% endif %}")
"""
_searches = Searches()
_shared_modules: dict[Path, tuple[list[dict[str, Any]], set[str]]] = {}  # → what it misses, and where it was sought


@dataclass(frozen=True)
class Folder:
    """Where DAG files are imported.

    Attributes:
        dags: MWAA's DAG folder.
        home: Airflow's own folder and the current one, with the DAG folder in it as `dags`; may be written to.
        environment: Where Airflow is installed, and its database.
        scratch: For us.
        project: Must not be changed.
        deny: Kind of access that is prevented → patterns of files, from the project, for which it is not.
    """

    dags: Path
    home: Path
    environment: Path
    scratch: Path
    project: Path
    deny: Mapping[str, Sequence[str]]

    def denied(self, file: Path) -> frozenset[str]:
        """The kinds of access that are prevented for a file."""
        path = str(file.relative_to(self.project)) if file.is_relative_to(self.project) else str(file)
        excepted = {kind for kind, patterns in self.deny.items() if any(fnmatchcase(path, each) for each in patterns)}
        return frozenset(self.deny) - excepted


def prepare(folder: Folder, files: Sequence[str]) -> None:
    """Import what several of the files will import, and let them find each other, as on MWAA."""
    _die_of_signals()
    known: dict[Path, modules.Names] = {}
    sample = files[:: -(-len(files) // SAMPLE) or 1]
    folders = modules.module_folders(folder.dags)
    counts = Counter(name for file in sample for name in modules.reached(Path(file), folders, known))
    for (name, attribute), count in sorted(counts.items()):
        if count >= SHARED_BY and name.partition(".")[0] in {"airflow", *LIBRARIES}:
            _import_if_silent(name, attribute)
    if len(files) >= WORTH_WARMING:
        speed.ask_once()
        _warm_up(folder)
    sys.path.append(str(folder.dags))
    importlib.util.find_spec("_nothing_")  # every finder reads its folder now: no DAG file is to be seen doing it
    _searches.install(str(folder.dags))
    shared = set(known) - {Path(file) for file in files}
    before = len(sys.modules)
    for path in shared:
        with _searches.apart() as sought:
            _shared_modules[path] = modules.missing(path, str(folder.dags)), sought
    for name in own_packages(folder.dags, before):  # looking into one imports it, and each file is to look for itself
        del sys.modules[name]
    bytecode.compile_once(str(folder.dags), shared)
    forget_trees()  # what is here is copied, page by page, for every process that is forked


def _missing(path: Path, dags: str) -> list[dict[str, Any]]:
    if path not in _shared_modules:
        return modules.missing(path, dags)
    missed, sought = _shared_modules[path]
    _searches.sought |= sought
    return [found for found in missed if not modules.exists(found["name"], dags)]  # sys.path may be longer now


def _lies_somewhere(dags: Path, module: str) -> bool:
    """Whether a file that failed before it added that folder to `sys.path` would have found a module there."""
    first = module.partition(".")[0]
    return any(first in (path.stem, path.name) for path in dags.rglob(f"{first}*"))


def _import_if_silent(name: str, attribute: str) -> None:
    """Import a name; forget it again if Airflow warns of it, since it warns once, and each file is to hear it.

    warned of       forgotten
    nothing         nothing
    the attribute   the attribute: its module, which may be `airflow` itself, stays
    the module      the module too, unless it was there before, or is another under an old name
    """
    was_there = name in sys.modules
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module = importlib.import_module(name)
            is_warned_of = bool(caught)
            getattr(module, attribute or "__name__", None)
        except Exception:  # noqa: BLE001 - the file that imports it will tell
            return
    if caught:
        vars(module).pop(attribute, None)
    if is_warned_of and not was_there and module.__name__ == name:
        sys.modules.pop(name, None)


def _warm_up(folder: Folder) -> None:
    """Take a DAG of ours the whole way, so that what Airflow and jinja make at their first use is made once."""
    sample = folder.scratch / "airflow_warm_up.py"
    sample.write_text(WARM_UP, encoding="utf-8")
    bag = DagBag(str(sample), load_op_links=False, **_bundle(folder.scratch))
    for dag in bag.dags.values():
        described(dag, _stored(dag), SourceLines.of(sample), Places())
    sample.unlink()
    for name in [name for name in sys.modules if name.startswith("unusual_prefix_")]:
        del sys.modules[name]


class Inspector:
    """Imports DAG files in this process, which from here on is watched to its end.

    Args:
        folder: Where they are.
        tell: Takes what a file does that it should not, at once.
    """

    def __init__(self, folder: Folder, tell: Tell) -> None:
        os.chdir(folder.home)
        self._folder = folder
        self._watch = Watch(str(folder.dags), str(folder.project), str(folder.home), str(folder.environment), tell)
        Accesses(self._watch).install()
        MwaaHome(folder.dags, folder.home).install()
        self._watch.install()
        self._places = Places()
        self._places.install()
        warnings.simplefilter("default")

    def inspect(self, path: Path) -> dict[str, Any]:
        """Import one file and describe its DAGs.

        Returns:
            `error`: None or its `message`, `line` in this file and `traceback`; `denied`: the error is our own doing;
            `dags`: see `described`; `cycles`: of DAGs that Airflow refused for one; `warned`: a warning was shown;
            `uncalled`: see `SourceLines`; `deprecations`: those of Airflow's; `missing`: modules; `own`: the team's
            modules it imported; `read`, `listed`, `sought`: what its result depends on; `foreign`: it may depend on
            more that we cannot see, or on the hour.
        """
        folder, watch, places = self._folder, self._watch, self._places
        before, paths = len(sys.modules), list(sys.path)
        watch.turn_to(str(path), folder.denied(path))
        places.turn_to(str(path))
        _searches.begin()
        try:
            bag = DagBag(str(path), load_op_links=False, **_bundle(folder.dags))
            errors = [*bag.import_errors.values()]
        except BaseException:  # noqa: BLE001 - before Airflow 3.2, sys.exit() gets through
            bag, errors = None, [traceback.format_exc()]
        dags = dict(sorted(bag.dags.items())) if bag else {}
        if not dags and (why := why_passed_over(path)):
            errors = [why]
        stored = {}
        for dag_id, dag in dags.items():
            try:
                stored[dag_id] = _stored(dag)
            except Exception as error:  # noqa: BLE001 - Airflow would show it as this file's error
                errors.append(f"the DAG {dag_id} cannot be stored: {type(error).__name__}: {error}")
        own = own_files(folder.dags, before)
        foreign = sys.path != paths or _searches.elsewhere or has_foreign_modules(before, LIBRARIES)
        of_files = dict.fromkeys([str(path), *own])
        missing = [found for file in of_files for found in _missing(Path(file), str(folder.dags))]
        if errors and missing and modules.extends_search_path(path):
            foreign = True  # it depends on the names of all files in the DAG folder
            missing = [found for found in missing if not _lies_somewhere(folder.dags, found["name"])]
        with watch.paused():
            source = SourceLines.of(path)
            described_dags = [described(dag, stored.get(dag_id), source, places) for dag_id, dag in dags.items()]
            return {
                "error": _error(errors[0], path, _refused(places, dags, stored), places) if errors else None,
                "denied": watch.denied and bool(errors) and any(words in errors[0] for words in DENIED),
                "dags": described_dags,
                "cycles": cycles(places.taken, places.of_dag) if errors and "ycle" in errors[0] else [],
                "warned": bool(bag and any(bag.captured_warnings.values())),
                "uncalled": source.uncalled,
                "deprecations": list(deprecations(bag, [str(path), *own])) if bag else [],
                "missing": missing,
                "own": own,
                "read": sorted(watch.read),
                "listed": sorted(watch.listed),
                "sought": sorted(_searches.sought),
                "foreign": foreign or any(dag["schedule"] and dag["schedule"]["moving"] for dag in described_dags),
            }


def _die_of_signals() -> None:
    """Airflow answers SIGSEGV in Python, which comes back to the same instruction for ever; let the process end."""
    register = signal.signal

    def signals(number: int, action: Any) -> Any:
        return signal.getsignal(number) if number == signal.SIGSEGV else register(number, action)

    signal.signal = signals  # type: ignore[assignment]  # the same for all that calls it


def _bundle(dag_folder: Path) -> dict[str, Any]:
    takes = DagBag.__init__.__code__.co_varnames
    wanted = {"bundle_path": dag_folder, "bundle_name": "dags", "include_examples": False}
    return {name: value for name, value in wanted.items() if name in takes}


def _stored(dag: Any) -> Any:
    """A DAG with the timetable that the scheduler reads; storing it is what Airflow's processor does, too."""
    document = Serialization.to_dict(dag)
    if hasattr(dag.timetable, "next_dagrun_info"):
        return dag
    from airflow.serialization.decoders import decode_timetable  # noqa: PLC0415 - since 3.2

    return _Stored(decode_timetable(document["dag"]["timetable"]))


@dataclass(frozen=True)
class _Stored:
    timetable: Any


def _refused(places: Places, dags: Mapping[str, Any], stored: Mapping[str, Any]) -> Any:
    """The DAG that Airflow refused, or could not store: which, its error does not always say. None if it was none."""
    refused = [dag for dag in places.taken if dag.dag_id not in dags]  # Airflow keeps the last one's error
    return refused[-1] if refused else next((dag for dag_id, dag in dags.items() if dag_id not in stored), None)


def _error(text: str, path: Path, refused: Any, places: Places) -> dict[str, Any]:
    """An error, at its line in the file; where it has none there, at the line of the DAG that was refused."""
    message, line = message_of(text), error_line(text, path)
    if line is None and refused is not None:
        line = next(iter(places.of_dag(refused)), None)
        message = message if refused.dag_id in message else f"{message} (the DAG {refused.dag_id})"
    return {"message": message, "line": line, "traceback": calls_from(path, text)}
